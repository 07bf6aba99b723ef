"""A home that an older version wrote is opened by this one: nothing is lost, and nothing sets it apart afterwards."""

import hashlib
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest

from redpop_assets.errors import WarehouseError
from redpop_assets.features.family import Encoders, Networks
from redpop_assets.features.registry import STEPS
from redpop_assets.predictors.registry import load_predictor, predictor_class
from redpop_assets.refresh.features import Scope, refresh_step
from redpop_assets.resources import open_warehouse
from redpop_assets.settings import load_settings
from redpop_assets.storage.images import ImageStore
from redpop_assets.storage.migrations import load_migrations
from redpop_assets.storage.models import ModelStore
from redpop_assets.storage.rows import Merged
from redpop_assets.storage.schema import LAYERS
from redpop_assets.storage.warehouse import Warehouse
from redpop_assets_tests.storage import old_homes

pytestmark = pytest.mark.integration

CHANGED: dict[str, str] = {
    "raw.submissions": "only known fields are kept, and nobody is named",
    "raw.imports": "a digest stands for the list of communities",
    "core.rejected_posts": "details that quoted names are written anew by the next refresh",
}
"""Tables that a migration meant to change, and how."""


@pytest.fixture(params=old_homes.NAMES)
def home(request, tmp_path) -> Path:
    return old_homes.unpack(request.param, tmp_path / "home")


@pytest.fixture
def warehouse(home) -> Warehouse:
    return Warehouse(home, source="sandbox", lock_timeout=60)


def content(file: Path, columns: dict[str, list[str]] | None = None) -> dict[str, tuple[int, int, list[str]]]:
    """Of each table of the layers: number of rows, and a digest of them over these of its columns, by default all."""
    with duckdb.connect(file, read_only=True) as conn:
        if columns is None:
            columns = {}
            for table, column in conn.execute(
                "SELECT schema_name || '.' || table_name, column_name FROM duckdb_columns() "
                "SEMI JOIN duckdb_tables() USING (schema_name, table_name) WHERE schema_name != 'main' ORDER BY ALL"
            ).fetchall():
                columns.setdefault(table, []).append(column)
        found = {}
        for table, names in columns.items():
            row = ", ".join(f'"{name}"' for name in names)
            sql = f"SELECT count(*), coalesce(sum(hash(row({row}))::HUGEINT), 0) FROM {table}"
            found[table] = (*conn.execute(sql).fetchall()[0], names)
        return found


def structure(file: Path) -> dict[str, list[Any]]:
    """All that the catalogue says of file, tables, views and columns, comments included; columns in any order."""
    with duckdb.connect(file, read_only=True) as conn:
        return {
            "format": conn.execute(
                "SELECT tags['storage_version'] FROM duckdb_databases() WHERE path = ?", [str(file)]
            ).fetchall(),
            "tables": conn.execute(
                "SELECT schema_name, table_name, comment FROM duckdb_tables() ORDER BY ALL"
            ).fetchall(),
            "views": conn.execute(
                "SELECT schema_name, view_name, comment, sql FROM duckdb_views() WHERE NOT internal ORDER BY ALL"
            ).fetchall(),
            "columns": conn.execute(
                "SELECT schema_name, table_name, column_name, data_type, is_nullable, column_default, comment "
                "FROM duckdb_columns() WHERE NOT internal ORDER BY ALL"
            ).fetchall(),
        }


def file_digests(home: Path) -> dict[str, str]:
    return {
        path.relative_to(home).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(home.rglob("*"))
        if path.is_file() and path.suffix != ".duckdb"
    }


def test_nothing_is_lost(home, warehouse):
    before, files = content(warehouse.live), file_digests(home)
    assert {layer for layer, _, _ in (name.partition(".") for name in before)} == set(LAYERS)
    assert warehouse.scalar("SELECT count(*) FROM raw.submissions") == before["raw.submissions"][0] > 0
    with duckdb.connect(warehouse.live, read_only=True) as conn:
        now: dict[str, list[str]] = {}
        for table, column in conn.execute(
            "SELECT schema_name || '.' || table_name, column_name FROM duckdb_columns() ORDER BY ALL"
        ).fetchall():
            now.setdefault(table, []).append(column)
    kept = {name: columns for name, (_, _, columns) in before.items() if name not in CHANGED}
    assert {name: [c for c in columns if c in now[name]] for name, columns in kept.items()} == kept
    after = content(warehouse.live, kept)
    assert after == {name: before[name] for name in kept}
    assert file_digests(home) == files


def test_it_is_then_like_a_new_one(warehouse, tmp_path):
    newest = [(migration.version, migration.name) for migration in load_migrations()]
    new = Warehouse(tmp_path / "new", source="sandbox")
    with new.write():
        pass
    warehouse.scalar("SELECT 1")
    assert structure(warehouse.live) == structure(new.live)
    assert structure(new.live)["format"] == [("v1.2.0+",)]  # what any DuckDB since 1.2 reads
    for each in (warehouse, new):
        rows = each.query("SELECT version, name FROM main.warehouse_migrations ORDER BY version").to_pylist()
        assert [(row["version"], row["name"]) for row in rows] == newest
    assert [path.name for path in warehouse.live.parent.iterdir()] == ["redpop.duckdb"]


def test_every_table_is_read_and_written(warehouse):
    with warehouse.write() as writer:
        for table in warehouse.schema.values():
            rows = writer.query(f"FROM {table.name}")
            if not table.is_view:
                assert writer.merge(table.name, rows) == Merged(0, 0), table.name
    assert warehouse.publish().changed


def test_its_pictures_and_models_are_read(home, warehouse):
    pictures = warehouse.query("SELECT path FROM core.images").column("path").to_pylist()
    assert pictures
    assert all(ImageStore(home / "images").read(path) for path in pictures)
    models = warehouse.query("SELECT subreddit, predictor, digest FROM models.predictors WHERE digest IS NOT NULL")
    assert models.num_rows
    store = ModelStore(home / "models")
    for model in models.to_pylist():
        assert type(load_predictor(store.folder(**model))) is predictor_class(model["predictor"])


def test_what_waits_to_be_erased_is_erased_after_it(warehouse):
    with duckdb.connect(warehouse.live) as conn:
        conn.execute("UPDATE main.warehouse_state SET erasures_pending = TRUE")
    inode = warehouse.live.stat().st_ino
    warehouse.scalar("SELECT 1")
    assert warehouse.scalar("SELECT erasures_pending FROM main.warehouse_state")
    migrated = warehouse.live.stat().st_ino
    warehouse.publish()
    assert not warehouse.scalar("SELECT erasures_pending FROM main.warehouse_state")
    assert inode != migrated != warehouse.live.stat().st_ino  # the number of the first file may be given again


def test_pictures_that_were_given_up_in_vain_are_asked_for_again(home, warehouse):
    """Refusals that this version does not know any more; what says something of the picture itself stays final."""
    given_up = {
        "large metadata": ("decode_error", "The PNG header is broken: ValueError('Decompressed data too large').", 200),
        "packed": ("not_image_bytes", "Encoded as none although identity was asked for.", 200),
        "type of a page": ("not_image_bytes", "The answer is text/html.", 200),
        "other success": ("unexpected_status", "The server answered 203.", 203),
        "large head": ("connection_failed", "ClientResponseError(RequestInfo(url=URL('http://a.example/", None),
    }
    final = {
        "no picture": ("not_image_bytes", "The body begins with b'<html>'.", 200),
        "gone": ("url_dead", "The server answered 404.", 404),
        "small": ("too_small", "9x9 pixels; the shorter edge must have 128.", 200),
    }

    def address(name):
        return f"https://a.example/{name.replace(' ', '-')}.jpg"

    with duckdb.connect(home / "live" / "redpop.duckdb") as conn:
        conn.executemany(
            "INSERT INTO core.image_fetches BY NAME SELECT $url AS url, 'failed' AS status, $reason AS reason, "
            "$detail AS detail, $status AS http_status, 5 AS attempts, TIMESTAMP '2026-01-01' AS fetched_at",
            [
                {"url": address(name), "reason": reason, "detail": detail, "status": status}
                for name, (reason, detail, status) in (given_up | final).items()
            ],
        )
    rows = warehouse.query("FROM core.image_fetches WHERE fetched_at = TIMESTAMP '2026-01-01'").to_pylist()
    again = {row["url"] for row in rows if (row["status"], row["attempts"]) == ("retry", 0) and row["next_attempt_at"]}
    assert again == set(map(address, given_up))
    assert {row["url"] for row in rows if (row["status"], row["attempts"]) == ("failed", 5)} == set(map(address, final))


def test_labels_and_what_was_learnt_from_say_where_their_scores_were_read(warehouse):
    labels = warehouse.query("SELECT post_id, source, age_at_label_hours FROM core.labels").to_pylist()
    assert labels
    assert {row["source"] for row in labels} == {"reddit"}
    ages = {row["post_id"]: ("reddit", row["age_at_label_hours"]) for row in labels}
    learnt = warehouse.query("SELECT post_id, label_source, age_at_label_hours FROM models.training_set").to_pylist()
    assert learnt
    assert all((row["label_source"], row["age_at_label_hours"]) == ages[row["post_id"]] for row in learnt)


def test_its_features_of_posts_are_all_due_once(home, warehouse):
    """It kept nothing of what they were made from."""
    scope = Scope(
        subreddit="pics",
        warehouse=warehouse,
        images=ImageStore(home / "images"),
        encoders=Encoders("", ""),
        networks=Networks("cpu", None),
        matured_after=timedelta(days=9),
        chunk_size=256,
        progress=lambda _: None,
        warn=lambda _: None,
    )
    families = [family for step in ("author", "post_history", "seen") for family in STEPS[step]]
    asked = []

    def refreshed():
        for family in families:
            counted = replace(family, compute=lambda s, e, own=family: (asked.append(len(s)), own.compute(s, e))[1])
            refresh_step([counted], scope)

    refreshed()
    posts = warehouse.scalar("SELECT count(*) FROM core.posts WHERE subreddit = 'pics'")
    assert asked == [posts] * len(families)
    for family in families:
        rows = f"SELECT count(*) FROM {family.filled_table} SEMI JOIN core.posts USING (post_id, subreddit)"
        assert warehouse.scalar(f"{rows} WHERE subreddit = 'pics'") == posts > 0
    refreshed()
    assert len(asked) == len(families)


def test_it_may_go_on_with_an_archive_of_the_same_reddit_and_with_no_other(home, only):
    def opened(**variables):
        with only({"REDPOP_HOME": str(home), "REDPOP_SOURCE": "arctic_shift:sandbox", **variables}, home):
            return open_warehouse(load_settings())

    posts = opened().scalar("SELECT count(*) FROM raw.submissions")
    assert posts == opened(REDPOP_SOURCE="sandbox").scalar("SELECT count(*) FROM raw.submissions") > 0
    for real in ("arctic_shift", "reddit"):
        with pytest.raises(WarehouseError, match=r"was filled by sandbox, not by reddit.*REDPOP_SOURCE=sandbox"):
            opened(REDPOP_SOURCE=real).scalar("SELECT 1")
