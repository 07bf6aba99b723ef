"""The demo with chaos: eleven days of a sandbox in which everything goes wrong, and what was lost by then.

A run that fails is started again, as the next nightly one would be; nothing else is done for the platform that it would
not have to do at Reddit.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from typing import Any

from rich.markup import escape

from redpop_assets.demo.sandbox import advance_clock, listed, sandbox_process, switch_chaos, truth
from redpop_assets.demo.verdict import Report, examine
from redpop_assets.resources import open_warehouse
from redpop_assets.runs import materialize
from redpop_assets.settings import Settings
from redpop_assets.storage.warehouse import Warehouse

STEPS = (timedelta(0), timedelta(hours=2), timedelta(days=8), timedelta(hours=30), timedelta(hours=30))
"""How much time passes before each harvest. The last three are far enough apart to call a missing post gone."""

RUNS_PER_STEP = 4
_UNTIL_CLEAN = "group:raw or group:core"


def run_chaos_demo(
    settings: Settings, *, port: int, posts: int, say: Callable[[str], None]
) -> tuple[Report, dict[str, Mapping[str, Any]]]:
    """Harvest, let time pass, harvest again, and find out what was lost.

    Args:
        settings: of the demo with chaos.
        port: of the sandbox.
        posts: per community at the beginning.
        say: gets what happens, as sentences with rich's markup.

    Returns:
        What was done and found, and each situation with how often it was thrown.

    Raises:
        RedPopError: the sandbox does not start.
    """
    report = Report()
    wild = ("--chaos", "--budget", "100000")
    state = settings.home / "sandbox"
    with sandbox_process(port, state=state, subreddits=settings.subreddits, posts=posts, options=wild) as url:
        before = switch_chaos(url, on=["all"])
        for number, pause in enumerate(STEPS):
            now = advance_clock(url, pause)
            if number:
                _let_pauses_pass(open_warehouse(settings), pause)
            say(f"[bold]Harvest {number + 1} of {len(STEPS)}[/], world time {now}")
            everything = number in (0, len(STEPS) - 1)
            _run_until_done(settings, report, say, select=None if everything else _UNTIL_CLEAN)
            for name in settings.subreddits:
                report.listed.update(listed(url, name))
            if report.unfinished:
                break  # what keeps four runs from finishing is no accident
        known = truth(url)
        after = switch_chaos(url)
    examine(open_warehouse(settings), settings.home / "images", known, report)
    return report, {name: {**row, "thrown": row["thrown"] - before[name]["thrown"]} for name, row in after.items()}


def _run_until_done(settings: Settings, report: Report, say: Callable[[str], None], *, select: str | None) -> None:
    waiting: Sequence[str] = settings.partitions
    for attempt in range(RUNS_PER_STEP):
        outcomes = materialize(settings, waiting, select=select)
        report.runs += len(outcomes)
        failed = [outcome for outcome in outcomes if outcome.failures]
        # What is made of all of them is part of the run of any.
        waiting = [outcome.subreddit for outcome in failed if outcome.subreddit] or (waiting[:1] if failed else [])
        for outcome in outcomes:
            for failure in outcome.failures:
                report.failures += 1
                words = " ".join(str(failure).split())
                say(f"[yellow]{outcome.title}:[/] {escape(words)}")
        if not waiting:
            return
        if attempt + 1 < RUNS_PER_STEP:
            say(f"The next run goes on with {', '.join(f'r/{name}' for name in waiting)}.")
    report.unfinished += [f"r/{name}" for name in waiting]


def _let_pauses_pass(warehouse: Warehouse, passed: timedelta) -> None:
    """Let the world's time pass for image hosts as well: when they are asked again goes by the machine's clock."""
    if not warehouse.exists():
        return
    with warehouse.write() as writer:
        writer.execute("UPDATE core.image_fetches SET next_attempt_at = next_attempt_at - $passed", {"passed": passed})
