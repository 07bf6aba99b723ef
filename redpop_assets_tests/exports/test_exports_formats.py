"""What the three formats hold, read back with the tools they are for."""

import gc
import hashlib
import io
import json
import tarfile
import warnings
from datetime import UTC, timedelta

import duckdb
import pyarrow.parquet as pq
import pytest
import webdataset
from PIL import Image

from redpop_assets.errors import ArtifactError, WarehouseError
from redpop_assets.exports.export import export
from redpop_assets.privacy.author_key import AuthorKey
from redpop_assets.sources.archives import posts as archived_posts
from redpop_assets.sources.archives.imports import import_archive
from redpop_assets.storage.images import ImageStore
from redpop_assets.storage.warehouse import Warehouse
from redpop_assets.testing.warehouses import blank_warehouse

pytestmark = pytest.mark.integration


def stored(home, sql):
    return home.warehouse.query(sql).to_pylist()


# Parquet


def test_parquet_has_every_post_with_label_picture_and_features(filled_home, tmp_path):
    done = export(filled_home.path, tmp_path / "out", "parquet", ["Pics"])
    assert {name: (found.posts, found.written, found.left_out) for name, found in done.items()} == {
        "pics": (60, 60, {})
    }
    table = pq.read_table(tmp_path / "out" / "pics.parquet")
    assert table.column("post_id").to_pylist() == filled_home.posts
    rows = {row["post_id"]: row for row in table.to_pylist()}
    for expected in stored(
        filled_home,
        "SELECT p.*, l.score, l.percentile, l.observed_at, i.image_sha256, i.path, c.words, t.hour, m.brightness, "
        "a.past_posts FROM core.posts AS p LEFT JOIN core.labels AS l USING (post_id) "
        "LEFT JOIN core.image_fetches AS f ON f.url = p.image_urls[1] LEFT JOIN core.images AS i USING (image_sha256) "
        "LEFT JOIN features.caption_features AS c USING (caption_sha256) "
        "LEFT JOIN features.timestamp_features AS t ON t.post_id = p.post_id "
        "LEFT JOIN features.image_features AS m USING (image_sha256) "
        "LEFT JOIN features.author_features AS a ON a.post_id = p.post_id WHERE p.subreddit = 'pics'",
    ):
        row = rows[expected["post_id"]]
        for name in ("caption", "author", "kind", "image_urls", "score", "percentile", "image_sha256"):
            assert row[name] == expected[name]
        assert row["created_at"].isoformat() == expected["created_at"].isoformat() + "+00:00"
        assert (row["score_observed_at"] is None) == (expected["observed_at"] is None)
        assert row["image_path"] == expected["path"]
        assert row["caption_words"] == expected["words"]
        assert row["time_hour"] == expected["hour"]
        assert row["image_brightness"] == expected["brightness"]
        assert row["author_past_posts"] == expected["past_posts"]
    assert sum(row["image_path"] is None for row in rows.values()) == 6
    assert sum(row["score"] is None for row in rows.values()) > 0
    assert "image_embedding" not in table.column_names


def test_parquet_says_what_its_columns_mean(filled_home, tmp_path):
    export(filled_home.path, tmp_path / "out", "parquet", ["pics"])
    schema = pq.read_schema(tmp_path / "out" / "pics.parquet")
    assert schema.field("percentile").metadata == {
        b"comment": b"Mid-rank of the score among the labels of the subreddit on the same score scale, from 0 to 1.",
        b"source": b"core.labels.percentile",
        b"known_at": b"after_post",
    }
    assert schema.field("author_past_posts").metadata[b"known_at"] == b"before_post"
    assert all(field.metadata[b"comment"] for field in schema)
    described = duckdb.sql(
        f"SELECT decode(value) AS text FROM parquet_kv_metadata('{tmp_path}/out/pics.parquet') "
        "WHERE decode(key) = 'redpop.columns'"
    ).fetchone()[0]
    assert json.loads(described)["score"]["source"] == "core.labels.score"


def test_parquet_is_written_in_row_groups(filled_home, tmp_path, monkeypatch):
    from redpop_assets.exports import parquet

    monkeypatch.setattr(parquet, "ROW_GROUP", 7)
    told = []
    export(filled_home.path, tmp_path / "out", "parquet", ["pics"], progress=lambda *words: told.append(words))
    assert pq.ParquetFile(tmp_path / "out" / "pics.parquet").num_row_groups == 9
    assert told[0] == ("pics", 60, 7)
    assert told[-1] == ("pics", 60, 60)


def test_only_labelled_posts(filled_home, tmp_path):
    labelled = stored(filled_home, "SELECT count(*) AS n FROM core.labels WHERE subreddit = 'pics'")[0]["n"]
    done = export(filled_home.path, tmp_path / "out", "parquet", ["pics"], labelled_only=True)
    assert done["pics"].posts == done["pics"].written == labelled < 60
    table = pq.read_table(tmp_path / "out" / "pics.parquet")
    assert table.column("score").null_count == 0


def test_vectors_are_added_when_asked_for(filled_home, tmp_path, encoders):
    wanted = {"image": encoders.image, "caption": encoders.caption}
    export(filled_home.path, tmp_path / "out", "parquet", ["pics"], encoders=wanted)
    table = pq.read_table(tmp_path / "out" / "pics.parquet")
    assert table.num_rows == 60
    (vector,) = stored(
        filled_home,
        "SELECT p.post_id, e.embedding FROM core.posts AS p JOIN features.caption_embeddings AS e "
        f"USING (caption_sha256) WHERE p.post_id = '{filled_home.posts[0]}'",
    )
    assert table.column("caption_embedding")[0].as_py() == vector["embedding"]
    assert table.column("image_embedding").null_count == 6
    with pytest.raises(WarehouseError, match="REDPOP_IMAGE_ENCODER") as caught:
        export(filled_home.path, tmp_path / "none", "parquet", ["pics"], encoders={"image": "timm:other/random"})
    assert encoders.image in str(caught.value)
    assert not (tmp_path / "none").exists()


def test_rows_of_older_code_do_not_count_twice(filled_home, tmp_path):
    home = tmp_path / "home"
    warehouse = Warehouse(home, source="test", lock_timeout=30)
    with filled_home.warehouse.read() as old:
        copied = {
            table: old.query(f"FROM {table}")
            for table in ("core.posts", "features.caption_features", "features.timestamp_features")
        }
    for table, rows in copied.items():
        warehouse.merge(table, rows)
    stale = copied["features.caption_features"]
    at = stale.column_names.index("code_version")
    warehouse.merge("features.caption_features", stale.set_column(at, "code_version", [["0"] * stale.num_rows]))
    warehouse.publish()
    export(home, tmp_path / "out", "parquet", ["pics"])
    assert pq.read_table(tmp_path / "out" / "pics.parquet").column("post_id").to_pylist() == filled_home.posts


# WebDataset


def test_shards_are_read_by_webdataset(filled_home, tmp_path):
    done = export(filled_home.path, tmp_path / "out", "webdataset", ["pics"], shard_size=20)
    assert (done["pics"].posts, done["pics"].written) == (60, 54)
    assert done["pics"].left_out == {"no_image": 6, "image_unreadable": 0}
    names = sorted(path.name for path in (tmp_path / "out").glob("*.tar"))
    assert names == ["pics-000000.tar", "pics-000001.tar", "pics-000002.tar"]
    urls = [str(tmp_path / "out" / name) for name in names]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)  # webdataset leaves its files to the garbage collector
        samples = list(webdataset.WebDataset(urls, shardshuffle=False).decode("pil"))
        assert [len(list(webdataset.WebDataset(url, shardshuffle=False))) for url in urls] == [20, 20, 14]
        gc.collect()
    assert [sample["__key__"] for sample in samples] == [sample["json"]["post_id"] for sample in samples]
    rows = {
        row["post_id"]: row
        for row in stored(
            filled_home,
            "SELECT p.post_id, p.caption, l.score, i.path FROM core.posts AS p LEFT JOIN core.labels AS l "
            "USING (post_id) JOIN core.image_fetches AS f ON f.url = p.image_urls[1] "
            "JOIN core.images AS i USING (image_sha256) WHERE p.subreddit = 'pics'",
        )
    }
    assert len(samples) == len(rows) == 54
    for sample in samples:
        row = rows[sample["__key__"]]
        assert (sample["json"]["caption"], sample["json"]["score"]) == (row["caption"], row["score"])
        kind = row["path"].rpartition(".")[2]
        expected = Image.open(io.BytesIO(filled_home.images.read(row["path"]))).convert("RGB")
        assert sample[kind].tobytes() == expected.tobytes()
        assert {name for name in sample if not name.startswith("__")} == {"json", kind}


def test_the_index_counts_shards_and_what_was_left_out(filled_home, tmp_path):
    export(filled_home.path, tmp_path / "out", "webdataset", ["pics"], shard_size=50)
    assert json.loads((tmp_path / "out" / "pics-index.json").read_text()) == {
        "subreddit": "pics",
        "samples": 54,
        "left_out": {"no_image": 6, "image_unreadable": 0},
        "shards": [{"file": "pics-000000.tar", "samples": 50}, {"file": "pics-000001.tar", "samples": 4}],
    }


@pytest.mark.parametrize("shard_size", [1, 18, 53, 54, 55])
def test_no_shard_is_empty(filled_home, tmp_path, shard_size):
    export(filled_home.path, tmp_path / "out", "webdataset", ["pics"], shard_size=shard_size)
    sizes = []
    for path in sorted((tmp_path / "out").glob("*.tar")):
        with tarfile.open(path) as tar:
            sizes.append(len(tar.getmembers()) // 2)
    assert sum(sizes) == 54
    assert set(sizes[:-1]) <= {shard_size}
    assert 0 < sizes[-1] <= shard_size
    assert path.name == f"pics-{len(sizes) - 1:06d}.tar"


def test_equal_posts_make_equal_shards(filled_home, tmp_path):
    digests = []
    for name in ("one", "two"):
        export(filled_home.path, tmp_path / name, "webdataset", ["pics"])
        digests.append(hashlib.sha256((tmp_path / name / "pics-000000.tar").read_bytes()).hexdigest())
    assert digests[0] == digests[1]


def test_files_that_are_missing_or_damaged_are_left_out(filled_home, tmp_path):
    home = tmp_path / "home"
    home.mkdir()
    (home / "redpop.duckdb").write_bytes((filled_home.path / "redpop.duckdb").read_bytes())
    images = ImageStore(home / "images")
    paths = [row["path"] for row in stored(filled_home, "SELECT DISTINCT path FROM core.images ORDER BY 1")]
    used = {row["path"] for row in stored(filled_home, _USED)}
    keep, spoil = sorted(used)[2:], sorted(used)[0]
    for path in keep:
        images.put(filled_home.images.read(path), path.rpartition(".")[2])
    (home / "images" / spoil).parent.mkdir(parents=True, exist_ok=True)
    (home / "images" / spoil).write_bytes(b"not these bytes")
    done = export(home, tmp_path / "out", "webdataset", ["pics"])
    assert done["pics"].left_out["no_image"] == 6
    assert done["pics"].left_out["image_unreadable"] >= 2
    assert done["pics"].written + sum(done["pics"].left_out.values()) == 60
    assert len(paths) > len(used)


_USED = (
    "SELECT DISTINCT i.path FROM core.posts AS p JOIN core.image_fetches AS f ON f.url = p.image_urls[1] "
    "JOIN core.images AS i USING (image_sha256) WHERE p.subreddit = 'pics'"
)


def test_without_any_picture_there_is_no_dataset(fill, empty_warehouse, tmp_path):
    fill(empty_warehouse, "pics", posts=20, images=False)
    empty_warehouse.publish()
    home = empty_warehouse.published.parent
    with pytest.raises(ArtifactError, match="None of the 20 posts of r/pics has a stored picture"):
        export(home, tmp_path / "out", "webdataset", ["pics"])
    assert not (tmp_path / "out").exists()
    assert export(home, tmp_path / "out", "parquet")["pics"].written == 20


# RedCaps


def test_annotations_have_the_form_of_redcaps(filled_home, tmp_path):
    export(filled_home.path, tmp_path / "out", "redcaps", ["pics"])
    names = sorted(path.name for path in (tmp_path / "out" / "annotations").iterdir())
    assert names == ["pics_2026.json", "pics_2027.json", "pics_2028.json"]
    ids = []
    for name in names:
        document = json.loads((tmp_path / "out" / "annotations" / name).read_text())
        year = name[5:9]
        assert document["info"] == {
            "start_date": f"{year}-01-01",
            "end_date": f"{year}-12-31",
            "url": "https://www.reddit.com/r/pics",
            "version": "redpop",
        }
        ids += [annotation["image_id"] for annotation in document["annotations"]]
    assert ids == filled_home.posts
    first = json.loads((tmp_path / "out" / "annotations" / names[0]).read_text())["annotations"][0]
    (row,) = stored(
        filled_home,
        "SELECT p.*, l.score, l.observed_at FROM core.posts AS p JOIN core.labels AS l USING (post_id) "
        f"WHERE p.post_id = '{ids[0]}'",
    )
    assert first == {
        "image_id": ids[0],
        "author": row["author"],
        "url": row["image_urls"][0],
        "raw_caption": row["caption"],
        "caption": row["caption"],
        "subreddit": "pics",
        "score": row["score"],
        "created_utc": int(row["created_at"].replace(tzinfo=UTC).timestamp()),
        "permalink": f"/r/pics/comments/{ids[0]}/",
        "crosspost_parents": None,
        "observed_at": row["observed_at"].isoformat() + "+00:00",
    }


def test_without_names_all_communities_are_exported(filled_home, tmp_path):
    done = export(filled_home.path, tmp_path / "out", "redcaps")
    assert list(done) == ["earthporn", "pics"]
    assert sorted(path.name for path in (tmp_path / "out" / "annotations").iterdir()) == [
        *["earthporn_2026.json", "pics_2026.json", "pics_2027.json", "pics_2028.json"]
    ]


def test_annotations_are_imported_again_with_their_labels(filled_home, tmp_path, monkeypatch):
    # The labels of this home were read in years to come: by clocks that differ from this one by as much.
    monkeypatch.setattr(archived_posts, "_CLOCK_SKEW", timedelta(days=5 * 365))
    export(filled_home.path, tmp_path / "out", "redcaps", ["pics"])
    other = blank_warehouse(tmp_path / "other")
    key = AuthorKey(bytes(32))
    reports = [import_archive(path, "pics", other, key) for path in (tmp_path / "out" / "annotations").iterdir()]
    assert sum(report.posts for report in reports) == 60
    assert sum(report.broken for report in reports) == 0
    back = other.query(
        "SELECT s.post_id, json->>'title' AS caption, json->>'url' AS url, o.score, o.observed_at "
        "FROM raw.submissions AS s JOIN raw.observations AS o USING (post_id) ORDER BY s.post_id"
    ).to_pylist()
    assert len(back) == 60
    labels = {row["post_id"]: row for row in stored(filled_home, "FROM core.labels WHERE subreddit = 'pics'")}
    posts = {row["post_id"]: row for row in stored(filled_home, "FROM core.posts WHERE subreddit = 'pics'")}
    for row in back:
        post = posts[row["post_id"]]
        assert (row["caption"], row["url"]) == (post["caption"], post["image_urls"][0])
        if label := labels.get(row["post_id"]):
            assert (row["score"], row["observed_at"]) == (label["score"], label["observed_at"])
        else:
            assert row["score"] is None


# Forgetting


@pytest.mark.parametrize("format", ["parquet", "webdataset", "redcaps"])
def test_forgotten_posts_are_in_no_later_export(filled_home, tmp_path, format):
    from redpop_assets.storage.forgetting import forget

    home = tmp_path / "home"
    (home / "live").mkdir(parents=True)
    (home / "live" / "redpop.duckdb").write_bytes(filled_home.warehouse.live.read_bytes())
    images = ImageStore(home / "images")
    for row in stored(filled_home, "SELECT DISTINCT path FROM core.images"):
        images.put(filled_home.images.read(row["path"]), row["path"].rpartition(".")[2])
    warehouse = Warehouse(home, source="test", lock_timeout=30)
    warehouse.publish()
    gone = [filled_home.posts[number] for number in (0, 1, 25)]
    export(home, tmp_path / "out", format, ["pics"])
    assert _traces(tmp_path / "out", gone) == 3
    forget(warehouse, images, dict.fromkeys(gone, "by_request"))
    warehouse.publish()
    export(home, tmp_path / "out", format, ["pics"], overwrite=True)
    assert _traces(tmp_path / "out", gone) == 0


def _traces(folder, ids):
    """How many of the ids occur in an export."""
    content = b"".join(path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file())
    if any(folder.glob("*.parquet")):
        content += b" ".join(
            post_id.encode()
            for path in folder.glob("*.parquet")
            for post_id in pq.read_table(path).column("post_id").to_pylist()
        )
    return sum(post_id.encode() in content for post_id in ids)
