"""The demo: the whole graph on the sandbox, in a home of its own, and the ceilings of its leaderboards."""

import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import duckdb
import numpy as np

from redpop_assets.demo.sandbox import advance_clock, foreseen, readings, sandbox_process, truth
from redpop_assets.errors import RedPopError
from redpop_assets.evaluation.bootstrap import Interval, author_clusters, interval, spearman_of
from redpop_assets.resources import author_key, open_warehouse
from redpop_assets.runs import materialize, report_import
from redpop_assets.settings import Settings
from redpop_assets.sources.archives.imports import import_archive

READ_AT = (1, 2, 3, 6, 12, 24)
"""Ages at which somebody else read the posts (hours)."""


@dataclass(frozen=True)
class Ceilings:
    """What nobody can beat but by luck, by Spearman with the labels of the test part.

    Attributes:
        at_posting: community in lower case -> of who knows all terms of the log score when a post is made.
        early: community and age in hours -> of who knows what was read by that age as well.
    """

    at_posting: Mapping[str, Interval]
    early: Mapping[tuple[str, int], Interval]


def run_demo(
    settings: Settings, *, port: int, posts: int, advance: timedelta | None, say: Callable[[str], None]
) -> Ceilings:
    """Start the sandbox, harvest it, import a file of readings of its young posts, and bring everything up to date.

    Args:
        settings: of the demo.
        port: of the sandbox.
        posts: per community at the beginning.
        advance: how much time passes first.
        say: gets what happens, as sentences.

    Returns:
        What nobody can beat but by luck.

    Raises:
        RedPopError: the sandbox does not start, or a run fails.
    """
    state = settings.home / "sandbox"
    with sandbox_process(port, state=state, subreddits=settings.subreddits, posts=posts) as url:
        if advance is not None:
            say(f"World time is now {advance_clock(url, advance)}.")
        _refresh(settings, select="group:raw")
        import_readings(settings, url, say)
        _refresh(settings, harvest=False)
        return Ceilings(
            {name: ceiling(settings, url, name) for name in settings.partitions},
            {(name, age): found for name in settings.partitions for age, found in early_ceilings(settings, url, name)},
        )


def _refresh(settings: Settings, *, select: str | None = None, harvest: bool = True) -> None:
    outcomes = materialize(settings, settings.partitions, select=select, harvest=harvest)
    if failures := [str(failure) for outcome in outcomes for failure in outcome.failures]:
        raise RedPopError("The demo did not finish:\n" + "\n".join(failures))


def import_readings(settings: Settings, url: str, say: Callable[[str], None]) -> None:
    """Import what somebody else kept, who read all posts while they were young: harvests days apart come too late.

    A file that is imported again adds nothing.

    Args:
        settings: of the demo, whose posts are harvested.
        url: of the sandbox.
        say: gets what was found, as a sentence.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "readings.ndjson"
        path.write_text("".join(readings(url, name, READ_AT) for name in settings.subreddits), encoding="utf-8")
        report = import_archive(path, settings.partitions, open_warehouse(settings), author_key(settings))
    report_import(settings, settings.partitions, path.name)
    found = report.by_subreddit.values()
    say(
        f"A file of {sum(each.readings for each in found):,} readings of young posts, at "
        f"{', '.join(map(str, READ_AT))} hours, was imported: {sum(each.new_observations for each in found):,} are new."
    )


def ceiling(settings: Settings, url: str, subreddit: str) -> Interval:
    """Spearman of the sandbox's own expectation with the labels of the test part: what nobody can beat but by luck.

    Returns:
        Estimate and 95 % interval, clustered by author.
    """
    known = truth(url, subreddit)
    with duckdb.connect(settings.home / "redpop.duckdb", read_only=True) as connection:
        test = connection.execute(
            "SELECT post_id, cluster, log_score FROM models.training_set WHERE subreddit = ? AND split = 'test'",
            [subreddit],
        ).fetchall()
    labels = np.array([row[2] for row in test])
    best = np.array([known[row[0]]["expected_log_score"] for row in test])
    found = interval(spearman_of(labels, best), author_clusters([row[1] for row in test]), seed=settings.seed)
    if found is None:
        raise RedPopError(f"The test part of r/{subreddit} is too small for a ceiling: {len(test)} posts.")
    return found


def early_ceilings(settings: Settings, url: str, subreddit: str) -> list[tuple[int, Interval]]:
    """Age in hours -> Spearman of what the best forecaster expects with the labels, on the posts that are judged there.

    The best forecaster knows the process of the sandbox, the terms of each post and the readings by that age.

    Returns:
        Of each age at which predictors are judged, estimate and 95 % interval, clustered by author.
    """
    found = []
    with duckdb.connect(settings.home / "redpop.duckdb", read_only=True) as connection:
        rows = connection.execute(_JUDGED_EARLY, [subreddit]).fetchall()
    for age in sorted({row[0] for row in rows}):
        own = [row for row in rows if row[0] == age]
        best = foreseen(url, {post_id: moments for _, post_id, _, _, moments in own})
        labels, expected = np.array([row[3] for row in own]), np.array([best[row[1]] for row in own])
        bounds = interval(spearman_of(labels, expected), author_clusters([row[2] for row in own]), seed=settings.seed)
        if bounds is not None:
            found.append((age, bounds))
    return found


_JUDGED_EARLY = """
SELECT e.age_hours, t.post_id, t.cluster, t.log_score, list(epoch(o.observed_at) ORDER BY o.observed_at)
FROM (SELECT DISTINCT post_id, age_hours FROM models.early_predictions WHERE split = 'test') AS e
JOIN models.training_set AS t USING (post_id)
JOIN core.posts AS p USING (post_id)
JOIN raw.observations AS o
    ON o.post_id = t.post_id AND o.observed_at BETWEEN p.created_at AND p.created_at + to_hours(e.age_hours)
WHERE t.subreddit = ? AND t.split = 'test'
GROUP BY ALL ORDER BY e.age_hours, t.post_id
"""
