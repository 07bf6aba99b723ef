"""What a family of features is: one declaration, beside the code that computes it, from which everything else follows.

A family is a group of columns that are made together from one kind of subject: a caption, a picture, a pair of both, or
a post. Its asset, the rows that belong to a community, the block that predictors learn from, the comparison with
accepted features, the columns of an export, the catalogue and the features of a post that is not made yet are all
derived from it; `redpop_assets.features.registry` lists the families.

Here is only what a family is and what it may ask. How rows are found, written and read again belongs into
`redpop_assets.refresh`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Hashable, Mapping, Sequence
from dataclasses import asdict, dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, Literal, TypeAlias, TypeVar

from redpop_assets.arrays import np, npt, pa
from redpop_assets.features.vectors import Vectors
from redpop_assets.kept import Kept

if TYPE_CHECKING:
    from PIL.Image import Image

    from redpop_assets.encoders.base import TextEncoder
    from redpop_assets.encoders.image_network import ImageNetwork
    from redpop_assets.encoders.judges import Judges
    from redpop_assets.storage.history import History

T = TypeVar("T")
Floats: TypeAlias = "npt.NDArray[np.float32]"
Features: TypeAlias = "Mapping[str, npt.NDArray[np.float32] | pa.Array]"
"""Column -> one value per subject: (n,) or (n, k) float32, or an Arrow array of n where a table holds no numbers."""

Grain = Literal["caption", "picture", "pair", "post"]
Whose = Literal["nothing", "community", "everybody"]
Content = Literal["picture", "caption"]

KEYS: Final[Mapping[Grain, tuple[str, ...]]] = {
    "caption": ("caption_sha256",),
    "picture": ("image_sha256",),
    "pair": ("caption_sha256", "image_sha256"),
    "post": ("post_id",),
}
"""Columns that identify a subject, by grain."""

OF_CONTENT: Final[Mapping[Grain, Mapping[Content, str]]] = {
    "caption": {"caption": ""},
    "picture": {"picture": ""},
    "pair": {"caption": "", "picture": ""},
    "post": {},
}

CHEAP_CHUNK: Final = 16_384
"""Rows between two writes where a row takes well under a millisecond: what opening the file, merging into a large table
and committing take is then little beside the computing, which a killed run loses a few seconds of."""


@dataclass(frozen=True)
class Encoders:
    """The networks whose outputs count, by name; one that is not named ("") leaves the families behind it empty."""

    image: str
    caption: str
    clip: str = ""
    objects: str = ""
    entities: str = ""
    emotions: str = ""

    def only(self, fields: Collection[str]) -> Encoders:
        """Those of some fields; the others are empty."""
        return Encoders(**{name: value if name in fields else "" for name, value in asdict(self).items()})


class Networks(Kept):
    """The networks that families ask, each loaded when it is first asked for, and kept; never what they say.

    Any number of threads may share them.

    Args:
        device: where they run: auto, cpu, cuda or cuda:<n>.
        judges: the scorers of pictures whose weights the deployment names.
    """

    def __init__(self, device: str, judges: Judges) -> None:
        super().__init__()
        self.device = device
        self.judges = judges

    def kept(self, key: Hashable, load: Callable[[], T]) -> T:
        """What `load` returned when this key was first asked for."""
        return self.kept_as(key, load)

    def text_encoder(self, name: str) -> TextEncoder:
        """The caption encoder of that name.

        Raises:
            WeightsUnavailable: it cannot be loaded.
        """
        from redpop_assets.encoders.load import load_text_encoder

        return self.kept(("text", name), lambda: load_text_encoder(name, device=self.device))

    def image_encoder(self, name: str) -> ImageNetwork:
        """The image encoder of that name, with the probabilities of its classes where it has some.

        Raises:
            WeightsUnavailable: it cannot be loaded.
        """
        from redpop_assets.encoders.load import load_image_encoder

        return self.kept(
            ("image", name),
            lambda: load_image_encoder(name, device=self.device, probabilities=name.startswith("timm:")),
        )


@dataclass(frozen=True)
class PostFacts:
    """What is known of n posts by themselves; see `redpop_assets.features.flags.flag_features`."""

    kinds: Sequence[str]
    image_counts: Sequence[int]
    crosspost_parents: Sequence[str | None]
    is_original_content: Sequence[bool]
    flairs: Sequence[str | None]
    over_18: Sequence[bool]
    spoiler: Sequence[bool]


class Everybody(Kept):
    """The posts of all communities.

    Attributes:
        posts: see `redpop_assets.storage.history.History`.
    """

    def __init__(self, posts: History) -> None:
        super().__init__()
        self.posts = posts

    def kept(self, make: Callable[[History], T]) -> T:
        """What `make` returns of these posts, computed once."""
        return self.kept_as(make, lambda: make(self.posts))


class Past(Kept):
    """The posts that there are, as a post of one community sees them, and what families prepare of them once.

    It never changes, so any number of threads may ask it about any number of posts.

    Attributes:
        subreddit: the community in lower case.
        everybody: the posts of all communities.
        posts: those of the community, n of them.
        subscribers: (n,) float64, members of the community when a post was first seen; NaN where unknown.
        subscribers_seen_at: (n,) datetime64[s], UTC, when that was.

    Args:
        read_vectors: gives what `vectors` returns; asked once for each content and encoder.
    """

    def __init__(
        self,
        subreddit: str,
        everybody: Everybody,
        posts: History,
        subscribers: npt.NDArray[np.float64],
        subscribers_seen_at: npt.NDArray[np.datetime64],
        read_vectors: Callable[[Content, str], Vectors],
    ) -> None:
        super().__init__()
        self.subreddit = subreddit
        self.everybody = everybody
        self.posts = posts
        self.subscribers = subscribers
        self.subscribers_seen_at = subscribers_seen_at
        self._read_vectors = read_vectors

    def __len__(self) -> int:
        return len(self.posts)

    def kept(self, make: Callable[[Past], T]) -> T:
        """What `make` returns of this past, computed once."""
        return self.kept_as(make, lambda: make(self))

    def vectors(self, content: Content, encoder: str) -> Vectors:
        """Vectors by an encoder, of those of the n posts that have one; of width 0 where it never wrote one."""
        return self.kept_as((content, encoder), lambda: self._read_vectors(content, encoder))

    def asked(self, rows: npt.NDArray[np.int64]) -> Asked:
        """Posts of this past as they are asked about.

        Args:
            rows: (m,) their places, ascending.
        """
        posts = self.posts

        def some(values: Sequence[T]) -> list[T]:
            return [values[row] for row in rows]

        return Asked(
            authors=some(posts.authors),
            captions=some(posts.captions),
            groups=some(posts.groups),
            created_at=posts.created_at[rows],
            subscribers=self.subscribers[rows],
            subscribers_seen_at=self.subscribers_seen_at[rows],
            vectors=lambda content, encoder: self.vectors(content, encoder)[rows],
            rows=rows,
        )


@dataclass(frozen=True)
class Asked:
    """n posts of a community that are asked about. They see the past, and nothing of each other.

    A post that is part of the past does not see itself there, as nothing is seen of its own second.

    Attributes:
        authors: keyed hashes, None where unknown.
        captions: titles.
        groups: canonical post of the posts that show the same picture; None for a picture of its own.
        created_at: (n,) datetime64[s], UTC.
        subscribers: (n,) float64, members of the community when a post was first seen; NaN where unknown.
        subscribers_seen_at: (n,) datetime64[s], UTC, when that was.
        vectors: content and encoder -> (n, d) float32 vectors, rows of NaN where a post has none.
        rows: (n,) their places in the past, ascending; None for posts that are in no past.
    """

    authors: Sequence[str | None]
    captions: Sequence[str]
    groups: Sequence[str | None]
    created_at: npt.NDArray[np.datetime64]
    subscribers: npt.NDArray[np.float64]
    subscribers_seen_at: npt.NDArray[np.datetime64]
    vectors: Callable[[Content, str], Floats]
    rows: npt.NDArray[np.int64] | None = None

    def __len__(self) -> int:
        return len(self.created_at)


class NotAsked(TypeError):
    """A family asks something of subjects that those of its grain do not have: a mistake in its declaration."""


class Subjects(Kept, ABC):
    """n captions, pictures, pairs or posts: what a family may ask of them. Only what its grain has can be asked for."""

    def __init__(self, networks: Networks) -> None:
        super().__init__()
        self.networks = networks

    def kept(self, make: Callable[[Subjects], T]) -> T:
        """What `make` returns of these subjects, computed once: families of one step share a decoding this way."""
        return self.kept_as(make, lambda: make(self))

    @abstractmethod
    def __len__(self) -> int: ...

    @property
    def captions(self) -> Sequence[str]:
        """The n texts of captions."""
        raise NotAsked("captions")

    def pictures(self, draft_edge: int | None = None) -> Sequence[Image]:  # noqa: ARG002
        """The n RGB pictures, opened on access, at a fraction of their size if that keeps twice `draft_edge`."""
        raise NotAsked("pictures")

    @property
    def sizes(self) -> Sequence[tuple[int, int]]:
        """Widths and heights of the n pictures as they are stored (pixels)."""
        raise NotAsked("sizes")

    def vectors(self, content: Content, encoder: str) -> Floats:  # noqa: ARG002
        """(n, d) L2-normalised vectors of the n pictures or captions by an encoder."""
        raise NotAsked("vectors")

    def probabilities(self, encoder: str) -> Floats | None:  # noqa: ARG002
        """(n, c) probabilities of an encoder's classes for the n pictures; None if it is no classifier."""
        raise NotAsked("probabilities")

    @property
    def created_at(self) -> npt.NDArray[np.datetime64]:
        """(n,) datetime64[s], UTC, when the n posts were made."""
        raise NotAsked("created_at")

    @property
    def facts(self) -> PostFacts:
        """What is known of the n posts by themselves."""
        raise NotAsked("facts")

    @property
    def past(self) -> Past:
        """The posts that the n posts may see."""
        raise NotAsked("past")

    @property
    def asked(self) -> Asked:
        """The n posts, as their past is asked about them."""
        raise NotAsked("asked")


Compute: TypeAlias = "Callable[[Subjects, Encoders], Features | None]"
"""Features of n subjects, None where the network in question gives none."""


@dataclass(frozen=True, eq=False)
class Family:
    """One family of features.

    Attributes:
        name: what predictors call it.
        table: where predictors read it, a table or a view.
        grain: what a row is about.
        version: code version of the rows that count; raising it makes the old ones stale.
        compute: the features of some subjects.
        networks: columns of the table that name a network, with the field of `Encoders` that says which one counts.
        made_from: tables that have to be there first, besides posts and pictures.
        past: whose earlier posts it looks at: nobody's, those of its community, or everybody's.
        filled: the table that is filled, where `table` is a view of it.
        step: families with one name of a step are computed together; by default a family is a step of its own.
        block: whether predictors may learn from it.
        compared: whether its features are compared with what was accepted; not what follows the calendar by design.
        also_compared: further fields of `Encoders` whose rows in the table are compared, a column for each network.
        content: kind of content -> prefix, or prefixes, of the columns that follow from the post's own; by default from
            its grain.
        export: prefix of its columns in an export; by default its name.
        on_device: whether it runs networks that want the GPU.
        optional: whether it is computed only where REDPOP_OPTIONAL_FAMILIES names it.
        rows_at_once: rows between two writes; None for the chunk size of the settings, of posts for all of them.
        note: what the UI says besides the comment of the table: settings it depends on, when it is empty.
    """

    name: str
    table: str
    grain: Grain
    version: str
    compute: Compute
    networks: tuple[tuple[str, str], ...] = ()
    made_from: tuple[str, ...] = ()
    past: Whose = "nothing"
    filled: str = ""
    step: str = ""
    block: bool = True
    compared: bool = True
    also_compared: tuple[str, ...] = ()
    content: Mapping[Content, str | tuple[str, ...]] | None = None
    export: str = ""
    on_device: bool = False
    optional: bool = False
    rows_at_once: int | None = None
    note: str = ""

    @property
    def filled_table(self) -> str:
        """The table that is filled: its own, or the one behind a view."""
        return self.filled or self.table

    @property
    def keys(self) -> tuple[str, ...]:
        """Columns that identify a subject."""
        return KEYS[self.grain]

    @property
    def follows_from(self) -> Mapping[Content, str | tuple[str, ...]]:
        """Kind of content -> prefix, or prefixes, of the columns that follow from the post's own."""
        return MappingProxyType(OF_CONTENT[self.grain] if self.content is None else self.content)

    def is_of(self, content: Content, column: str) -> bool:
        """Whether a column follows from the post's own picture or caption."""
        prefix = self.follows_from.get(content)
        return prefix is not None and column.startswith(prefix)

    @property
    def needs_picture(self) -> bool:
        """Whether a post without a picture lacks it."""
        return self.grain in ("picture", "pair")

    def named(self, encoders: Encoders) -> dict[str, str]:
        """Columns that name a network -> the network that counts; "" where the deployment names none."""
        return {column: getattr(encoders, network) for column, network in self.networks}
