"""The blocks of a post that is not made yet, as the graph would compute them for a post of that moment."""

import io
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from functools import cache, cached_property
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from redpop_assets.encoders import zero_shot
from redpop_assets.features.authors import Activity, author_features
from redpop_assets.features.captions import caption_features
from redpop_assets.features.class_families import CLASSES, object_features
from redpop_assets.features.community import community_features
from redpop_assets.features.environments import environments
from redpop_assets.features.flags import flag_features
from redpop_assets.features.neighbours import neighbour_features
from redpop_assets.features.novelty import caption_novelty
from redpop_assets.features.seen_before import seen_before_features
from redpop_assets.features.timestamps import timestamp_features
from redpop_assets.features.tokens import caption_tokens
from redpop_assets.features.visual import describe_images
from redpop_assets.images.decode import inspect
from redpop_assets.images.duplicates import most_alike
from redpop_assets.predictors.dataset import Block
from redpop_assets.refresh.blocks import OF_PICTURES, Encoders, make_block, read_dataset
from redpop_assets.storage.history import History, read_subscribers
from redpop_assets.storage.warehouse import Warehouse

if TYPE_CHECKING:
    from PIL.Image import Image

    from redpop_assets.encoders.image_network import ImageNetwork, ImageOutputs
    from redpop_assets.encoders.judges import Judges

Features = Mapping[str, npt.NDArray[np.float32]]

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
        image: "Image | None",
        *,
        posted_at: datetime,
        author: str | None,
        matured_after: timedelta,
        device: str,
        judges: "Judges",
    ) -> None:
        self.subreddit = subreddit
        self.caption = caption
        self.image = image
        self.author = author
        self.created_at = np.array([posted_at.astimezone(UTC).replace(tzinfo=None)], dtype="datetime64[s]")
        self._matured_at = (self.created_at + np.timedelta64(matured_after)).astype("datetime64[s]")
        self._warehouse = warehouse
        self._everybody = History.read(warehouse, None, matured_after=matured_after)
        self._past = self._everybody.only(subreddit)
        self._device = device
        self._judges = judges
        self._networks: dict[str, ImageNetwork] = {}
        self.block = cache(self._block)

    def _block(self, name: str, encoders: Encoders) -> Block | None:
        """A block of the post, of shape (1, d); None where it has none, such as pixels without a picture.

        Raises:
            WeightsUnavailable: a network behind the block cannot be loaded.
        """
        if self.image is None and name in OF_PICTURES:
            return None
        features = self._features(name, encoders)
        return None if features is None else make_block(name, features)

    def _features(self, name: str, encoders: Encoders) -> Features | None:
        match name:
            case "image":
                return {"embedding": self._image_vector(encoders.image)}
            case "caption":
                return {"embedding": self._caption_vector(encoders.caption)}
            case "text":
                return caption_features([self.caption])
            case "time":
                return timestamp_features(self.created_at)
            case "author":
                return self._author
            case "flags":
                return flag_features(["image"], [1], [None], [False], [None], [False], [False])
            case "pixels":
                return self._measured[0]
            case "visual":
                return self._measured[1]
            case "objects":
                return self._objects(encoders.objects)
            case "concepts":
                return self._concepts(encoders.clip)
            case "agreement":
                return self._agreement(encoders.clip)
            case "ratings":
                return self._ratings
            case "entities":
                return self._entities(encoders.entities)
            case "emotions":
                return self._emotions(encoders.emotions)
            case "novelty":
                return self._novelty
            case "community":
                return self._community
            case "seen":
                return self._seen
            case "neighbours":
                return self._neighbours(encoders)
            case "environment":
                return self._environment(encoders)
        raise ValueError(f"no block {name!r}")

    @property
    def _ids(self) -> list[str]:
        return [*self._past.post_ids, NEW]

    @property
    def _times(self) -> tuple[npt.NDArray[np.datetime64], npt.NDArray[np.datetime64], npt.NDArray[np.float64]]:
        """Creation, maturity and label of the posts of the subreddit and of the new one."""
        return (
            np.concatenate([self._past.created_at, self.created_at]),
            np.concatenate([self._past.matured_at, self._matured_at]),
            np.append(self._past.log_score, np.nan),
        )

    @cached_property
    def _author(self) -> Features:
        everybody = self._everybody
        features = author_features(
            self._ids,
            [*self._past.authors, self.author],
            *self._times,
            captions=[*self._past.captions, self.caption],
            activity=Activity(everybody.authors, everybody.subreddits, everybody.created_at),
        )
        return _last(features)

    @cached_property
    def _community(self) -> Features:
        members, seen_at = read_subscribers(self._warehouse, self.subreddit)
        return _last(
            community_features(
                self._ids,
                [*self._past.authors, self.author],
                *self._times,
                subscribers=np.append(members, np.nan),
                subscribers_observed_at=np.append(seen_at, np.datetime64("NaT")),
            )
        )

    @cached_property
    def _novelty(self) -> Features:
        words = caption_tokens([*self._past.captions, self.caption]).tokens
        return _last(caption_novelty(self._ids, self._times[0], words))

    @cached_property
    def _seen(self) -> Features:
        everybody = self._everybody
        return _last(
            seen_before_features(
                [*everybody.post_ids, NEW],
                [*everybody.subreddits, self.subreddit],
                [*everybody.authors, self.author],
                [*everybody.groups, self._group],
                np.concatenate([everybody.created_at, self.created_at]),
                np.concatenate([everybody.matured_at, self._matured_at]),
                np.append(everybody.log_score, np.nan),
            )
        )

    @cached_property
    def _group(self) -> str | None:
        """The duplicate group whose picture this one is, by its perceptual hashes; None if it is new."""
        if self.image is None:
            return None
        file = io.BytesIO()
        self.image.save(file, "PNG", compress_level=0)
        edges = sorted(self.image.size)
        info, _ = inspect(
            file.getvalue(), max_pixels=edges[0] * edges[1], min_edge=1, max_aspect=edges[1] / max(edges[0], 1)
        )
        known = self._warehouse.query(_PICTURES)
        found = most_alike(info, known.column("phash"), known.column("dhash"))
        return None if found is None else str(known.column("duplicate_group")[found].as_py())

    def _neighbours(self, encoders: Encoders) -> Features:
        images, captions = self._vectors(encoders)
        due = np.zeros(len(self._ids), dtype=np.bool_)
        due[-1] = True
        groups = [*self._past.groups, self._group]
        return neighbour_features(self._ids, *self._times, images, captions, groups=groups, due=due)

    def _environment(self, encoders: Encoders) -> Features:
        images, captions = self._vectors(encoders)
        due = np.zeros(len(self._ids), dtype=np.bool_)
        due[-1] = True
        authors = [*self._past.authors, self.author]
        (found,) = environments(self._ids, authors, self._times[0], images, captions, due=due)
        columns = ("level", "posts", "image_mean", "caption_mean")
        return {name: np.asarray(getattr(found, name), dtype=np.float32) for name in columns}

    def _vectors(self, encoders: Encoders) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
        """Vectors of the pictures and of the captions of the subreddit's posts and of the new one."""
        past = read_dataset(self._warehouse, self.subreddit, encoders, ["image", "caption"])
        both = []
        for block in ("image", "caption"):
            values = past.blocks[block].values
            own = self.block(block, encoders)
            both.append(np.vstack([values, np.full((1, values.shape[1]), np.nan) if own is None else own.values]))
        return both[0].astype(np.float32), both[1].astype(np.float32)

    @cached_property
    def _measured(self) -> tuple[Features, Features]:
        assert self.image is not None
        return describe_images([self.image], [self.image.size])

    def _image_outputs(self, encoder: str) -> "ImageOutputs":
        from redpop_assets.encoders.load import load_image_encoder

        assert self.image is not None
        if encoder not in self._networks:
            self._networks[encoder] = load_image_encoder(
                encoder, device=self._device, probabilities=encoder.startswith("timm:")
            )
        return self._networks[encoder].outputs_of([self.image])

    def _image_vector(self, encoder: str) -> npt.NDArray[np.float32]:
        return self._image_outputs(encoder).vectors

    def _caption_vector(self, encoder: str) -> npt.NDArray[np.float32]:
        from redpop_assets.encoders.load import load_text_encoder

        return load_text_encoder(encoder, device=self._device).encode([self.caption])

    def _objects(self, encoder: str) -> Features | None:
        probabilities = self._image_outputs(encoder).probabilities if encoder else None
        if probabilities is None or probabilities.shape[1] != CLASSES:
            return None
        features = object_features(probabilities)
        return {name: values.astype(np.float32) for name, values in features.items()}

    def _concepts(self, clip: str) -> Features | None:
        from redpop_assets.encoders.load import load_text_encoder

        if not clip:
            return None
        words = load_text_encoder(clip, device=self._device)
        prototypes = zero_shot.concept_vectors(words, zero_shot.concept_lists())
        return zero_shot.concept_scores(self._image_vector(clip), prototypes)

    def _agreement(self, clip: str) -> Features | None:
        if not clip:
            return None
        return zero_shot.caption_image_agreement(self._caption_vector(clip), self._image_vector(clip))

    @cached_property
    def _ratings(self) -> Features:
        assert self.image is not None
        return self._judges.ratings(self.image, self._image_vector)

    def _entities(self, model: str) -> Features | None:
        from redpop_assets.features.entities import load_entities

        return load_entities(model).counts([self.caption]) if model else None

    def _emotions(self, model: str) -> Features | None:
        from redpop_assets.features.emotions import load_emotions

        if not model:
            return None
        return {"probabilities": load_emotions(model, device=self._device).probabilities([self.caption])}


def _last(features: Features) -> Features:
    return {name: values[-1:] for name, values in features.items()}
