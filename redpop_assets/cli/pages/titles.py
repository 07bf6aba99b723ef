"""What `redpop predict` shows of several titles: which is best, how far the others are, and what cannot be told."""

import json
from collections.abc import Mapping, Sequence

import numpy as np
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.table import Table as Grid

from redpop_assets.cli.console import quoted
from redpop_assets.cli.pages.forecast import SHOWN_LEVEL, age, as_dict, points, risk_as_dict, speaker
from redpop_assets.refresh.removal_risk import RemovalRisk, percent
from redpop_assets.refresh.titles import SURE_LEVEL, Comparison, Difference, TitleForecast

WORSE, NOT_APART = "worse", "cannot be told apart"


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
        who = speaker(first, subreddit) if comparison is comparisons[0] else comparison.predictor
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
    found = [
        {
            "predictor": one.predictor,
            "champion": one.titles[0].forecast.champion_since is not None,
            "looks_at_titles": one.looks_at_titles,
            "held_out_posts": one.held_out_posts,
            "why_unknown": one.why_unknown,
            "verdict": verdict(one),
            "titles": [
                {
                    "title": title.title,
                    **as_dict(title.forecast),
                    "removal": risk_as_dict(risks[title.title]),
                    "difference": {
                        "expected_log_score": title.difference.expected,
                        "intervals": {
                            str(level): bounds and list(bounds) for level, bounds in title.difference.intervals.items()
                        },
                        "told_apart": title.difference.told_apart,
                    },
                }
                for title in one.titles
            ],
        }
        for one in comparisons
    ]
    document = {"subreddit": subreddit, "label_age_days": label_age_days, "comparisons": found}
    return json.dumps(document, indent=1)


def _risks(comparison: Comparison, risks: Mapping[str, RemovalRisk]) -> str:
    """The risk of the first title in words, and what that of the others is beside it."""
    first, *others = [risks[one.title] for one in comparison.titles]
    known = [one.probability for one in others if one.probability is not None]
    if not known:
        return first.says
    return f"the first {first.says}; the others {', '.join(map(percent, known))}"


def verdict(comparison: Comparison) -> str:
    """What may be said of the titles, in a sentence."""
    if not comparison.looks_at_titles:
        return f"{comparison.predictor} does not look at titles: ask another one with --predictor"
    others = [one for one in comparison.titles if one.title != comparison.titles[0].title]
    if not others:
        return "the titles are the same"
    if comparison.why_unknown:
        return f"the titles cannot be told apart: {comparison.why_unknown}"
    worse = sum(one.difference.told_apart for one in others)
    if not worse:
        return "these cannot be told apart"
    if worse == len(others):
        return "the first is better than " + ("the other" if worse == 1 else f"each of the {worse} others")
    some = f"{worse} of the {len(others)} others {'is' if worse == 1 else 'are'} worse than the first"
    return f"{some}; the rest cannot be told from it"


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
            *(("", "", "") if one is best else _against(one, best, comparison)),
        )
    return grid


def _against(one: TitleForecast, best: TitleForecast, comparison: Comparison) -> tuple[str, str, str]:
    if one.title == best.title:
        return _ratio(0.0), "–", "the same title"
    if not comparison.looks_at_titles:
        return _ratio(one.difference.expected), "–", "not looked at"
    return _ratio(one.difference.expected), _range(one.difference), WORSE if one.difference.told_apart else NOT_APART


def _range(difference: Difference) -> str:
    bounds = difference.intervals[SURE_LEVEL]
    return "–" if bounds is None else " to ".join(map(_ratio, bounds))


def _ratio(log_difference: float) -> str:
    """The factor that a difference of log scores is."""
    ratio = float(np.exp(np.clip(log_difference, -20, 20)))
    return f"{ratio:.2f}" if ratio < 10 else f"{ratio:,.0f}"
