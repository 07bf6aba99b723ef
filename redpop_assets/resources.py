"""The domain objects of a deployment, made from its settings. What they do is in storage/, sources/ and encoders/."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import dagster as dg

from redpop_assets.features.family import Encoders, Family
from redpop_assets.features.registry import FAMILIES
from redpop_assets.settings import Settings
from redpop_assets.sources.reddit.logins import Logins
from redpop_assets.sources.services import ARCTIC_SHIFT, REDDIT

if TYPE_CHECKING:
    import pyarrow as pa

    from redpop_assets.encoders.judges import Judges
    from redpop_assets.images.fetch import FetchPolicy
    from redpop_assets.privacy.author_key import AuthorKey
    from redpop_assets.refresh.engine import Engine
    from redpop_assets.sources.arctic_shift.client import ArcticShiftClient
    from redpop_assets.sources.reddit.client import RedditClient
    from redpop_assets.sources.source import Source
    from redpop_assets.storage.figures import FigureStore
    from redpop_assets.storage.files import Files
    from redpop_assets.storage.images import ImageStore
    from redpop_assets.storage.location import Kind
    from redpop_assets.storage.models import ModelStore
    from redpop_assets.storage.rows import Params
    from redpop_assets.storage.warehouse import Warehouse


class Clients:
    """Opens clients of the service that posts come from: one for each who asks, or one for all inside of `shared`.

    Credentials stay with the settings, in memory: in no run configuration and no log. What a source imports is paid for
    by who asks it, not by every process that loads the definitions.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._sharing: ExitStack | None = None
        self._shared: RedditClient | ArcticShiftClient | None = None

    @contextmanager
    def shared(self) -> Iterator[None]:
        """Inside, everybody gets the same client: one login, one set of connections."""
        with ExitStack() as self._sharing:
            try:
                yield
            finally:
                self._sharing = self._shared = None

    @contextmanager
    def open(self) -> "Iterator[RedditClient | ArcticShiftClient]":
        """A block with a client for the source of the settings.

        Raises:
            CredentialsMissing: the source is Reddit, and REDDIT_CLIENT_ID, REDDIT_CLIENT_SECRET or REDDIT_USER_AGENT is
                not set.
        """
        kinds: dict[str, Callable[[], AbstractContextManager[RedditClient | ArcticShiftClient]]]
        kinds = {REDDIT: self._reddit, ARCTIC_SHIFT: self._arctic_shift}
        make = kinds[self._settings.source_name.kind]
        if self._sharing is None:
            with make() as client:
                yield client
            return
        if self._shared is None:
            self._shared = self._sharing.enter_context(make())
        yield self._shared

    def _reddit(self) -> "RedditClient":
        from redpop_assets.sources.reddit.budget import RequestBudget
        from redpop_assets.sources.reddit.client import RedditClient

        settings = self._settings
        return RedditClient(
            client_id=settings.reddit_client_id,
            client_secret=settings.reddit_client_secret.get_secret_value(),
            user_agent=settings.reddit_user_agent,
            reddit_url=settings.reddit_url,
            oauth_url=settings.oauth_url,
            timeout=settings.reddit_timeout_seconds,
            budget=RequestBudget.of(settings.reddit_client_id, settings.oauth_url, settings.budget_memory),
        )

    def _arctic_shift(self) -> "ArcticShiftClient":
        from redpop_assets.images.fetch import FetchPolicy
        from redpop_assets.sources.arctic_shift.client import ArcticShiftClient

        settings = self._settings
        return ArcticShiftClient(
            url=settings.arctic_shift_url,
            user_agent=settings.reddit_user_agent or FetchPolicy.user_agent,
            requests_per_second=settings.arctic_shift_requests_per_second,
            timeout=settings.reddit_timeout_seconds,
            pace_file=settings.arctic_shift_pace,
        )


@dataclass(frozen=True)
class SourceResource:
    """How a step gets to the service that posts come from.

    Attributes:
        settings: the deployment.
        warehouse: where the posts go.
        clients: who asks the service.
    """

    settings: Settings
    warehouse: "Warehouse"
    clients: Clients

    @contextmanager
    def open(self) -> "Iterator[Source]":
        """A block in which the source of the settings can be asked.

        Raises:
            CredentialsMissing: the source is Reddit, and REDDIT_CLIENT_ID, REDDIT_CLIENT_SECRET or REDDIT_USER_AGENT is
                not set.
        """
        settings = self.settings
        with self.clients.open() as client:
            if settings.source_name.kind == REDDIT:
                from redpop_assets.sources.reddit.client import RedditClient
                from redpop_assets.sources.reddit.source import RedditSource

                assert isinstance(client, RedditClient)
                yield RedditSource(
                    client,
                    logins_of(settings),
                    self.warehouse,
                    self._key,
                    plan_of=settings.plan_of,
                    maturation=settings.maturation,
                    recheck=settings.recheck,
                    requests=settings.requests_per_harvest,
                    address=settings.oauth_url,
                )
            else:
                from redpop_assets.sources.arctic_shift.client import ArcticShiftClient
                from redpop_assets.sources.arctic_shift.source import ArcticShiftSource

                assert isinstance(client, ArcticShiftClient)
                yield ArcticShiftSource(
                    client,
                    self.warehouse,
                    self._key,
                    look_back=settings.arctic_shift_look_back,
                    give_up=settings.give_up,
                    requests=settings.requests_per_harvest,
                    address=settings.arctic_shift_url,
                )

    def _key(self) -> "AuthorKey":
        """Made by the first harvest: who only asks whether a source answers leaves no file."""
        return author_key(self.settings)


def open_source(settings: Settings) -> SourceResource:
    """The source of a deployment, for whoever asks it outside of a run."""
    return SourceResource(settings, open_warehouse(settings), Clients(settings))


def logins_of(settings: Settings) -> Logins:
    """What the home of a deployment remembers of its key for Reddit."""
    return Logins(settings.home_memory, settings.reddit_client_id, settings.reddit_client_secret.get_secret_value())


def author_key(settings: Settings) -> "AuthorKey":
    """The key of a deployment that hides author names, made where there is none.

    Where machines share a deployment, none is made for a warehouse that has posts: theirs is at another home.

    Raises:
        SettingsError: it cannot be read or made; or this home has another one than the machines that it shares with, or
            lacks the one that hides the authors of the warehouse.
        WarehouseError: the Postgres that has it cannot be opened.
    """
    from redpop_assets.privacy.author_key import AuthorKey
    from redpop_assets.storage.shared_key import shared_author_key

    def is_empty() -> bool:
        warehouse = open_warehouse(settings)
        return not warehouse.exists() or not warehouse.scalar("SELECT count(*) FROM raw.submissions")

    path, shared = settings.home / "author.key", settings.shared_postgres
    return AuthorKey.load_or_create(path) if shared is None else shared_author_key(shared, path, is_empty)


def open_warehouse(settings: Settings) -> "Warehouse":
    """The warehouse of a deployment."""
    from redpop_assets.storage.warehouse import Warehouse

    return Warehouse(
        settings.home,
        source=settings.source_name.reddit,
        lock_timeout=settings.lock_timeout_seconds,
        memory_mb=settings.warehouse_memory_mb,
        lake=settings.lake,
    )


def open_images(settings: Settings) -> "ImageStore":
    """The image files of a deployment."""
    from redpop_assets.storage.images import ImageStore

    return ImageStore(_files(settings, "images"))


def open_models(settings: Settings) -> "ModelStore":
    """The files of trained predictors of a deployment."""
    from redpop_assets.storage.models import ModelStore

    return ModelStore(_files(settings, "models"))


def open_figures(settings: Settings) -> "FigureStore":
    """The figures of a deployment."""
    from redpop_assets.storage.figures import FigureStore

    return FigureStore(_files(settings, "figures"))


def _files(settings: Settings, kind: "Kind") -> "Files":
    from redpop_assets.storage.location import open_files

    return open_files(settings.store, settings.home, kind, settings.store_variables)


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


def judges_of(settings: Settings, query: "Callable[[str, Params], pa.Table]") -> "Judges":
    """The judges of pictures that the settings name weights of.

    Args:
        settings: the deployment.
        query: asks its warehouse which encoders have made vectors, when a judge is loaded.
    """
    from redpop_assets.encoders.base import Provenance
    from redpop_assets.encoders.judges import Judges

    def recorded(encoder: str) -> Provenance | None:
        rows = query(
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


@contextmanager
def engine_of(settings: Settings) -> "Iterator[Engine]":
    """A block in which pictures are fetched and networks run as the settings say; a cluster of its own ends with it."""
    if settings.compute == "local":
        from redpop_assets.refresh.engine import Local

        yield Local()
        return
    from redpop_assets.cluster.engine import OnRay, Shares
    from redpop_assets.cluster.session import Session

    shares = Shares(settings.ray_networks, settings.ray_cpus, settings.ray_gpus, settings.ray_fetchers)
    with closing(Session(settings.ray_address)) as session:
        yield OnRay(session, shares)


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

    clients = Clients(settings)

    def warehouse(_: dg.InitResourceContext) -> "Iterator[Warehouse]":
        opened = open_warehouse(settings)
        with opened.kept():
            yield opened

    def images(_: dg.InitResourceContext) -> "ImageStore":
        return open_images(settings)

    def models(_: dg.InitResourceContext) -> "ModelStore":
        return open_models(settings)

    def engine(_: dg.InitResourceContext) -> "Iterator[Engine]":
        with engine_of(settings) as opened:
            yield opened

    def source(context: dg.InitResourceContext) -> SourceResource:
        return SourceResource(settings, context.resources.warehouse, clients)

    return {
        "warehouse": dg.ResourceDefinition(warehouse),
        "images": dg.ResourceDefinition(images),
        "models": dg.ResourceDefinition(models),
        "engine": dg.ResourceDefinition(engine),
        "source": dg.ResourceDefinition(source, required_resource_keys={"warehouse"}),
    }
