"""Dagster's face of the domain objects: each resource only builds one. What they do lives in storage/ and reddit/."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import dagster as dg

from redpop_assets.encoders.base import Provenance
from redpop_assets.encoders.judges import Judges
from redpop_assets.features.family import Encoders, Family
from redpop_assets.features.registry import FAMILIES
from redpop_assets.settings import Settings, load_settings
from redpop_assets.storage.images import ImageStore
from redpop_assets.storage.models import ModelStore
from redpop_assets.storage.warehouse import Warehouse

if TYPE_CHECKING:
    from redpop_assets.images.fetch import FetchPolicy
    from redpop_assets.reddit.client import RedditClient


class WarehouseResource(dg.ConfigurableResource[Any]):
    """The DuckDB warehouse of one home directory."""

    home: str
    source: str
    lock_timeout_seconds: float

    def create_resource(self, context: dg.InitResourceContext) -> Warehouse:  # noqa: ARG002
        """Hand out the plain warehouse."""
        return Warehouse(Path(self.home), source=self.source, lock_timeout=self.lock_timeout_seconds)


class ImageStoreResource(dg.ConfigurableResource[Any]):
    """The image files of one home directory."""

    root: str

    def create_resource(self, context: dg.InitResourceContext) -> ImageStore:  # noqa: ARG002
        """Hand out the plain store."""
        return ImageStore(Path(self.root))


class ModelStoreResource(dg.ConfigurableResource[Any]):
    """The model files of one home directory."""

    root: str

    def create_resource(self, context: dg.InitResourceContext) -> ModelStore:  # noqa: ARG002
        """Hand out the plain store."""
        return ModelStore(Path(self.root))


class RedditResource(dg.ConfigurableResource[Any]):
    """The Reddit API. Credentials are read when a step connects, so that they stand in no run configuration."""

    reddit_url: str
    oauth_url: str
    timeout_seconds: float

    def connect(self) -> "RedditClient":
        """Log in, read-only.

        Raises:
            CredentialsMissing: REDDIT_CLIENT_ID, REDDIT_CLIENT_SECRET or REDDIT_USER_AGENT is not set.
        """
        # PRAW is paid for by the step that asks Reddit, not by every process that loads the definitions.
        from redpop_assets.reddit.budget import RequestBudget
        from redpop_assets.reddit.client import RedditClient

        settings = load_settings()
        return RedditClient(
            client_id=settings.reddit_client_id,
            client_secret=settings.reddit_client_secret.get_secret_value(),
            user_agent=settings.reddit_user_agent,
            reddit_url=self.reddit_url,
            oauth_url=self.oauth_url,
            timeout=self.timeout_seconds,
            budget=RequestBudget.of(settings.reddit_client_id, self.oauth_url, settings.budget_folder),
        )


def open_warehouse(settings: Settings) -> Warehouse:
    """The warehouse of a deployment, for work outside of Dagster."""
    return Warehouse(settings.home, source=settings.source, lock_timeout=settings.lock_timeout_seconds)


def deployed_encoders(settings: Settings) -> Encoders:
    """The networks whose outputs predictors learn from."""
    return Encoders(
        image=settings.image_encoder,
        caption=settings.caption_encoder,
        clip=settings.clip,
        objects=settings.object_encoder,
        entities=settings.entity_model,
        emotions=settings.emotion_model,
    )


def deployed_families(settings: Settings) -> tuple[Family, ...]:
    """The families of features that are computed."""
    return tuple(family for family in FAMILIES if not family.optional or family.name in settings.optional_families)


def judges_of(settings: Settings, warehouse: Warehouse) -> Judges:
    """The judges of pictures that the settings name weights of."""

    def recorded(encoder: str) -> Provenance | None:
        rows = warehouse.query(
            "SELECT encoder, modality, dimension, provenance, weights_sha256, library FROM features.encoders "
            "WHERE encoder = $encoder AND modality = 'image'",
            {"encoder": encoder},
        ).to_pylist()
        return Provenance(**rows[0]) if rows else None

    return Judges(
        iipa=settings.iipa_weights,
        nima=settings.nima,
        aesthetic=settings.aesthetic_weights,
        image_encoder=settings.image_encoder,
        clip=settings.clip,
        device=settings.device,
        recorded=recorded,
    )


def fetch_policy(settings: Settings) -> "FetchPolicy":
    """The limits of a download, as the settings have them."""
    from redpop_assets.images.decode import StoredForm
    from redpop_assets.images.fetch import FetchPolicy

    return FetchPolicy(
        max_bytes=settings.image_max_bytes,
        max_pixels=settings.image_max_pixels,
        min_edge=settings.image_min_edge,
        deadline=settings.image_timeout_seconds,
        concurrency=settings.image_concurrency,
        per_host=settings.image_concurrency_per_host,
        allowed_hosts=frozenset(settings.image_hosts_allowed),
        user_agent=settings.reddit_user_agent or FetchPolicy.user_agent,
        store=StoredForm(settings.image_format, settings.image_longest_edge or None, settings.image_quality),
    )


def build_resources(settings: Settings) -> dict[str, object]:
    """The resources of a deployment, by the names the assets ask for."""
    return {
        "warehouse": WarehouseResource(
            home=str(settings.home), source=settings.source, lock_timeout_seconds=settings.lock_timeout_seconds
        ),
        "images": ImageStoreResource(root=str(settings.home / "images")),
        "models": ModelStoreResource(root=str(settings.home / "models")),
        "reddit": RedditResource(
            reddit_url=settings.reddit_url,
            oauth_url=settings.oauth_url,
            timeout_seconds=settings.reddit_timeout_seconds,
        ),
    }
