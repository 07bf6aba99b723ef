"""Where commands print to, and how they say a sentence."""

import os
import sys
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.text import Text

from redpop_assets.shown import visible


class Terminal(Console):
    """rich's console, on which nothing but rich's own markup acts: control characters of texts are written out.

    Every string that is printed, cells of tables included, is made a `Text` here.
    """

    def render_str(self, text: str, **how: Any) -> Text:
        """As rich does it, of the visible text."""
        return super().render_str(visible(text, keep="\n"), **how)


def console(*, stderr: bool = False) -> Terminal:
    """The terminal; into a file or a pipe tables are as wide as they need to be read."""
    known = (sys.stderr if stderr else sys.stdout).isatty() or "COLUMNS" in os.environ
    return Terminal(width=None if known else 140, stderr=stderr, emoji=False)


def say(text: str) -> None:
    """Print a sentence, with rich's markup, as one line, so that commands in it can be copied."""
    console().print(text, soft_wrap=True, highlight=False)


def complain(text: str) -> None:
    """Say on standard error what went wrong. The text is nobody's markup."""
    console(stderr=True).print(f"[bold red]Error:[/] {escape(text)}", soft_wrap=True, highlight=False)


def warn(text: str) -> None:
    """Say something on standard error, where it does not mix with results that a program reads; no markup."""
    console(stderr=True).print(escape(text), soft_wrap=True, highlight=False)


def quoted(text: str) -> str:
    """Text of anybody inside a sentence or a cell with rich's markup: one line, in which nothing acts."""
    return escape(visible(text))
