"""A small schema and a warehouse with it, so that these tests stand still while real tables come and go."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from redpop_assets.storage.lake_address import lake_address
from redpop_assets.storage.schema import load_schema
from redpop_assets.storage.warehouse import Warehouse
from redpop_assets_tests.storage.forms import Place

SOURCE = """
CREATE TABLE IF NOT EXISTS raw.source (source VARCHAR NOT NULL, since TIMESTAMP NOT NULL);
COMMENT ON TABLE raw.source IS 'Who fills it. | key: source';
"""
READINGS = """
CREATE TABLE IF NOT EXISTS core.readings (
    post VARCHAR NOT NULL,
    hour INTEGER NOT NULL,
    score INTEGER,
    ratio FLOAT,
    vector FLOAT[],
    json JSON,
    seen TIMESTAMP
);
COMMENT ON TABLE core.readings IS 'Scores over time. | key: post, hour';
COMMENT ON COLUMN core.readings.score IS 'A score.';
"""
LATEST = """
CREATE OR REPLACE VIEW marts.latest AS SELECT post, max(hour) AS hour FROM core.readings GROUP BY post;
COMMENT ON VIEW marts.latest IS 'The last reading of each post. | key: post';
"""


@pytest.fixture(scope="session")
def schema_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("schema")
    for name, ddl in (("raw/source", SOURCE), ("core/readings", READINGS), ("marts/latest", LATEST)):
        path = folder / f"{name}.sql"
        path.parent.mkdir(exist_ok=True)
        path.write_text(ddl, encoding="utf-8")
    return folder


@pytest.fixture
def form(request: pytest.FixtureRequest) -> str:
    """The form of `warehouse`: a file, or what `both_forms` asks for."""
    return getattr(request, "param", "file")


@pytest.fixture
def place(form: str, tmp_path: Path, request: pytest.FixtureRequest) -> Place:
    home = tmp_path / "home"
    if form == "file":
        return Place(home, None)
    return Place(home, lake_address(f"ducklake:postgres:{request.getfixturevalue('postgres')}", "", home, {}))


@pytest.fixture
def warehouse(place: Place, schema_folder: Path) -> Warehouse:
    return place.open(schema=load_schema(schema_folder))


PRELUDE = """
import os, signal, sys, time
from pathlib import Path
import pyarrow as pa
from redpop_assets.storage import durable
from redpop_assets.storage.lake_address import lake_address
from redpop_assets.storage.schema import load_schema
from redpop_assets.storage.warehouse import Warehouse
home = Path(sys.argv[1])
lake = lake_address(os.environ.get("LAKE", ""), "", home, {})
warehouse = Warehouse(home, source="reddit", lock_timeout=60, lake=lake, schema=load_schema(Path(sys.argv[2])))
def rows(*posts):
    n = len(posts)
    return pa.table({
        "post": pa.array(posts, pa.string()), "hour": pa.array([0] * n, pa.int32()), "score": pa.nulls(n),
        "ratio": pa.nulls(n), "vector": pa.nulls(n), "json": pa.nulls(n), "seen": pa.nulls(n),
    })
"""


@pytest.fixture
def other_process(
    warehouse: Warehouse, place: Place, schema_folder: Path
) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Start real processes on the same warehouse; each prints what it wants to tell and ends with the test."""
    started: list[subprocess.Popen[str]] = []
    lake = {"LAKE": f"ducklake:postgres:{place.lake.postgres.dsn}"} if place.lake else {}

    def start(script: str, *arguments: object) -> subprocess.Popen[str]:
        home = warehouse.published.parent
        process = subprocess.Popen(
            [sys.executable, "-c", PRELUDE + script, str(home), str(schema_folder), *map(str, arguments)],
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, **lake, "PYTHONUNBUFFERED": "1"},
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()
