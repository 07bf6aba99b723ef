"""A post that is followed, as people and programs read it: a chart of text, sentences, and one JSON object."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from redpop_assets.pages.drafts import points, standing
from redpop_assets.refresh.following import Following
from redpop_assets.refresh.growth import Band
from redpop_assets.refresh.post_page import Reading

SHOWN_LEVEL: Final = 80
"""The range that is shown (percent)."""

_WIDTH: Final = 48
_MOST_ROWS: Final = 14


def age_said(hours: float) -> str:
    """An age in words."""
    if hours < 1:
        return f"{60 * hours:.0f} minutes"
    if hours < 48:
        return "1 hour" if round(hours, 1) == 1 else f"{hours:.3g} hours"
    return f"{hours / 24:.3g} days"


def as_json(found: Following) -> str:
    """The same as /api/v1/posts/ID/following of the studio: scores in points, shares from 0 to 1, times in UTC."""
    from pydantic import TypeAdapter

    return TypeAdapter(Following).dump_json(found, indent=1).decode()


def standing_said(found: Following) -> str:
    """Where it stands among posts of its age."""
    one = found.standing
    if one is None:
        return f"unknown: {found.why_unranked}"
    return (
        f"{standing(one.percentile)} at an age of {age_said(one.age_hours)}: {points(one.score)} points, and "
        f"{100 * one.percentile:.0f} % of {one.posts:,} other posts of r/{found.subreddit} had less at about that age"
    )


def end_said(found: Following) -> str:
    """Where it ends, or has ended."""
    if found.label is not None:
        return f"{points(found.label.score)} points, {standing(found.label.percentile)}: its score has settled"
    ahead = found.ahead
    if ahead is None:
        return "unknown"
    last = ahead.curve[-1] if ahead.curve else ahead.at_age.final if ahead.at_age else None
    if last is None:
        return f"unknown: {ahead.why_unknown}"
    bounds = last.ranges.get(SHOWN_LEVEL)
    range_said = f", {points(bounds[0])} to {points(bounds[1])} in {SHOWN_LEVEL} of 100 cases" if bounds else ""
    where = "" if ahead.percentile is None else f", {standing(ahead.percentile)}"
    return f"{points(last.expected)} points after {age_said(last.age_hours)}{range_said}{where}"


def said_lines(found: Following) -> list[str]:
    """What was written down of it: when it was made, and at ages since."""
    rows: list[tuple[str, float, tuple[float, float] | None, bool | None, str]] = []
    if found.noted is not None:
        bounds = found.noted.ranges[SHOWN_LEVEL]
        own = None if bounds is None else (bounds.low, bounds.high)
        rows.append(
            ("without readings", found.noted.expected, own, found.noted.inside[SHOWN_LEVEL], found.noted.predictor)
        )
    for one in found.said:
        bounds = one.ranges[SHOWN_LEVEL]
        own = None if bounds is None else (bounds.low, bounds.high)
        rows.append((f"after {age_said(one.age_hours)}", one.expected, own, one.inside[SHOWN_LEVEL], one.predictor))
    return [
        f"{when}: {points(expected)} points"
        + (f" ({points(own[0])} to {points(own[1])})" if own else "")
        + f", {predictor}"
        + ("" if held is None else ", held" if held else ", not held")
        for when, expected, own, held, predictor in rows
    ]


@dataclass(frozen=True)
class _Row:
    age: str
    score: str
    marks: tuple[tuple[float, str], ...]
    span: tuple[float, float] | None
    fill: str


def chart(found: Following) -> str:
    """The curve as text, a line for each age: ● its score, ○ what is expected, ─ 80 of 100 cases, ░ other posts.

    Ages run downwards, scores to the right on a logarithmic scale.
    """
    shown = [one for one in found.readings if one.score is not None and not one.masked]
    rows = [_read(one, found.bands) for one in _thinned(shown)]
    ahead = found.ahead.curve if found.ahead is not None else ()
    for one in ahead:
        rows.append(
            _Row(
                age_said(one.age_hours),
                points(one.expected),
                ((one.expected, "○"),),
                one.ranges.get(SHOWN_LEVEL),
                "─",
            )
        )
    if not rows:
        return "No open reading of its score is stored."
    most = max([1.0, *(end for row in rows for end in _ends(row))])
    place = _places(most)
    widths = max(len(row.age) for row in rows), max(len(row.score) for row in rows)
    lines = [f"{row.age:>{widths[0]}}  {row.score:>{widths[1]}}  {_drawn(row, place)}".rstrip() for row in rows]
    lines.append(f"{'':>{widths[0]}}  {'':>{widths[1]}}  0{points(most):>{_WIDTH}} points")
    return "\n".join(lines)


def _read(reading: Reading, bands: Sequence[Band]) -> _Row:
    near = min(bands, key=lambda band: abs(math.log(band.hours / max(reading.age_hours, 1 / 60))), default=None)
    score = float(reading.score or 0)
    return _Row(
        age_said(max(reading.age_hours, 0.0)),
        points(score),
        ((score, "●"),),
        None if near is None else (near.low, near.high),
        "░",
    )


def _thinned(readings: Sequence[Reading]) -> list[Reading]:
    """The first, the last, and those between them that lie best on a scale of ratios of ages."""
    if len(readings) <= _MOST_ROWS:
        return list(readings)
    ages = [math.log(max(one.age_hours, 1 / 60)) for one in readings]
    wanted = [ages[0] + (ages[-1] - ages[0]) * step / (_MOST_ROWS - 1) for step in range(_MOST_ROWS)]
    chosen = {min(range(len(ages)), key=lambda row: abs(ages[row] - each)) for each in wanted}
    return [readings[row] for row in sorted(chosen | {0, len(readings) - 1})]


def _ends(row: _Row) -> Iterable[float]:
    yield from (place for place, _ in row.marks)
    yield from row.span or ()


def _places(most: float) -> Callable[[float], int]:
    def place(score: float) -> int:
        return round(math.log1p(max(score, 0.0)) / math.log1p(most) * _WIDTH)

    return place


def _drawn(row: _Row, place: Callable[[float], int]) -> str:
    cells = [" "] * (_WIDTH + 1)
    if row.span is not None:
        for cell in range(place(row.span[0]), place(row.span[1]) + 1):
            cells[cell] = row.fill
    for score, mark in row.marks:
        cells[place(score)] = mark
    return "".join(cells)
