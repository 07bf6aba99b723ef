"""Whole deployments: a home directory, the variables that all commands on it see, and runs of the graph in them."""

import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, chdir, contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import dagster as dg

from redpop_assets.definitions import build_defs
from redpop_assets.instance import open_instance
from redpop_assets.resources import open_warehouse
from redpop_assets.rounds import execute, failures_of
from redpop_assets.runs import selected_keys
from redpop_assets.settings import Settings, load_settings
from redpop_assets.storage.warehouse import Warehouse

SECRET = "a-secret-of-the-sandbox-that-must-not-be-stored"
"""The client secret that the sandboxes here expect."""

PREDICTORS = ("subreddit_median", "metadata_boosting", "redpop_thesis", "fusion_lightgbm")
"""Those of most deployments here: one of each kind, quick to train."""

_OWN_VARIABLES = ("REDPOP_", "REDDIT_", "DAGSTER_", "RAY_ADDRESS")

_latest: list[tuple[Settings, dg.Definitions]] = []
_MOST = 3


@contextmanager
def environment(variables: Mapping[str, str], folder: Path) -> Iterator[None]:
    """Only these settings, and a working directory without `.env`; everything is put back afterwards.

    Args:
        variables: all that begin with the prefixes of RedPop, Reddit and Dagster.
        folder: the working directory.
    """
    before = dict(os.environ)
    for name in before:
        if name.startswith(_OWN_VARIABLES):
            del os.environ[name]
    os.environ.update(variables)
    try:
        with chdir(folder):
            yield
    finally:
        for name in os.environ.keys() - before.keys():  # what a run put there, too
            del os.environ[name]
        os.environ.update(before)


def definitions(settings: Settings) -> dg.Definitions:
    """The platform of a deployment, for one run after the other: to assemble it takes longer than many a run.

    The latest few are kept, as the daemon of Dagster keeps one for as long as it lives.
    """
    for kept, defs in _latest:
        if kept == settings:
            return defs
    _latest.insert(0, (settings, build_defs(settings)))
    del _latest[_MOST:]
    return _latest[0][1]


@dataclass(frozen=True)
class Run:
    """A finished run of the graph for one subreddit: how it ended, and what Dagster noted of it."""

    success: bool
    events: Sequence[dg.DagsterEvent]

    @classmethod
    def recorded(cls, instance: dg.DagsterInstance, run_id: str) -> Self:
        """A run that an instance remembers."""
        (run,) = instance.get_runs(dg.RunsFilter(run_ids=[run_id]))
        noted = (record.event_log_entry for record in instance.get_records_for_run(run_id).records)
        events = tuple(entry.dagster_event for entry in noted if entry.dagster_event is not None)
        return cls(run.status is dg.DagsterRunStatus.SUCCESS, events)

    @property
    def failures(self) -> list[str]:
        """One message per failed step."""
        return [str(failure) for failure in failures_of(self.events)]

    @property
    def materializations(self) -> dict[str, dg.AssetMaterialization]:
        """What each asset, by `layer/table`, reported."""
        found = (event.materialization for event in self.events if event.is_step_materialization)
        return {"/".join(materialization.asset_key.path): materialization for materialization in found}

    @property
    def metadata(self) -> dict[str, dict[str, Any]]:
        """The numbers that each asset reported."""
        return {
            key: {name: value.value for name, value in found.metadata.items()}
            for key, found in self.materializations.items()
        }

    @property
    def data_versions(self) -> dict[str, str]:
        """The data version that each asset reported."""
        return {key: (found.tags or {})["dagster/data_version"] for key, found in self.materializations.items()}

    @property
    def checks(self) -> dict[tuple[str, str], dg.AssetCheckEvaluation]:
        """The checks that were evaluated, by asset and name."""
        return {
            ("/".join(found.asset_key.path), found.check_name): found
            for found in (
                event.asset_check_evaluation_data
                for event in self.events
                if event.event_type is dg.DagsterEventType.ASSET_CHECK_EVALUATION
            )
        }

    @property
    def failed_checks(self) -> set[tuple[str, str]]:
        """Asset and name of the checks that did not pass."""
        return {name for name, found in self.checks.items() if not found.passed}


@dataclass(frozen=True)
class Deployment:
    """A home directory and the variables that all commands on it see."""

    home: Path
    variables: Mapping[str, str]

    @property
    def full_environment(self) -> dict[str, str]:
        """For a process of its own."""
        outer = {name: value for name, value in os.environ.items() if not name.startswith(_OWN_VARIABLES)}
        return {**outer, **self.variables}

    @contextmanager
    def environment(self) -> Iterator[Settings]:
        """A block in which this process sees these variables and no other settings."""
        with environment(self.variables, self.home.parent):
            yield load_settings()

    @property
    def settings(self) -> Settings:
        """The settings as they follow from the variables."""
        with self.environment() as settings:
            return settings

    @cached_property
    def warehouse(self) -> Warehouse:
        """The warehouse of the home."""
        with self.environment() as settings:  # where the key of an object storage is
            return open_warehouse(settings)

    def rows(self, sql: str, params: Mapping[str, Any] | None = None) -> list[dict[str, Any]]:
        """All rows of a statement."""
        found: list[dict[str, Any]] = self.warehouse.query(sql, params).to_pylist()
        return found

    def scalar(self, sql: str, params: Mapping[str, Any] | None = None) -> Any:
        """First column of the first row."""
        return self.warehouse.scalar(sql, params)

    @contextmanager
    def instance(self) -> Iterator[tuple[Settings, dg.DagsterInstance]]:
        """A block in which this process sees the deployment, with the Dagster instance of its home."""
        with self.environment() as settings, open_instance(settings) as instance:
            yield settings, instance

    def run(self, subreddit: str, select: str | None = None, instance: dg.DagsterInstance | None = None) -> Run:
        """Run the graph, or a selection of it, in this process.

        Args:
            subreddit: partition, in lower case.
            select: assets in Dagster's selection syntax; None for all.
            instance: where the run is recorded; None for nowhere but in what is returned, which is much quicker.
        """
        with self.environment() as settings, ExitStack() as stack:
            defs = definitions(settings)
            keys = selected_keys(defs, select, harvest=True)
            if instance is None:
                instance = stack.enter_context(dg.DagsterInstance.ephemeral())
            result = execute(defs, instance, subreddit, keys, tags={})
            return Run(result.success, result.all_events)

    def using(self, **variables: str) -> Self:
        """The same home with other variables."""
        return replace(self, variables={**self.variables, **variables})

    def on(self, url: str) -> Self:
        """The same home, from now on at another sandbox; the pictures of the former one may still be fetched."""
        hosts = dict.fromkeys([*self.variables["REDPOP_IMAGE_HOSTS_ALLOWED"].split(","), url.removeprefix("http://")])
        return self.using(
            REDPOP_REDDIT_URL=url, REDPOP_OAUTH_URL=url, REDPOP_IMAGE_HOSTS_ALLOWED=",".join(filter(None, hosts))
        )

    def copy(self, home: Path) -> Self:
        """The same warehouse, images, models and history at another place; what happens there stays there."""

        published = str(self.home / "redpop.duckdb")  # replaced as a whole, like pictures, never written into

        def place(source: str, target: str) -> None:
            (os.link if source.endswith(".jpg") or source == published else shutil.copy2)(source, target)

        shutil.copytree(self.home, home, copy_function=place)
        return replace(self, home=home, variables={**self.variables, "REDPOP_HOME": str(home)})


def sandbox_variables(home: Path, url: str, **more: str) -> dict[str, str]:
    """The variables of a deployment on the sandbox at `url`; keywords add to them or take their place.

    Its encoder of pictures is small and untrained: what a picture shows is asked of real weights in the tests of
    encoders, and in the home that many tests share.
    """
    return {
        "REDPOP_HOME": str(home),
        "REDPOP_SOURCE": "sandbox",
        "REDPOP_SUBREDDITS": "pics,EarthPorn",
        "REDPOP_REDDIT_URL": url,
        "REDPOP_OAUTH_URL": url,
        "REDPOP_IMAGE_HOSTS_ALLOWED": url.removeprefix("http://"),
        "REDPOP_IMAGE_CONCURRENCY_PER_HOST": "8",
        "REDPOP_IMAGE_ENCODER": "timm:test_vit/random",
        "REDPOP_CAPTION_ENCODER": "sentence_transformers:all-MiniLM-L6-v2/bundled",
        "REDPOP_DEVICE": "cpu",
        "REDPOP_PREDICTORS": ",".join(PREDICTORS),
        "REDPOP_LOCK_TIMEOUT_SECONDS": "60",
        "REDDIT_CLIENT_ID": "sandbox",
        "REDDIT_CLIENT_SECRET": SECRET,
        "REDDIT_USER_AGENT": "linux:redpop-tests:0.1 (by /u/sandbox)",
        **more,
    }
