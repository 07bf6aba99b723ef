"""`marts.ablation`: what each block is worth to a predictor: alone, and to all the others.

The predictor is trained again with each block alone (the univariate table of the papers) and with each one left out
(leave one out), on the same posts, and judged on the same test posts. A block whose absence costs nothing may still be
good: others may say the same.
"""

from collections.abc import Iterator, Sequence

from redpop_assets.analyses.drawings import interval_chart
from redpop_assets.analyses.study import LEAST_POSTS, Analysis, Doubles, Finding, Part, Row, Study, three
from redpop_assets.errors import NotTrainable
from redpop_assets.evaluation.bootstrap import Statistic, paired_difference, spearman_of
from redpop_assets.evaluation.metrics import mae
from redpop_assets.predictors.dataset import BLOCK_NAMES, Dataset
from redpop_assets.predictors.registry import predictor_class

ALL = ""
"""In the place of the block: all of them were used."""


def measure(study: Study) -> Finding:
    """One row for the whole predictor, and two per block: alone and left out."""
    kind = predictor_class(study.predictor)
    parts = study.parts(sorted(kind.uses))
    others = study.others(sorted(kind.uses)) if kind.borrows else []
    train, test = parts["train"].data, parts["test"]
    whole = {"predictor": study.predictor, "variant": "all", "block": ALL}
    if len(test.data) < LEAST_POSTS:
        reason = f"too few test posts: {len(test.data)} of {LEAST_POSTS}"
        return Finding([{**whole, "test_posts": len(test.data), "reason": reason}], notes=(reason,))
    there = [name for name in BLOCK_NAMES if name in train.blocks and train.blocks[name].present.any()]
    rows: list[Row] = []
    reference: Statistic | None = None
    for variant, block in _variants(there):
        left_out = {"all": set(), "only": set(there) - {block}, "without": {block}}[variant]
        row: Row = {"predictor": study.predictor, "variant": variant, "block": block, "test_posts": len(test.data)}
        study.progress(f"ablation: {study.predictor} in r/{study.subreddit}, {variant} {block}".rstrip())
        try:
            predicted = _predicted(study, parts, others, left_out)
        except NotTrainable as error:
            rows.append({**row, "reason": str(error)})
            continue
        statistic = spearman_of(test.truth, predicted)
        if variant == "all":
            reference = statistic
        difference = (
            paired_difference(statistic, reference, test.clusters, seed=study.seed)
            if reference is not None and variant != "all"
            else None
        )
        found = study.interval(statistic, test.clusters)
        rows.append(
            {
                **row,
                **three("spearman", found),
                "mae": mae(test.truth, predicted),
                **three("difference", None if difference is None else difference.interval),
                "reason": None if found is not None else "its predictions order nothing",
            }
        )
    return Finding(rows, _figures(study, rows))


def _variants(blocks: list[str]) -> Iterator[tuple[str, str]]:
    yield "all", ALL
    if len(blocks) > 1:  # else both tables say what the first row says
        yield from (("only", block) for block in blocks)
        yield from (("without", block) for block in blocks)


def _predicted(study: Study, parts: dict[str, Part], others: Sequence[Dataset], left_out: set[str]) -> Doubles:
    """(n,) predictions for the test posts by the predictor trained without some blocks."""

    def masked(data: Dataset) -> Dataset:
        return data.without(left_out)

    predictor = predictor_class(study.predictor)(seed=study.seed)
    predictor.fit(masked(parts["train"].data), masked(parts["validation"].data), [masked(other) for other in others])
    return predictor.predict(masked(parts["test"].data))


def _figures(study: Study, rows: list[Row]) -> dict[str, bytes]:
    measured = [row for row in rows if row.get("spearman") is not None]
    if len(measured) < 2:
        return {}
    png = interval_chart(
        {f"{row['variant']} {row['block']}".strip(): row for row in measured},
        "spearman",
        title=f"{study.predictor} in r/{study.subreddit}: each block alone, and left out",
        axis="Spearman on the test posts (95 %)",
    )
    return {ABLATION.figure_name(study): png}


ABLATION = Analysis(
    name="ablation",
    question=(
        "What is each block of features worth to a predictor? It is trained again with each block alone and with each "
        "one left out, and judged on the same test posts; the difference to all blocks is paired."
    ),
    measure=measure,
    version="1",
    sources=(),
    of_one_predictor=True,
    draws=True,
    shown={
        "subreddit": "subreddit",
        "predictor": "predictor",
        "variant": "blocks",
        "block": "block",
        "spearman": "Spearman (95 %)",
        "difference": "difference to all (95 %)",
        "mae": "MAE",
        "reason": "remark",
    },
)
