"""`marts.learning_curves`: what more posts gain a predictor, and so what limits it in a community.

It is trained again with the newest half of the train and of the validation part, the newest quarter, and so on, and
judged on the same test posts as ever. By which rule the last doubling tells posts, luck and sight apart stands in
`redpop_assets.evaluation.limits`. The verdict is about this predictor: another one may see more. Memory and time: as
twice its training.
"""

from __future__ import annotations

from redpop_assets.analyses.drawings import interval_chart
from redpop_assets.analyses.study import LEAST_POSTS, Analysis, Doubles, Finding, Part, Row, Study, three
from redpop_assets.errors import NotTrainable
from redpop_assets.evaluation.bootstrap import Statistic, paired_difference, spearman_of
from redpop_assets.evaluation.limits import limited_by, reachable_at_least
from redpop_assets.predictors.base import Predictor
from redpop_assets.predictors.dataset import Dataset
from redpop_assets.predictors.registry import predictor_class

MOST_SIZES = 6


def measure(study: Study) -> Finding:
    """One row per number of posts, the fewest first; the last one, of all posts, has the verdict."""
    kind = predictor_class(study.predictor)
    parts = study.parts(sorted(kind.uses))
    train, validation, test = (parts[part] for part in ("train", "validation", "test"))
    same = {"predictor": study.predictor, "test_posts": len(test.data)}
    if len(test.data) < LEAST_POSTS:
        reason = f"too few test posts: {len(test.data)} of {LEAST_POSTS}"
        return Finding([{**same, "posts": len(train.data), "reason": reason}], notes=(reason,))
    others = study.others(sorted(kind.uses)) if kind.borrows else []
    rows: list[Row] = []
    before: Statistic | None = None
    gain = reached = None
    for share in _shares(kind, len(train.data), len(validation.data)):
        learnt, stopping = (_newest(part, share) for part in (train, validation))
        row: Row = {**same, "posts": len(learnt)}
        study.progress(f"learning_curves: {study.predictor} in r/{study.subreddit}, {len(learnt)} posts")
        predictor = kind(seed=study.seed)
        try:
            predictor.fit(learnt, stopping, others)
        except NotTrainable as error:
            rows.append({**row, "reason": str(error)})
            continue
        now = spearman_of(test.truth, predictor.predict(test.data))
        reached = study.interval(now, test.clusters)
        difference = None if before is None else paired_difference(now, before, test.clusters, seed=study.seed)
        gain = difference.interval if difference else None
        rows.append({**row, **three("spearman", reached), **three("gain", gain), "reason": None})
        before = now
    at_least, pairs = reachable_at_least(*_pictures(study), seed=study.seed)
    rows[-1] |= {
        **three("reachable", at_least),
        "pairs": pairs,
        "limited_by": limited_by(gain, reached, at_least=at_least) if rows[-1]["reason"] is None else None,
    }
    return Finding(rows, _figures(study, rows))


def _shares(kind: type[Predictor], train: int, validation: int) -> list[float]:
    """Of the posts, from few to all: as long as halves are enough to learn from; at least all of them."""
    shares = [1.0]
    while (
        len(shares) < MOST_SIZES
        and round(train * shares[-1] / 2) >= kind.minimum_train
        and round(validation * shares[-1] / 2) >= kind.minimum_validation
    ):
        shares.append(shares[-1] / 2)
    return shares[::-1]


def _newest(part: Part, share: float) -> Dataset:
    return part.data.newest(max(1, round(share * len(part.data))))


def _pictures(study: Study) -> tuple[Doubles, list[str]]:
    """Log scores (n,) of all labelled posts in the order of time, and which of them show one picture."""
    found = study.warehouse.query(
        "SELECT log_score, duplicate_group FROM models.training_set WHERE subreddit = $subreddit "
        "ORDER BY created_at, post_id",
        {"subreddit": study.subreddit},
    )
    return found.column("log_score").to_numpy(), found.column("duplicate_group").to_pylist()


def _figures(study: Study, rows: list[Row]) -> dict[str, bytes]:
    measured = [row for row in rows if row.get("spearman") is not None]
    if len(measured) < 2:
        return {}
    png = interval_chart(
        {f"{row['posts']:,} posts": row for row in measured},
        "spearman",
        title=f"{study.predictor} in r/{study.subreddit}: learnt from ever more posts",
        axis="Spearman on the test posts (95 %)",
    )
    return {LEARNING_CURVES.figure_name(study): png}


LEARNING_CURVES = Analysis(
    name="learning_curves",
    question=(
        "What limits a predictor here: posts, luck, or what it sees? It is trained again with the newest half of the "
        "posts, a quarter, and so on, and judged on the same test posts. Where twice as many still gained something "
        "beyond chance, it is posts; where the gain is surely below 0.02, it is luck or sight, and sight where "
        "pictures that were posted twice prove that more can be known; else it cannot be told."
    ),
    measure=measure,
    version="1",
    sources=(),
    of_one_predictor=True,
    draws=True,
    order="subreddit, predictor, posts",
    shown={
        "subreddit": "subreddit",
        "predictor": "predictor",
        "posts": "posts learnt from",
        "spearman": "Spearman (95 %)",
        "gain": "gained by doubling (95 %)",
        "reachable": "reachable at least (95 %)",
        "limited_by": "limited by",
        "reason": "remark",
    },
)
