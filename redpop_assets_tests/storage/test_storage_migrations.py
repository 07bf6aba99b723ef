"""Warehouses that follow when tables change: on small tables here, on the homes of older versions in
`test_storage_homes.py`.
"""

import os
import resource
import signal
import tomllib
from collections.abc import Sequence
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest

from redpop_assets.errors import WarehouseError
from redpop_assets.privacy.author_key import AuthorKey
from redpop_assets.sources.archives.imports import import_archive
from redpop_assets.storage.migrations import Migration, load_migrations
from redpop_assets.storage.schema import load_schema, warehouse_folder
from redpop_assets.storage.staging import sweep
from redpop_assets.storage.warehouse import Warehouse
from redpop_assets.testing.warehouses import blank_warehouse

pytestmark = pytest.mark.integration

RENAMED = ("    ratio FLOAT,\n", "    upvote_ratio FLOAT,\n")
RENAME = "-- The ratio says what it is of.\nALTER TABLE core.readings RENAME COLUMN ratio TO upvote_ratio"
DOUBLE = "UPDATE core.readings SET upvote_ratio = 2 * upvote_ratio"


def folder(target: Path, *migrations: str) -> Path:
    target.mkdir(parents=True)
    for number, sql in enumerate(migrations, start=1):
        (target / f"{number:04}_step_{number}.sql").write_text(sql)
    return target


def migrations(*sql: str) -> list[Migration]:
    return [Migration(number, f"step_{number}", text) for number, text in enumerate(sql, start=1)]


def fill(warehouse: Warehouse, *posts: str) -> None:
    n = len(posts)
    values = {"score": [1] * n, "ratio": [0.5] * n, "vector": [[1.0]] * n, "json": ["{}"] * n}
    warehouse.merge("core.readings", pa.table({"post": posts, "hour": [0] * n, **values, "seen": pa.nulls(n)}))


def history(warehouse: Warehouse) -> list[tuple[int, bool]]:
    rows = warehouse.query("SELECT version, applied_at FROM main.warehouse_migrations ORDER BY version").to_pylist()
    return [(row["version"], row["applied_at"] is not None) for row in rows]


def files(warehouse: Warehouse) -> list[str]:
    return sorted(path.name for path in warehouse.live.parent.iterdir())


@pytest.fixture
def changed_folder(schema_folder, tmp_path) -> Path:
    """The SQL files of a version whose readings call the ratio `upvote_ratio`."""
    target = tmp_path / "changed"
    for path in schema_folder.rglob("*.sql"):
        copy = target / path.relative_to(schema_folder)
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_text(path.read_text().replace(*RENAMED))
    return target


@pytest.fixture
def old(warehouse) -> Warehouse:
    """A warehouse with a row that code without any migration wrote."""
    old = Warehouse(
        warehouse.published.parent, source="reddit", lock_timeout=60, schema=warehouse.schema, migrations=()
    )
    fill(old, "a")
    return old


@pytest.fixture
def upgraded(old, changed_folder):
    """Later code on the same warehouse."""

    def make(*sql: str) -> Warehouse:
        home = old.published.parent
        schema = load_schema(changed_folder)
        return Warehouse(home, source="reddit", lock_timeout=60, schema=schema, migrations=migrations(*sql))

    return make


@pytest.mark.parametrize("first", ["read", "write", "publish"])
def test_they_are_applied_once_and_in_order_by_whoever_comes_first(upgraded, first):
    newer = upgraded(RENAME, DOUBLE)
    if first == "write":
        with newer.write() as writer:
            assert writer.scalar("SELECT upvote_ratio FROM core.readings") == 1.0
    elif first == "publish":
        newer.publish()
    for _ in range(2):
        assert newer.query("SELECT post, upvote_ratio FROM core.readings").to_pylist() == [
            {"post": "a", "upvote_ratio": 1.0}
        ]
    assert history(newer) == [(1, True), (2, True)]
    assert newer.query("FROM marts.latest").to_pylist() == [{"post": "a", "hour": 0}]
    comment = "SELECT comment FROM duckdb_tables() WHERE table_name = 'readings'"
    assert newer.scalar(comment) == "Scores over time. | key: post, hour"
    assert files(newer) == ["redpop.duckdb"]


def test_only_those_that_are_missing_are_applied(upgraded):
    assert history(upgraded(RENAME)) == [(1, True)]
    newest = upgraded(RENAME, DOUBLE)
    assert newest.scalar("SELECT upvote_ratio FROM core.readings") == 1.0
    assert history(newest) == [(1, True), (2, True)]


def test_a_new_warehouse_starts_at_the_newest_number(warehouse):
    wrong = migrations("ALTER TABLE core.nowhere ADD COLUMN a INTEGER", "SELECT error('was run')")
    new = Warehouse(warehouse.published.parent, source="reddit", schema=warehouse.schema, migrations=wrong)
    fill(new, "a")
    assert history(new) == [(1, False), (2, False)]


def test_a_table_can_be_updated_and_then_altered(old, schema_folder, tmp_path):
    """In one transaction DuckDB refuses that."""
    target = tmp_path / "strict"
    for path in schema_folder.rglob("*.sql"):
        (target / path.relative_to(schema_folder)).parent.mkdir(parents=True, exist_ok=True)
        text = path.read_text().replace("score INTEGER,", "score INTEGER NOT NULL,")
        (target / path.relative_to(schema_folder)).write_text(text)
    with old.write() as writer:
        writer.execute("UPDATE core.readings SET score = NULL")
    sql = """
    UPDATE core.readings SET score = -1 WHERE score IS NULL;
    ALTER TABLE core.readings ALTER COLUMN score SET NOT NULL;
    """
    home = old.published.parent
    strict = Warehouse(home, source="reddit", schema=load_schema(target), migrations=migrations(sql))
    assert strict.scalar("SELECT score FROM core.readings") == -1


@pytest.mark.parametrize(
    ("sql", "message"),
    [
        (RENAME + "; SELECT error('disk of glass')", "0001_step_1 failed.*disk of glass"),
        (RENAME + "; DELETE FROM core.readings; DROP TABLE core.nowhere", "0001_step_1 failed.*nowhere"),
        ("UPDATE core.readings SET ratio = 7", "core.readings .*ratio is FLOAT in the file and missing in the SQL"),
    ],
)
def test_one_that_fails_changes_nothing_and_says_so(old, upgraded, sql, message):
    before = old.live.read_bytes()
    broken = upgraded(sql)
    for call in (lambda: broken.scalar("SELECT 1"), lambda: broken.write().__enter__(), broken.publish):
        with pytest.raises(WarehouseError, match=f"(?s)brought up to date.*Nothing is lost.*{message}.*try again"):
            call()
    assert old.live.read_bytes() == before
    assert files(old) == ["redpop.duckdb"]
    assert old.query("SELECT post, ratio FROM core.readings").to_pylist() == [{"post": "a", "ratio": 0.5}]
    assert upgraded(RENAME).scalar("SELECT upvote_ratio FROM core.readings") == 0.5


def test_a_disk_without_room_changes_nothing(old, upgraded):
    before = old.live.read_bytes()
    newer = upgraded(RENAME)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, limits[1]))
    try:
        with pytest.raises(WarehouseError, match=r"Nothing is lost.*File too large.*MB of disk"):
            newer.scalar("SELECT 1")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert old.live.read_bytes() == before
    assert files(old) == ["redpop.duckdb"]


def test_a_newer_warehouse_is_refused(upgraded):
    upgraded(RENAME, DOUBLE).scalar("SELECT 1")
    for call in (lambda: upgraded(RENAME).scalar("SELECT 1"), lambda: upgraded(RENAME).write().__enter__()):
        with pytest.raises(WarehouseError, match=r"written by a newer RedPop.*version 2.*knows 1.*REDPOP_HOME"):
            call()


def test_another_history_is_refused(upgraded):
    upgraded(RENAME).scalar("SELECT 1")
    with pytest.raises(WarehouseError, match="been through a migration 0001_step_1 that is not the 0001_step_1"):
        upgraded(RENAME + " ", DOUBLE).scalar("SELECT 1")


def test_what_a_new_warehouse_did_not_run_may_be_mended(warehouse):
    home = warehouse.published.parent
    for sql in ("SELECT 1", "SELECT 2"):
        new = Warehouse(home, source="reddit", schema=warehouse.schema, migrations=migrations(sql))
        fill(new, "a")
        assert history(new) == [(1, False)]


def test_rows_that_a_killed_writer_left_in_the_log_are_migrated_too(old, upgraded, other_process):
    script = """
with warehouse._form.connect(read_only=False) as conn:
    conn.execute("INSERT INTO core.readings (post, hour, ratio) VALUES ('b', 0, 0.25)")
    os.kill(os.getpid(), signal.SIGKILL)
"""
    assert other_process(script).wait(timeout=120) == -signal.SIGKILL
    assert files(old) == ["redpop.duckdb", "redpop.duckdb.wal"]
    rows = upgraded(RENAME, DOUBLE).query("SELECT post, upvote_ratio FROM core.readings ORDER BY post").to_pylist()
    assert [tuple(row.values()) for row in rows] == [("a", 1.0), ("b", 0.5)]


UPGRADE = """
from redpop_assets.storage import file_form, upkeep
from redpop_assets.storage.migrations import load_migrations
newer = Warehouse(
    Path(sys.argv[1]), source="reddit", lock_timeout=120,
    schema=load_schema(Path(sys.argv[3])), migrations=load_migrations(Path(sys.argv[4])),
)
"""


def test_of_many_processes_one_migrates(old, upgraded, changed_folder, tmp_path, other_process):
    sql = (RENAME, "INSERT INTO core.readings (post, hour) SELECT 'step', count(*) FROM core.readings")
    script = UPGRADE + "print(newer.scalar(\"SELECT count(*) FROM core.readings WHERE post = 'step'\"))"
    there = folder(tmp_path / "migrations", *sql)
    processes = [other_process(script, changed_folder, there) for _ in range(4)]
    assert [process.communicate(timeout=250)[0] for process in processes] == ["1\n"] * 4
    assert history(upgraded(*sql)) == [(1, True), (2, True)]
    assert files(old) == ["redpop.duckdb"]


KILL = """
def kill(*_):
    os.kill(os.getpid(), signal.SIGKILL)
def half(conn, target):
    target.write_bytes(bytes(100_000))
    kill()
moment = sys.argv[5]
if moment == "copying":
    file_form._rebuild = half
elif moment == "migrating":
    original = upkeep.apply
    upkeep.apply = lambda *given: original(*given) or kill()
elif moment == "migrated":
    durable.sync = kill
else:
    calls = []
    durable.sync = lambda path: calls.append(path) or (len(calls) == 2 and kill())
newer.scalar("SELECT 1")
"""


@pytest.mark.parametrize("moment", ["copying", "migrating", "migrated", "replaced"])
def test_a_killed_migration_leaves_a_whole_file(old, upgraded, changed_folder, tmp_path, other_process, moment):
    before = old.live.read_bytes()
    there = folder(tmp_path / "migrations", RENAME, DOUBLE)
    process = other_process(UPGRADE + KILL, changed_folder, there, moment)
    assert process.wait(timeout=120) == -signal.SIGKILL
    if moment != "replaced":
        assert old.live.read_bytes() == before
        assert list(old.live.parent.glob(".new-*/migrated.duckdb"))
    newer = upgraded(RENAME, DOUBLE)
    assert newer.query("SELECT post, upvote_ratio FROM core.readings").to_pylist() == [
        {"post": "a", "upvote_ratio": 1.0}
    ]
    sweep(old.published.parent)
    assert files(old) == ["redpop.duckdb"]


def test_killing_it_in_the_middle_of_a_statement_loses_nothing(old, upgraded, changed_folder, tmp_path, other_process):
    long = "UPDATE core.readings SET score = (SELECT sum(hash(i))::HUGEINT % 9 FROM range(10_000_000_000) AS r(i))"
    there = folder(tmp_path / "migrations", RENAME, long)
    before = old.live.read_bytes()
    script = (
        UPGRADE
        + """
original = upkeep.apply
upkeep.apply = lambda *given: print("begins", given[1].version, flush=True) or original(*given)
newer.scalar("SELECT 1")
"""
    )
    process = other_process(script, changed_folder, there)
    assert [process.stdout.readline() for _ in range(2)] == ["begins 1\n", "begins 2\n"]
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert old.live.read_bytes() == before
    assert upgraded(RENAME).scalar("SELECT upvote_ratio FROM core.readings") == 0.5


def test_a_published_copy_stays_readable_through_a_migration(old, upgraded):
    old.publish()
    with duckdb.connect(old.published, read_only=True) as conn:
        newer = upgraded(RENAME)
        newer.scalar("SELECT 1")
        assert newer.publish().changed
        assert conn.execute("SELECT ratio FROM core.readings").fetchall() == [(0.5,)]
    with duckdb.connect(old.published, read_only=True) as conn:
        assert conn.execute("SELECT upvote_ratio FROM core.readings").fetchall() == [(0.5,)]


# The files


def test_those_of_the_platform_can_be_loaded_and_say_what_they_do():
    found = load_migrations()
    assert [migration.version for migration in found] == list(range(1, len(found) + 1))
    assert found
    assert all(migration.sql.startswith("-- ") for migration in found)
    assert load_migrations(warehouse_folder() / "migrations") == found


def test_posts_that_were_restored_stand_after_it(tmp_path):
    warehouse = blank_warehouse(tmp_path / "home")
    fates = {
        "restored": ('{"_meta": {"was_initially_deleted": true, "removal_type": "deleted"}}', "deleted", None),
        "also": ('{"removed_by_category": "reddit", "_meta": {"was_initially_deleted": true}}', "reddit", None),
        "gone": ('{"_meta": {"was_deleted_later": true, "removal_type": "deleted"}}', "deleted", "deleted"),
        "both": ('{"_meta": {"was_initially_deleted": true, "was_deleted_later": true, "removal_type": "author"}}',
                 "author", "author"),
        "unsaid": ('{"_meta": {"was_deleted_later": true}}', "deleted", "unknown"),
        "plain": ('{"removed_by_category": "deleted"}', "deleted", "deleted"),
    }  # fmt: skip
    (migration,) = [each for each in load_migrations() if each.name == "restored_posts_stand"]
    with duckdb.connect(warehouse.live) as conn:
        for post, (text, removal, _) in fates.items():
            conn.execute(
                "INSERT INTO raw.submissions BY NAME SELECT $post AS post_id, 'pics' AS subreddit, "
                "'archive:d.ndjson' AS origin, TIMESTAMP '2024-06-01' AS discovered_at, $text::JSON AS json",
                {"post": post, "text": text},
            )
            for endpoint, moment in (("archive", "2024-06-01"), ("info", "2024-06-02")):
                conn.execute(
                    "INSERT INTO raw.observations BY NAME SELECT $post AS post_id, 'pics' AS subreddit, "
                    "$endpoint AS endpoint, $moment::TIMESTAMP AS observed_at, $removal AS removed_by_category",
                    {"post": post, "endpoint": endpoint, "moment": moment, "removal": removal},
                )
        conn.execute(migration.sql)
        found = conn.execute("SELECT post_id, endpoint, removed_by_category FROM raw.observations").fetchall()
    assert {post: removal for post, endpoint, removal in found if endpoint == "archive"} == {
        post: after for post, (_, _, after) in fates.items()
    }
    assert {post: removal for post, endpoint, removal in found if endpoint == "info"} == {
        post: before for post, (_, before, _) in fates.items()
    }


def test_interrupted_imports_go_on_after_the_lists_of_communities_went(tmp_path):
    """An import that the version before began, of some communities, goes on behind the lines that it had read."""
    path = tmp_path / "d.ndjson"
    path.write_text(
        "".join(
            f'{{"id": "a{n}", "subreddit": "pics", "title": "t", "created_utc": 1600000000, "score": 1, "url": "x"}}\n'
            for n in range(9)
        )
    )
    warehouse, key = blank_warehouse(tmp_path / "home"), AuthorKey(bytes(32))
    import_archive(path, ["pics", "aww"], warehouse, key, limit=5)
    (migration,) = [each for each in load_migrations() if each.name == "imports_without_lists_of_communities"]
    with duckdb.connect(warehouse.live) as conn:
        # As the version before left it.
        conn.execute("ALTER TABLE raw.imports DROP COLUMN asked")
        conn.execute("ALTER TABLE raw.imports ADD COLUMN subreddits VARCHAR[]")
        conn.execute("UPDATE raw.imports SET subreddits = ['aww', 'pics']")
        conn.execute("ALTER TABLE raw.imports ALTER COLUMN subreddits SET NOT NULL")
        conn.execute(migration.sql)
    report = import_archive(path, ["Pics", "aww"], warehouse, key)
    assert (report.resumed_after, report.posts, report.new_submissions) == (5, 9, 9)
    assert warehouse.scalar("SELECT count(*) FROM raw.submissions") == 9


def test_an_installed_package_carries_them():
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text(encoding="utf-8"))
    carried = project["tool"]["hatch"]["build"]["targets"]["wheel"]["force-include"]
    for folder in ("schema", "migrations", "queries"):
        assert carried[f"warehouse/{folder}"] == f"redpop_assets/_warehouse/{folder}"


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["0001_a", "0003_b"], r"0003_b\.sql should have number 0002"),
        (["0002_a"], r"0002_a\.sql should have number 0001"),
        (["0001_a", "0001_b"], r"0001_b\.sql should have number 0002"),
        (["1_a"], r"1_a\.sql is no name of a migration"),
        (["0001"], r"0001\.sql is no name of a migration"),
        (["0001_Capitals"], "is no name of a migration"),
    ],
)
def test_wrong_names_are_named(tmp_path, names: Sequence[str], message):
    for name in names:
        (tmp_path / f"{name}.sql").write_text("SELECT 1")
    with pytest.raises(WarehouseError, match=message):
        load_migrations(tmp_path)


@pytest.mark.parametrize(
    ("sql", "message"), [("ALTER TABEL x", "cannot be parsed"), ("-- later\n", "has no SQL in it")]
)
def test_sql_that_cannot_be_right_is_refused_with_its_name(tmp_path, sql, message):
    (tmp_path / "0001_a.sql").write_text(sql)
    with pytest.raises(WarehouseError, match=rf"0001_a\.sql {message}"):
        load_migrations(tmp_path)
