"""One deployment with its warehouse in a file, one with it in a lake: the same tables, the same leaderboard."""

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import pytest

from redpop_assets.sandbox.clock import Clock
from redpop_assets.sandbox.server import running
from redpop_assets.sandbox.world import World
from redpop_assets.storage.published import open_published
from redpop_assets.testing.deployments import SECRET, Deployment

pytestmark = pytest.mark.end_to_end

CLOCKS = ("_at", "seconds", "since")
"""Ends of names of columns that say when something was done, or how long it took."""


@dataclass(frozen=True)
class Pair:
    """The same deployment twice."""

    file: Deployment
    lake: Deployment


@pytest.fixture(scope="module")
def pair(deploy: Any, new_postgres: Callable[[], str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    world = World(seed=11, subreddits=("pics",), posts_per_subreddit=190, history=timedelta(days=120))
    with running(world, Clock(world.epoch), secret=SECRET, budget=100_000) as url:
        file = deploy(
            url,
            REDPOP_SUBREDDITS="pics",
            REDPOP_PREDICTORS="metadata_boosting,redpop_thesis",
            REDPOP_REPRODUCIBLE="true",
            REDPOP_BUDGET_DIR=str(tmp_path_factory.mktemp("budget")),
        )
        home = tmp_path_factory.mktemp("lake") / "home"
        there = {"REDPOP_HOME": str(home), "REDPOP_WAREHOUSE": f"ducklake:postgres:{new_postgres()}"}
        lake = replace(file, home=home, variables={**file.variables, **there})
        assert file.run("pics", 'key:"raw/submissions"').success
        home.mkdir()
        shutil.copy(file.home / "author.key", home)  # the same names for authors
        schema = file.warehouse.schema
        for name in (name for name, table in schema.items() if table.layer == "raw" and not table.is_view):
            if schema[name].key and name != "raw.source":
                lake.warehouse.merge(name, file.warehouse.query(f"FROM {name}"))
        for deployment in (file, lake):
            run = deployment.run("pics", 'not key:"raw/submissions"')
            assert run.success, run.failures
        yield Pair(file, lake)


def digests(connection: Any, schema: Any) -> dict[str, Any]:
    """Number and digest of the rows of each table, less what is told of clocks."""
    found = {}
    for name, table in schema.items():
        columns = ", ".join(f'"{column}"' for column in table.column_names if not column.endswith(CLOCKS))
        found[name] = connection.execute(
            f"SELECT count(*), sum(hash(r)::HUGEINT)::VARCHAR FROM (SELECT {columns} FROM {name}) AS r"
        ).fetchone()
    return found


def test_every_table_comes_out_the_same_and_so_does_the_leaderboard(pair):
    schema = pair.file.warehouse.schema
    tables = []
    for deployment in (pair.file, pair.lake):
        connection = open_published(deployment.home)
        tables.append(digests(connection, schema))
        connection.close()
    file, lake = tables
    assert {name for name in file if file[name] != lake[name]} == set()
    assert lake["marts.leaderboard"][0] > 0
