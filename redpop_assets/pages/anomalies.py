"""What people see of the periods in which an archive is wrong: a table, and a picture of both series."""

from collections.abc import Sequence
from datetime import date, timedelta

import numpy as np

from redpop_assets import markdown
from redpop_assets.evaluation.anomalies import LOW_SCORE, MIN_LABELS, Anomaly, Counts, Window
from redpop_assets.pages.pictures import small_png

_COLUMNS = ("what", "from", "to", "observed", "expected", "strength", "p", "posts")
_WORDS = {
    "first_readings": "scores that are first readings",
    "new_level": "a new level of scores, which is no error",
    "gap": "days without posts",
}
_COLOURS = {"first_readings": "#d9480f", "new_level": "#e67700", "gap": "#862e9c"}
_LINE, _EXPECTED = "#1c6dd0", "#9aa5b1"
_INCHES = (7.6, 4.2)
_DOTS_PER_INCH = 80
# A layout that looks for these by itself takes twice as long as to draw, and every run draws one.
_MARGINS = {"left": 0.09, "right": 0.985, "top": 0.94, "bottom": 0.07, "hspace": 0.14}


def anomalies_markdown(anomalies: Sequence[Anomaly], windows: Sequence[Window]) -> str:
    """The periods as a table, below a sentence that says in how much they were looked for."""
    judged = sum(window.p_value is not None for window in windows)
    looked_at = (
        f"{judged} of {len(windows)} windows of labels of archives could be judged: those with {MIN_LABELS} labels and "
        "enough of the same community before them."
    )
    if not anomalies:
        return f"Nothing found. {looked_at}"
    return f"{looked_at}\n\n{markdown.table(_COLUMNS, map(_cells, anomalies))}"


def anomalies_picture(
    anomalies: Sequence[Anomaly], windows: Sequence[Window], first_day: date | None, posts_per_day: Counts
) -> bytes | None:
    """Draw the share of low scores and the posts per day over time, and the periods that were found.

    Args:
        anomalies: the periods.
        windows: of the labels, by time.
        first_day: of `posts_per_day`; None without posts.
        posts_per_day: (n,) posts of each day from then on.

    Returns:
        A PNG of less than 40 kB; None if there is no period to show: drawing takes a second, every night.
    """
    if first_day is None or not anomalies:
        return None
    # The pyplot interface would keep every figure alive in a process that runs for months.
    from matplotlib.figure import Figure

    figure = Figure(figsize=_INCHES, dpi=_DOTS_PER_INCH)
    shares, posts = figure.subplots(2, 1, sharex=True, gridspec_kw=_MARGINS)
    shown = [window for window in windows if window.labels >= MIN_LABELS]
    middles = [window.first + (window.last - window.first) / 2 for window in shown]
    expected = [np.nan if window.expected is None else window.expected for window in shown]
    shares.plot(middles, [window.share for window in shown], color=_LINE, linewidth=0.8, label="observed")
    shares.plot(middles, expected, color=_EXPECTED, linewidth=1.2, label="expected")
    shares.set_ylim(0.0, 1.0)
    shares.set_ylabel(f"share of scores ≤ {LOW_SCORE}", fontsize=8)
    shares.set_title("" if shown else "too few labels of archives to judge them", fontsize=8)
    days = [first_day + timedelta(days=day) for day in range(len(posts_per_day))]
    posts.plot(days, posts_per_day, color=_LINE, linewidth=0.4)
    posts.set_ylim(bottom=0.0)
    posts.set_ylabel("posts per day", fontsize=8)
    named = set()
    for found in anomalies:
        axes = posts if found.kind == "gap" else shares
        label = None if found.kind in named else _WORDS[found.kind]
        named.add(found.kind)
        end = found.last + timedelta(days=1)
        axes.axvspan(found.first, end, color=_COLOURS[found.kind], alpha=0.3, label=label)
    for axes in (shares, posts):
        axes.tick_params(labelsize=7)
        if axes.get_legend_handles_labels()[0]:
            axes.legend(fontsize=6, frameon=False, loc="upper left")
    return small_png(figure)


def _cells(found: Anomaly) -> tuple[object, ...]:
    form = ".1f" if found.kind == "gap" else ".1%"
    return (
        _WORDS[found.kind],
        found.first,
        found.last,
        markdown.number(found.observed, form),
        markdown.number(found.expected, form),
        f"{found.strength:.0%}",
        f"{found.p_value:.1g}",
        found.posts,
    )
