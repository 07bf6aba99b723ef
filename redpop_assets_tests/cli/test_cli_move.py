"""`redpop move` as people type it."""

from datetime import datetime

import pyarrow as pa
import pytest

from redpop_assets.resources import author_key, open_images, open_models, open_warehouse
from redpop_assets.settings import load_settings

pytestmark = pytest.mark.integration


@pytest.fixture
def home(tmp_path, only):
    """A home with rows, a picture, a model, a key and what was measured."""
    with only({}, tmp_path):
        settings = load_settings(home=tmp_path / "old")
        author_key(settings)
        tombstones = pa.table(
            {
                "post_id": ["a1", "a2"],
                **dict.fromkeys(("first_seen_at", "last_seen_at", "forgotten_at"), [datetime(2026, 1, 1)] * 2),
                "reason": ["deleted", "by_request"],
            }
        )
        open_warehouse(settings).append("raw.tombstones", tombstones)
        open_images(settings).put(b"a picture", "jpg")
        with open_models(settings).new("pics", "gbm") as model:
            (model.folder / "a").write_text("1")
        (settings.home / "tuning").mkdir()
        (settings.home / "tuning" / "x.json").write_text("{}")
    return settings.home


def test_a_home_moves_and_the_old_one_stays(redpop, home, tmp_path):
    before = {path.relative_to(home) for path in home.rglob("*")}
    answer = redpop("move", "--home", str(tmp_path / "new"), REDPOP_HOME=str(home))
    assert answer.code == 0, answer.output
    assert "raw.tombstones: 2 rows" in answer.output
    assert "1 pictures and figures (0.0 MB) and 1 models are there" in answer.output
    assert f"REDPOP_HOME={tmp_path / 'new'}" in answer.output
    assert "REDPOP_STORE" not in answer.output
    assert {path.relative_to(home) for path in home.rglob("*")} >= before
    new = load_settings(home=tmp_path / "new")
    assert open_warehouse(new).scalar("SELECT count(*) FROM raw.tombstones") == 2
    assert (new.home / "author.key").read_bytes() == (home / "author.key").read_bytes()
    assert (new.home / "author.key").stat().st_mode & 0o077 == 0
    assert (new.home / "tuning" / "x.json").exists()
    assert sum(len(list(files)) for _, files in open_images(new).files()) == 1
    again = redpop("move", "--home", str(tmp_path / "new"), REDPOP_HOME=str(home))
    assert again.code == 1
    assert "The target has rows already (raw.tombstones)" in again.output


def test_the_files_move_into_a_bucket(redpop, home, seaweed, tmp_path):
    store = f"s3://{seaweed.bucket()}/redpop"
    variables = {"REDPOP_HOME": str(home), **seaweed.variables()}
    answer = redpop("move", "--store", store, **variables)
    assert answer.code == 0, answer.output
    assert f"REDPOP_STORE={store}" in answer.output
    assert "REDPOP_HOME" not in answer.output
    back = redpop("move", "--home", str(tmp_path / "new"), "--store", str(tmp_path / "files"), **variables)
    assert back.code == 0, back.output
    assert len(list((tmp_path / "files" / "images").rglob("*.jpg"))) == 1


def test_what_cannot_be_moved_is_said(redpop, home, tmp_path):
    here = {"REDPOP_HOME": str(home)}
    assert "Name where it goes: --home DIRECTORY" in redpop("move", **here).output
    assert "lie in each other" in redpop("move", "--home", str(home / "inside"), **here).output
    assert "There is no warehouse at" in redpop("move", "--home", str(home), REDPOP_HOME=str(tmp_path / "none")).output
    other = tmp_path / "other"
    other.mkdir()
    (other / "author.key").write_bytes(bytes(32))
    answer = redpop("move", "--home", str(other), **here)
    assert "has an author.key of its own" in answer.output
    assert answer.code == 1
