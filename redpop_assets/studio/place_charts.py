"""Charts of communities and posts as Vega-Lite describes them; colours are names of CSS variables, as in `charts`.

Each is said once more beside it, as a sentence or a table: no chart is the only way to know something.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from redpop_assets.pages.following import SHOWN_LEVEL, age_said
from redpop_assets.refresh.community_page import PastHours, PastSlot, Size
from redpop_assets.refresh.following import Following
from redpop_assets.refresh.growth import Growth
from redpop_assets.refresh.post_page import PostPage

WEEKDAYS: Final = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")

_SCHEMA = "https://vega.github.io/schema/vega-lite/v6.json"
_RAMP = [f"--ramp-{step}" for step in range(1, 6)]
_LEAST_REACH = 5.0  # percent on either side of the middle that the colours span at least: small differences look small
_AGES = (1, 3, 6, 12, 24, 48, 96, 168, 336, 720)
_WEEK_HOURS = 168.0


def week_of(hours: PastHours) -> dict[str, Any]:
    """How past posts of each hour of the week did.

    Returns:
        Two charts of the same values: `wide` with the hours across, and `narrow` with the days across.
    """
    values = [_cell(slot) for slot in hours.slots]
    reach = max([_LEAST_REACH, *(abs(value["shown"] - 50.0) for value in values if value["shown"] is not None)])
    hour = {
        "field": "hour",
        "type": "ordinal",
        "title": None,
        "axis": {"values": list(range(0, 24, 3)), "labelExpr": "pad(datum.value, 2, '0', 'left') + ':00'"},
    }
    day = {"field": "day", "type": "ordinal", "sort": [name[:3] for name in WEEKDAYS], "title": None}
    chart: dict[str, Any] = {
        "$schema": _SCHEMA,
        "data": {"values": values},
        "mark": {"type": "rect", "cornerRadius": 2, "stroke": "--surface", "strokeWidth": 2},
        "width": "container",
        "autosize": {"type": "fit-x", "contains": "padding"},
    }
    encoding = {
        "color": {
            "field": "shown",
            "type": "quantitative",
            "scale": {"range": _RAMP, "domain": [round(50.0 - reach, 1), round(50.0 + reach, 1)]},
            "legend": {
                "title": "% of posts scored less",
                "gradientLength": 120,
                "gradientThickness": 8,
                "orient": "bottom",
            },
        },
        "opacity": {"condition": {"test": "datum.thin", "value": 0.3}, "value": 1},
        "tooltip": [{"field": "said", "type": "nominal", "title": "hour"}],
    }
    return {
        "wide": {**chart, "height": 30 * len(WEEKDAYS), "encoding": {"x": hour, "y": day, **encoding}},
        "narrow": {
            **chart,
            "height": 15 * 24,
            "encoding": {"x": {**day, "axis": {"orient": "top", "labelAngle": 0}}, "y": hour, **encoding},
        },
    }


def growth_of(growth: Growth) -> dict[str, Any]:
    """Which share of its later score a post has at each age: the median, and the middle half of the posts."""
    values: list[dict[str, Any]] = [
        {
            "hours": max(age.median_hours, 0.1),
            "low": 100.0 * age.low,
            "median": 100.0 * age.median,
            "high": 100.0 * age.high,
            "said": f"after {age_said(age.median_hours)}: {age.median:.0%} ({age.low:.0%} to {age.high:.0%}), "
            f"{age.posts:,} posts",
        }
        for age in growth.ages
    ]
    median: dict[str, Any] = {"data": {"values": values}}
    return _layers(
        _band(values, "% of the later score"),
        [
            {**median, "mark": {"type": "line", "strokeWidth": 2}, "encoding": {"y": _measure("median")}},
            {
                **median,
                "mark": {"type": "point", "filled": True, "size": 60, "opacity": 1},
                "encoding": {"y": _measure("median"), "tooltip": [{"field": "said", "type": "nominal"}]},
            },
        ],
        (),
    )


def readings_of(page: PostPage) -> dict[str, Any]:
    """The readings of a post, beside the usual way to such a score, and the range that was written down."""
    usual = [
        {"hours": one.hours, "low": one.low, "median": one.median, "high": one.high}
        for one in page.usual
        if one.hours > 0
    ]
    own: list[dict[str, Any]] = [
        {
            "hours": max(reading.age_hours, 0.1),
            "score": reading.score,
            "said": f"after {age_said(reading.age_hours)}: {reading.score:,} points",
        }
        for reading in page.readings
        if reading.score is not None and not reading.masked
    ]
    layers: list[dict[str, Any]] = [
        {
            "data": {"values": own},
            "mark": {"type": "line", "strokeWidth": 2},
            "encoding": {"y": _measure("score")},
        },
        {
            "data": {"values": own},
            "mark": {"type": "point", "filled": True, "size": 70, "opacity": 1},
            "encoding": {"y": _measure("score"), "tooltip": [{"field": "said", "type": "nominal"}]},
        },
    ]
    bounds = page.noted.ranges.get(80) if page.noted else None
    if page.noted is not None and bounds is not None:
        at = page.label.age_hours if page.label else max(_WEEK_HOURS, *(one["hours"] for one in own), 0.0)
        noted = [
            {
                "hours": at,
                "low": bounds.low,
                "high": bounds.high,
                "expected": page.noted.expected,
                "said": f"written down: {page.noted.expected:,.0f} points, {bounds.low:,.0f} to {bounds.high:,.0f}",
            }
        ]
        layers.append(
            {
                "data": {"values": noted},
                "mark": {"type": "rule", "strokeWidth": 6, "color": "--good", "opacity": 0.45, "strokeCap": "round"},
                "encoding": {"y": _measure("low"), "y2": {"field": "high"}},
            }
        )
        layers.append(
            {
                "data": {"values": noted},
                "mark": {
                    "type": "point",
                    "shape": "diamond",
                    "filled": True,
                    "size": 90,
                    "color": "--good",
                    "opacity": 1,
                },
                "encoding": {"y": _measure("expected"), "tooltip": [{"field": "said", "type": "nominal"}]},
            }
        )
    return _layers(_band(usual, "points"), layers, usual)


def following_of(found: Following) -> dict[str, Any]:
    """The curve of a post so far, beside those of its age; what was written down of it, and what is expected now."""
    bands = [
        {"hours": max(one.hours, 0.1), "low": one.low, "median": one.median, "high": one.high} for one in found.bands
    ]
    own: list[dict[str, Any]] = [
        {
            "hours": max(reading.age_hours, 0.1),
            "score": reading.score,
            "said": f"after {age_said(reading.age_hours)}: {reading.score:,} points",
        }
        for reading in found.readings
        if reading.score is not None and not reading.masked
    ]
    ahead = found.ahead.curve if found.ahead is not None else ()
    expected: list[dict[str, Any]] = []
    for one in ahead:
        low, high = one.ranges.get(SHOWN_LEVEL, (one.expected, one.expected))
        said = f"expected after {age_said(one.age_hours)}: {one.expected:,.0f} points, {low:,.0f} to {high:,.0f}"
        expected.append({"hours": one.age_hours, "score": one.expected, "low": low, "high": high, "said": said})
    tip = {"tooltip": [{"field": "said", "type": "nominal"}]}
    point = {"type": "point", "filled": True, "opacity": 1}
    layers: list[dict[str, Any]] = [
        {
            "data": {"values": expected},
            "mark": {"type": "area", "color": "--good", "opacity": 0.22},
            "encoding": {"y": _measure("low"), "y2": {"field": "high"}},
        },
        {
            "data": {"values": [*own[-1:], *expected] if expected else []},
            "mark": {"type": "line", "strokeWidth": 2, "strokeDash": [5, 4], "color": "--good"},
            "encoding": {"y": _measure("score")},
        },
        {
            "data": {"values": expected},
            "mark": {**point, "shape": "diamond", "size": 80, "color": "--good"},
            "encoding": {"y": _measure("score"), **tip},
        },
        {"data": {"values": own}, "mark": {"type": "line", "strokeWidth": 2}, "encoding": {"y": _measure("score")}},
        {"data": {"values": own}, "mark": {**point, "size": 70}, "encoding": {"y": _measure("score"), **tip}},
    ]
    return _layers(_band(bands, "points"), layers, bands)


def members_of(sizes: Sequence[Size]) -> dict[str, Any]:
    """How many members a community had, day by day."""
    return {
        "$schema": _SCHEMA,
        "data": {"values": [{"day": one.day.isoformat(), "members": one.members} for one in sizes]},
        "width": "container",
        "height": 160,
        "mark": {"type": "line", "strokeWidth": 2},
        "encoding": {
            "x": {"field": "day", "type": "temporal", "title": None, "axis": {"labelOverlap": True, "tickCount": 5}},
            "y": {
                "field": "members",
                "type": "quantitative",
                "title": "members",
                "scale": {"zero": False, "nice": True},
                "axis": {"format": "~s", "tickCount": 4},
            },
        },
    }


def slot_said(slot: PastSlot) -> str:
    """A slot of the week in words."""
    day = "every day" if slot.weekday is None else WEEKDAYS[slot.weekday]
    return day if slot.hour is None else f"{day} {slot.hour:02}:00"


def _cell(slot: PastSlot) -> dict[str, Any]:
    shown = None if slot.percentile is None else round(100.0 * slot.percentile, 1)
    posts = f"{slot.posts} post{'' if slot.posts == 1 else 's'}"
    known = (
        "unknown" if shown is None or slot.low is None or slot.high is None else _between(shown, slot.low, slot.high)
    )
    return {
        "day": WEEKDAYS[slot.weekday or 0][:3],
        "hour": slot.hour,
        "shown": shown,
        "thin": slot.thin,
        "said": f"{slot_said(slot)}: {known}, {posts}",
    }


def _between(shown: float, low: float, high: float) -> str:
    return f"{shown:.0f} % ({100 * low:.0f} to {100 * high:.0f})"


def _measure(field: str) -> dict[str, Any]:
    return {"field": field, "type": "quantitative"}


def _band(values: Sequence[Mapping[str, float]], title: str) -> dict[str, Any]:
    """The middle half of other posts; without values only the axis that it shares with what is drawn above it."""
    return {
        "data": {"values": list(values)},
        "mark": {"type": "area", "color": "--accent", "opacity": 0.16},
        "encoding": {
            "y": {
                **_measure("low"),
                "title": title,
                "scale": {"zero": True, "nice": True},
                "axis": {"tickCount": 5, "grid": True, "gridColor": "--line", "format": "~s"},
            },
            "y2": {"field": "high"},
        },
    }


def _layers(
    band: dict[str, Any], above: Sequence[dict[str, Any]], usual: Sequence[Mapping[str, float]]
) -> dict[str, Any]:
    """A band, the middle of it, and what is drawn above it, by the age of posts: a week at least."""
    layers = [band, *above]
    ages = [_WEEK_HOURS, *(float(value["hours"]) for layer in layers for value in layer["data"]["values"])]
    labels = " : ".join(f"datum.value == {hours} ? '{_short(hours)}'" for hours in _AGES) + " : ''"
    middle = {
        "data": {"values": list(usual)},
        "mark": {"type": "line", "strokeDash": [4, 4], "color": "--edge"},
        "encoding": {"y": _measure("median")},
    }
    return {
        "$schema": _SCHEMA,
        "width": "container",
        "height": 260,
        "encoding": {
            "x": {
                "field": "hours",
                "type": "quantitative",
                "title": "age of the post",
                "scale": {"type": "log", "nice": False, "domain": [min(1.0, *ages), max(_WEEK_HOURS, *ages)]},
                "axis": {
                    "values": [hours for hours in _AGES if hours <= max(_WEEK_HOURS, *ages)],
                    "labelExpr": labels,
                    "labelOverlap": True,
                },
            }
        },
        "layer": [band, middle, *above],
    }


def _short(hours: int) -> str:
    return f"{hours} h" if hours < 24 else f"{hours // 24} d"
