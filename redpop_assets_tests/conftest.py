"""Whole deployments for tests: a sandbox served over HTTP, a home directory, its environment, and runs of the graph."""

import contextlib
import gzip
import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import numpy as np
import pyarrow as pa
import pytest
from dagster._core.storage.event_log.sqlite import sqlite_event_log
from dagster._core.storage.runs.sqlite import sqlite_run_storage
from dagster._core.storage.schedules.sqlite import sqlite_schedule_storage

from redpop_assets.definitions import build_defs
from redpop_assets.refresh.blocks import SOURCES, Encoders
from redpop_assets.resources import open_warehouse
from redpop_assets.runs import _selected, execute, prepare_instance
from redpop_assets.sandbox.clock import Clock
from redpop_assets.sandbox.server import running
from redpop_assets.sandbox.world import World
from redpop_assets.settings import Settings, load_settings
from redpop_assets.storage.arrow import arrow_table
from redpop_assets.storage.warehouse import Warehouse

os.environ["HF_HUB_OFFLINE"] = "1"  # read when huggingface_hub is imported: no test may ask the hub
os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # threads that spin while they wait stall a machine that is shared

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
SECRET = "a-secret-of-the-sandbox-that-must-not-be-stored"
OWN_VARIABLES = ("REDPOP_", "REDDIT_", "DAGSTER_")


ON_THE_PIPELINE = (
    *("test_assets_pipeline.py", "test_assets_systems.py", "test_assets_new_post.py"),
    *("test_checks.py", "test_automation.py"),
)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Keep together what shares an expensive fixture: all tests on the pipeline, and else the tests of a file.

    The marks `xdist_group` say the same, but pytest-xdist 3.8 writes them where pytest 9.2 does not look any more.
    """
    from xdist.scheduler import LoadScopeScheduling

    class ByFixture(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            file = nodeid.partition("::")[0]
            return "pipeline" if file.endswith(ON_THE_PIPELINE) or "::TestOnAPipeline::" in nodeid else file

    return ByFixture(config, log) if config.getvalue("dist") == "loadgroup" else None


@pytest.fixture(scope="session", autouse=True)
def engines_are_kept() -> Iterator[None]:
    """Dagster's SQLite storages use one engine of SQLAlchemy per file.

    They make a new one for every access, hundreds of times a run, and each compiles its statements anew: a tenth of the
    time of a run on a small community.
    """
    with pytest.MonkeyPatch.context() as patch:
        for storage in (sqlite_event_log, sqlite_run_storage, sqlite_schedule_storage):
            patch.setattr(storage, "create_engine", _kept(storage.create_engine))
        yield


def _kept(make: Callable[..., Any]) -> Callable[..., Any]:
    engines: dict[str, Any] = {}

    def create_engine(url: str, **options: Any) -> Any:
        if url not in engines:
            engines[url] = make(url, **options)
        return engines[url]

    return create_engine


@contextmanager
def environment(variables: Mapping[str, str], folder: Path) -> Iterator[None]:
    """Only these settings, and a working directory without `.env`; everything is put back afterwards."""
    with pytest.MonkeyPatch.context() as patch:
        for name in list(os.environ):
            if name.startswith(OWN_VARIABLES):
                patch.delenv(name)
        patch.setenv("DAGSTER_HOME", "")  # so that what a run puts there is undone, too
        patch.delenv("DAGSTER_HOME")
        for name, value in variables.items():
            patch.setenv(name, value)
        patch.chdir(folder)
        yield


@dataclass(frozen=True)
class Run:
    """A finished run of the graph for one subreddit."""

    result: dg.ExecuteInProcessResult

    @property
    def success(self) -> bool:
        return self.result.success

    @property
    def materializations(self) -> dict[str, dg.AssetMaterialization]:
        events = self.result.get_asset_materialization_events()
        return {"/".join(event.asset_key.path): event.materialization for event in events}

    @property
    def metadata(self) -> dict[str, dict[str, Any]]:
        return {
            key: {name: value.value for name, value in found.metadata.items()}
            for key, found in self.materializations.items()
        }

    @property
    def data_versions(self) -> dict[str, str]:
        return {key: (found.tags or {})["dagster/data_version"] for key, found in self.materializations.items()}

    @property
    def checks(self) -> dict[tuple[str, str], dg.AssetCheckEvaluation]:
        return {
            ("/".join(found.asset_key.path), found.check_name): found
            for found in self.result.get_asset_check_evaluations()
        }

    @property
    def failed_checks(self) -> set[tuple[str, str]]:
        return {name for name, found in self.checks.items() if not found.passed}


@dataclass(frozen=True)
class Deployment:
    """A home directory and the variables that all commands on it see."""

    home: Path
    variables: Mapping[str, str]

    @property
    def full_environment(self) -> dict[str, str]:
        """For a process of its own."""
        outer = {name: value for name, value in os.environ.items() if not name.startswith(OWN_VARIABLES)}
        return {**outer, **self.variables}

    @contextmanager
    def environment(self) -> Iterator[Settings]:
        with environment(self.variables, self.home.parent):
            yield load_settings()

    @property
    def settings(self) -> Settings:
        with self.environment() as settings:
            return settings

    @property
    def warehouse(self) -> Warehouse:
        return open_warehouse(self.settings)

    def rows(self, sql: str, params: Mapping[str, Any] | None = None) -> list[dict[str, Any]]:
        return self.warehouse.query(sql, params).to_pylist()

    def scalar(self, sql: str, params: Mapping[str, Any] | None = None) -> Any:
        return self.warehouse.scalar(sql, params)

    @contextmanager
    def instance(self) -> Iterator[tuple[Settings, dg.DagsterInstance]]:
        with self.environment() as settings:
            prepare_instance(settings)
            with dg.DagsterInstance.get() as instance:
                yield settings, instance

    def run(self, subreddit: str, select: str | None = None) -> Run:
        """Run the graph, or a selection of it, in this process."""
        with self.instance() as (settings, instance):
            defs = build_defs(settings)
            keys = _selected(defs, select, harvest=True)
            return Run(execute(defs, instance, subreddit, keys, tags={}))

    def using(self, **variables: str) -> "Deployment":
        return replace(self, variables={**self.variables, **variables})

    def copy(self, home: Path) -> "Deployment":
        """The same warehouse, images, models and history at another place; what happens there stays there."""

        published = str(self.home / "redpop.duckdb")  # replaced as a whole, like pictures, never written into

        def place(source: str, target: str) -> None:
            (os.link if source.endswith(".jpg") or source == published else shutil.copy2)(source, target)

        shutil.copytree(self.home, home, copy_function=place)
        return replace(self, home=home, variables={**self.variables, "REDPOP_HOME": str(home)})


PREDICTORS = ("subreddit_median", "metadata_boosting", "redpop_thesis", "fusion_lightgbm")
"""Those of most deployments here: one of each kind, quick to train."""


def sandbox_variables(home: Path, url: str, **more: str) -> dict[str, str]:
    return {
        "REDPOP_HOME": str(home),
        "REDPOP_SOURCE": "sandbox",
        "REDPOP_SUBREDDITS": "pics,EarthPorn",
        "REDPOP_REDDIT_URL": url,
        "REDPOP_OAUTH_URL": url,
        "REDPOP_IMAGE_HOSTS_ALLOWED": url.removeprefix("http://"),
        "REDPOP_IMAGE_CONCURRENCY_PER_HOST": "8",
        "REDPOP_IMAGE_ENCODER": "timm:tf_efficientnet_lite0/bundled",
        "REDPOP_CAPTION_ENCODER": "sentence_transformers:all-MiniLM-L6-v2/bundled",
        "REDPOP_DEVICE": "cpu",
        "REDPOP_PREDICTORS": ",".join(PREDICTORS),
        "REDPOP_LOCK_TIMEOUT_SECONDS": "60",
        "REDDIT_CLIENT_ID": "sandbox",
        "REDDIT_CLIENT_SECRET": SECRET,
        "REDDIT_USER_AGENT": "linux:redpop-tests:0.1 (by /u/sandbox)",
        **more,
    }


@pytest.fixture(scope="session")
def deploy(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Deployment]:
    """Makes a deployment with an empty home on the sandbox at `url`; keywords are more variables."""

    def make(url: str, **variables: str) -> Deployment:
        home = tmp_path_factory.mktemp("deployment") / "home"
        return Deployment(home, sandbox_variables(home, url, **variables))

    return make


@pytest.fixture(scope="session")
def world() -> World:
    """Communities just large enough to train every predictor in them."""
    return World(seed=11, posts_per_subreddit=190, history=timedelta(days=120))


@pytest.fixture(scope="session")
def sandbox(world: World) -> Iterator[str]:
    """URL of the world at its epoch; its time stands still."""
    with running(world, Clock(world.epoch), secret=SECRET, budget=100_000) as url:
        yield url


@pytest.fixture(scope="session")
def later_sandbox(world: World) -> Iterator[str]:
    """URL of the same world, eight days later."""
    clock = Clock(world.epoch)
    clock.advance(timedelta(days=8))
    with running(world, clock, secret=SECRET, budget=100_000) as url:
        yield url


@dataclass(frozen=True)
class Pipeline:
    """A deployment after a run of the whole graph for each subreddit. Tests that change anything work on a copy."""

    deployment: Deployment
    runs: Mapping[str, Run]


@pytest.fixture(scope="session")
def pipeline(deploy: Callable[..., Deployment], sandbox: str, tmp_path_factory: pytest.TempPathFactory) -> Pipeline:
    """Two communities of the sandbox from harvest to published warehouse, with every kind of network there is.

    Where no package carries weights, networks are small and untrained.
    """
    from redpop_assets_tests.tiny_networks import save_network

    deployment = deploy(
        sandbox,
        REDPOP_CLIP_ENCODER="open_clip:ViT-S-32-alt/random",
        REDPOP_IMAGE_GRIDS="true",
        REDPOP_NIMA_WEIGHTS="test_resnet/random",
        REDPOP_AESTHETIC_WEIGHTS="random",
        REDPOP_EMOTION_MODEL=save_network(tmp_path_factory.mktemp("emotions")),
        REDPOP_HARVEST_PLAN="new,hot,top/week,controversial/all",
        REDPOP_TEST_SHARE="0.12",
        REDPOP_VALIDATION_SHARE="0.17",
    )
    return Pipeline(deployment, {name: deployment.run(name) for name in deployment.settings.partitions})


@pytest.fixture(scope="session")
def shared_data() -> Callable[[str], Path]:
    """Path of a file of public data; skips the test where it is absent."""

    def find(name: str) -> Path:
        path = DATA / name
        if not path.exists():
            pytest.skip(f"the data are not here: {path}")
        return path

    return find


@pytest.fixture(scope="session")
def json_lines() -> Callable[[Path], list[dict[str, Any]]]:
    """Reads a file of one JSON object per line, gzip or plain."""

    def read(path: Path) -> list[dict[str, Any]]:
        data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        return [json.loads(line) for line in data.decode().splitlines()]

    return read


@pytest.fixture
def only() -> Callable[..., contextlib.AbstractContextManager[None]]:
    """`with only({...}, folder):` nothing but these variables of ours, in that working directory."""
    return environment


IMAGE_ENCODER, CAPTION_ENCODER = "timm:resnet10t/random", "sentence_transformers:all-MiniLM-L6-v2/bundled"
ENCODERS = Encoders(
    IMAGE_ENCODER,
    CAPTION_ENCODER,
    clip="open_clip:ViT-S-32-alt/random",
    objects=IMAGE_ENCODER,
    entities="bundled",
    emotions="of the test",
)
FILLERS: Mapping[str, Callable[[int], Any]] = {
    "labels": lambda n: [["joy", "anger", "fear", "love"]] * n,
    "top_classes": lambda n: np.zeros((n, 5), np.int32),
}
"""What columns hold that are neither keys nor numbers to learn from."""
WIDTH = {("image", "embedding"): 6, ("caption", "embedding"): 5, ("emotions", "probabilities"): 4}
WIDTH |= {("environment", "image_mean"): 6, ("environment", "caption_mean"): 5}


@pytest.fixture(scope="session")
def fill() -> Callable[..., list[str]]:
    """Writes a community with all its features into a warehouse, without a graph or a network; returns the post ids."""
    made: dict[tuple[Any, ...], tuple[bytes, list[str]]] = {}

    def fill(warehouse: Warehouse, subreddit: str = "pics", **options: Any) -> list[str]:
        if warehouse.live.exists():
            return _fill(warehouse, subreddit, **options)
        key = (warehouse.source, subreddit, *sorted(options.items()))
        if key not in made:
            ids = _fill(warehouse, subreddit, **options)
            made[key] = (warehouse.live.read_bytes(), ids)
        else:
            warehouse.live.parent.mkdir(parents=True)
            warehouse.live.write_bytes(made[key][0])
        return list(made[key][1])

    return fill


def _fill(
    warehouse: Warehouse,
    subreddit: str = "pics",
    *,
    posts: int = 240,
    days: int = 120,
    seed: int = 0,
    images: bool = True,
    label_scale: str = "current",
) -> list[str]:
    """The newest week has no labels, one picture in ten is dead, and every fortieth repeats the one before.

    Features are noise, but for the caption's number of words, which decides the score.
    """
    rng = np.random.default_rng(seed)
    ids = [f"{subreddit[:2]}{number:05}" for number in range(posts)]
    start = np.datetime64("2026-01-01T00:00:00", "s")
    created = start + np.sort(rng.integers(0, days * 86_400, posts)).astype("timedelta64[s]")
    titles = [f"{subreddit} {number}" for number in range(posts)]
    caption_sha256 = [hashlib.sha256(caption.encode()).hexdigest() for caption in titles]
    picture = [number - 1 if number % 40 == 39 else number for number in range(posts)]
    image_sha256 = [hashlib.sha256(f"{subreddit} image {number}".encode()).hexdigest() for number in picture]
    urls = [f"https://i.redd.it/{subreddit}{number}.jpg" for number in range(posts)]
    words = rng.normal(size=posts).astype(np.float32)
    scores = np.rint(np.expm1(np.clip(3 + 1.2 * words + 0.4 * rng.normal(size=posts), 0, 9))).astype(np.int64)
    log_scores = np.log1p(scores)

    key = {"post_id": ids, "subreddit": [subreddit] * posts}
    tables = {
        "core.posts": {
            **key,
            "created_at": created,
            "author": [None if number % 50 == 7 else f"author{number % 31}" for number in range(posts)],
            "caption": titles,
            "caption_sha256": caption_sha256,
            "flair": [None] * posts,
            "kind": ["image"] * posts,
            "image_urls": [[url] for url in urls],
            "crosspost_parent": [None] * posts,
            **{name: [False] * posts for name in ("is_original_content", "over_18", "spoiler")},
            "author_present": [True] * posts,
            "removed_by_category": [None] * posts,
            "code_version": ["1"] * posts,
        }
    }
    young = int((created > created.max() - np.timedelta64(7, "D")).sum())
    labelled = posts - young
    tables["core.labels"] = {
        name: values[:labelled]
        for name, values in {
            **key,
            "score": scores,
            "log_score": log_scores,
            "percentile": np.argsort(np.argsort(scores)) / posts,
            "observed_at": created + np.timedelta64(8, "D"),
            "age_at_label_hours": [192.0] * posts,
            "score_scale": [label_scale] * posts,
        }.items()
    }
    stored = [images and number % 10 != 3 for number in range(posts)]
    tables["core.image_fetches"] = {
        "url": urls,
        "status": ["stored" if there else "failed" for there in stored],
        "reason": [None if there else "url_dead" for there in stored],
        "detail": [""] * posts,
        "http_status": [200 if there else 404 for there in stored],
        "image_sha256": [digest if there else None for digest, there in zip(image_sha256, stored, strict=True)],
        "attempts": [1] * posts,
        "fetched_at": created,
        "next_attempt_at": pa.nulls(posts, pa.timestamp("us")),
    }
    original = [first if stored[first] and stored[number] else number for number, first in enumerate(picture)]
    tables["core.duplicates"] = {
        **key,
        "duplicate_group": [ids[first] for first in original],
        "canonical": [first == number for number, first in enumerate(original)],
        "level": [None if first == number else "bytes" for number, first in enumerate(original)],
    }
    pictures = sorted({digest for digest, there in zip(image_sha256, stored, strict=True) if there})
    for block, source in SOURCES.items():
        definition = warehouse.schema[source.table]
        if definition.is_view or (not images and source.key in {"image_sha256", "pair"}):
            continue
        shown = [number for number in range(posts) if stored[number]]
        subjects: dict[str, list[str]] = {
            "post_id": {"post_id": ids},
            "caption_sha256": {"caption_sha256": caption_sha256},
            "image_sha256": {"image_sha256": pictures},
            "pair": {
                "caption_sha256": [caption_sha256[number] for number in shown],
                "image_sha256": [image_sha256[number] for number in shown],
            },
        }[source.key]
        n = len(next(iter(subjects.values())))
        networks = {column: getattr(ENCODERS, field) for column, field in source.networks}
        same = {"subreddit": subreddit, "code_version": source.version, **networks}
        columns: dict[str, Any] = dict(subjects)
        for column in definition.columns:
            if column.name in same:
                columns[column.name] = [same[column.name]] * n
            elif column.type.startswith("FLOAT"):
                width = column.type.removeprefix("FLOAT").strip("[]")
                shape = (n,) if column.type == "FLOAT" else (n, int(width or WIDTH[block, column.name]))
                columns[column.name] = rng.normal(size=shape).astype(np.float32)
            elif column.name not in columns and not column.nullable:
                columns[column.name] = FILLERS[column.name](n)
        if block == "text":
            columns["words"] = words
        tables[source.table] = columns
    with warehouse.write() as writer:
        for table, columns in tables.items():
            if n := len(next(iter(columns.values()))):
                unknown = {c.name: pa.nulls(n) for c in warehouse.schema[table].columns if c.name not in columns}
                writer.merge(table, arrow_table({**columns, **unknown}))
        for table, encoder in (("image", IMAGE_ENCODER), ("caption", CAPTION_ENCODER)):
            if images or table == "caption":
                row = {
                    "encoder": encoder,
                    "modality": table,
                    "dimension": WIDTH[table, "embedding"],
                    "provenance": encoder.rpartition("/")[2],
                    "weights_sha256": "0" * 64,
                    "library": "none",
                    "first_used_at": created[0],
                    **dict.fromkeys(("backend", "precision", "batch_size", "items_per_second", "min_cosine")),
                }
                writer.append(
                    "features.encoders",
                    arrow_table({k: np.array([v]) if k == "first_used_at" else [v] for k, v in row.items()}),
                )
    return ids


@pytest.fixture(scope="session")
def encoders() -> Encoders:
    """The encoders whose vectors `fill` writes."""
    return ENCODERS


@pytest.fixture
def empty_warehouse(tmp_path: Path) -> Warehouse:
    return Warehouse(tmp_path / "home", source="test", lock_timeout=30)
