"""The blocks of a post that is not made yet: every family, asked about a draft instead of a stored post.

A draft has rows: titles, each with a moment at which it would be posted. Each is a row of every block as if it were the
only one, for what looks at other posts sees those that are stored, and those of earlier seconds only. So a title may be
compared with others, and an hour with all hours of a week, at once.

Of an author who is not said nothing is known but that the account is open. Of stored posts that is known of newcomers;
where their author is not known, the account was closed since, and what became of those says nothing about a draft.

What is the same for many questions is made once: networks are loaded once for a process, the past of a community is
prepared once for an edition, what follows from a picture alone is kept with the picture, and what follows from a title
alone is kept while the title is among the latest.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Final, TypeAlias

import numpy as np
import numpy.typing as npt

from redpop_assets.captions import LONGEST_CAPTION
from redpop_assets.features.family import (
    Asked,
    Content,
    Encoders,
    Everybody,
    Family,
    Floats,
    Networks,
    Past,
    PostFacts,
    Subjects,
)
from redpop_assets.features.registry import BLOCKS
from redpop_assets.features.retrieved import nearest_posts
from redpop_assets.features.vectors import Vectors
from redpop_assets.images.decode import Look, look_of
from redpop_assets.images.duplicates import Lookalikes
from redpop_assets.kept import Kept, Recent
from redpop_assets.predictors.dataset import Block, Dataset
from redpop_assets.refresh.blocks import make_block
from redpop_assets.refresh.features import read_vectors
from redpop_assets.storage.history import History, read_subscribers
from redpop_assets.storage.rows import Readable

if TYPE_CHECKING:
    from PIL.Image import Image

    from redpop_assets.encoders.image_network import ImageOutputs
    from redpop_assets.encoders.judges import Judges

NEWCOMER: Final = "newcomer"
"""The author of a draft of whom nothing is said, for what looks at authors: no keyed hash, so of no stored post."""

NEW = "new"
"""What the ids of drafts begin with; a colon follows, which no id of Reddit has."""

TITLES_KEPT = 4096
"""Rows about single titles that are kept, of all families together: some kB each."""

_TITLES_OF_A_PICTURE = 256
_Title: TypeAlias = "tuple[str, Encoders, str]"  # family, networks that it looks through, and the title
_KNOWN_UNTIL = """
SELECT greatest(
    (SELECT max(created_at) + INTERVAL 1 SECOND FROM core.posts WHERE subreddit = $subreddit),
    (
        SELECT max(read_at) FROM raw.listing_reads
        WHERE subreddit = $subreddit AND listing = 'new' AND ended IN ('end', 'depth', 'overlap')
    )
)
"""
_PICTURES = """
SELECT d.duplicate_group, i.phash, i.dhash
FROM core.duplicates AS d JOIN core.primary_images USING (post_id) JOIN core.images AS i USING (image_sha256)
ORDER BY d.post_id
"""


class Picture(Kept):
    """A picture that is asked about, with what is found out about it, each thing once. Threads may share it.

    Attributes:
        image: upright RGB.
    """

    def __init__(self, image: Image) -> None:
        super().__init__()
        self.image = image
        self.titles: Recent[_Title, Block | None] = Recent(_TITLES_OF_A_PICTURE)
        """Rows about it with single titles."""

    @property
    def look(self) -> Look:
        """Its perceptual hashes."""
        return self.kept_as("look", lambda: look_of(self.image))

    def outputs(self, networks: Networks, encoder: str) -> ImageOutputs:
        """What an encoder says of it.

        Raises:
            WeightsUnavailable: the encoder cannot be loaded.
        """
        network = networks.image_encoder(encoder)
        return self.kept_as(("outputs", encoder), lambda: network.outputs_of([self.image]))

    def block(self, family: Family, encoders: Encoders, networks: Networks) -> Block | None:
        """What a family of pictures says of it: a block of one row, or None.

        Raises:
            WeightsUnavailable: a network cannot be loaded.
        """
        subjects = self.kept_as(networks, lambda: _Content(networks, 1, (), self))
        return self.kept_as((family.name, encoders), lambda: _block(family, subjects, encoders))


class Drafts(Kept):
    """What all drafts of one reading of the warehouse are asked about beside. Threads may share it.

    Memory is that of all posts (some 400 bytes each) and, of the communities that were asked about, of what families
    prepare of their posts and of the vectors that predictors look through; it does not grow with the questions.

    Args:
        warehouse: where the past is; one edition, or the live one for as long as its changes need not be seen.
        networks: those that are asked; they may outlive it.
        matured_after: age at which the labels of earlier posts are final, of `LabelRule`: as in the graph.
    """

    def __init__(self, warehouse: Readable, networks: Networks, matured_after: timedelta) -> None:
        super().__init__()
        self.networks = networks
        self.titles: Recent[_Title, Block | None] = Recent(TITLES_KEPT)
        """Rows about single titles."""
        self._vectors: Recent[tuple[str, str], Floats] = Recent(TITLES_KEPT)
        self._warehouse = warehouse
        self._matured_after = matured_after

    def draft(
        self,
        subreddit: str,
        captions: Sequence[str],
        picture: Picture | None,
        *,
        posted_at: datetime | Sequence[datetime],
        author: str | None,
    ) -> Draft:
        """One post that is not made yet, or several ways to make it.

        Args:
            subreddit: in lower case.
            captions: n titles.
            picture: None for a title alone.
            posted_at: when it would be made (aware); one for all titles, or n of them.
            author: keyed hash of the author's name; None for a newcomer of whom nothing is said.
        """
        return Draft(self, subreddit, captions, picture, posted_at=posted_at, author=author)

    def past(self, subreddit: str) -> Past:
        """What a post of a community may see."""
        return self.kept_as(("past", subreddit), lambda: self._read(subreddit))

    def known_until(self, subreddit: str) -> np.datetime64:
        """Until when it is known what others posted in a community (datetime64[s], UTC); NaT where nothing is.

        What happens between then and the moment of a draft is not known: an hour without posts, there, would say that
        a community sleeps, and is but an hour that nobody has looked at.
        """
        return self.kept_as(("known until", subreddit), lambda: self._known_until(subreddit))

    def group_of(self, picture: Picture) -> str | None:
        """The duplicate group whose picture this one is, by its perceptual hashes; None if it is new."""
        groups, known = self.kept_as("pictures", self._pictures)
        found = known.most_alike(picture.look)
        return None if found is None else groups[found]

    def vectors(self, captions: Sequence[str], encoder: str) -> Floats:
        """(n, d) vectors of titles by an encoder.

        Raises:
            WeightsUnavailable: the encoder cannot be loaded.
        """
        network = self.networks.text_encoder(encoder)
        keys = [(encoder, caption) for caption in captions]
        found = self._vectors.all(keys, lambda missing: list(network.encode([caption for _, caption in missing])))
        return np.stack([found[key] for key in keys])

    def as_asked(self, data: Dataset, encoders: Encoders, *, author_said: bool) -> Dataset:
        """Stored posts of a community as drafts that were asked about just before they were made.

        Less is said of a draft than is known of a post: its form is taken for granted, and mostly nobody says who would
        post it. So a predictor that looks at these may expect less, or more, of every draft than of such posts.

        Args:
            data: n stored posts, in the order of their ids, as the predictor sees them.
            encoders: the networks that it looks through.
            author_said: whether it is said who made them.

        Returns:
            The same posts without labels. What follows from picture and title alone is as it was.
        """
        past = self.past(data.subreddit)
        place = {post_id: row for row, post_id in enumerate(past.posts.post_ids)}
        rows = np.array([place[post_id] for post_id in data.post_ids], dtype=np.int64)
        subjects = _Stored(self.networks, past, rows, author_said=author_said)
        blocks = dict(data.blocks)
        for name, block in data.blocks.items():
            if BLOCKS[name].grain == "post" and block.present.any():
                made = _block(BLOCKS[name], subjects, encoders)
                blocks[name] = block if made is None else made.pick(block.columns)
        authors = data.authors if author_said else (None,) * len(data)
        return replace(data, blocks=blocks, log_score=None, authors=authors)

    @property
    def _everybody(self) -> Everybody:
        return self.kept_as(
            "everybody", lambda: Everybody(History.read(self._warehouse, None, matured_after=self._matured_after))
        )

    def _read(self, subreddit: str) -> Past:
        everybody = self._everybody
        here = everybody.posts.only(subreddit)

        def vectors(content: Content, encoder: str) -> Vectors:
            with self._warehouse.read() as reader:
                return read_vectors(reader, content, encoder, here.post_ids)

        with self._warehouse.read() as reader:
            return Past(subreddit, everybody, here, *read_subscribers(reader, here.post_ids), vectors)

    def _known_until(self, subreddit: str) -> np.datetime64:
        # To the second after the newest post, which sees that post.
        found = self._warehouse.scalar(_KNOWN_UNTIL, {"subreddit": subreddit})
        return np.datetime64("NaT" if found is None else found, "s")

    def _pictures(self) -> tuple[list[str], Lookalikes]:
        known = self._warehouse.query(_PICTURES)
        return known.column("duplicate_group").to_pylist(), Lookalikes(known.column("phash"), known.column("dhash"))


class Draft(Kept):
    """Rows of a title and a moment in one community. Arguments are those of `Drafts.draft`.

    Attributes:
        subreddit: in lower case.
        captions: the n titles.
        picture: None for a title alone.
        created_at: (n,) datetime64[s], UTC.
        author: keyed hash; None for a newcomer of whom nothing is said.
        post_ids: n ids that no stored post has.
    """

    def __init__(
        self,
        drafts: Drafts,
        subreddit: str,
        captions: Sequence[str],
        picture: Picture | None,
        *,
        posted_at: datetime | Sequence[datetime],
        author: str | None,
    ) -> None:
        super().__init__()
        self.drafts = drafts
        self.subreddit = subreddit
        self.captions = tuple(captions)
        self.picture = picture
        self.author = author
        self.post_ids = tuple(f"{NEW}:{number}" for number in range(len(self.captions)))
        times = [posted_at] * len(self.captions) if isinstance(posted_at, datetime) else posted_at
        if len(times) != len(self.captions):
            raise ValueError(f"{len(times)} moments for {len(self.captions)} titles")
        self.created_at = np.array([time.astimezone(UTC).replace(tzinfo=None) for time in times], dtype="datetime64[s]")

    @property
    def image(self) -> Image | None:
        """The RGB picture; None for a title alone."""
        return None if self.picture is None else self.picture.image

    def block(self, name: str, encoders: Encoders) -> Block | None:
        """A block of the rows, of shape (n, d); None where they have none, such as pixels without a picture.

        Raises:
            ValueError: there is no such block.
            WeightsUnavailable: a network behind the block cannot be loaded.
        """
        if name not in BLOCKS:
            raise ValueError(f"no block {name!r}")
        through = encoders.only({network for _, network in BLOCKS[name].networks})
        return self.kept_as((name, through), lambda: self._made(BLOCKS[name], through))

    def _made(self, family: Family, encoders: Encoders) -> Block | None:
        if (family.needs_picture and self.picture is None) or not all(family.named(encoders).values()):
            return None
        if family.grain == "post":
            return _block(family, _Rows(self), encoders)
        if family.grain == "picture":
            found = self._shown.block(family, encoders, self.drafts.networks)
            return None if found is None else found.take(np.zeros(len(self.captions), dtype=np.intp))
        picture = self._shown if family.grain == "pair" else None
        kept = self.drafts.titles if picture is None else picture.titles

        def made(missing: Sequence[_Title]) -> list[Block | None]:
            titles = [title for _, _, title in missing]
            networks, vectors = self.drafts.networks, self.drafts.vectors
            block = _block(family, _Content(networks, len(titles), titles, picture, vectors), encoders)
            return [None if block is None else block.take(np.array([row])) for row in range(len(titles))]

        keys = [(family.name, encoders, title) for title in self.texts]
        rows = kept.all(keys, made)
        return _together([row for key in keys if (row := rows[key]) is not None])

    def neighbours(self, encoders: Encoders) -> list[list[str | None]]:
        """Ids of the past posts that the block `retrieved` tells of, for each row, in the order of its columns.

        Raises:
            WeightsUnavailable: an encoder cannot be loaded.
        """
        return nearest_posts(_Rows(self), encoders)

    @property
    def _shown(self) -> Picture:
        assert self.picture is not None
        return self.picture

    @cached_property
    def texts(self) -> list[str]:
        """The titles as the graph has them."""
        return [caption[:LONGEST_CAPTION] for caption in self.captions]

    @property
    def group(self) -> str | None:
        """The duplicate group whose picture this one is, by its perceptual hashes; None if it is new."""
        return None if self.picture is None else self.drafts.group_of(self.picture)


class NewPost(Draft):
    """A draft that is asked about by itself, beside a past and through networks of its own.

    Args:
        warehouse: where the past is; nothing is written.
        subreddit: in lower case.
        captions: its n titles.
        image: its RGB picture; None for a title alone.
        posted_at: when it would be made (aware).
        author: keyed hash of the author's name; None for a newcomer of whom nothing is said.
        matured_after: age at which the labels of earlier posts are final, of `LabelRule`: as in the graph.
        device: where networks run.
        judges: the scorers of pictures whose weights the deployment names.
    """

    def __init__(
        self,
        warehouse: Readable,
        subreddit: str,
        captions: tuple[str, ...],
        image: Image | None,
        *,
        posted_at: datetime,
        author: str | None,
        matured_after: timedelta,
        device: str,
        judges: Judges,
    ) -> None:
        drafts = Drafts(warehouse, Networks(device, judges), matured_after)
        picture = None if image is None else Picture(image)
        super().__init__(drafts, subreddit, captions, picture, posted_at=posted_at, author=author)


class _Content(Subjects):
    """A picture, titles, or titles each with the same picture.

    Args:
        networks: those that are asked.
        count: how many.
        captions: the titles; empty for the picture alone.
        picture: None for titles alone.
        vectors: of titles by an encoder.
    """

    def __init__(
        self,
        networks: Networks,
        count: int,
        captions: Sequence[str],
        picture: Picture | None,
        vectors: Callable[[Sequence[str], str], Floats] | None = None,
    ) -> None:
        super().__init__(networks)
        self._count = count
        self._captions = captions
        self._picture = picture
        self._vectors = vectors

    def __len__(self) -> int:
        return self._count

    @property
    def captions(self) -> Sequence[str]:
        return self._captions

    def pictures(self, draft_edge: int | None = None) -> Sequence[Image]:  # noqa: ARG002
        return [self._shown.image] * self._count

    @property
    def sizes(self) -> Sequence[tuple[int, int]]:
        return [self._shown.image.size] * self._count

    @property
    def _shown(self) -> Picture:
        assert self._picture is not None
        return self._picture

    def vectors(self, content: Content, encoder: str) -> Floats:
        if content == "picture":
            return self._shown.outputs(self.networks, encoder).vectors.repeat(self._count, axis=0)
        assert self._vectors is not None
        return self._vectors(self._captions, encoder)

    def probabilities(self, encoder: str) -> Floats | None:
        found = self._shown.outputs(self.networks, encoder).probabilities
        return None if found is None else found.repeat(self._count, axis=0)


class _Rows(Subjects):
    """The rows of a draft as posts."""

    def __init__(self, draft: Draft) -> None:
        super().__init__(draft.drafts.networks)
        self._draft = draft

    def __len__(self) -> int:
        return len(self._draft.captions)

    @property
    def created_at(self) -> npt.NDArray[np.datetime64]:
        return self._draft.created_at

    @property
    def facts(self) -> PostFacts:
        """What is taken of drafts; see `_unsaid`."""
        return _unsaid(len(self))

    @property
    def past(self) -> Past:
        return self._draft.drafts.past(self._draft.subreddit)

    @cached_property
    def asked(self) -> Asked:
        draft, n = self._draft, len(self)
        return Asked(
            authors=[draft.author or NEWCOMER] * n,
            captions=draft.texts,
            groups=[draft.group] * n,
            created_at=np.fmin(draft.created_at, draft.drafts.known_until(draft.subreddit)),
            subscribers=np.full(n, np.nan),
            subscribers_seen_at=np.full(n, np.datetime64("NaT", "s")),
            vectors=self._vectors,
        )

    def _vectors(self, content: Content, encoder: str) -> Floats:
        draft = self._draft
        width = self.past.vectors(content, encoder).width
        if not width or (content == "picture" and draft.picture is None):
            return np.full((len(self), width), np.nan, dtype=np.float32)
        if content == "picture":
            assert draft.picture is not None
            return draft.picture.outputs(self.networks, encoder).vectors.repeat(len(self), axis=0)
        return draft.drafts.vectors(draft.texts, encoder)


class _Stored(Subjects):
    """Stored posts, asked about as drafts are: of what drafts do not say, nothing is known.

    Args:
        networks: those that are asked.
        past: of their community.
        rows: (n,) their places in it, ascending.
        author_said: whether it is said who made them.
    """

    def __init__(self, networks: Networks, past: Past, rows: npt.NDArray[np.int64], *, author_said: bool) -> None:
        super().__init__(networks)
        self._past = past
        asked = past.asked(rows)
        self._asked = asked if author_said else replace(asked, authors=[NEWCOMER] * len(rows))

    def __len__(self) -> int:
        return len(self._asked)

    @property
    def created_at(self) -> npt.NDArray[np.datetime64]:
        return self._asked.created_at

    @property
    def facts(self) -> PostFacts:
        """What is taken of drafts; see `_unsaid`."""
        return _unsaid(len(self))

    @property
    def past(self) -> Past:
        return self._past

    @property
    def asked(self) -> Asked:
        return self._asked


def _unsaid(n: int) -> PostFacts:
    """A picture of one's own without a flair, n times: what people who ask do not say otherwise."""
    return PostFacts(["image"] * n, [1] * n, [None] * n, [False] * n, [None] * n, [False] * n, [False] * n)


def _block(family: Family, subjects: Subjects, encoders: Encoders) -> Block | None:
    """The block of some subjects; None where the network in question says nothing of them."""
    features = family.compute(subjects, encoders)
    return None if features is None else make_block(family.name, features)


def _together(rows: Sequence[Block]) -> Block | None:
    """Blocks one below the other; None without any."""
    if not rows:
        return None
    values, present = (
        np.concatenate(parts) for parts in zip(*((row.values, row.present) for row in rows), strict=True)
    )
    return Block(values, rows[0].columns, present)
