"""What `redpop predict` shows: the champion's forecast in words, and those of all predictors as a table or as JSON."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.table import Table as Grid

from redpop_assets.cli.console import quoted
from redpop_assets.refresh.draft import Forecast
from redpop_assets.refresh.removal_risk import RemovalRisk

SHOWN_LEVEL = 80


def print_forecasts(
    forecasts: Sequence[Forecast],
    subreddit: str,
    title: str,
    label_age_days: float,
    risk: RemovalRisk,
    console: Console,
) -> None:
    """Print forecasts for people who think of posting.

    Args:
        forecasts: of at least one predictor, the champion first if there is one.
        subreddit: as it was asked for.
        title: of the post.
        label_age_days: age at which the score is expected.
        risk: of the post to be taken down.
        console: where to.
    """
    first = forecasts[0]
    lines = [
        f"[bold]r/{quoted(subreddit)}: {quoted(title)}[/]",
        f"  Expected   {points(first.expected_score)} points after {age(label_age_days)}",
        f"  Range      {_range(first)}",
        f"  Standing   {standing(first.percentile)}: {100 * first.percentile:.0f} % of the posts there score less",
        f"  Seen       {_seen(first)}",
        f"  Says       {speaker(first, subreddit)}",
        f"  Taken down {escape(risk.says)}",
    ]
    console.print("\n".join(lines), soft_wrap=True, highlight=False)
    grid = Grid(box=SIMPLE_HEAD, pad_edge=False, padding=(0, 1))
    for column in ("predictor", "expected", f"{SHOWN_LEVEL} % range", "percentile", "saw", "Spearman"):
        grid.add_column(column, justify="left" if column in ("predictor", "saw") else "right", no_wrap=column != "saw")
    for row in forecasts:
        bounds = row.intervals[SHOWN_LEVEL]
        grid.add_row(
            row.predictor,
            points(row.expected_score),
            "–" if bounds is None else " to ".join(map(points, bounds)),
            f"{100 * row.percentile:.0f} %",
            _seen(row),
            "–" if row.test_spearman is None else f"{row.test_spearman:.2f}",
        )
    console.print(grid)
    console.print(
        "The percentile is the share of the community's matured posts that scored less. After the champion, predictors "
        "stand as they ranked posts they had not seen (Spearman; 0 is chance).",
        soft_wrap=True,
        highlight=False,
    )


def as_json(forecasts: Sequence[Forecast], subreddit: str, label_age_days: float, risk: RemovalRisk) -> str:
    """Forecasts for programs: one JSON object, scores in points, intervals by level in percent."""
    document = {
        "subreddit": subreddit,
        "label_age_days": label_age_days,
        "removal": risk_as_dict(risk),
        "forecasts": list(map(as_dict, forecasts)),
    }
    return json.dumps(document, indent=1)


def risk_as_dict(risk: RemovalRisk) -> dict[str, Any]:
    """A risk of removal as programs get it; its record is None where nothing judged it."""
    return {name: value for name, value in asdict(risk).items() if name != "subreddit"}


def as_dict(one: Forecast) -> dict[str, Any]:
    """A forecast as programs get it."""
    return {
        "predictor": one.predictor,
        "champion": one.champion_since is not None,
        "expected_score": one.expected_score,
        "expected_log_score": one.expected_log_score,
        "percentile": one.percentile,
        "intervals": {str(level): bounds and list(bounds) for level, bounds in one.intervals.items()},
        "used_image": one.used_image,
        "used_caption": one.used_caption,
        "test_spearman": one.test_spearman,
        "test_mae": one.test_mae,
    }


def speaker(one: Forecast, subreddit: str) -> str:
    """Who says it, for how long it has spoken for the community, and how far off it was before; with rich's markup."""
    who = (
        f"{one.predictor}, the champion of r/{subreddit} since {one.champion_since:%Y-%m-%d}"
        if one.champion_since
        else f"{one.predictor}, which ranked unseen posts best; a champion is named by `redpop materialize`"
    )
    return f"{escape(who)}{_skill(one)}"


def standing(percentile: float) -> str:
    """A percentile from 0 to 1 in words."""
    words = {0.9: "in the top tenth", 0.75: "in the top quarter", 0.55: "above the middle", 0.45: "in the middle"}
    words |= {0.25: "below the middle", 0.0: "in the bottom quarter"}
    return next(text for least, text in words.items() if percentile >= least)


def age(days: float) -> str:
    """An age in days, or in hours where it is of less than two days."""
    return f"{days:g} days" if days >= 2 else f"{24 * days:g} hours"


def _range(one: Forecast) -> str:
    bounds = one.intervals[SHOWN_LEVEL]
    if bounds is None:
        return "unknown: too few posts were held out to tell (9 are needed)"
    return f"{' to '.join(map(points, bounds))} points, for {SHOWN_LEVEL} of 100 posts like this one"


def _seen(one: Forecast) -> str:
    seen = [name for name, used in (("picture", one.used_image), ("title", one.used_caption)) if used]
    return " and ".join(seen) or "neither picture nor title"


def _skill(one: Forecast) -> str:
    """The mean absolute error of the log score, as people say it."""
    if one.test_mae is None:
        return ""
    return f"; on posts it had not seen it was off by a factor of {np.exp(one.test_mae):.1f}"


def points(score: float) -> str:
    """Whole points; Reddit shows no post below 0."""
    return f"{max(score, 0.0):,.0f}"
