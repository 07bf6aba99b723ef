"""Two machines, here two homes and their processes, share a deployment: a lake, a bucket, a run history, one budget."""

import io
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from redpop_assets.cli.app import app
from redpop_assets.cli.diagnosis import request_budget
from redpop_assets.errors import RedPopError
from redpop_assets.sandbox.clock import Clock
from redpop_assets.sandbox.server import running
from redpop_assets.sandbox.world import World
from redpop_assets.storage.location import open_link
from redpop_assets.storage.published import open_published
from redpop_assets.testing.deployments import SECRET, Deployment
from redpop_assets.testing.object_storage import Seaweed
from redpop_assets.testing.postgres import PostgresServer

pytestmark = pytest.mark.end_to_end

ALLOWED = 996
POSTS = 24
SELECT = 'key:"raw/submissions" or key:"core/posts" or key:"core/images"'


@dataclass(frozen=True)
class Machines:
    """The two of them, and what they share."""

    first: Deployment
    second: Deployment
    bucket: str
    seaweed: Seaweed
    catalogue: str

    def holds(self, text: str, server: PostgresServer) -> bool:
        """Whether a text is in a file of the lake, whatever snapshot that belongs to, or in its catalogue."""
        link = open_link(f"s3://{self.bucket}/redpop/lake", self.first.home, self.seaweed.variables())
        for page in link.client.list():
            for found in page:
                rows = pq.read_table(io.BytesIO(link.client.get(found["path"]).bytes()))
                if text in str(rows.to_pydict()):
                    return True
        return text.encode() in server.dump(self.catalogue)


@pytest.fixture(scope="module")
def machines(deploy: Any, seaweed: Seaweed, new_postgres: Callable[[], str]) -> Iterator[Machines]:
    world = World(seed=3, posts_per_subreddit=POSTS, history=timedelta(days=30))
    bucket, catalogue = seaweed.bucket(), new_postgres()
    with running(world, Clock(world.epoch), secret=SECRET, budget=ALLOWED) as url:
        common = {
            "REDPOP_STORE": f"s3://{bucket}/redpop",
            "REDPOP_WAREHOUSE": f"ducklake:postgres:{catalogue}",
            "REDPOP_DAGSTER_STORAGE": new_postgres(),
            "REDPOP_HARVEST_PLAN": "new",
            "REDPOP_CHUNK_SIZE": "8",
            **seaweed.variables(),
        }
        yield Machines(deploy(url, **common), deploy(url, **common), bucket, seaweed, catalogue)


def started(machine: Deployment, subreddit: str) -> subprocess.Popen[str]:
    machine.home.mkdir(exist_ok=True)
    return subprocess.Popen(
        [sys.executable, "-m", "redpop_assets.cli", "materialize", "-r", subreddit, "--select", SELECT],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        env=machine.full_environment,
        cwd=machine.home.parent,
    )


def said_until(process: subprocess.Popen[str], pattern: str = r"(?!)") -> str:
    """What a process prints, up to a line with the pattern, or to the end."""
    lines = []
    for line in process.stderr or ():
        lines.append(line)
        if re.search(pattern, line):
            break
    return "".join(lines)


@contextmanager
def somebody_reads(machine: Deployment) -> Iterator[list[int]]:
    """Numbers of posts that a reader finds in the warehouse, again and again, until the block ends."""
    counts: list[int] = []
    failures: list[RedPopError] = []
    over = threading.Event()
    warehouse = machine.warehouse

    def read() -> None:
        while not over.wait(0.2):
            try:
                if warehouse.exists():
                    counts.append(warehouse.scalar("SELECT count(*) FROM raw.submissions"))
            except RedPopError as error:
                failures.append(error)
                return

    thread = threading.Thread(target=read)
    thread.start()
    try:
        yield counts
    finally:
        over.set()
        thread.join()
    assert failures == []


def test_two_harvest_at_once_one_is_killed_and_a_post_is_forgotten_while_somebody_reads(
    machines: Machines, postgres_server: PostgresServer
) -> None:
    first, second = machines.first, machines.second
    with somebody_reads(first) as counts:
        one, other, later = started(first, "pics"), started(second, "earthporn"), []
        try:
            told = said_until(other, r"download +fetched 8 of")
            other.kill()
            assert other.wait() == -signal.SIGKILL, told
            told = said_until(one)
            assert one.wait() == 0, told
            later.append(started(second, "earthporn"))
            told = said_until(later[0])
            assert later[0].wait() == 0, told
        finally:
            for process in [one, other, *later]:
                process.kill()
                process.wait()
                process.stderr.close()
        (post,) = first.rows("SELECT post_id, caption FROM core.posts WHERE subreddit = 'earthporn' ORDER BY 1 LIMIT 1")
        assert machines.holds(post["caption"], postgres_server)
        harvested = list(counts)
        with first.environment():
            done = CliRunner().invoke(app, ["forget", post["post_id"], "--yes"])
        assert done.exit_code == 0, done.output
    assert harvested == sorted(harvested)  # a kill takes nothing away that a reader has seen
    assert len({*harvested}) > 2

    # What two wrote, and one of them twice, is there once; both see it, and the forgotten post nobody.
    for machine in (first, second):
        schema = machine.warehouse.schema
        for name, table in schema.items():
            if table.key and not table.is_view and table.layer in ("raw", "core"):
                keys = ", ".join(f'"{column}"' for column in table.key)
                doubled = f"SELECT count(*) FROM (FROM {name} SELECT {keys} GROUP BY ALL HAVING count(*) > 1)"
                assert machine.scalar(doubled) == 0, name
        per_community = machine.rows("SELECT subreddit, count(*) AS n FROM raw.submissions GROUP BY 1 ORDER BY 1")
        assert [row["subreddit"].lower() for row in per_community] == ["earthporn", "pics"]
        assert all(row["n"] > POSTS / 2 for row in per_community)
        assert machine.scalar("SELECT count(*) FROM core.posts WHERE post_id = $id", {"id": post["post_id"]}) == 0
    assert not machines.holds(post["caption"], postgres_server)
    published = open_published(first.home)
    assert published.execute("SELECT count(*) FROM core.posts WHERE post_id = ?", [post["post_id"]]).fetchone() == (0,)
    published.close()

    budgets = []
    for machine in (first, second):
        with machine.environment() as settings:
            budgets.append(request_budget(settings))
    assert budgets[0] == budgets[1]
    (left,) = re.findall(rf"^(\d+) of {ALLOWED} requests left", budgets[0])
    listings = first.scalar("SELECT sum(requests) FROM raw.listing_reads")
    assert int(left) <= ALLOWED - listings
    assert (first.home / "author.key").read_bytes() == (second.home / "author.key").read_bytes()
