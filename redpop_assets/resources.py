"""The domain objects of a deployment, made from its settings. What they do lives in storage/, reddit/ and encoders/."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import dagster as dg

from redpop_assets.features.family import Encoders, Family
from redpop_assets.features.registry import FAMILIES
from redpop_assets.settings import Settings

if TYPE_CHECKING:
    from redpop_assets.encoders.judges import Judges
    from redpop_assets.images.fetch import FetchPolicy
    from redpop_assets.sources.reddit.client import RedditClient
    from redpop_assets.storage.images import ImageStore
    from redpop_assets.storage.models import ModelStore
    from redpop_assets.storage.warehouse import Warehouse


@dataclass(frozen=True)
class RedditResource:
    """How a step gets to Reddit. Credentials stay with the settings, in memory: in no run configuration and no log."""

    settings: Settings

    def connect(self) -> "RedditClient":
        """Log in, read-only.

        Raises:
            CredentialsMissing: REDDIT_CLIENT_ID, REDDIT_CLIENT_SECRET or REDDIT_USER_AGENT is not set.
        """
        # PRAW is paid for by the step that asks Reddit, not by every process that loads the definitions.
        from redpop_assets.sources.reddit.budget import RequestBudget
        from redpop_assets.sources.reddit.client import RedditClient

        settings = self.settings
        return RedditClient(
            client_id=settings.reddit_client_id,
            client_secret=settings.reddit_client_secret.get_secret_value(),
            user_agent=settings.reddit_user_agent,
            reddit_url=settings.reddit_url,
            oauth_url=settings.oauth_url,
            timeout=settings.reddit_timeout_seconds,
            budget=RequestBudget.of(settings.reddit_client_id, settings.oauth_url, settings.budget_folder),
        )


def open_warehouse(settings: Settings) -> "Warehouse":
    """The warehouse of a deployment."""
    from redpop_assets.storage.warehouse import Warehouse

    return Warehouse(settings.home, source=settings.source, lock_timeout=settings.lock_timeout_seconds)


def open_images(settings: Settings) -> "ImageStore":
    """The image files of a deployment."""
    from redpop_assets.storage.images import ImageStore

    return ImageStore(settings.home / "images")


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


def judges_of(settings: Settings, warehouse: "Warehouse") -> "Judges":
    """The judges of pictures that the settings name weights of."""
    from redpop_assets.encoders.base import Provenance
    from redpop_assets.encoders.judges import Judges

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
        device=settings.network_device,
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


def build_resources(settings: Settings) -> dict[str, dg.ResourceDefinition]:
    """The domain objects of a deployment, by the names the assets ask for; made by the steps that ask for them.

    They are made from the settings, and nothing of them can be changed by the configuration of a run.
    """

    def warehouse(_: dg.InitResourceContext) -> "Warehouse":
        return open_warehouse(settings)

    def images(_: dg.InitResourceContext) -> "ImageStore":
        return open_images(settings)

    def models(_: dg.InitResourceContext) -> "ModelStore":
        from redpop_assets.storage.models import ModelStore

        return ModelStore(settings.home / "models")

    def reddit(_: dg.InitResourceContext) -> RedditResource:
        return RedditResource(settings)

    return {
        "warehouse": dg.ResourceDefinition(warehouse),
        "images": dg.ResourceDefinition(images),
        "models": dg.ResourceDefinition(models),
        "reddit": dg.ResourceDefinition(reddit),
    }
