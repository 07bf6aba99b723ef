"""What `redpop predict` shows of several titles: which is best, how far the others are, and what cannot be told."""

import json
from collections.abc import Mapping, Sequence

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.table import Table as Grid

from redpop_assets.cli.console import quoted
from redpop_assets.pages.drafts import SHOWN_LEVEL, against, age, comparisons_document, points, speaker, verdict
from redpop_assets.refresh.removal_risk import RemovalRisk, percent
from redpop_assets.refresh.titles import SURE_LEVEL, Comparison


def print_comparisons(
    comparisons: Sequence[Comparison],
    subreddit: str,
    label_age_days: float,
    risks: Mapping[str, RemovalRisk],
    console: Console,
) -> None:
    """Print what each predictor says of the titles, for people who have to choose one.

    Args:
        comparisons: of at least one predictor and two titles.
        subreddit: as it was asked for.
        label_age_days: age at which the scores are expected.
        risks: title -> its risk to be taken down.
        console: where to.
    """
    for comparison in comparisons:
        first = comparison.titles[0].forecast
        who = escape(speaker(first, subreddit)) if comparison is comparisons[0] else comparison.predictor
        lines = [
            f"[bold]r/{quoted(subreddit)}: {len(comparison.titles)} titles for one post[/]",
            f"  Expected   points after {age(label_age_days)}",
            f"  Says       {who}",
            f"  Verdict    {verdict(comparison)}",
            f"  Taken down {escape(_risks(comparison, risks))}",
        ]
        console.print("\n".join(lines), soft_wrap=True, highlight=False)
        console.print(_table(comparison))
    told = max(comparison.held_out_posts for comparison in comparisons)
    if told:
        console.print(
            "× is what a title is worth against the best one, of 1 + points, everything else being equal; the interval "
            f"should hold it in {SURE_LEVEL} of 100 cases, by {told} posts that were not learnt from. One posting is "
            "luck besides: that is in the range of the score.",
            soft_wrap=True,
            highlight=False,
        )


def comparisons_json(
    comparisons: Sequence[Comparison], subreddit: str, label_age_days: float, risks: Mapping[str, RemovalRisk]
) -> str:
    """Comparisons for programs: one JSON object, scores in points, differences in log scores, by level in percent."""
    return json.dumps(comparisons_document(comparisons, subreddit, label_age_days, risks), indent=1)


def _risks(comparison: Comparison, risks: Mapping[str, RemovalRisk]) -> str:
    """The risk of the first title in words, and what that of the others is beside it."""
    first, *others = [risks[one.title] for one in comparison.titles]
    known = [one.probability for one in others if one.probability is not None]
    if not known:
        return first.says
    return f"the first {first.says}; the others {', '.join(map(percent, known))}"


def _table(comparison: Comparison) -> Grid:
    grid = Grid(box=SIMPLE_HEAD, pad_edge=False, padding=(0, 1))
    columns = ("title", "expected", f"{SHOWN_LEVEL} % range", "×", f"{SURE_LEVEL} % interval", "against the first")
    for column in columns:
        grid.add_column(column, justify="left" if column in (columns[0], columns[-1]) else "right")
    best = comparison.titles[0]
    for one in comparison.titles:
        bounds = one.forecast.intervals[SHOWN_LEVEL]
        grid.add_row(
            quoted(one.title),
            points(one.forecast.expected_score),
            "–" if bounds is None else " to ".join(map(points, bounds)),
            *(("", "", "") if one is best else against(one, best, comparison)),
        )
    return grid
