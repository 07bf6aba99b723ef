"""What the tests of all rooms share; the fixtures themselves are in `fixtures/`, by subject."""

import os
from collections.abc import Callable, Iterator
from typing import Any

import hypothesis
import pytest
from dagster._core.storage.event_log.sqlite import sqlite_event_log
from dagster._core.storage.runs.sqlite import sqlite_run_storage
from dagster._core.storage.schedules.sqlite import sqlite_schedule_storage

os.environ["HF_HUB_OFFLINE"] = "1"  # read when huggingface_hub is imported: no test may ask the hub
os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # threads that spin while they wait stall a machine that is shared

pytest_plugins = [
    "redpop_assets_tests.fixtures.communities",
    "redpop_assets_tests.fixtures.deployments",
    "redpop_assets_tests.fixtures.public_data",
]

ON_THE_PIPELINE = (
    *("test_assets_pipeline.py", "test_assets_systems.py", "test_assets_new_post.py"),
    *("test_checks.py", "test_automation.py"),
)

# How long an example takes says what else the machine does, not what is wrong.
hypothesis.settings.register_profile("redpop", deadline=None)
hypothesis.settings.load_profile("redpop")


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
