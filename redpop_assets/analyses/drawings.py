"""The figures of the analyses, as PNG. matplotlib without pyplot, which would keep every figure alive in a process.

Titles and words of strangers are drawn as they are: never as formulas (`parse_math`), and without control characters.
"""

from __future__ import annotations

import io
import warnings
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from redpop_assets.arrays import np, npt
from redpop_assets.shown import visible

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from PIL import Image

_DOTS_PER_INCH = 100
_LONGEST_LABEL = 60  # characters
_BLUE, _GREY, _RED = "#1c6dd0", "#9aa5b1", "#d9480f"
_SERIES = ("#1c6dd0", "#d9480f", "#2b8a3e", "#862e9c", "#e67700", "#0b7285", "#5c940d", "#c2255c")
MOST_SERIES: Final = len(_SERIES)
MOST_ENTRIES: Final = 40
"""Most lines of a chart of intervals."""


def interval_chart(
    entries: Mapping[str, Mapping[str, Any]], column: str, *, title: str, axis: str, reference: float = 0.0
) -> bytes:
    """Estimates with their intervals, one line each, the first on top.

    Args:
        entries: label -> row with `column` and, unless it has no interval, its ends `_low` and `_high`.
        column: what is drawn.
        title, axis: what it says above and below.
        reference: where a line is drawn: no effect.
    """
    kept = dict(list(entries.items())[:MOST_ENTRIES])
    figure = _figure(6.4, 1.0 + 0.2 * len(kept))
    axes = figure.add_subplot()
    for place, row in enumerate(kept.values()):
        low, high = row.get(f"{column}_low"), row.get(f"{column}_high")
        if low is not None and high is not None:
            axes.plot([low, high], [place, place], color=_GREY, linewidth=2, solid_capstyle="butt")
        axes.plot([row[column]], [place], "o", color=_BLUE, markersize=4)
    axes.axvline(reference, color="black", linewidth=0.6)
    axes.set_yticks(range(len(kept)), list(map(_label, kept)), fontsize=7, parse_math=False)
    axes.set_ylim(len(kept) - 0.5, -0.5)
    axes.set_xlabel(axis, fontsize=8)
    return _png(figure, axes, title)


def reliability_chart(rows: Sequence[Mapping[str, Any]], *, title: str) -> bytes:
    """Mean expected against mean actual log score of groups of posts, a line per predictor, with the diagonal.

    At most `MOST_SERIES` predictors can be told apart.
    """
    figure = _figure(5.2, 4.6)
    axes = figure.add_subplot()
    ends = [row[column] for row in rows for column in ("mean_expected", "mean_actual")]
    axes.plot([min(ends), max(ends)], [min(ends), max(ends)], color="black", linewidth=0.6, label="calibrated")
    for (name, members), colour in zip(_series(rows), _SERIES, strict=False):
        known = [row for row in members if row["mean_actual_low"] is not None]
        for row in known:
            span = [row["mean_actual_low"], row["mean_actual_high"]]
            axes.plot([row["mean_expected"]] * 2, span, color=colour, linewidth=1, alpha=0.4)
        axes.plot(
            [row["mean_expected"] for row in members],
            [row["mean_actual"] for row in members],
            "o-",
            color=colour,
            markersize=3,
            linewidth=1,
            label=name,
        )
    axes.set_xlabel("mean expected log score", fontsize=8)
    axes.set_ylabel("mean actual log score", fontsize=8)
    axes.legend(fontsize=6, frameon=False)
    return _png(figure, axes, title)


def month_chart(rows: Sequence[Mapping[str, Any]], *, title: str) -> bytes:
    """Bias by month, a line per predictor with its interval: actual minus expected log score; at most `MOST_SERIES`."""
    months = sorted({row["slice"] for row in rows})
    figure = _figure(6.4, 3.6)
    axes = figure.add_subplot()
    series = _series(rows)
    for number, ((name, members), colour) in enumerate(zip(series, _SERIES, strict=False)):
        at = np.array([months.index(row["slice"]) for row in members]) + 0.06 * (number - len(series) / 2)
        for place, row in zip(at, members, strict=True):
            if row["bias_low"] is not None:
                axes.plot([place, place], [row["bias_low"], row["bias_high"]], color=colour, linewidth=1, alpha=0.5)
        axes.plot(at, [row["bias"] for row in members], "o-", color=colour, markersize=3, linewidth=1, label=name)
    axes.axhline(0.0, color="black", linewidth=0.6)
    axes.set_xticks(range(len(months)), months, rotation=45, fontsize=7)
    axes.set_ylabel("actual minus expected log score (95 %)", fontsize=8)
    axes.legend(fontsize=6, frameon=False)
    return _png(figure, axes, title)


def beeswarm(
    inputs: Sequence[str],
    contributions: npt.NDArray[np.float64],
    values: npt.NDArray[np.float64],
    *,
    title: str,
    axis: str,
) -> bytes:
    """One dot per post and input, where the input moved the prediction, coloured by the rank of the input's value.

    Args:
        inputs: d names, the most important first.
        contributions: (n, d) in log score.
        values: (n, d) of the inputs; grey where NaN.
        title, axis: what it says above and below.
    """
    from matplotlib import colormaps

    figure = _figure(6.4, 1.0 + 0.28 * len(inputs))
    axes = figure.add_subplot()
    colours = colormaps["coolwarm"]
    for place in range(len(inputs)):
        column, value = contributions[:, place], values[:, place]
        known = ~np.isnan(value)
        ranks = np.full(len(value), np.nan)
        if known.any():
            ordered = np.unique(value[known])
            ranks[known] = np.searchsorted(ordered, value[known]) / max(len(ordered) - 1, 1)
        at = place + _spread(column)
        axes.scatter(column[~known], at[~known], s=5, color=_GREY, linewidths=0)
        axes.scatter(column[known], at[known], s=5, c=colours(ranks[known]), linewidths=0)
    axes.axvline(0.0, color="black", linewidth=0.6)
    axes.set_yticks(range(len(inputs)), list(map(_label, inputs)), fontsize=7, parse_math=False)
    axes.set_ylim(len(inputs) - 0.5, -0.5)
    axes.set_xlabel(f"{axis} (blue: low value, red: high)", fontsize=8)
    return _png(figure, axes, title)


def gallery(rows: Sequence[tuple[str, Sequence[Image.Image]]], *, title: str) -> bytes:
    """Rows of pictures, each with a heading.

    Args:
        rows: heading and RGB pictures of each row, small already.
        title: above all of it.
    """
    across = max(len(pictures) for _, pictures in rows)
    figure = _figure(1.1 * across + 0.2, 1.35 * len(rows) + 0.4)
    for number, (heading, pictures) in enumerate(rows):
        for place, picture in enumerate(pictures):
            axes = figure.add_subplot(len(rows), across, number * across + place + 1)
            axes.imshow(np.asarray(_squared(picture)))
            axes.set_axis_off()
            if place == 0:
                axes.set_title(visible(heading, keep="\n"), fontsize=6, loc="left", parse_math=False)
    figure.suptitle(visible(title), fontsize=9, parse_math=False)
    return _saved(figure)


def attention_chart(
    posts: Sequence[tuple[str, Image.Image, npt.NDArray[np.float64] | None, Sequence[tuple[str, float]]]],
    *,
    title: str,
) -> bytes:
    """A picture, its map of probabilities if there is one, and the weights of its words, for each post.

    Args:
        posts: heading, RGB picture, (h, w) probabilities of the cells, and the words with their weights.
        title: above all of it.
    """
    figure = _figure(7.6, 2.1 * len(posts) + 0.4)
    for number, (heading, picture, cells, words) in enumerate(posts):
        plain, mapped, bars = (figure.add_subplot(len(posts), 3, 3 * number + place) for place in (1, 2, 3))
        pixels = np.asarray(picture)
        plain.imshow(pixels)
        plain.set_title(visible(heading, keep="\n"), fontsize=7, loc="left", parse_math=False)
        mapped.imshow(pixels)
        if cells is not None:
            extent = (-0.5, pixels.shape[1] - 0.5, pixels.shape[0] - 0.5, -0.5)
            shown = mapped.imshow(cells, cmap="coolwarm", alpha=0.55, extent=extent, interpolation="nearest")
            figure.colorbar(shown, ax=mapped, fraction=0.046).ax.tick_params(labelsize=6)
            mapped.set_title("probability by cell", fontsize=7, loc="left")
        else:
            mapped.set_title("no grid of this picture", fontsize=7, loc="left")
        for axes in (plain, mapped):
            axes.set_axis_off()
        kept = list(words)[:12]
        bars.barh(range(len(kept)), [weight for _, weight in kept], color=_BLUE)
        bars.set_yticks(range(len(kept)), [_label(word) for word, _ in kept], fontsize=6, parse_math=False)
        bars.invert_yaxis()
        bars.tick_params(axis="x", labelsize=6)
        bars.set_title("attention to words", fontsize=7, loc="left")
    figure.suptitle(visible(title), fontsize=9, parse_math=False)
    return _saved(figure)


def _squared(picture: Image.Image) -> Image.Image:
    """A picture on a white square, so that all of a row are of one height."""
    from PIL import ImageOps

    edge = max(picture.size)
    return ImageOps.pad(picture, (edge, edge), color="white")


def _spread(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """(n,) offsets from -0.35 to 0.35 that keep dots of nearly equal values apart: in each of 60 bins, side by side."""
    span = float(np.ptp(values)) if len(values) else 0.0
    bins = (
        np.zeros(len(values), dtype=np.int64) if span == 0.0 else ((values - values.min()) / span * 59).astype(np.int64)
    )
    offsets = np.zeros(len(values))
    members: dict[int, list[int]] = defaultdict(list)
    for row, number in enumerate(bins.tolist()):
        members[number].append(row)
    widest = max(map(len, members.values()), default=1)
    for rows in members.values():
        offsets[rows] = (np.arange(len(rows)) - (len(rows) - 1) / 2) * 0.7 / max(widest, 20)
    return offsets


def _series(rows: Sequence[Mapping[str, Any]]) -> list[tuple[str, list[Mapping[str, Any]]]]:
    groups: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
    for row in rows:
        groups[row["predictor"]].append(row)
    return list(groups.items())[:MOST_SERIES]


def _label(text: str) -> str:
    """What stands beside an axis, which a longer text would push out of the figure."""
    shown = visible(text)
    return shown if len(shown) <= _LONGEST_LABEL else f"{shown[: _LONGEST_LABEL - 1]}…"


def _figure(width: float, height: float) -> Figure:
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), dpi=_DOTS_PER_INCH, layout="constrained")


def _png(figure: Figure, axes: Axes, title: str) -> bytes:
    axes.set_title(visible(title), fontsize=9, parse_math=False)
    axes.tick_params(axis="x", labelsize=7)
    return _saved(figure)


def _saved(figure: Figure) -> bytes:
    png = io.BytesIO()
    with warnings.catch_warnings():
        # The font has no emoji: they are drawn as boxes, and the table has them.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        figure.savefig(png, format="png", metadata={"Software": None})
    return png.getvalue()
