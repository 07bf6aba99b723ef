"""Who speaks for a community, how it was judged, and how what it said came true."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime

from redpop_assets.evaluation.metrics import wilson
from redpop_assets.storage.rows import Readable

_STANDINGS = """
SELECT
    predictor, status, coalesce(reason, note) AS reason, test_posts, spearman, spearman_low, spearman_high, mae,
    pair_accuracy, pair_accuracy_low, pair_accuracy_high, pairs, standing, untrained_weights, smallest_detectable,
    test_clusters, left_out_posts, lenders
FROM marts.leaderboard WHERE subreddit = $subreddit
ORDER BY status <> 'trained', spearman IS NULL, spearman DESC, predictor
"""
_JUDGEMENTS = """
SELECT predictor, promoted, promoted_at, judged_at, reason, test_posts, mae, median_mae, replaced, rival
FROM models.champions WHERE subreddit = $subreddit ORDER BY judgement
"""
_RECORD = """
SELECT month, predictor, forecasts, scored, spearman, mae, median_mae, bias FROM marts.forecast_accuracy
WHERE subreddit = $subreddit ORDER BY month DESC, predictor
"""
_HELD = """
SELECT unnest([50, 80, 90]) AS level, unnest([count(inside_50), count(inside_80), count(inside_90)]) AS scored,
    unnest([count(*) FILTER (inside_50), count(*) FILTER (inside_80), count(*) FILTER (inside_90)]) AS held
FROM marts.forecast_outcomes WHERE subreddit = $subreddit
"""
# Fields of `Standing` that are columns of marts.leaderboard.
_SAME_NAME = (
    *("test_posts", "spearman", "spearman_low", "spearman_high", "mae"),
    *("pair_accuracy", "pair_accuracy_low", "pair_accuracy_high", "pairs", "untrained_weights"),
    "lenders",
)


@dataclass(frozen=True)
class Standing:
    """A predictor on the posts that it had not learnt from.

    Attributes:
        predictor: short name.
        trained: whether it could be trained.
        reason: why not, or why its correlation is undefined; None otherwise.
        test_posts: that judge it.
        spearman, spearman_low, spearman_high: rank correlation with its interval of 95 %.
        mae: mean absolute error of the log score.
        pair_accuracy, pair_accuracy_low, pair_accuracy_high: share of pairs in the right order, likewise.
        pairs: number of these.
        mark: best, among_best, worse, or None where Spearman is undefined.
        untrained_weights: whether a network behind it has random weights: a test, no result.
        lenders: other communities that it has learnt from as well; None where it borrows from nobody.
    """

    predictor: str
    trained: bool
    reason: str | None
    test_posts: int
    spearman: float | None
    spearman_low: float | None
    spearman_high: float | None
    mae: float | None
    pair_accuracy: float | None
    pair_accuracy_low: float | None
    pair_accuracy_high: float | None
    pairs: int
    mark: str | None
    untrained_weights: bool
    lenders: int | None


@dataclass(frozen=True)
class Leaderboard:
    """The predictors of a community, the best first.

    Attributes:
        standings: of each.
        detectable: difference of Spearman below which a test is likely to find nothing; None where unknown.
        groups: independent groups of test posts; None where unknown.
        left_out: labelled posts that are neither learnt from nor judged, because their scores are doubted.
        why_unknown: why nothing stands here; None where something does.
    """

    standings: tuple[Standing, ...]
    detectable: float | None
    groups: int | None
    left_out: int
    why_unknown: str | None


@dataclass(frozen=True)
class Judgement:
    """One decision on who speaks for a community.

    Attributes:
        predictor: the champion from then on; None if nobody may be one.
        judged_at: UTC.
        promoted_at: since when it is the champion (UTC).
        promoted: whether this decision made it champion.
        reason: in a sentence.
        test_posts: that judged it.
        mae, median_mae: its mean absolute error of the log score, and that of who always says the median.
        replaced: the champion before, where this brought another.
    """

    predictor: str | None
    judged_at: datetime
    promoted_at: datetime | None
    promoted: bool
    reason: str
    test_posts: int
    mae: float | None
    median_mae: float | None
    replaced: str | None


@dataclass(frozen=True)
class Championship:
    """Who speaks for a community, and since when.

    Attributes:
        now: the last decision; None before the first.
        before: decisions that changed the champion, the newest first.
        why_unknown: why there is no champion; None where there is.
    """

    now: Judgement | None
    before: tuple[Judgement, ...]
    why_unknown: str | None


@dataclass(frozen=True)
class HeldRange:
    """How often the score of a post lay in the range that was written down before.

    Attributes:
        level: in percent: what was promised.
        scored: forecasts with such a range whose posts have matured.
        held: share of them whose score lay in it; None without any.
        low, high: interval of 95 % of that share (Wilson); None without any.
    """

    level: int
    scored: int
    held: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True)
class Month:
    """The forecasts of a month by one champion, as in `marts.forecast_accuracy`."""

    month: date
    predictor: str
    forecasts: int
    scored: int
    spearman: float | None
    mae: float | None
    median_mae: float | None
    bias: float | None


@dataclass(frozen=True)
class TrackRecord:
    """How forecasts that were written down came true.

    Attributes:
        forecasts: that were written down.
        scored: those of them whose posts have matured.
        ranges: of 50, 80 and 90 %.
        months: the newest first.
        why_unknown: why nothing can be said of them yet; None where it can.
    """

    forecasts: int
    scored: int
    ranges: tuple[HeldRange, ...]
    months: tuple[Month, ...]
    why_unknown: str | None


def leaderboard_of(warehouse: Readable, subreddit: str) -> Leaderboard:
    """The predictors of a community on the posts that they had not learnt from, the best first.

    Args:
        warehouse: what is read.
        subreddit: in lower case.
    """
    rows = warehouse.query(_STANDINGS, {"subreddit": subreddit}).to_pylist()
    standings = tuple(
        Standing(
            predictor=row["predictor"],
            trained=row["status"] == "trained",
            reason=row["reason"],
            mark=row["standing"],
            **{name: row[name] for name in _SAME_NAME},
        )
        for row in rows
    )
    why = None
    if not standings:
        why = (
            f"No predictor has been judged in r/{subreddit}: `redpop materialize --no-harvest --subreddit {subreddit}` "
            "trains and judges them as soon as enough scores have matured."
        )
    first = rows[0] if rows else {}
    return Leaderboard(
        standings, first.get("smallest_detectable"), first.get("test_clusters"), first.get("left_out_posts") or 0, why
    )


def championship_of(warehouse: Readable, subreddit: str) -> Championship:
    """Who speaks for a community, since when, and why.

    Args:
        warehouse: what is read.
        subreddit: in lower case.
    """
    rows = warehouse.query(_JUDGEMENTS, {"subreddit": subreddit}).to_pylist()
    judgements = [Judgement(**{name: row[name] for name in Judgement.__dataclass_fields__}) for row in reversed(rows)]
    now = judgements[0] if judgements else None
    changes = tuple(judgement for judgement in judgements[1:] if judgement.promoted)
    why = None
    if now is None:
        why = f"Nobody has been judged for r/{subreddit} yet: `redpop materialize --no-harvest` does, after training."
    elif now.predictor is None:
        why = f"No predictor may speak for r/{subreddit}: {now.reason}."
    return Championship(now, changes, why)


def record_of(warehouse: Readable, subreddit: str) -> TrackRecord:
    """How the forecasts that were written down for a community came true.

    Args:
        warehouse: what is read.
        subreddit: in lower case.
    """
    scope = {"subreddit": subreddit}
    months = tuple(Month(**row) for row in warehouse.query(_RECORD, scope).to_pylist())
    forecasts, scored = sum(month.forecasts for month in months), sum(month.scored for month in months)
    ranges = []
    for row in warehouse.query(_HELD, scope).to_pylist() if scored else ():
        if row["scored"]:
            share, ends = row["held"] / row["scored"], wilson(row["held"], row["scored"])
            ranges.append(HeldRange(row["level"], row["scored"], share, *ends))
        else:
            ranges.append(HeldRange(row["level"], 0, None, None, None))
    why = None
    if not forecasts:
        why = (
            f"No forecast of r/{subreddit} has been written down: the champion's are, of posts that are too young for "
            "a label, each time that `redpop materialize` runs."
        )
    elif not scored:
        why = f"{forecasts} forecasts are written down, and none of their posts has matured yet."
    return TrackRecord(forecasts, scored, tuple(ranges), months, why)
