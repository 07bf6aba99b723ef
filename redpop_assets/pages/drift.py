"""What people see who have to decide whether features look as they should: the worst columns, as table and picture."""

from collections.abc import Sequence

import numpy as np

from redpop_assets import markdown
from redpop_assets.evaluation.drift import Drift, Profile
from redpop_assets.pages.pictures import small_png

_COLUMNS = (
    *("column", "rows accepted", "rows", "PSI (bound)", "KS (bound)", "mean shift (sd)", "missing"),
    *("centroid shift (bound)", "mean cosine", "verdict"),
)
_WORST = 10  # columns in the table
_PICTURED = 4  # columns in the picture

_INCHES = (3.6, 2.3)  # of one panel
_DOTS_PER_INCH = 80
_ACCEPTED, _NEW = "#9aa5b1", "#d9480f"


def evidence_picture(drifts: Sequence[Drift]) -> bytes | None:
    """Draw where the values of columns were when they were accepted, and where they are now.

    Args:
        drifts: the columns, of which the first four have a panel each: the share of values in each bin of the accepted
            profile, then and now. Of vectors, their lengths.

    Returns:
        A PNG of less than 30 kB; None if none of the four has both, an accepted profile and new values in its bins.
    """
    drawn = [drift for drift in drifts[:_PICTURED] if drift.accepted is not None and any(drift.counts)]
    if not drawn:
        return None
    # The pyplot interface would keep every figure alive in a process that runs for months.
    from matplotlib.figure import Figure

    across = min(len(drawn), 2)
    down = -(-len(drawn) // across)
    figure = Figure(figsize=(_INCHES[0] * across, _INCHES[1] * down), dpi=_DOTS_PER_INCH, layout="constrained")
    for position, drift in enumerate(drawn, start=1):
        accepted = drift.accepted
        assert accepted is not None
        axes = figure.add_subplot(down, across, position)
        at = np.arange(len(accepted.counts))
        axes.bar(at - 0.2, np.array(accepted.counts) / accepted.known, 0.4, color=_ACCEPTED, label="accepted")
        axes.bar(at + 0.2, np.array(drift.counts) / sum(drift.counts), 0.4, color=_NEW, label="now")
        axes.set_xticks(at, _bin_names(accepted), rotation=60, fontsize=6)
        axes.tick_params(axis="y", labelsize=6)
        axes.set_title(_title(drift), fontsize=8, parse_math=False)
        if position == 1:
            axes.legend(fontsize=6, frameon=False)
    return small_png(figure)


def drift_markdown(drifts: Sequence[Drift]) -> str:
    """The worst columns as a table, under a sentence that says how many of them drifted."""
    wrong = sum(drift.drifted for drift in drifts)
    compared = sum(drift.accepted is not None for drift in drifts)
    worst = sorted(drifts, key=lambda drift: (-drift.excess, drift.column))[:_WORST]
    return (
        f"{wrong} of {len(drifts)} columns drifted; {compared} have an accepted profile.\n\n"
        f"{markdown.table(_COLUMNS, map(_cells, worst))}"
    )


def _cells(drift: Drift) -> tuple[object, ...]:
    accepted, bounds = drift.accepted, drift.bounds or {}
    return (
        drift.column,
        markdown.DASH if accepted is None else accepted.rows,
        drift.rows,
        _bounded(drift.psi, bounds.get("psi"), ".2f"),
        _bounded(drift.ks, bounds.get("ks"), ".2f"),
        markdown.number(drift.mean_shift, "+.2f"),
        f"{drift.missing_share:.1%}"
        if accepted is None
        else f"{accepted.missing_share:.1%} → {drift.missing_share:.1%}",
        _bounded(drift.centroid_shift, bounds.get("centroid"), ".3f"),
        markdown.number(drift.similarity),
        "; ".join(drift.reasons) or ("first seen" if accepted is None else "within bounds"),
    )


def _bounded(value: float | None, bound: float | None, form: str) -> str:
    return markdown.number(value, form) if value is None or bound is None else f"{value:{form}} ({bound:{form}})"


def _title(drift: Drift) -> str:
    name = drift.column if len(drift.column) <= 30 else f"{drift.column[:29]}…"
    numbers = [
        f"{label} {value:.2f}"
        for label, value in (("PSI", drift.psi), ("KS", drift.ks), ("centroid", drift.centroid_shift))
        if value is not None
    ]
    return f"{name}\n{', '.join(numbers) or 'too few values'}"


def _bin_names(accepted: Profile) -> list[str]:
    """Up to where each bin reaches; the last one has no end."""
    names = [f"≤ {edge:.3g}" for edge in accepted.edges]
    return [*names, f"> {accepted.edges[-1]:.3g}" if names else "all"]
