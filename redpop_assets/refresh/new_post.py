"""The blocks of a post that is not made yet: every family, asked about a draft instead of a stored post.

A draft may have several titles. Each is a row of every block, as if it were the only one: they are made in one second,
and what looks at other posts sees those of earlier seconds only. What the titles share is computed once.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from redpop_assets.captions import LONGEST_CAPTION
from redpop_assets.features.family import Content, Encoders, Floats, Networks, PostFacts, Subjects, Timeline
from redpop_assets.features.registry import BLOCKS
from redpop_assets.images.decode import inspect
from redpop_assets.images.duplicates import most_alike
from redpop_assets.predictors.dataset import Block
from redpop_assets.refresh.blocks import make_block
from redpop_assets.refresh.features import read_timeline
from redpop_assets.storage.history import History
from redpop_assets.storage.rows import Readable

if TYPE_CHECKING:
    from PIL.Image import Image

    from redpop_assets.encoders.judges import Judges

NEW = "new"
"""What the ids of drafts begin with; a colon follows, which no id of Reddit has."""

_PICTURES = """
SELECT d.duplicate_group, i.phash, i.dhash
FROM core.duplicates AS d JOIN core.primary_images USING (post_id) JOIN core.images AS i USING (image_sha256)
ORDER BY d.post_id
"""


class NewPost:
    """One post of one subreddit that is not made yet, with one title or several to choose from.

    Args:
        warehouse: where the past is; nothing is written.
        subreddit: in lower case.
        captions: its n titles.
        image: its RGB picture; None for a title alone.
        posted_at: when it would be made (aware).
        author: keyed hash of the author's name; None for somebody unknown.
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
        self.subreddit = subreddit
        self.captions = captions
        self.post_ids = tuple(f"{NEW}:{number}" for number in range(len(captions)))
        self.image = image
        self.author = author
        moment = np.datetime64(posted_at.astimezone(UTC).replace(tzinfo=None), "s")
        self.created_at = np.full(len(captions), moment)
        self.matured_after = matured_after
        self.warehouse = warehouse
        self._networks = Networks(device, judges)
        self._drafts: dict[tuple[Encoders, int], _Draft] = {}
        self._blocks: dict[tuple[str, Encoders], Block | None] = {}

    def block(self, name: str, encoders: Encoders) -> Block | None:
        """A block of the post, of shape (n, d); None where it has none, such as pixels without a picture.

        Raises:
            ValueError: there is no such block.
            WeightsUnavailable: a network behind the block cannot be loaded.
        """
        if name not in BLOCKS:
            raise ValueError(f"no block {name!r}")
        family = BLOCKS[name]
        key = name, encoders.only({network for _, network in family.networks})
        if key not in self._blocks:
            self._blocks[key] = self._made(name, encoders)
        return self._blocks[key]

    def _made(self, name: str, encoders: Encoders) -> Block | None:
        family = BLOCKS[name]
        if (family.needs_picture and self.image is None) or not all(family.named(encoders).values()):
            return None
        through = encoders.only({network for _, network in family.networks})
        rows = 1 if family.grain == "picture" else len(self.captions)
        if (through, rows) not in self._drafts:
            self._drafts[through, rows] = _Draft(self, rows, through, self._networks)
        features = family.compute(self._drafts[through, rows], encoders)
        if features is None:
            return None
        made = make_block(name, features)
        return made if rows == len(self.captions) else made.take(np.zeros(len(self.captions), dtype=np.intp))

    @cached_property
    def group(self) -> str | None:
        """The duplicate group whose picture this one is, by its perceptual hashes; None if it is new."""
        if self.image is None:
            return None
        file = io.BytesIO()
        self.image.save(file, "PNG", compress_level=0)
        edges = sorted(self.image.size)
        info, _ = inspect(
            file.getvalue(), max_pixels=edges[0] * edges[1], min_edge=1, max_aspect=edges[1] / max(edges[0], 1)
        )
        known = self.warehouse.query(_PICTURES)
        found = most_alike(info, known.column("phash"), known.column("dhash"))
        return None if found is None else str(known.column("duplicate_group")[found].as_py())


class _Draft(Subjects):
    """The post as captions, a picture, pairs and posts; its past is seen through some encoders.

    Args:
        post: what is asked about.
        rows: 1 where only the picture counts, else one for each title.
        encoders: networks whose vectors count.
        networks: those that are loaded.
    """

    def __init__(self, post: NewPost, rows: int, encoders: Encoders, networks: Networks) -> None:
        super().__init__(networks)
        self._post = post
        self._rows = rows
        self._encoders = encoders

    def __len__(self) -> int:
        return self._rows

    @property
    def captions(self) -> Sequence[str]:
        return [caption[:LONGEST_CAPTION] for caption in self._post.captions]

    def pictures(self, draft_edge: int | None = None) -> Sequence[Image]:  # noqa: ARG002
        return [self._image] * self._rows

    @property
    def sizes(self) -> Sequence[tuple[int, int]]:
        return [self._image.size] * self._rows

    @property
    def _image(self) -> Image:
        assert self._post.image is not None
        return self._post.image

    def vectors(self, content: Content, encoder: str) -> Floats:
        if content == "caption":
            text = self.networks.text_encoder(encoder)
            return self.networks.kept(("vector", content, encoder), lambda: text.encode(self.captions))
        return self._outputs(encoder)[0].repeat(self._rows, axis=0)

    def probabilities(self, encoder: str) -> Floats | None:
        found = self._outputs(encoder)[1]
        return None if found is None else found.repeat(self._rows, axis=0)

    def _outputs(self, encoder: str) -> tuple[Floats, Floats | None]:
        def asked() -> tuple[Floats, Floats | None]:
            outputs = self.networks.image_encoder(encoder).outputs_of([self._image])
            return outputs.vectors, outputs.probabilities

        return self.networks.kept(("vector", "picture", encoder), asked)

    @property
    def created_at(self) -> npt.NDArray[np.datetime64]:
        return self._post.created_at

    @property
    def facts(self) -> PostFacts:
        """A picture of one's own without a flair: what people who ask do not say otherwise."""
        n = self._rows
        return PostFacts(["image"] * n, [1] * n, [None] * n, [False] * n, [None] * n, [False] * n, [False] * n)

    @cached_property
    def timeline(self) -> Timeline:
        """The posts of the past and, as the last ones and the only ones that are wanted, the draft with each title."""
        post, encoders = self._post, self._encoders
        vectors = bool(encoders.image or encoders.caption)
        past = read_timeline(post.warehouse, post.subreddit, encoders, post.matured_after, vectors=vectors)
        return replace(
            past,
            everybody=self._after(past.everybody),
            here=self._after(past.here),
            due=np.arange(len(past.here) + self._rows) >= len(past.here),
            subscribers=np.append(past.subscribers, np.full(self._rows, np.nan)),
            subscribers_seen_at=np.append(past.subscribers_seen_at, np.full(self._rows, np.datetime64("NaT", "s"))),
            image_vectors=self._appended("picture", past.image_vectors, encoders.image, self._post.image is not None),
            caption_vectors=self._appended("caption", past.caption_vectors, encoders.caption, True),
        )

    def _after(self, past: History) -> History:
        post, n = self._post, self._rows
        matured_at = (post.created_at + np.timedelta64(post.matured_after)).astype("datetime64[s]")
        return History(
            post_ids=[*past.post_ids, *post.post_ids],
            subreddits=[*past.subreddits, *[post.subreddit] * n],
            authors=[*past.authors, *[post.author] * n],
            captions=[*past.captions, *self.captions],
            groups=[*past.groups, *[post.group] * n],
            created_at=np.concatenate([past.created_at, post.created_at]),
            matured_at=np.concatenate([past.matured_at, matured_at]),
            log_score=np.append(past.log_score, np.full(n, np.nan)),
        )

    def _appended(self, content: Content, past: Floats, encoder: str, there: bool) -> Floats:
        """The vectors of the past, and those of the draft; NaN without one."""
        shape = self._rows, past.shape[1]
        if not past.shape[1]:
            return np.empty((len(past) + self._rows, 0), dtype=np.float32)
        own = self.vectors(content, encoder) if there else np.full(shape, np.nan, dtype=np.float32)
        return np.vstack([past, own]).astype(np.float32)
