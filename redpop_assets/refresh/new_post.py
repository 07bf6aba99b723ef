"""The blocks of a post that is not made yet: every family, asked about a draft instead of a stored post."""

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
from redpop_assets.storage.warehouse import Warehouse

if TYPE_CHECKING:
    from PIL.Image import Image

    from redpop_assets.encoders.judges import Judges

NEW = "new"
"""Id of the post; no post of Reddit has it, for theirs begin with the time of their making."""

_PICTURES = """
SELECT d.duplicate_group, i.phash, i.dhash
FROM core.duplicates AS d JOIN core.primary_images USING (post_id) JOIN core.images AS i USING (image_sha256)
ORDER BY d.post_id
"""


class NewPost:
    """One post of one subreddit that is not made yet.

    Args:
        warehouse: where the past is; nothing is written.
        subreddit: in lower case.
        caption: its title.
        image: its RGB picture; None for a title alone.
        posted_at: when it would be made (aware).
        author: keyed hash of the author's name; None for somebody unknown.
        matured_after: age at which the labels of earlier posts are final, of `LabelRule`: as in the graph.
        device: where networks run.
        judges: the scorers of pictures whose weights the deployment names.
    """

    def __init__(
        self,
        warehouse: Warehouse,
        subreddit: str,
        caption: str,
        image: Image | None,
        *,
        posted_at: datetime,
        author: str | None,
        matured_after: timedelta,
        device: str,
        judges: Judges,
    ) -> None:
        self.subreddit = subreddit
        self.caption = caption
        self.image = image
        self.author = author
        self.created_at = np.array([posted_at.astimezone(UTC).replace(tzinfo=None)], dtype="datetime64[s]")
        self.matured_after = matured_after
        self.warehouse = warehouse
        self._networks = Networks(device, judges)
        self._drafts: dict[Encoders, _Draft] = {}
        self._blocks: dict[tuple[str, Encoders], Block | None] = {}

    def block(self, name: str, encoders: Encoders) -> Block | None:
        """A block of the post, of shape (1, d); None where it has none, such as pixels without a picture.

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
        if through not in self._drafts:
            self._drafts[through] = _Draft(self, through, self._networks)
        features = family.compute(self._drafts[through], encoders)
        return None if features is None else make_block(name, features)

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
    """The one post as a caption, a picture, a pair and a post; its past is seen through some encoders."""

    def __init__(self, post: NewPost, encoders: Encoders, networks: Networks) -> None:
        super().__init__(networks)
        self._post = post
        self._encoders = encoders

    def __len__(self) -> int:
        return 1

    @property
    def captions(self) -> Sequence[str]:
        return [self._post.caption[:LONGEST_CAPTION]]

    def pictures(self, draft_edge: int | None = None) -> Sequence[Image]:  # noqa: ARG002
        return [self._image]

    @property
    def sizes(self) -> Sequence[tuple[int, int]]:
        return [self._image.size]

    @property
    def _image(self) -> Image:
        assert self._post.image is not None
        return self._post.image

    def vectors(self, content: Content, encoder: str) -> Floats:
        if content == "caption":
            text = self.networks.text_encoder(encoder)
            return self.networks.kept(("vector", content, encoder), lambda: text.encode(self.captions))
        return self._outputs(encoder)[0]

    def probabilities(self, encoder: str) -> Floats | None:
        return self._outputs(encoder)[1]

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
        return PostFacts(["image"], [1], [None], [False], [None], [False], [False])

    @cached_property
    def timeline(self) -> Timeline:
        """The posts of the past and, as the last one and the only one that is wanted, the draft."""
        post, encoders = self._post, self._encoders
        vectors = bool(encoders.image or encoders.caption)
        past = read_timeline(post.warehouse, post.subreddit, encoders, post.matured_after, vectors=vectors)
        return replace(
            past,
            everybody=self._after(past.everybody),
            here=self._after(past.here),
            due=np.arange(len(past.here) + 1) == len(past.here),
            subscribers=np.append(past.subscribers, np.nan),
            subscribers_seen_at=np.append(past.subscribers_seen_at, np.datetime64("NaT")),
            image_vectors=self._appended("picture", past.image_vectors, encoders.image, self._post.image is not None),
            caption_vectors=self._appended("caption", past.caption_vectors, encoders.caption, True),
        )

    def _after(self, past: History) -> History:
        post = self._post
        matured_at = (post.created_at + np.timedelta64(post.matured_after)).astype("datetime64[s]")
        return History(
            post_ids=[*past.post_ids, NEW],
            subreddits=[*past.subreddits, post.subreddit],
            authors=[*past.authors, post.author],
            captions=[*past.captions, post.caption[:LONGEST_CAPTION]],
            groups=[*past.groups, self._post.group],
            created_at=np.concatenate([past.created_at, post.created_at]),
            matured_at=np.concatenate([past.matured_at, matured_at]),
            log_score=np.append(past.log_score, np.nan),
        )

    def _appended(self, content: Content, past: Floats, encoder: str, there: bool) -> Floats:
        """The vectors of the past, and that of the draft; NaN without one."""
        if not past.shape[1]:
            return np.empty((len(past) + 1, 0), dtype=np.float32)
        own = self.vectors(content, encoder) if there else np.full((1, past.shape[1]), np.nan, dtype=np.float32)
        return np.vstack([past, own]).astype(np.float32)
