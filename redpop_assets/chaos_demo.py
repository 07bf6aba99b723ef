"""The demo with chaos: eleven days of a sandbox in which everything goes wrong, and what was lost by then.

The verdict compares the warehouse with the sandbox's own truth. A run that fails is started again, as the next nightly
one would be; nothing else is done for the platform that it would not have to do at Reddit.
"""

import json
import os
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

from PIL import Image
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.table import Table as Grid

from redpop_assets.demo import advance_clock, ask_sandbox, demo_settings, sandbox_process
from redpop_assets.resources import open_warehouse
from redpop_assets.settings import Settings
from redpop_assets.storage import forgetting
from redpop_assets.storage.warehouse import Warehouse

HOME = "warehouse/demo-chaos"
STEPS = (timedelta(0), timedelta(hours=2), timedelta(days=8), timedelta(hours=30), timedelta(hours=30))
"""How much time passes before each harvest. The last three are far enough apart to call a missing post gone."""

RUNS_PER_STEP = 4
_GPS = 0x8825  # the part of a file's EXIF data that holds the place
_UNTIL_CLEAN = "group:raw or group:core"

# By what has befallen a picture: these have to be stored, of those nothing may be kept. Between them are pictures that
# were there for a while, and animations, which the rules refuse.
_SOUND = frozenset({None, "wrong-types", "rotated-images"})
_NO_PICTURES = frozenset({"html-images", "broken-images", "lying-lengths", "pixel-bombs", "opted-out-images"})


@dataclass
class Report:
    """What was done and found.

    Attributes:
        runs: started.
        failures: steps of runs that failed.
        unfinished: communities whose step never got through.
        listed: ids that `new` showed at any harvest.
        checks: what must not have happened, and the ids or addresses to which it did.
        notes: what else is worth knowing.
    """

    runs: int = 0
    failures: int = 0
    unfinished: list[str] = field(default_factory=list)
    listed: set[str] = field(default_factory=set)
    checks: dict[str, list[str]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    @property
    def lost_nothing(self) -> bool:
        """The verdict."""
        return not any(self.checks.values())


def chaos_settings(port: int) -> Settings:
    """The settings of the demo with chaos: it waits less long than one would at Reddit, and trains few predictors."""
    return demo_settings(
        port,
        HOME,
        REDPOP_REDDIT_TIMEOUT_SECONDS="4",
        REDPOP_IMAGE_TIMEOUT_SECONDS="4",
        REDPOP_PREDICTORS="subreddit_median,metadata_boosting,redpop_thesis,fusion_lightgbm",
    )


def run_chaos_demo(settings: Settings, *, port: int, posts: int, console: Console) -> bool:
    """Harvest, let time pass, harvest again, and say what was thrown and what was lost; returns whether nothing was.

    Raises:
        RedPopError: the sandbox does not start.
    """
    began = time.perf_counter()
    report = Report()
    url = f"http://127.0.0.1:{port}"
    with sandbox_process(settings, port, posts=posts, options=("--chaos", "--budget", "100000")):
        before = switch_chaos(url, on=["all"])
        for number, pause in enumerate(STEPS):
            now = advance_clock(url, pause)
            if number:
                _let_pauses_pass(open_warehouse(settings), pause)
            console.print(f"[bold]Harvest {number + 1} of {len(STEPS)}[/], world time {now}", highlight=False)
            everything = number in (0, len(STEPS) - 1)
            _run_until_done(settings, report, console, select=None if everything else _UNTIL_CLEAN)
            for name in settings.subreddits:
                report.listed.update(json.loads(ask_sandbox(f"{url}/sandbox/listed?subreddit={name}")))
            if report.unfinished:
                break  # what keeps four runs from finishing is no accident
        lines = ask_sandbox(f"{url}/sandbox/truth").splitlines()
        truth = {row["id"]: row for row in map(json.loads, lines) if "id" in row}
        after = switch_chaos(url)
    print_situations(
        {name: {**row, "thrown": row["thrown"] - before[name]["thrown"]} for name, row in after.items()}, console
    )
    examine(open_warehouse(settings), settings.home / "images", truth, report)
    _print(report, console)
    console.print(
        f"Done in {time.perf_counter() - began:.0f} s. The warehouse: {os.path.relpath(settings.home)}/redpop.duckdb",
        highlight=False,
    )
    return report.lost_nothing


def switch_chaos(url: str, *, on: Iterable[str] = (), off: Iterable[str] = ()) -> dict[str, dict[str, Any]]:
    """Switch situations in a running sandbox; returns all of them, as they are now.

    Raises:
        RedPopError: no sandbox answers there, or there is no such situation.
    """
    body = {"on": list(on), "off": list(off)}
    situations: dict[str, dict[str, Any]] = json.loads(
        ask_sandbox(f"{url}/sandbox/chaos", body if body["on"] or body["off"] else None)
    )
    return situations


def delete_in_sandbox(url: str, what: Mapping[str, str]) -> list[str]:
    """Delete a post (`post_id`, `reason`) or close an account (`author`) in a running sandbox; returns the posts' ids.

    Raises:
        RedPopError: no sandbox answers there, or it has no such post or account.
    """
    posts: list[str] = json.loads(ask_sandbox(f"{url}/sandbox/delete", dict(what)))["posts"]
    return posts


def print_situations(situations: Mapping[str, Mapping[str, Any]], console: Console) -> None:
    """Print what may go wrong, whether it does, and how often it did."""
    grid = Grid(title="What goes wrong", title_justify="left", box=SIMPLE_HEAD, pad_edge=False)
    for name in ("situation", "what", "rate", "thrown"):
        grid.add_column(name, justify="right" if name in ("rate", "thrown") else "left", no_wrap=name != "what")
    for name, row in situations.items():
        rate = f"{row['rate']:g}" if row["on"] else "off"
        grid.add_row(name, escape(row["what"]), rate, str(row["thrown"]), style=None if row["on"] else "dim")
    console.print(grid)


def examine(warehouse: Warehouse, images: Path, truth: Mapping[str, Mapping[str, Any]], report: Report) -> None:
    """Compare the warehouse with what the sandbox knows, and write down what is wrong.

    Args:
        warehouse: after the last run.
        images: where the files of pictures lie.
        truth: lines of /sandbox/truth by post id.
        report: gets checks and notes.
    """
    raw = _column(warehouse, "SELECT post_id FROM raw.submissions")
    buried = _column(warehouse, "SELECT post_id FROM raw.tombstones")
    report.checks["steps that no run finished"] = report.unfinished
    report.checks["posts that `new` showed and the warehouse lacks"] = sorted(report.listed - raw - buried)
    report.checks["raw posts in neither or both of core.posts and core.rejected_posts"] = sorted(
        _column(
            warehouse,
            "SELECT post_id FROM raw.submissions WHERE (post_id IN (SELECT post_id FROM core.posts)) "
            "= (post_id IN (SELECT post_id FROM core.rejected_posts))",
        )
    )
    _examine_images(warehouse, truth, report)
    report.checks["files that say where they were taken"] = [
        path.name for path in sorted(images.glob("??/*")) if _has_place(path)
    ]
    _examine_deletions(warehouse, truth, raw, buried, report)
    standing = {
        post_id
        for post_id, row in truth.items()
        if not row["removed_by_category"] and not row["missing"] and post_id not in raw | buried
    }
    report.notes.append(f"{len(raw)} posts are stored; {len(standing)} that stand were never within reach of `new`.")
    readings = warehouse.query(
        "SELECT count(*) AS readings, sum(requests) AS requests, count(*) FILTER (overlapped = FALSE) AS gaps "
        "FROM raw.listing_reads"
    ).to_pylist()[0]
    report.notes.append(
        f"{readings['readings']} readings of listings with {readings['requests']} requests; {readings['gaps']} of them "
        "found a gap, which other listings have to fill."
    )


def _examine_images(warehouse: Warehouse, truth: Mapping[str, Mapping[str, Any]], report: Report) -> None:
    traits = {media: trait for row in truth.values() for media, trait in row["media"].items()}
    fetches = warehouse.query("SELECT url, status, reason, attempts FROM core.image_fetches").to_pylist()
    wrongly_dead, wrongly_kept = [], []
    outcomes: Counter[tuple[str, str]] = Counter()
    for fetch in fetches:
        trait = traits.get(_media_id(fetch["url"]), "gone")
        outcomes[fetch["status"], fetch["reason"] or ""] += 1
        if fetch["status"] == "failed" and trait in _SOUND:
            wrongly_dead.append(f"{fetch['url']} ({fetch['reason']}, {trait or 'sound'})")
        if fetch["status"] == "stored" and trait in _NO_PICTURES:
            wrongly_kept.append(f"{fetch['url']} ({trait})")
    report.checks["pictures given up although they are sound"] = wrongly_dead
    report.checks["files kept although they are no pictures, or unwanted"] = wrongly_kept
    report.checks["pictures never asked for"] = sorted(
        _column(
            warehouse,
            "SELECT image_urls[1] FROM core.posts WHERE image_urls[1] NOT IN (SELECT url FROM core.image_fetches)",
        )
    )
    placeholders = sum(
        fetch["status"] == "stored" and traits.get(_media_id(fetch["url"])) == "placeholder-images" for fetch in fetches
    )
    again = sum(fetch["status"] == "stored" and fetch["attempts"] > 1 for fetch in fetches)
    report.notes.append(
        f"{outcomes['stored', '']} pictures stored, {again} of them after more than one attempt, and {placeholders} "
        "of the one that stands for removed ones (recognised once enough posts share it). Others: "
        + ", ".join(
            f"{number} {reason}{' (asked again later)' if status == 'retry' else ''}"
            for (status, reason), number in outcomes.most_common()
            if status != "stored"
        )
        + "."
    )


def _examine_deletions(
    warehouse: Warehouse, truth: Mapping[str, Mapping[str, Any]], raw: set[str], buried: set[str], report: Report
) -> None:
    gone = {
        post_id
        for post_id, row in truth.items()
        if row["missing"] or row["removed_by_category"] in forgetting.FORGOTTEN_REMOVALS
    }
    missed = _column(warehouse, "SELECT post_id FROM raw.presence WHERE misses > 0")
    subreddits = _column(warehouse, "SELECT DISTINCT subreddit FROM raw.submissions")
    overdue = {post_id for name in subreddits for post_id in forgetting.due(warehouse, name)}
    report.checks["deleted posts that nobody noticed"] = sorted((gone & raw) - missed - overdue)
    report.checks["posts noticed to be deleted and kept"] = sorted(overdue)
    report.checks["names kept of accounts noticed to be closed"] = sorted(
        _column(
            warehouse,
            "SELECT post_id FROM raw.submissions WHERE regexp_full_match(json->>'author', '[0-9a-f]{32}') "
            "AND post_id IN (SELECT post_id FROM raw.observations GROUP BY post_id "
            "HAVING NOT arg_max_null(author_present, observed_at))",
        )
    )
    report.checks["posts forgotten although they stand"] = sorted(
        post_id for post_id in buried - gone if post_id in truth and truth[post_id]["crosspost_of"] not in gone
    )
    closed = sum(row["author_gone"] for post_id, row in truth.items() if post_id in raw)
    report.notes.append(
        f"{len(gone & (raw | buried))} stored posts were deleted or went missing: {len(buried)} posts are forgotten, "
        f"{len(gone & missed & raw)} missing ones are watched; {closed} stored posts have no author any more."
    )


def _run_until_done(settings: Settings, report: Report, console: Console, *, select: str | None) -> None:
    from redpop_assets.runs import materialize

    waiting: Sequence[str] = settings.partitions
    for attempt in range(RUNS_PER_STEP):
        outcomes = materialize(settings, waiting, select=select)
        report.runs += len(outcomes)
        waiting = [outcome.subreddit for outcome in outcomes if outcome.failures]
        for outcome in outcomes:
            for failure in outcome.failures:
                report.failures += 1
                words = " ".join(failure.split())
                console.print(f"[yellow]r/{outcome.subreddit}:[/] {escape(words)}", highlight=False, soft_wrap=True)
        if not waiting:
            return
        if attempt + 1 < RUNS_PER_STEP:
            console.print(f"The next run goes on with {', '.join(f'r/{name}' for name in waiting)}.", highlight=False)
    report.unfinished += [f"r/{name}" for name in waiting]


def _let_pauses_pass(warehouse: Warehouse, passed: timedelta) -> None:
    """Let the world's time pass for image hosts as well: when they are asked again goes by the machine's clock."""
    if not warehouse.live.exists():
        return
    with warehouse.write() as writer:
        writer.execute("UPDATE core.image_fetches SET next_attempt_at = next_attempt_at - $passed", {"passed": passed})


def _print(report: Report, console: Console) -> None:
    console.print(f"{report.runs} runs; {report.failures} failures, after which they went on.", highlight=False)
    for note in report.notes:
        console.print(escape(note), highlight=False, soft_wrap=True)
    grid = Grid(title="What was lost", title_justify="left", box=SIMPLE_HEAD, pad_edge=False)
    for name in ("check", "number", "for example"):
        grid.add_column(name, justify="right" if name == "number" else "left")
    for check, cases in report.checks.items():
        style = "bold red" if cases else None
        grid.add_row(check, str(len(cases)), escape(", ".join(cases[:3])), style=style)
    console.print(grid)
    console.print("[green]Nothing was lost.[/]" if report.lost_nothing else "[bold red]Something was lost.[/]")


def _column(warehouse: Warehouse, statement: str) -> set[str]:
    return set(warehouse.query(statement).column(0).to_pylist())


def _has_place(path: Path) -> bool:
    with Image.open(path) as image:
        return bool(image.getexif().get_ifd(_GPS))


def _media_id(url: str) -> str:
    return url.rpartition("/")[2].partition(".")[0]
