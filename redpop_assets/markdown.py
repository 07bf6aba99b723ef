"""How numbers, tables and pictures look as Markdown: in the metadata of assets, in the pages of the checkout.

What a page says belongs to the page; only what all of them have in common belongs here. Tables are not padded: what
people read is the rendered one, and a long description would widen every row of its column.
"""

import base64
import re
from collections.abc import Iterable, Sequence

from redpop_assets.shown import visible

DASH = "–"
"""Stands for a number that is not defined."""

_PLAIN = re.compile(r"[^\W_]+(?:(?:, |[ _-])[^\W_]+)*")


def table(headers: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A table of GitHub's Markdown (GFM, section 4.10), without a newline at its end.

    Args:
        headers: (n,) titles of the columns.
        rows: (n,) cells each, as Markdown; what would end a cell or a row is escaped, None is an empty cell. Text of
            strangers is no Markdown: `quoted` makes it some.

    Raises:
        ValueError: a row has more or fewer cells than there are columns.
    """
    lines = [_row(headers), "|" + "---|" * len(headers)]
    for cells in rows:
        if len(cells) != len(headers):
            raise ValueError(f"a row has {len(cells)} cells, the table {len(headers)} columns: {list(cells)}")
        lines.append(_row(cells))
    return "\n".join(lines)


def quoted(text: str) -> str:
    """Text of anybody as Markdown that shows it as it is, on one line.

    What is more than words becomes a code span. No markup, HTML, entity, emphasis or escape has effect in one, nor is
    an address made a link there, as renderers do with the bare text even behind backslashes.
    """
    shown = visible(text).strip()
    if not shown or _PLAIN.fullmatch(shown):
        return shown
    fence = "`" * (1 + max((len(run) for run in re.findall("`+", shown)), default=0))
    return f"{fence} {shown} {fence}" if "`" in shown else f"{fence}{shown}{fence}"


def number(value: float | None, form: str = ".2f") -> str:
    """A number in a format of `format()`; a dash where there is none."""
    return DASH if value is None else format(value, form)


def interval(value: float | None, low: float | None, high: float | None, form: str = ".2f") -> str:
    """A number with its interval, such as `0.41 [0.30, 0.52]`; without it where the interval has no lower end."""
    if value is None or low is None:
        return number(value, form)
    return f"{number(value, form)} [{number(low, form)}, {number(high, form)}]"


def picture(png: bytes, description: str) -> str:
    """A PNG that is shown from within the text; `description` is what it says where pictures cannot be shown."""
    words = visible(description).replace("[", "(").replace("]", ")").replace("\\", "/")
    return f"![{words}](data:image/png;base64,{base64.b64encode(png).decode('ascii')})"


def _row(cells: Iterable[object]) -> str:
    return f"| {' | '.join(map(_cell, cells))} |"


def _cell(content: object) -> str:
    text = "" if content is None else str(content)
    return visible(text.replace("|", "\\|"))
