"""From files of posts through core, the published file and exports: no file of a home has the name of anybody."""

import copy
import json
import logging
from datetime import UTC, datetime

import pytest

from redpop_assets.exports.export import export
from redpop_assets.privacy.author_key import AuthorKey
from redpop_assets.refresh.posts import refresh_posts
from redpop_assets.sources.archives.imports import import_archive
from redpop_assets.storage import forgetting
from redpop_assets.storage.images import ImageStore
from redpop_assets.testing.warehouses import blank_warehouse
from redpop_assets_tests.privacy.shapes import MENTIONS, SHAPES, filled

pytestmark = pytest.mark.integration

MARK = "Zq-Marked_Name7"
THEN = datetime(2026, 1, 1, tzinfo=UTC)
KEEP = {"id", "created_utc", "subreddit", "title", "url"}


def posts():
    """One of each shape in which a mention stands everywhere, and pictures whose title mentions somebody."""
    for number, (shape, mention) in enumerate(
        (shape, mention) for shape in SHAPES.values() for mention in MENTIONS.values()
    ):
        post = filled(copy.deepcopy(shape), lambda _, mention=mention: mention(MARK))
        yield {**post, "id": f"a{number}", "created_utc": 1718000000, "subreddit": "pics"}
        yield {
            "id": f"b{number}", "created_utc": 1718000000, "subreddit": "pics", "author": MARK, "promoted_by": MARK,
            "title": mention(MARK), "url": f"https://i.redd.it/x{number}.jpg", "link_flair_text": mention(MARK),
        }  # fmt: skip


def test_no_file_of_a_home_has_the_name(tmp_path, caplog, capfd):
    caplog.set_level(logging.DEBUG)
    home, file = tmp_path / "home", tmp_path / f"u_{MARK}_posts.ndjson"
    file.write_text("\n".join(map(json.dumps, posts())))
    warehouse = blank_warehouse(home, source="reddit")
    key = AuthorKey.load_or_create(home / "author.key")
    report = import_archive(file, "pics", warehouse, key, observed_at=THEN)
    assert report.posts + report.broken == 2 * len(SHAPES) * len(MENTIONS)  # a text is no number, and told as broken
    assert report.posts > len(SHAPES) * len(MENTIONS)
    assert report.broken_samples
    refresh_posts(warehouse, "pics", allow_over_18=False, progress=logging.info)
    assert warehouse.scalar("SELECT count(*) FROM core.posts") >= len(SHAPES) * len(MENTIONS)
    warehouse.publish()
    for form in ("parquet", "redcaps"):
        export(home, home / form, form)

    def with_name():
        wanted = MARK.lower().encode()
        return [path for path in home.rglob("*") if path.is_file() and wanted in path.read_bytes().lower()]

    assert with_name() == []
    tables = [name for name, table in warehouse.schema.items() if not table.is_view]
    with warehouse.read() as reader:
        assert MARK.lower() not in "".join(str(reader.query(f"FROM {name}").to_pylist()) for name in tables).lower()
    shown = capfd.readouterr()
    assert MARK.lower() not in (caplog.text + shown.out + shown.err + str(report)).lower()

    digest = key.digest(MARK)
    own = forgetting.posts_of(warehouse, digest)
    assert len(own) >= len(SHAPES) * len(MENTIONS)
    forgetting.forget(warehouse, ImageStore(home / "images"), dict.fromkeys(own, "author_by_request"))
    forgetting.erase_accounts(warehouse, [digest])
    warehouse.publish()
    assert [path.name for path in home.glob("**/*.duckdb") if digest.encode() in path.read_bytes()] == []
