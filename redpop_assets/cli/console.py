"""Where commands print to, and how they say a sentence."""

import os
import sys

from rich.console import Console


def console() -> Console:
    """The terminal; into a file or a pipe tables are as wide as they need to be read."""
    return Console(width=None if sys.stdout.isatty() or "COLUMNS" in os.environ else 140)


def say(text: str) -> None:
    """Print a sentence, with rich's markup, as one line, so that commands in it can be copied."""
    console().print(text, soft_wrap=True, highlight=False)


def warn(text: str) -> None:
    """Print a sentence as it is, as one line, where it does not mix with results that a program reads."""
    Console(stderr=True).print(text, soft_wrap=True, highlight=False, markup=False)
