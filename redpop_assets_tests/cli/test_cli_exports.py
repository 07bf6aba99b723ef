"""`redpop export` as people type it."""

import pyarrow.parquet as pq
import pytest

pytestmark = pytest.mark.integration


def test_before_anything_is_published(redpop, tmp_path):
    answer = redpop("export", "--to", "out")
    assert answer.code == 1
    assert "Nothing is published" in answer.output
    assert "redpop materialize" in answer.output
    assert not (tmp_path / "out").exists()


@pytest.fixture
def home(fill, empty_warehouse):
    """Published posts without pictures."""
    fill(empty_warehouse, "pics", posts=40)
    empty_warehouse.publish()
    return {"REDPOP_HOME": str(empty_warehouse.published.parent)}


def test_export_as_parquet_and_again(redpop, tmp_path, home):
    answer = redpop("export", "--to", "out", "-r", "Pics", **home)
    assert answer.code == 0, answer.output
    assert "r/pics: 40 of 40 posts" in answer.output
    assert "out/manifest.json says what is in it" in answer.output
    assert pq.read_metadata(tmp_path / "out" / "pics.parquet").num_rows == 40
    answer = redpop("export", "--to", "out", "--format", "redcaps", **home)
    assert (answer.code, "replace it with --overwrite" in answer.output) == (1, True)
    answer = redpop("export", "--to", "out", "--format", "redcaps", "--labelled-only", "--overwrite", **home)
    assert answer.code == 0, answer.output
    assert "r/pics: 40 of 40 posts" not in answer.output
    assert [path.name for path in (tmp_path / "out" / "annotations").iterdir()] == ["pics_2026.json"]


def test_what_cannot_be_exported(redpop, tmp_path, home):
    for arguments, message in [
        (("-r", "aww"), "has no posts of r/aww; it has posts of: r/pics (40)"),
        (("--format", "csv"), "choose from parquet, webdataset, redcaps"),
        (("--format", "webdataset"), "None of the 40 posts of r/pics has a stored picture"),
        (("--embeddings",), "has no image embeddings of open_clip:ViT-B-32/laion2b_s34b_b79k"),
    ]:
        answer = redpop("export", "--to", "out", *arguments, **home)
        assert (answer.code, message in answer.output) == (1, True), answer.output
    assert not (tmp_path / "out").exists()


def test_export_with_vectors(redpop, tmp_path, home, encoders):
    variables = {"REDPOP_IMAGE_ENCODER": encoders.image, "REDPOP_CAPTION_ENCODER": encoders.caption, **home}
    answer = redpop("export", "--to", "out", "--embeddings", **variables)
    assert answer.code == 0, answer.output
    columns = pq.read_schema(tmp_path / "out" / "pics.parquet").names
    assert {"image_embedding", "caption_embedding"} <= set(columns)
