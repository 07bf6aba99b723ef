"""The folder of an export: whole or not at all, never in place of anything else, and with a manifest."""

import hashlib
import json
from datetime import datetime

import duckdb
import pytest

from redpop_assets.errors import SettingsError, WarehouseError
from redpop_assets.exports import export as module
from redpop_assets.exports.export import FORMATS, export
from redpop_assets.storage.warehouse import Warehouse

pytestmark = pytest.mark.integration


@pytest.mark.parametrize("format", FORMATS)
def test_the_manifest_accounts_for_everything(filled_home, tmp_path, format):
    done = export(
        filled_home.path, tmp_path / "out", format, ["pics", "r/EarthPorn"][: 1 if format == "webdataset" else 2]
    )
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert manifest["made_by"].startswith("redpop ")
    assert datetime.fromisoformat(manifest["made_at"]).tzinfo
    assert (manifest["format"], manifest["source"]) == (format, "test")
    assert manifest["published"]["file"] == str(filled_home.path / "redpop.duckdb")
    assert manifest["published"]["bytes"] == (filled_home.path / "redpop.duckdb").stat().st_size
    assert manifest["subreddits"]["pics"] == {
        "posts": 60,
        "written": done["pics"].written,
        "left_out": dict(done["pics"].left_out),
    }
    assert set(manifest["subreddits"]) == set(done)
    for word in ("licence", "deletion", "authors", "score"):
        assert manifest["notes"][word]
    for file in manifest["files"]:
        content = (tmp_path / "out" / file["file"]).read_bytes()
        assert (file["bytes"], file["sha256"]) == (len(content), hashlib.sha256(content).hexdigest())
    found = {path.relative_to(tmp_path / "out").as_posix() for path in (tmp_path / "out").rglob("*") if path.is_file()}
    assert found == {file["file"] for file in manifest["files"]} | {"manifest.json"}
    if format == "redcaps":
        assert "columns" not in manifest
    else:
        assert all(column["description"] for column in manifest["columns"])
        assert ("author_past_posts" in {column["name"] for column in manifest["columns"]}) == (format == "parquet")
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    assert (tmp_path / "out").stat().st_mode & 0o777 == 0o755


def test_an_export_is_replaced_only_on_request(filled_home, tmp_path):
    export(filled_home.path, tmp_path / "out", "parquet", ["pics"])
    before = (tmp_path / "out" / "manifest.json").read_bytes()
    with pytest.raises(SettingsError, match="--overwrite"):
        export(filled_home.path, tmp_path / "out", "redcaps", ["pics"])
    assert (tmp_path / "out" / "manifest.json").read_bytes() == before
    export(filled_home.path, tmp_path / "out", "redcaps", ["pics"], overwrite=True)
    assert not (tmp_path / "out" / "pics.parquet").exists()
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_nothing_but_an_export_is_ever_replaced(filled_home, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").write_text("years of work")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "manifest.json").write_text('{"name": "a browser extension"}')
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "manifest.json").write_text("{")
    (tmp_path / "file").write_text("a file")
    for name in ("mine", "other", "broken", "file"):
        with pytest.raises(SettingsError, match="is no export of RedPop"):
            export(filled_home.path, tmp_path / name, "parquet", overwrite=True)
    assert (tmp_path / "mine" / "thesis.tex").read_text() == "years of work"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["broken", "file", "mine", "other"]


def test_folders_are_made_and_empty_ones_taken(filled_home, tmp_path):
    (tmp_path / "empty").mkdir()
    for folder in (tmp_path / "empty", tmp_path / "a" / "b" / "c"):
        export(filled_home.path, folder, "parquet", ["pics"])
        assert (folder / "pics.parquet").exists()


def test_a_folder_that_cannot_be_made(filled_home, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(SettingsError, match="cannot be made"):
        export(filled_home.path, tmp_path / "file" / "out", "parquet")


def test_what_goes_wrong_leaves_no_folder_and_no_loss(filled_home, tmp_path, monkeypatch):
    export(filled_home.path, tmp_path / "out", "parquet", ["pics"])

    def stop(*_):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        export(filled_home.path, tmp_path / "new", "redcaps", progress=stop)
    monkeypatch.setattr(module, "_files", stop)
    with pytest.raises(KeyboardInterrupt):
        export(filled_home.path, tmp_path / "out", "redcaps", overwrite=True)
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    assert (tmp_path / "out" / "pics.parquet").exists()


def test_nothing_published(tmp_path):
    with pytest.raises(WarehouseError, match="redpop materialize"):
        export(tmp_path, tmp_path / "out", "parquet")


def test_nothing_in_it_and_unknown_communities(filled_home, empty_warehouse, tmp_path):
    with pytest.raises(WarehouseError, match=r"no posts of r/aww; it has posts of: r/earthporn \(20\), r/pics \(60\)"):
        export(filled_home.path, tmp_path / "out", "parquet", ["pics", "aww"])
    with empty_warehouse.write():
        pass
    empty_warehouse.publish()
    with pytest.raises(WarehouseError, match="has no posts yet"):
        export(empty_warehouse.published.parent, tmp_path / "out", "parquet")
    assert not (tmp_path / "out").exists()


def test_a_file_of_another_kind_or_version(tmp_path):
    (tmp_path / "redpop.duckdb").write_bytes(b"no database" * 1000)
    with pytest.raises(WarehouseError, match="cannot be opened"):
        export(tmp_path, tmp_path / "out", "parquet")
    (tmp_path / "redpop.duckdb").unlink()
    with duckdb.connect(tmp_path / "redpop.duckdb") as connection:
        connection.execute("CREATE SCHEMA core; CREATE TABLE core.posts (post_id VARCHAR, subreddit VARCHAR)")
        connection.execute("INSERT INTO core.posts VALUES ('a', 'pics')")
    with pytest.raises(WarehouseError, match="another version of RedPop"):
        export(tmp_path, tmp_path / "out", "parquet")
    assert [path.name for path in tmp_path.iterdir()] == ["redpop.duckdb"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"format": "csv"}, "choose from parquet, webdataset, redcaps"),
        ({"format": "redcaps", "encoders": {"image": "x"}}, "parquet only"),
        ({"format": "webdataset", "shard_size": 0}, "at least one sample"),
    ],
)
def test_options_that_do_not_fit(filled_home, tmp_path, options, message):
    with pytest.raises(SettingsError, match=message):
        export(filled_home.path, tmp_path / "out", **options)


def test_exports_never_wait_for_the_pipeline(filled_home, tmp_path):
    """Only the published file is opened: somebody may be writing the other one."""
    with Warehouse(filled_home.path, source="test", lock_timeout=1).write():
        assert export(filled_home.path, tmp_path / "out", "parquet", ["pics"])["pics"].written == 60
