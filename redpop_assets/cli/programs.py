"""Other programs of this environment, and waiting for one."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from redpop_assets.arithmetic import SAME_EVERYWHERE, is_same_everywhere
from redpop_assets.errors import SettingsError

if TYPE_CHECKING:
    from redpop_assets.settings import Settings


_COMMAND_LINES = ("redpop", "cli/__main__.py")
"""How the program of a process of the command line ends; that of `python -m pytest` is a `__main__.py` as well."""


def program(name: str) -> str:
    """A program of this environment, which need not be on the PATH.

    Raises:
        SettingsError: it is missing.
    """
    beside = Path(sys.executable).with_name(name)
    found = str(beside) if beside.exists() else shutil.which(name)
    if found is None:
        raise SettingsError(f"The program {name} is missing from this environment: install RedPop again.")
    return found


def compute_as_told(settings: "Settings") -> None:
    """Where figures are to be the same on other machines, begin this command again as a process that computes so.

    What libraries compute with is settled when they are loaded, which is over by the time the settings are known. In a
    program of somebody else that calls a command nothing begins again: steps that compute say so.
    """
    is_command = any(Path(sys.argv[0]).match(name) for name in _COMMAND_LINES)
    if settings.reproducible and is_command and not is_same_everywhere(os.environ):
        command = [sys.executable, "-m", "redpop_assets.cli", *sys.argv[1:]]
        os.execve(sys.executable, command, {**os.environ, **SAME_EVERYWHERE})


def foreground(command: Sequence[str], environment: Mapping[str, str]) -> int:
    """Run a program that ends by Ctrl-C, and wait for it to clean up; returns its exit code."""
    # A shell starts what runs in the background with interrupts ignored, and the program would inherit that.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    process = subprocess.Popen(command, env=environment)
    # Dagster leaves its servers behind when it is terminated; an interrupt makes it end them.
    signal.signal(signal.SIGTERM, lambda *_: process.send_signal(signal.SIGINT))
    while True:
        try:
            return process.wait()
        except KeyboardInterrupt:
            continue  # the terminal has told the program as well
