"""Raw submissions are cleaned by chunks of bytes, each written as soon as it is ready; labels that stay are left."""

import json
from datetime import datetime, timedelta

import pyarrow as pa
import pytest

from redpop_assets.labels import LabelRule
from redpop_assets.refresh import posts as job
from redpop_assets.refresh.labels import refresh_labels
from redpop_assets.refresh.posts import refresh_posts
from redpop_assets.storage.warehouse import Warehouse
from redpop_assets.testing.warehouses import blank_warehouse

pytestmark = pytest.mark.integration

BORN = datetime(2026, 1, 1)
RULE = LabelRule(timedelta(days=7), timedelta(days=2))


class Counting(Warehouse):
    reads = writes = 0

    def read(self):
        self.reads += 1
        return super().read()

    def write(self):
        self.writes += 1
        return super().write()


@pytest.fixture
def warehouse(tmp_path, keep):
    """Twelve posts, the fifth with a long text, each read once when it was mature."""
    blank_warehouse(tmp_path / "home")
    warehouse = keep(Counting(tmp_path / "home", source="test"))
    ids = [f"a{number:02}" for number in range(12)]

    def raw(number):
        text = "x" * (3000 if number == 4 else 10)
        fields = {
            "title": f"Lake {number}",
            "url": f"https://i.redd.it/a{number}.jpg",
            "selftext": text,
            "score": 5,
            "subreddit": "pics",
        }
        return json.dumps({**fields, "id": ids[number], "created_utc": 1767225600 + number, "author": "f" * 32})

    key = {"post_id": ids, "subreddit": ["pics"] * 12}
    empty = pa.nulls(12, pa.timestamp("us"))
    columns = {"discovered_at": [BORN] * 12, "origin": ["listing"] * 12, "revised_at": empty}
    warehouse.append("raw.submissions", pa.table({**key, **columns, "json": [raw(n) for n in range(12)]}))
    with warehouse.write() as writer:
        writer.execute(
            "INSERT INTO raw.observations BY NAME SELECT post_id, subreddit, discovered_at + INTERVAL 8 DAY "
            "AS observed_at, 'info' AS endpoint, 5 AS score, TRUE AS author_present FROM raw.submissions"
        )
    warehouse.reads = warehouse.writes = 0
    return warehouse


def clean(warehouse):
    told = []
    cleaned = refresh_posts(warehouse, "pics", allow_over_18=False, progress=told.append)
    return cleaned.submissions, told


def ids(warehouse):
    return warehouse.query("SELECT post_id FROM core.posts ORDER BY 1").column(0).to_pylist()


def test_short_submissions_are_cleaned_in_one_chunk(warehouse):
    assert clean(warehouse) == (12, ["12 of 12 submissions cleaned"])
    assert warehouse.writes == 1
    assert len(ids(warehouse)) == 12
    warehouse.reads = warehouse.writes = 0
    assert clean(warehouse) == (0, [])
    assert (warehouse.reads, warehouse.writes) == (2, 0)


@pytest.mark.parametrize(
    ("size", "rows", "chunks"),
    [
        (1, 100, [1] * 12),
        (10**6, 5, [5, 5, 2]),
        (700, 100, None),
        (3500, 100, None),
    ],
)
def test_chunks_have_a_number_of_bytes_and_of_rows_at_most(warehouse, monkeypatch, size, rows, chunks):
    monkeypatch.setattr(job, "CHUNK_BYTES", size)
    monkeypatch.setattr(job, "CHUNK_ROWS", rows)
    due = warehouse.query("SELECT post_id, strlen(json::VARCHAR) AS bytes FROM raw.submissions ORDER BY post_id")
    parts = list(job._chunks(due))
    assert [post for part in parts for post in part.column("post_id").to_pylist()] == ids_of(due)
    assert all(part.num_rows == 1 or sum(part.column("bytes").to_pylist()) <= size for part in parts)
    assert max(part.num_rows for part in parts) <= rows
    if chunks:
        assert [part.num_rows for part in parts] == chunks
    assert clean(warehouse)[0] == 12
    assert warehouse.writes == len(parts)
    assert len(ids(warehouse)) == 12


def ids_of(table):
    return table.column("post_id").to_pylist()


def test_a_killed_run_loses_the_chunk_in_flight(warehouse, monkeypatch):
    monkeypatch.setattr(job, "CHUNK_ROWS", 5)
    real, calls = job.clean_submissions, []

    def killed(*args, **kwargs):
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return real(*args, **kwargs)

    monkeypatch.setattr(job, "clean_submissions", killed)
    with pytest.raises(KeyboardInterrupt):
        clean(warehouse)
    assert len(ids(warehouse)) == 5
    assert clean(warehouse)[0] == 7
    assert len(ids(warehouse)) == 12


def test_labels_that_stay_as_they_are_are_not_written(warehouse):
    clean(warehouse)
    assert refresh_labels(warehouse, "pics", RULE).changed == 12
    before = warehouse.writes
    assert refresh_labels(warehouse, "pics", RULE).changed == 0
    assert warehouse.writes == before
    with warehouse.write() as writer:
        writer.execute("UPDATE raw.observations SET score = 9 WHERE post_id = 'a03'")
    assert refresh_labels(warehouse, "pics", RULE).changed == 12  # percentiles are places among all
    with warehouse.write() as writer:
        writer.execute("DELETE FROM raw.observations WHERE post_id = 'a03'")
    refresh_labels(warehouse, "pics", RULE)
    assert warehouse.scalar("SELECT count(*) FROM core.labels") == 11
