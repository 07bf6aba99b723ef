"""Pictures that are shown from within the text of a page: small enough to be kept with every run."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_COLOURS = 32  # enough for two hues and the grey of the letters, and a third of the bytes


def small_png(figure: Figure) -> bytes:
    """A figure as a PNG of few colours."""
    from PIL import Image

    drawing = io.BytesIO()
    figure.savefig(drawing, format="png")
    raster = Image.open(drawing).convert("RGB")
    png = io.BytesIO()
    raster.quantize(_COLOURS).save(png, format="PNG", optimize=True)
    return png.getvalue()
