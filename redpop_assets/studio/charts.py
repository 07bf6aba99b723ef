"""Charts as Vega-Lite describes them; a colour that names a CSS variable is that of the page, light or dark."""

import math
from typing import Any

from redpop_assets.refresh.answers import Hours, Slot

_SCHEMA = "https://vega.github.io/schema/vega-lite/v6.json"
_RAMP = [f"--ramp-{step}" for step in range(1, 6)]


def week(hours: Hours) -> dict[str, Any]:
    """The coming week, hour by day: as the champion expects it, or as past posts did where it cannot tell times apart.

    Returns:
        Two charts of the same values: `wide` with the hours across, and `narrow` with the days across.
    """
    values = [_cell(number, slot, hours) for number, slot in enumerate(hours.slots)]
    days = list(dict.fromkeys(value["day"] for value in values))
    title = "of the best hour" if hours.looks_at_time else "of past posts scored less"
    colour = {
        "field": "shown",
        "type": "quantitative",
        "scale": {"range": _RAMP},
        "legend": {"title": f"% {title}", "gradientLength": 120, "gradientThickness": 8, "orient": "bottom"},
    }
    hour = {
        "field": "hour",
        "type": "ordinal",
        "title": None,
        "axis": {"values": list(range(0, 24, 3)), "labelExpr": "pad(datum.value, 2, '0', 'left') + ':00'"},
    }
    day = {"field": "day", "type": "ordinal", "sort": days, "title": None}
    chart: dict[str, Any] = {
        "$schema": _SCHEMA,
        "data": {"values": values},
        "mark": {"type": "rect", "cornerRadius": 2, "stroke": "--surface", "strokeWidth": 2},
        "width": "container",
        "autosize": {"type": "fit-x", "contains": "padding"},
    }
    encoding = {
        "color": colour,
        "opacity": {"condition": {"test": "datum.thin", "value": 0.35}, "value": 1},
        "tooltip": [{"field": "said", "type": "nominal", "title": "hour"}],
    }
    return {
        "wide": {**chart, "height": 30 * len(days), "encoding": {"x": hour, "y": day, **encoding}},
        "narrow": {
            **chart,
            "height": 15 * 24,
            "encoding": {
                "x": {**day, "axis": {"orient": "top", "labelAngle": 0, "labelExpr": "slice(datum.value, 0, 3)"}},
                "y": hour,
                **encoding,
            },
        },
    }


def _cell(number: int, slot: Slot, hours: Hours) -> dict[str, Any]:
    share = math.exp(min(slot.difference.expected, 0.0)) if hours.looks_at_time else slot.past.percentile
    shown = None if share is None else round(100 * share, 1)
    posts = f"{slot.past.posts} past post{'' if slot.past.posts == 1 else 's'}"
    said = f"{slot.at:%A %H:%M}: {'unknown' if shown is None else f'{shown:.0f} %'}, {posts}"
    rank = hours.best.index(number) + 1 if number in hours.best else None
    return {
        "day": f"{slot.at:%a} {slot.at.day}",
        "hour": slot.at.hour,
        "shown": shown,
        "thin": slot.past.thin,
        "said": said,
        "rank": rank,
    }
