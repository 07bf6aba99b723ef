"""Small pictures for people who have to decide something, as PNG, and as text that Markdown shows as a picture."""

import base64
import io
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from redpop_assets.evaluation.drift import Drift, Profile

_INCHES = (3.6, 2.3)  # of one panel
_DOTS_PER_INCH = 80
_COLOURS = 32  # enough for two hues and the grey of the letters, and a third of the bytes
_ACCEPTED, _NEW = "#9aa5b1", "#d9480f"


def evidence_picture(drifts: "Sequence[Drift]") -> bytes | None:
    """Draw where the values of columns were when they were accepted, and where they are now.

    Args:
        drifts: the columns, up to four of them, one panel each: the share of values in each bin of the accepted
            profile, then and now. Of vectors, their lengths.

    Returns:
        A PNG of less than 30 kB; None if none of the columns has both, an accepted profile and new values in its bins.
    """
    drawn = [drift for drift in drifts[:4] if drift.accepted is not None and any(drift.counts)]
    if not drawn:
        return None
    # The pyplot interface would keep every figure alive in a process that runs for months.
    from matplotlib.figure import Figure
    from PIL import Image

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
    drawing = io.BytesIO()
    figure.savefig(drawing, format="png")
    raster = Image.open(drawing).convert("RGB")
    png = io.BytesIO()
    raster.quantize(_COLOURS).save(png, format="PNG", optimize=True)
    return png.getvalue()


def embedded_png(png: bytes, description: str) -> str:
    """Markdown that shows a PNG from within the text; `description` is what it says where pictures cannot be shown."""
    words = description.replace("[", "(").replace("]", ")")
    return f"![{words}](data:image/png;base64,{base64.b64encode(png).decode('ascii')})"


def _title(drift: "Drift") -> str:
    name = drift.column if len(drift.column) <= 30 else f"{drift.column[:29]}…"
    numbers = [
        f"{label} {value:.2f}"
        for label, value in (("PSI", drift.psi), ("KS", drift.ks), ("centroid", drift.centroid_shift))
        if value is not None
    ]
    return f"{name}\n{', '.join(numbers) or 'too few values'}"


def _bin_names(accepted: "Profile") -> list[str]:
    """Up to where each bin reaches; the last one has no end."""
    names = [f"≤ {edge:.3g}" for edge in accepted.edges]
    return [*names, f"> {accepted.edges[-1]:.3g}" if names else "all"]
