"""One deployment at home, and one elsewhere, where `redpop move` has carried it: the same tables, the same forgetting.

Elsewhere is a lake on Postgres for the rows, a bucket for the files, and Postgres for the run history.
"""

import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from redpop_assets.cli.app import app
from redpop_assets.errors import SettingsError
from redpop_assets.resources import author_key, open_images
from redpop_assets.sandbox.clock import Clock
from redpop_assets.sandbox.server import running
from redpop_assets.sandbox.world import World
from redpop_assets.storage.location import open_link
from redpop_assets.storage.published import open_published
from redpop_assets.testing.deployments import SECRET, Deployment
from redpop_assets.testing.object_storage import Seaweed

pytestmark = pytest.mark.end_to_end

CLOCKS = ("_at", "seconds", "since")
"""Ends of names of columns that say when something was done, or how long it took."""


@dataclass(frozen=True)
class Pair:
    """The same deployment twice."""

    local: Deployment
    remote: Deployment
    seaweed: Seaweed
    bucket: str

    def objects(self) -> set[str]:
        """All objects of the bucket."""
        link = open_link(f"s3://{self.bucket}", self.remote.home, self.seaweed.variables())
        return {found["path"] for page in link.client.list() for found in page}


@pytest.fixture(scope="module")
def pair(
    deploy: Any, seaweed: Seaweed, new_postgres: Callable[[], str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Pair]:
    world = World(seed=11, subreddits=("pics",), posts_per_subreddit=150, history=timedelta(days=100))
    bucket = seaweed.bucket()
    with running(world, Clock(world.epoch), secret=SECRET, budget=100_000) as url:
        local = deploy(
            url,
            REDPOP_SUBREDDITS="pics",
            REDPOP_PREDICTORS="metadata_boosting,redpop_thesis",
            REDPOP_REPRODUCIBLE="true",
            REDPOP_BUDGET_DIR=str(tmp_path_factory.mktemp("budget")),
        )
        assert local.run("pics", 'key:"raw/submissions"').success
        home = tmp_path_factory.mktemp("remote") / "home"
        places = {
            "REDPOP_HOME": str(home),
            "REDPOP_STORE": f"s3://{bucket}/redpop",
            "REDPOP_WAREHOUSE": f"ducklake:postgres:{new_postgres()}",
        }
        options = [word for name in places for word in (f"--{name.removeprefix('REDPOP_').lower()}", places[name])]
        with local.using(**seaweed.variables()).environment():
            moved = CliRunner().invoke(app, ["move", *options])
        assert moved.exit_code == 0, moved.output
        history = {"REDPOP_DAGSTER_STORAGE": new_postgres()}
        remote = replace(local, home=home, variables={**local.variables, **places, **history, **seaweed.variables()})
        rest = 'not key:"raw/submissions"'
        assert local.run("pics", rest).success
        with remote.instance() as (_, instance):
            run = remote.run("pics", rest, instance)
        assert run.success, run.failures
        yield Pair(local, remote, seaweed, bucket)


def digests(deployment: Deployment) -> dict[str, Any]:
    """Number and digest of the rows of each published table and view, less what is told of clocks."""
    found = {}
    connection = open_published(deployment.home)
    for name, table in deployment.warehouse.schema.items():
        columns = ", ".join(f'"{column}"' for column in table.column_names if not column.endswith(CLOCKS))
        found[name] = connection.execute(
            f"SELECT count(*), sum(hash(r)::HUGEINT)::VARCHAR FROM (SELECT {columns} FROM {name}) AS r"
        ).fetchone()
    connection.close()
    return found


def test_every_table_comes_out_the_same_and_the_files_are_in_the_bucket_alone(pair):
    local, remote = digests(pair.local), digests(pair.remote)
    assert {name for name in local if local[name] != remote[name]} == set()
    assert remote["core.images"][0] > 100
    assert remote["models.predictors"][0] == 3
    assert remote["marts.leaderboard"][0] > 0
    keys = pair.objects()
    paths = {row["path"] for row in pair.remote.rows("SELECT path FROM core.images")}
    assert {key.removeprefix("redpop/images/") for key in keys if key.startswith("redpop/images/")} == paths
    assert {key.split("/")[1] for key in keys} == {"images", "lake", "models"}
    assert not [name for name in ("images", "models", "figures", "lake") if (pair.remote.home / name).exists()]
    assert not (pair.remote.home / "live" / "redpop.duckdb").exists()


def test_nothing_is_done_again_where_nothing_is_new(pair):
    before = {key for key in pair.objects() if "/lake/" not in key}
    for select in ('key:"core/images"', 'group:"features"', 'group:"models"'):
        run = pair.remote.run("pics", select)
        assert run.success, run.failures
    assert {key for key in pair.objects() if "/lake/" not in key} == before


def test_a_machine_that_lacks_the_key_of_the_authors_makes_no_other_one(pair, new_postgres, tmp_path):
    home = tmp_path / "second" / "home"
    home.parent.mkdir()
    places = {"REDPOP_HOME": str(home), "REDPOP_DAGSTER_STORAGE": new_postgres()}
    second = replace(pair.remote, home=home, variables={**pair.remote.variables, **places})
    with second.environment() as settings:
        with pytest.raises(SettingsError, match=r"a key that neither .*author\.key.* Copy author\.key of the"):
            author_key(settings)
        assert not (home / "author.key").exists()
        home.mkdir(exist_ok=True)
        shutil.copy(pair.remote.home / "author.key", home / "author.key")
        assert author_key(settings) == author_key(pair.remote.settings)


def test_rows_come_back_into_a_file(pair, tmp_path):
    home = tmp_path / "back" / "home"
    with pair.remote.environment():
        moved = CliRunner().invoke(app, ["move", "--home", str(home), "--warehouse", "file"])
    assert moved.exit_code == 0, moved.output
    assert "REDPOP_WAREHOUSE=" in moved.output
    back = replace(pair.remote, home=home, variables={**pair.remote.variables, "REDPOP_HOME": str(home)})
    assert digests(back.using(REDPOP_WAREHOUSE="")) == digests(pair.remote)


def test_predicting_verifying_and_exporting_read_from_the_bucket(pair, tmp_path):
    shutil.rmtree(pair.remote.home / "cache")
    asked = (
        ("predict", "-r", "pics", "-t", "A lake"),
        ("images", "verify"),
        ("export", "--to", str(tmp_path / "out"), "--format", "webdataset"),
    )
    with pair.remote.environment():
        for words in asked:
            done = CliRunner().invoke(app, list(words))
            assert done.exit_code == 0, done.output
    assert list((tmp_path / "out").glob("*.tar"))
    assert list((pair.remote.home / "cache" / "models").iterdir())


def test_the_picture_of_a_forgotten_post_is_in_no_object_and_no_file_of_the_server(pair):
    (post,) = pair.remote.rows("""
        SELECT p.post_id, i.path FROM core.posts AS p
        JOIN core.image_fetches AS f ON f.url = p.image_urls[1] JOIN core.images AS i USING (image_sha256)
        WHERE p.kind = 'image' AND 1 = (SELECT count(*) FROM core.duplicates AS d WHERE d.duplicate_group = p.post_id)
        ORDER BY p.post_id LIMIT 1
    """)
    with pair.remote.environment() as settings:
        images = open_images(settings)
        picture = images.read(post["path"])
        trace = picture[len(picture) // 2 :][:200]
        assert _files_with(pair.seaweed.data, trace)
        done = CliRunner().invoke(app, ["forget", post["post_id"], "--yes"])
        assert done.exit_code == 0, done.output
        assert "1 posts forgotten, 1 image files removed" in done.output
        assert "versions" not in done.output
    assert not [key for key in pair.objects() if post["path"] in key]
    link = open_link(f"s3://{pair.bucket}", pair.remote.home, pair.seaweed.variables())
    assert not [key for key in pair.objects() if trace in bytes(link.client.get(key).bytes())]
    # The server writes one file for many objects, and takes out what was deleted when it is told to, or in time.
    until = time.monotonic() + 60
    while _files_with(pair.seaweed.data, trace) and time.monotonic() < until:
        pair.seaweed.shell("lock", "volume.vacuum -garbageThreshold=0.000001", "unlock")
        time.sleep(1)
    assert _files_with(pair.seaweed.data, trace) == []


def _files_with(folder: Path, trace: bytes) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file() and trace in path.read_bytes()]
