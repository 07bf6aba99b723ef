"""Other programs of this environment, and waiting for one."""

import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from redpop_assets.errors import SettingsError


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
