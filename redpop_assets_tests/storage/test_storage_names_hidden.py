"""A home that holds names from before shapes were known is upgraded: afterwards no file of it has them."""

import json
from datetime import datetime
from pathlib import Path

import duckdb
import pytest

from redpop_assets.privacy.author_key import AuthorKey
from redpop_assets.storage.migrations import load_migrations
from redpop_assets.storage.warehouse import Warehouse

pytestmark = pytest.mark.integration

NAME = "Clear-Name_7"
NOW = datetime(2026, 5, 1)
MIGRATION = next(
    number for number, migration in enumerate(load_migrations()) if migration.name == "names_hidden_by_shape"
)


@pytest.fixture
def old_home(tmp_path) -> Path:
    """Written by code that had none of the later migrations."""
    old = Warehouse(tmp_path, source="reddit", lock_timeout=60, migrations=load_migrations()[:MIGRATION])
    known = AuthorKey.load_or_create(tmp_path / "author.key").digest("somebody")
    link = f"https://example.com/u/{NAME}/a.jpg"
    submission = {
        "id": "post1", "author": known, "title": f"Thanks to u/{NAME}", "promoted_by": NAME, "author_id": f"t2_{NAME}",
        "url": f"/r/u_{NAME}/comments/par01/my_lake/", "ad_promoted_user_posts": [{"author": NAME, NAME: 1}],
        "crosspost_parent_list": json.dumps([{"author": NAME}]), "score": 5,
    }  # fmt: skip
    with old.write() as writer:
        for number, text in enumerate((json.dumps(submission), '{"id": "post2"}', "[]", '"x"')):
            writer.execute(
                "INSERT INTO raw.submissions BY NAME SELECT ? AS post_id, 'pics' AS subreddit, ? AS discovered_at, "
                "? AS origin, ?::JSON AS json", [f"post{number + 1}", NOW, f"archive:u_{NAME}.ndjson", text],
            )  # fmt: skip
        writer.execute(
            "INSERT INTO core.posts BY NAME SELECT 'post1' AS post_id, 'pics' AS subreddit, ? AS created_at, "
            "'image' AS kind, ? AS caption, 'sha' AS caption_sha256, [?] AS image_urls, [NULL, ?] AS image_captions, "
            "? AS preview_url, FALSE AS is_original_content, FALSE AS over_18, FALSE AS spoiler, '2' AS code_version",
            [NOW, f"Thanks to u/{NAME}", link, f"/user/{NAME}", link],
        )
        writer.execute(
            "INSERT INTO core.rejected_posts BY NAME SELECT 'post9' AS post_id, 'pics' AS subreddit, "
            "'relative_url_unresolved' AS reason, ? AS detail, '2' AS code_version", [f"/r/u_{NAME}/"],
        )  # fmt: skip
        writer.execute(
            "INSERT INTO core.image_fetches BY NAME SELECT ? AS url, ? AS canonical_url, 'failed' AS status, "
            "'' AS detail, 1 AS attempts, ? AS fetched_at", [link, link, NOW],
        )  # fmt: skip
    old.publish()
    return tmp_path


def files_with_the_name(home: Path) -> list[str]:
    return [
        path.name for path in home.rglob("*") if path.is_file() and NAME.lower().encode() in path.read_bytes().lower()
    ]


def test_no_file_has_the_name_afterwards_and_no_row_is_lost(old_home):
    key = (old_home / "author.key").read_bytes()
    assert files_with_the_name(old_home) == ["redpop.duckdb"] * 2
    warehouse = Warehouse(old_home, source="reddit", lock_timeout=60)
    digest = AuthorKey(key).digest(NAME)
    rows = warehouse.query("FROM raw.submissions ORDER BY post_id").to_pylist()
    assert json.loads(rows[0]["json"]) == {
        "id": "post1", "author": AuthorKey(key).digest("somebody"), "title": f"Thanks to u/{digest}",
        "url": f"/r/u_{digest}/comments/par01/my_lake/", "score": 5,
        "crosspost_parent_list": [{"author": digest}],
    }  # fmt: skip
    assert [json.loads(row["json"]) for row in rows[1:]] == [{"id": "post2"}, {}, {}]
    assert NAME not in rows[0]["origin"]
    (post,) = warehouse.query("FROM core.posts").to_pylist()
    assert post["caption"] == f"Thanks to u/{digest}"
    assert post["caption_sha256"] == warehouse.scalar("SELECT sha256(caption) FROM core.posts")
    assert post["image_urls"] == [warehouse.scalar("SELECT url FROM core.image_fetches")]
    assert warehouse.scalar("SELECT detail FROM core.rejected_posts") == ""
    assert warehouse.scalar("SELECT count(*) FROM core.rejected_posts") == 1
    warehouse.publish()
    assert files_with_the_name(old_home) == []
    assert (old_home / "author.key").read_bytes() == key
    assert duckdb.connect(warehouse.published, read_only=True).execute("FROM core.posts").fetchall()


def test_a_key_that_cannot_be_read_stops_it_and_nothing_is_lost(old_home):
    (old_home / "author.key").write_bytes(b"short")
    before = (old_home / "live" / "redpop.duckdb").read_bytes()
    with pytest.raises(Exception, match="holds no key"):
        Warehouse(old_home, source="reddit", lock_timeout=60).scalar("SELECT 1")
    assert (old_home / "live" / "redpop.duckdb").read_bytes() == before
    assert [path.name for path in (old_home / "live").iterdir()] == ["redpop.duckdb"]
