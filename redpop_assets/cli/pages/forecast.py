"""What `redpop predict` shows: the champion's forecast in words, and those of all predictors as a table or as JSON."""

import json
from collections.abc import Sequence

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.table import Table as Grid

from redpop_assets.cli.console import quoted
from redpop_assets.pages.drafts import (
    SHOWN_LEVEL,
    age,
    forecasts_document,
    points,
    ratio,
    score_range,
    seen,
    speaker,
    standing,
)
from redpop_assets.refresh.counted import CountedPost
from redpop_assets.refresh.draft import Forecast
from redpop_assets.refresh.removal_risk import RemovalRisk


def print_forecasts(
    forecasts: Sequence[Forecast],
    subreddit: str,
    title: str,
    label_age_days: float,
    risk: RemovalRisk,
    counted: Sequence[CountedPost],
    console: Console,
) -> None:
    """Print forecasts for people who think of posting.

    Args:
        forecasts: of at least one predictor, the champion first if there is one.
        subreddit: as it was asked for.
        title: of the post.
        label_age_days: age at which the score is expected.
        risk: of the post to be taken down.
        counted: past posts that counted for the first of the forecasts.
        console: where to.
    """
    first = forecasts[0]
    lines = [
        f"[bold]r/{quoted(subreddit)}: {quoted(title)}[/]",
        f"  Expected   {points(first.expected_score)} points after {age(label_age_days)}",
        f"  Range      {score_range(first)}",
        f"  Standing   {standing(first.percentile)}: {100 * first.percentile:.0f} % of the posts there score less",
        f"  Seen       {seen(first)}",
        f"  Says       {escape(speaker(first, subreddit))}",
        f"  Taken down {escape(risk.says)}",
    ]
    for number, one in enumerate(counted):
        score = "no settled score" if one.post.score is None else f"{points(one.post.score)} points"
        told = f"×{ratio(one.added)}, {100 * one.weight:.0f} % of the attention: {quoted(one.post.title)} ({score})"
        lines.append(f"  {'' if number else 'Counted':10} {told}")
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
            seen(row),
            "–" if row.test_spearman is None else f"{row.test_spearman:.2f}",
        )
    console.print(grid)
    console.print(
        "The percentile is the share of the community's matured posts that scored less. After the champion, predictors "
        "stand as they ranked posts they had not seen (Spearman; 0 is chance).",
        soft_wrap=True,
        highlight=False,
    )


def as_json(
    forecasts: Sequence[Forecast],
    subreddit: str,
    label_age_days: float,
    risk: RemovalRisk,
    counted: Sequence[CountedPost],
) -> str:
    """Forecasts for programs: one JSON object, scores in points, intervals by level in percent."""
    return json.dumps(forecasts_document(forecasts, subreddit, label_age_days, risk, counted), indent=1)
