"""The demo: the whole graph on the sandbox, in a home of its own, and the ceiling of its leaderboard."""

import json
import os
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import IO, Any

import duckdb
import numpy as np
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.table import Table as Grid

from redpop_assets.errors import RedPopError
from redpop_assets.evaluation.bootstrap import author_clusters, interval, spearman_of
from redpop_assets.evaluation.comparison import AMONG_BEST, BEST
from redpop_assets.pages.leaderboard import by_spearman, detectable_lines, legend, with_interval
from redpop_assets.settings import Settings, load_settings

HOME = "warehouse/demo"
_MARKS = {BEST: " *", AMONG_BEST: " †"}
SUBREDDITS = ("pics", "EarthPorn")
_READY_SECONDS = 60.0


def demo_settings(port: int, home: str = HOME, **more: str) -> Settings:
    """The settings of a demo, also put into the environment, where the processes it starts look for them.

    Args:
        port: of the sandbox.
        home: directory of its own.
        more: further variables.
    """
    url = f"http://127.0.0.1:{port}"
    os.environ.update(
        {
            "REDPOP_HOME": home,
            "REDPOP_BUDGET_DIR": str(Path(home).absolute() / "budget"),
            "REDPOP_SOURCE": "sandbox",
            "REDPOP_SUBREDDITS": ",".join(SUBREDDITS),
            "REDPOP_REDDIT_URL": url,
            "REDPOP_OAUTH_URL": url,
            "REDPOP_IMAGE_HOSTS_ALLOWED": f"127.0.0.1:{port}",
            "REDPOP_IMAGE_CONCURRENCY_PER_HOST": "8",
            "REDPOP_IMAGE_ENCODER": "timm:tf_efficientnet_lite0/bundled",
            "REDPOP_CAPTION_ENCODER": "sentence_transformers:all-MiniLM-L6-v2/bundled",
            "REDDIT_CLIENT_ID": "sandbox",
            "REDDIT_CLIENT_SECRET": "sandbox",
            "REDDIT_USER_AGENT": "linux:redpop:0.1 (by /u/sandbox)",
            **more,
        }
    )
    return load_settings()


def run_demo(settings: Settings, *, port: int, posts: int, advance: timedelta | None, console: Console) -> None:
    """Start the sandbox, materialize everything, and end with the leaderboard beside its ceiling.

    Raises:
        RedPopError: the sandbox does not start, or a run fails.
    """
    from redpop_assets.runs import materialize

    began = time.perf_counter()
    with sandbox_process(settings, port, posts=posts):
        url = f"http://127.0.0.1:{port}"
        if advance is not None:
            console.print(f"World time is now {advance_clock(url, advance)}.")
        outcomes = materialize(settings, settings.partitions)
        if failures := [failure for outcome in outcomes for failure in outcome.failures]:
            raise RedPopError("The demo did not finish:\n" + "\n".join(failures))
        ceilings = {name: ceiling(settings, url, name) for name in settings.partitions}
    published = settings.home / "redpop.duckdb"
    with duckdb.connect(published, read_only=True) as connection:
        rows = connection.execute("SELECT * FROM marts.leaderboard").to_arrow_table().to_pylist()
    print_leaderboard(rows, console, ceilings)
    home = os.path.relpath(settings.home)
    program = os.path.relpath(Path(sys.executable).with_name("redpop"))
    console.print(
        f"Done in {time.perf_counter() - began:.0f} s. The warehouse: {os.path.relpath(published)}\n"
        "Try next:\n"
        f"  {program} dev --demo          # the UI on the demo's home: http://localhost:3000\n"
        f'  REDPOP_HOME={home} {program} sql "SELECT caption, score FROM marts.posts ORDER BY score DESC LIMIT 5"\n'
        f'  REDPOP_HOME={home} {program} predict -r earthporn -t "Sunrise over the lake [OC]" '
        "-i photo.jpg\n"
        "Time stands still in the sandbox; `make demo ADVANCE=8d` lets it pass and refreshes.",
        soft_wrap=True,
        highlight=False,
    )


def print_leaderboard(
    rows: Sequence[dict[str, Any]], console: Console, ceilings: dict[str, tuple[float, float, float]] | None = None
) -> None:
    """Print one table per subreddit, best Spearman first, with its ceiling where it is known; then what marks mean."""
    for subreddit in sorted({row["subreddit"] for row in rows}):
        members = [row for row in rows if row["subreddit"] == subreddit]
        size = max(members, key=lambda row: row["test_posts"])
        grid = Grid(
            title=f"r/{subreddit}: {size['test_posts']} test posts, {size['pairs']} pairs, 95 % intervals",
            title_justify="left",
            box=SIMPLE_HEAD,
            pad_edge=False,
            padding=(0, 1),
        )
        for name in ("predictor", "Spearman", "MAE", "MSE", "pair accuracy"):
            grid.add_column(name, justify="left" if name == "predictor" else "right", no_wrap=True)
        if ceilings:
            estimate, low, high = ceilings[subreddit]
            grid.add_row("highest reachable", escape(f"{estimate:.2f} [{low:.2f}, {high:.2f}]"), style="dim")
        trained = [row for row in members if row["status"] == "trained"]
        for row in sorted(trained, key=by_spearman):
            standing = row.get("standing") or ""  # which a file that was published by an earlier version lacks
            grid.add_row(
                row["predictor"]
                + _MARKS.get(standing, "")
                + (" (untrained weights)" if row["untrained_weights"] else ""),
                escape(with_interval(row, "spearman")),
                "–" if row["mae"] is None else f"{row['mae']:.2f}",
                "–" if row["mse"] is None else f"{row['mse']:.2f}",
                escape(with_interval(row, "pair_accuracy")),
                style="bold" if standing == BEST else "",
            )
        console.print(grid)
        for sentence in detectable_lines(members):
            console.print(escape(sentence), highlight=False)
        for row in members:
            if row["status"] != "trained":
                console.print(f"[yellow]{row['predictor']} not trained:[/] {escape(row['reason'])}", highlight=False)
    if rows:
        console.print(legend("*"), highlight=False)


def ceiling(settings: Settings, url: str, subreddit: str) -> tuple[float, float, float]:
    """Spearman of the sandbox's own expectation with the labels of the test part: what nobody can beat but by luck.

    Returns:
        estimate and 95 % interval, clustered by author.
    """
    lines = ask_sandbox(f"{url}/sandbox/truth?subreddit={subreddit}").splitlines()
    expected = {row["id"]: row["expected_log_score"] for row in map(json.loads, lines) if "expected_log_score" in row}
    with duckdb.connect(settings.home / "redpop.duckdb", read_only=True) as connection:
        test = connection.execute(
            "SELECT post_id, cluster, log_score FROM models.training_set WHERE subreddit = ? AND split = 'test'",
            [subreddit],
        ).fetchall()
    truth = np.array([row[2] for row in test])
    best = np.array([expected[row[0]] for row in test])
    found = interval(spearman_of(truth, best), author_clusters([row[1] for row in test]), seed=settings.seed)
    if found is None:
        raise RedPopError(f"The test part of r/{subreddit} is too small for a ceiling: {len(test)} posts.")
    return found.estimate, found.low, found.high


def advance_clock(url: str, duration: timedelta) -> str:
    """Let time pass in a running sandbox; returns its new time.

    Raises:
        RedPopError: no sandbox answers there.
    """
    answer = ask_sandbox(f"{url}/sandbox/clock", {"advance_seconds": duration.total_seconds()})
    return str(json.loads(answer)["now"])


@contextmanager
def sandbox_process(settings: Settings, port: int, *, posts: int = 1000, options: Sequence[str] = ()) -> Iterator[None]:
    """Run `redpop sandbox` beside this process and end it afterwards; one that runs there already is used as it is.

    Args:
        settings: its communities and its home.
        port: where it listens.
        posts: per community at the beginning.
        options: more of its command line.

    Raises:
        RedPopError: it does not come up.
    """
    url = f"http://127.0.0.1:{port}"
    if _answers(url):
        yield
        return
    command = [
        sys.executable,
        "-m",
        "redpop_assets.cli",
        "sandbox",
        "--port",
        str(port),
        "--posts",
        str(posts),
        *options,
    ]
    for name in settings.subreddits:
        command += ["--subreddit", name]
    # A file and no pipe, which would hold the sandbox up once it is full.
    with tempfile.TemporaryFile("w+") as log:
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=log)
        try:
            _wait_until_ready(process, url, log)
            yield
        finally:
            process.terminate()
            process.wait(timeout=15)


def _wait_until_ready(process: "subprocess.Popen[bytes]", url: str, log: IO[str]) -> None:
    deadline = time.monotonic() + _READY_SECONDS
    while not _answers(url):
        if process.poll() is not None:
            log.seek(0)
            raise RedPopError(f"The sandbox did not start. {log.read().strip().removeprefix('Error: ')}")
        if time.monotonic() > deadline:
            raise RedPopError(f"The sandbox does not answer at {url}: choose another --port.")
        time.sleep(0.1)


def _answers(url: str) -> bool:
    try:
        ask_sandbox(f"{url}/sandbox/clock")
    except RedPopError:
        return False
    return True


def ask_sandbox(url: str, body: object = None) -> str:
    """What the panel of a running sandbox answers; a body makes it a POST of JSON.

    Raises:
        RedPopError: nothing answers there, or it refuses.
    """
    data = None if body is None else json.dumps(body).encode()
    try:
        with urllib.request.urlopen(urllib.request.Request(url, data), timeout=60) as answer:
            return str(answer.read().decode())
    except urllib.error.HTTPError as error:
        with error:
            raise RedPopError(f"The sandbox refuses: {error.read().decode(errors='replace')}") from error
    except (urllib.error.URLError, OSError) as error:
        raise RedPopError(f"No sandbox answers at {url} ({error}): start one with `redpop sandbox`.") from error
