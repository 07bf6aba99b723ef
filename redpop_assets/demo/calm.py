"""The demo: the whole graph on the sandbox, in a home of its own, and the ceiling of its leaderboard."""

from collections.abc import Callable
from datetime import timedelta

import duckdb
import numpy as np

from redpop_assets.demo.sandbox import advance_clock, sandbox_process, truth
from redpop_assets.errors import RedPopError
from redpop_assets.evaluation.bootstrap import Interval, author_clusters, interval, spearman_of
from redpop_assets.runs import materialize
from redpop_assets.settings import Settings


def run_demo(
    settings: Settings, *, port: int, posts: int, advance: timedelta | None, say: Callable[[str], None]
) -> dict[str, Interval]:
    """Start the sandbox, and bring everything up to date on it.

    Args:
        settings: of the demo.
        port: of the sandbox.
        posts: per community at the beginning.
        advance: how much time passes first.
        say: gets what happens, as sentences.

    Returns:
        The ceiling of each community, in lower case.

    Raises:
        RedPopError: the sandbox does not start, or a run fails.
    """
    state = settings.home / "sandbox"
    with sandbox_process(port, state=state, subreddits=settings.subreddits, posts=posts) as url:
        if advance is not None:
            say(f"World time is now {advance_clock(url, advance)}.")
        outcomes = materialize(settings, settings.partitions)
        if failures := [str(failure) for outcome in outcomes for failure in outcome.failures]:
            raise RedPopError("The demo did not finish:\n" + "\n".join(failures))
        return {name: ceiling(settings, url, name) for name in settings.partitions}


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
