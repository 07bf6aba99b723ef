"""A post is deleted and an account closed on the (sandbox) Reddit: what is left of them after the next refresh."""

import json
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest
from typer.testing import CliRunner

from redpop_assets.cli.app import app
from redpop_assets.privacy.author_key import AuthorKey
from redpop_assets.sandbox.clock import Clock
from redpop_assets.sandbox.server import running
from redpop_assets.sandbox.world import World
from redpop_assets.testing.deployments import SECRET, Deployment

pytestmark = pytest.mark.end_to_end

UP_TO_THE_FEATURES = 'group:"raw" or group:"core" or group:"features"'
POSTS_ALONE = 'group:"raw" or group:"core"'


@dataclass
class Scene:
    """A deployment on a small world of its own, and what its clock and control panel can do."""

    deployment: Deployment
    clock: Clock
    url: str
    people: dict[str, str]
    """author's name by post id"""

    def refresh(self, select: str = UP_TO_THE_FEATURES, **advance: float) -> None:
        self.clock.advance(timedelta(**advance))
        for subreddit in self.deployment.settings.partitions:
            run = self.deployment.run(subreddit, select)
            assert run.success, run.failures
            # Weeks later a young community looks different, of which it warns.
            assert {name for _, name in run.failed_checks} <= {"looks_as_before"}
        assert self.deployment.run("pics", 'key:"marts/published_warehouse"').success

    def tell_reddit(self, **what: str) -> None:
        request = urllib.request.Request(f"{self.url}/sandbox/delete", json.dumps(what).encode())
        with urllib.request.urlopen(request, timeout=10) as answer:
            assert answer.status == 200

    def digest(self, author: str) -> str:
        return AuthorKey.load_or_create(self.deployment.home / "author.key").digest(author)

    def published(self, sql: str) -> list[Any]:
        with duckdb.connect(self.deployment.home / "redpop.duckdb", read_only=True) as conn:
            return conn.execute(sql).fetchall()

    def everything(self) -> dict[str, str]:
        """All values of each table of both database files, tombstones left out, and all other text below the home.

        Vectors of numbers hold no text, and would be most of it.
        """
        found = {}
        for file in ("live/redpop.duckdb", "redpop.duckdb"):
            with duckdb.connect(self.deployment.home / file, read_only=True) as conn:
                tables = conn.execute(
                    "SELECT schema_name || '.' || table_name, "
                    "string_agg('\"' || column_name || '\"', ', ') FILTER (NOT starts_with(data_type, 'FLOAT[')) "
                    "FROM duckdb_tables() JOIN duckdb_columns() USING (schema_name, table_name) GROUP BY ALL"
                ).fetchall()
                for name, columns in tables:
                    if name != "raw.tombstones":
                        found[f"{name} in {file}"] = str(conn.execute(f"SELECT {columns} FROM {name}").fetchall())
        assert len(found) > 40
        for path in self.deployment.home.rglob("*"):
            if path.is_file() and path.suffix != ".duckdb" and "images" not in path.parts:
                found[str(path)] = path.read_bytes().decode(errors="replace")
        return found

    def places(self, *traces: str) -> list[str]:
        """Where any of these texts stands."""
        return [place for place, text in self.everything().items() if any(trace in text for trace in traces)]

    def files(self) -> set[str]:
        root = self.deployment.home / "images"
        return {path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def scene(deploy: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    world = World(seed=5, subreddits=("pics",), posts_per_subreddit=90, history=timedelta(days=20))
    clock = Clock(world.epoch)
    with running(world, clock, secret=SECRET, budget=100_000) as url:
        deployment = deploy(
            url,
            REDPOP_SUBREDDITS="pics",
            REDPOP_HARVEST_PLAN="new@1h",
            REDPOP_BUDGET_DIR=str(tmp_path_factory.mktemp("budget")),
        )
        now = world.epoch.timestamp()
        people = {post.id: post.author for name in world.subreddits for post in world.posts(name, now)}
        scene = Scene(deployment, clock, url, people)
        scene.refresh()
        yield scene


def chosen(scene: Scene, number: int = 0) -> dict[str, Any]:
    """A post whose picture, caption and author nobody else has anything to do with."""
    rows = scene.deployment.rows("""
        SELECT p.post_id, p.caption, p.caption_sha256, i.image_sha256, i.path, p.image_urls[1] AS url
        FROM core.posts AS p
        JOIN core.image_fetches AS f ON f.url = p.image_urls[1] JOIN core.images AS i USING (image_sha256)
        JOIN features.image_embeddings AS e USING (image_sha256)
        WHERE p.kind = 'image' AND p.author_present
            AND 1 = (SELECT count(*) FROM core.duplicates AS d WHERE d.duplicate_group = p.post_id)
            AND 1 = (SELECT count(*) FROM core.posts AS q WHERE q.caption_sha256 = p.caption_sha256)
        ORDER BY p.post_id
    """)
    return rows[number]


def test_a_deleted_post_leaves_nothing_but_a_tombstone(scene):
    post = chosen(scene)
    traces = (post["post_id"], post["caption"], post["caption_sha256"], post["image_sha256"], post["url"])
    texts = scene.everything().values()
    assert all(any(trace in text for text in texts) for trace in traces)
    assert post["path"] in scene.files()
    scene.tell_reddit(post_id=post["post_id"])
    scene.refresh(hours=25)
    assert scene.places(*traces) == []
    assert post["path"] not in scene.files()
    (tombstone,) = scene.published(f"SELECT reason FROM raw.tombstones WHERE post_id = '{post['post_id']}'")
    assert tombstone == ("removed_by_deleted",)
    scene.refresh(POSTS_ALONE, hours=25)  # and it does not come back
    assert scene.places(post["post_id"]) == []


def test_a_closed_account_leaves_no_trace_and_its_posts_stay(scene):
    post = chosen(scene, 3)
    author = scene.people[post["post_id"]]
    theirs = {post_id for post_id, name in scene.people.items() if name == author}
    kept = {row["post_id"] for row in scene.deployment.rows("SELECT post_id FROM core.posts")} & theirs
    digest = scene.digest(author)
    assert kept
    assert scene.places(digest)
    scene.tell_reddit(author=author)
    scene.refresh(hours=25)
    assert scene.places(digest, author) == []
    left = {row["post_id"] for row in scene.deployment.rows("SELECT post_id FROM core.posts WHERE author IS NULL")}
    gone = {row["post_id"] for row in scene.deployment.rows("SELECT post_id FROM raw.tombstones")}
    assert kept <= left | gone
    assert kept & left


def test_forgetting_by_hand(scene):
    post, other = chosen(scene, 5), chosen(scene, 7)
    author = scene.people[other["post_id"]]
    with scene.deployment.environment():
        asked = CliRunner().invoke(app, ["forget", post["post_id"]], input="n\n")
        assert asked.exit_code == 1
        assert scene.places(post["post_id"])
        done = CliRunner().invoke(
            app, ["forget", f"https://www.reddit.com/r/pics/comments/{post['post_id']}/x/", "--yes"]
        )
        assert done.exit_code == 0, done.output
        assert "1 posts forgotten, 1 image files removed" in done.output
        by_author = CliRunner().invoke(app, ["forget", "--author", f"u/{author}", "--yes"])
        assert by_author.exit_code == 0, by_author.output
    for found in (post, other):
        assert scene.places(found["post_id"], found["caption"]) == []
        assert found["path"] not in scene.files()
    assert scene.places(scene.digest(author)) == []
    reasons = dict(scene.published("SELECT post_id, reason FROM raw.tombstones"))
    assert (reasons[post["post_id"]], reasons[other["post_id"]]) == ("by_request", "author_by_request")
    scene.refresh(POSTS_ALONE, hours=2)  # Reddit still shows both
    assert scene.places(post["post_id"]) == []
    assert scene.deployment.scalar(
        "SELECT count(*) FROM raw.tombstones WHERE post_id = $id AND reason = 'by_request'", {"id": post["post_id"]}
    )


def test_the_key_can_be_replaced(scene):
    before = dict(scene.published("SELECT post_id, author FROM core.posts WHERE author IS NOT NULL"))
    old = (scene.deployment.home / "author.key").read_bytes()
    with scene.deployment.environment():
        done = CliRunner().invoke(app, ["new-author-key", "--yes"])
        assert done.exit_code == 0, done.output
    after = dict(scene.published("SELECT post_id, author FROM core.posts WHERE author IS NOT NULL"))
    assert (scene.deployment.home / "author.key").read_bytes() != old
    assert before.keys() == after.keys()
    assert not set(before.values()) & set(after.values())
    renamed = {(before[post_id], after[post_id]) for post_id in before}
    assert len(renamed) == len(set(before.values())) == len(set(after.values()))
    assert scene.places(*set(before.values())) == []
    scene.refresh(POSTS_ALONE, hours=25)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "Name what to forget"),
        (["r/pics"], "names no post"),
        (["https://example.com/x"], "names no post"),
    ],
)
def test_what_cannot_be_forgotten_is_explained(scene, arguments, message):
    with scene.deployment.environment():
        result = CliRunner().invoke(app, ["forget", *arguments, "--yes"])
    assert result.exit_code != 0
    assert message in result.output


def test_nothing_is_made_where_there_is_no_warehouse(deploy, tmp_path: Path):
    deployment = deploy("http://127.0.0.1:9", REDPOP_HOME=str(tmp_path / "empty"))
    with deployment.environment():
        result = CliRunner().invoke(app, ["forget", "1abc", "--yes"])
    assert "There is no warehouse" in result.output
    assert not (tmp_path / "empty").exists()
