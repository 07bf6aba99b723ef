"""Import and export on the command line: what people type, what they are told, and how it ends."""

import json
import sys

import pyarrow.parquet as pq
import pytest
from rich.console import Console

from redpop_assets import cli
from redpop_assets.reddit import imports

BORN = 1_600_000_000


@pytest.fixture
def redpop(only, tmp_path, monkeypatch, capfd):
    """Run `redpop …` in an empty folder with these variables; returns exit code and output in one line."""

    def run(*arguments, **variables):
        monkeypatch.setattr(sys, "argv", ["redpop", *arguments])
        monkeypatch.setattr(cli, "_console", Console(width=200))
        with only(variables, tmp_path), pytest.raises(SystemExit) as end:
            cli.main()
        captured = capfd.readouterr()
        assert "Traceback" not in captured.out + captured.err
        return int(end.value.code or 0), " ".join((captured.out + captured.err).split())

    return run


def dump(path, *posts):
    path.write_text(
        "".join(
            json.dumps(
                {
                    "id": f"a{number}",
                    "title": f"Post {number}",
                    "created_utc": BORN + number,
                    "score": number,
                    "url": f"https://i.redd.it/a{number}.jpg",
                    "retrieved_on": BORN + 10_000_000,
                }
                | ({"subreddit": subreddit} if subreddit else {})
            )
            + "\n"
            for number, subreddit in enumerate(posts)
        ),
        encoding="utf-8",
    )


# Import


def test_all_communities_of_the_settings_are_imported_in_one_pass(redpop, tmp_path):
    dump(tmp_path / "RS.ndjson", "pics", "earthporn", "pics", "cats", "aww")
    code, output = redpop("import", "RS.ndjson", REDPOP_SUBREDDITS="pics,EarthPorn,aww,dogs")
    assert code == 0, output
    for words in ("2 posts of r/pics", "1 posts of r/earthporn", "1 posts of r/aww", "1 posts of other communities"):
        assert words in output
    assert "r/dogs" not in output
    assert "redpop materialize --no-harvest --subreddit aww --subreddit earthporn --subreddit pics" in output


def test_some_communities(redpop, tmp_path):
    dump(tmp_path / "RS.ndjson", "pics", "earthporn", "pics", "cats")
    variables = {"REDPOP_SUBREDDITS": "pics,EarthPorn,cats,dogs"}
    code, output = redpop("import", "RS.ndjson", "-r", "cats", "-r", "r/EarthPorn", **variables)
    assert code == 0, output
    assert "2 posts of other communities were left out" in output
    code, output = redpop("import", "RS.ndjson", "-r", "dogs", **variables)
    assert (code, "No post of r/dogs is in RS.ndjson" in output) == (0, True)
    assert "Next:" not in output


def test_a_file_that_names_no_community(redpop, tmp_path):
    dump(tmp_path / "RS.ndjson", None, None)
    code, output = redpop("import", "RS.ndjson")
    assert code == 1
    assert "import the file for that one alone" in output
    code, output = redpop("import", "RS.ndjson", "-r", "pics")
    assert (code, "2 posts of r/pics" in output) == (0, True)


def test_an_interrupted_import_says_where_it_goes_on(redpop, tmp_path, monkeypatch):
    dump(tmp_path / "RS.ndjson", *["pics"] * 50)
    monkeypatch.setattr(imports, "_CHUNK_SIZE", 20)
    store = imports._Pass.store
    stored = []

    def stop(self, chunk, warehouse, key):
        if stored:
            raise KeyboardInterrupt
        stored.append(store(self, chunk, warehouse, key))

    with monkeypatch.context() as patch:
        patch.setattr(imports._Pass, "store", stop)
        assert redpop("import", "RS.ndjson")[0] != 0
    code, output = redpop("import", "RS.ndjson")
    assert code == 0, output
    assert "it went on after line 20" in output
    assert "50 posts of r/pics in RS.ndjson: 50 new posts" in output


# Export


def test_before_anything_is_published(redpop, tmp_path):
    code, output = redpop("export", "--to", "out")
    assert code == 1
    assert "Nothing is published" in output
    assert "redpop materialize" in output
    assert not (tmp_path / "out").exists()


@pytest.fixture
def home(fill, empty_warehouse):
    """Published posts without pictures."""
    fill(empty_warehouse, "pics", posts=40)
    empty_warehouse.publish()
    return {"REDPOP_HOME": str(empty_warehouse.published.parent)}


def test_export_as_parquet_and_again(redpop, tmp_path, home):
    code, output = redpop("export", "--to", "out", "-r", "Pics", **home)
    assert code == 0, output
    assert "r/pics: 40 of 40 posts" in output
    assert "out/manifest.json says what is in it" in output
    assert pq.read_metadata(tmp_path / "out" / "pics.parquet").num_rows == 40
    code, output = redpop("export", "--to", "out", "--format", "redcaps", **home)
    assert (code, "replace it with --overwrite" in output) == (1, True)
    code, output = redpop("export", "--to", "out", "--format", "redcaps", "--labelled-only", "--overwrite", **home)
    assert code == 0, output
    assert "r/pics: 40 of 40 posts" not in output
    assert [path.name for path in (tmp_path / "out" / "annotations").iterdir()] == ["pics_2026.json"]


def test_what_cannot_be_exported(redpop, tmp_path, home):
    for arguments, message in [
        (("-r", "aww"), "has no posts of r/aww; it has posts of: r/pics (40)"),
        (("--format", "csv"), "choose from parquet, webdataset, redcaps"),
        (("--format", "webdataset"), "None of the 40 posts of r/pics has a stored picture"),
        (("--embeddings",), "has no image embeddings of open_clip:ViT-B-32/laion2b_s34b_b79k"),
    ]:
        code, output = redpop("export", "--to", "out", *arguments, **home)
        assert (code, message in output) == (1, True), output
    assert not (tmp_path / "out").exists()


def test_export_with_vectors(redpop, tmp_path, home, encoders):
    variables = {"REDPOP_IMAGE_ENCODER": encoders.image, "REDPOP_CAPTION_ENCODER": encoders.caption, **home}
    code, output = redpop("export", "--to", "out", "--embeddings", **variables)
    assert code == 0, output
    columns = pq.read_schema(tmp_path / "out" / "pics.parquet").names
    assert {"image_embedding", "caption_embedding"} <= set(columns)
