"""`marts.error_slices` and `marts.calibration`: where and when predictors err on the test part.

Slices are by listing, month, year, age of the label, and whether the author's past and the picture were known. Posts
found in `top` are there because they scored, so a model that is judged on them is judged on another task than on those
found in `new`. A post that was seen in both is in both slices: which reading came first is often a matter of seconds.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from redpop_assets.analyses.drawings import MOST_SERIES, month_chart, reliability_chart
from redpop_assets.analyses.study import LEAST_POSTS, Analysis, Doubles, Finding, Row, Study, three
from redpop_assets.arrays import np, npt
from redpop_assets.evaluation.bootstrap import author_clusters, interval, mean_of, spearman_of

BINS: Final = 10
"""Groups of equally many test posts by what was expected of them."""

_JUDGED = """
WITH sighted AS (
    SELECT post_id, list(DISTINCT listing) AS listings FROM raw.sightings WHERE subreddit = $subreddit GROUP BY post_id
)
SELECT
    p.predictor,
    p.expected_log_score,
    t.log_score,
    t.cluster,
    coalesce(f.listings, ['archive']) AS listing,
    [strftime(t.created_at, '%Y-%m')] AS month,
    [strftime(t.created_at, '%Y')] AS year,
    [
        CASE
            WHEN l.age_at_label_hours < 10 * 24 THEN '0 below 10 days'
            WHEN l.age_at_label_hours < 30 * 24 THEN '1 10 to 30 days'
            ELSE '2 above 30 days'
        END
    ] AS label_age,
    [CASE WHEN a.past_mature_posts > 0 THEN 'past scores known' ELSE 'no past score' END] AS author,
    [CASE WHEN i.image_sha256 IS NULL THEN 'no picture' ELSE 'picture' END] AS picture
FROM marts.predictions AS p
JOIN models.training_set AS t USING (post_id)
JOIN models.predictors AS m ON m.subreddit = p.subreddit AND m.predictor = p.predictor AND m.digest = p.digest
LEFT JOIN core.labels AS l USING (post_id)
LEFT JOIN sighted AS f USING (post_id)
LEFT JOIN features.author_features AS a USING (post_id)
LEFT JOIN core.primary_images AS i USING (post_id)
WHERE p.subreddit = $subreddit AND t.split = 'test'
ORDER BY p.predictor, t.post_id
"""
DIMENSIONS: Final = ("listing", "month", "year", "label_age", "author", "picture")


@dataclass(frozen=True)
class Judged:
    """The test posts as one predictor saw them: (n,) each. A post may be in several slices of a dimension."""

    predictor: str
    expected: Doubles
    truth: Doubles
    clusters: npt.NDArray[np.int64]
    slices: dict[str, list[list[str]]]


def judged(study: Study) -> list[Judged]:
    """Every predictor with stored predictions of the test part, by name."""
    groups: dict[str, list[Row]] = defaultdict(list)
    for row in study.warehouse.query(_JUDGED, {"subreddit": study.subreddit}).to_pylist():
        groups[row["predictor"]].append(row)
    return [
        Judged(
            name,
            np.array([row["expected_log_score"] for row in rows], dtype=np.float64),
            np.array([row["log_score"] for row in rows], dtype=np.float64),
            author_clusters([row["cluster"] for row in rows]),
            {dimension: [row[dimension] for row in rows] for dimension in DIMENSIONS},
        )
        for name, rows in groups.items()
    ]


def measure_slices(study: Study) -> Finding:
    """One row per predictor, dimension and slice."""
    rows: list[Row] = []
    everyone = judged(study)
    for one in everyone:
        for dimension, values in one.slices.items():
            for value in sorted({value for own in values for value in own}):
                chosen = np.flatnonzero([value in own for own in values])
                rows.append(
                    {"predictor": one.predictor, "dimension": dimension, "slice": value, **_slice(study, one, chosen)}
                )
    if not rows:
        return Finding((), notes=("no predictor has predictions of test posts",))
    drawn = _best(everyone)
    months = [row for row in rows if row["dimension"] == "month" and row["bias"] is not None]
    months = [row for row in months if row["predictor"] in drawn]
    if len({row["slice"] for row in months}) < 2:
        return Finding(rows)
    png = month_chart(months, title=f"r/{study.subreddit}: error of the test posts by month")
    return Finding(rows, {ERROR_SLICES.figure_name(study, "month"): png})


def _slice(study: Study, one: Judged, rows: npt.NDArray[np.int64]) -> Row:
    truth, expected, clusters = one.truth[rows], one.expected[rows], one.clusters[rows]
    few = len(rows) < LEAST_POSTS
    return {
        "posts": len(rows),
        "authors": len(np.unique(clusters)),
        **three("spearman", study.interval(spearman_of(truth, expected), clusters)),
        **three("mae", study.interval(mean_of(np.abs(truth - expected)), clusters)),
        **three("bias", study.interval(mean_of(truth - expected), clusters)),
        "reason": f"too few posts: {len(rows)} of {LEAST_POSTS}" if few else None,
    }


def measure_calibration(study: Study) -> Finding:
    """One row per predictor and group of test posts, from the least to the most expected."""
    rows: list[Row] = []
    everyone = judged(study)
    for one in everyone:
        if len(one.truth) < LEAST_POSTS:
            reason = f"too few test posts: {len(one.truth)} of {LEAST_POSTS}"
            rows.append({"predictor": one.predictor, "bin": 0, "posts": len(one.truth), "reason": reason})
            continue
        bins = reliability_bins(one.expected, min(BINS, len(one.truth) // (LEAST_POSTS // 3)))
        for number, chosen in enumerate(bins, start=1):
            # Within a group the interval may rest on few posts, which its width says.
            found = interval_of_mean(one.truth[chosen], one.clusters[chosen], study.seed)
            rows.append(
                {
                    "predictor": one.predictor,
                    "bin": number,
                    "posts": len(chosen),
                    "mean_expected": float(one.expected[chosen].mean()),
                    **found,
                    "reason": None,
                }
            )
    if not rows:
        return Finding((), notes=("no predictor has predictions of test posts",))
    best = _best(everyone)
    drawn = [row for row in rows if row["reason"] is None and row["predictor"] in best]
    if not drawn:
        return Finding(rows)
    png = reliability_chart(drawn, title=f"r/{study.subreddit}: expected and actual log score")
    return Finding(rows, {CALIBRATION.figure_name(study): png})


def _best(everyone: Sequence[Judged]) -> set[str]:
    """Who is drawn: as many as a figure can tell apart, those with the smallest absolute error."""
    ranked = sorted(everyone, key=lambda one: (float(np.abs(one.truth - one.expected).mean()), one.predictor))
    return {one.predictor for one in ranked[:MOST_SERIES]}


def interval_of_mean(values: Doubles, clusters: npt.NDArray[np.int64], seed: int) -> Row:
    """`mean_actual` of a group with its interval, whose ends are None for a single author."""
    found = interval(mean_of(values), clusters, seed=seed)
    return three("mean_actual", found) if found else {**three("mean_actual", None), "mean_actual": float(values.mean())}


def reliability_bins(expected: Doubles, bins: int) -> Sequence[npt.NDArray[np.int64]]:
    """Row numbers of groups of equally many posts, least expected first; equal expectations stay together.

    A constant prediction has a single group.
    """
    order = np.argsort(expected, kind="stable")
    cuts = [len(order) * number // bins for number in range(1, bins)]
    ordered = expected[order]
    # A cut moves up to where the value changes.
    starts = {int(np.searchsorted(ordered, ordered[cut], side="left")) for cut in cuts} - {0}
    return np.split(order, sorted(starts))


_SOURCES = ("models.predictors", "marts.predictions", "raw.sightings")
_DEPENDENCE = {"subreddit": "subreddit", "predictor": "predictor"}

ERROR_SLICES = Analysis(
    name="error_slices",
    question=(
        "Where and when do predictors err? Rank correlation, absolute error and bias (actual minus expected log score) "
        "of the test posts by the listings in which a post was seen, by month, year, age of the label, known and new "
        "authors, and with and without a picture."
    ),
    measure=measure_slices,
    version="2",
    sources=_SOURCES,
    draws=True,
    order="subreddit, dimension <> 'listing', dimension, slice, predictor",
    shown={
        **_DEPENDENCE,
        "dimension": "by",
        "slice": "slice",
        "posts": "posts",
        "spearman": "Spearman (95 %)",
        "mae": "MAE (95 %)",
        "bias": "bias (95 %)",
    },
)

CALIBRATION = Analysis(
    name="calibration",
    question=(
        "Do posts of which a predictor expects more really score more, and as much? Test posts in ten groups from the "
        "least to the most expected, with the mean of both (log score)."
    ),
    measure=measure_calibration,
    version="1",
    sources=_SOURCES,
    draws=True,
    shown={
        **_DEPENDENCE,
        "bin": "group",
        "posts": "posts",
        "mean_expected": "mean expected",
        "mean_actual": "mean actual (95 %)",
        "reason": "remark",
    },
)
