"""Other people's programs to compare with, each installed by uv into an environment of its own."""

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

CLIP_RETRIEVAL = ("clip-retrieval==2.45.0", "setuptools<81")  # the latter for pkg_resources


def installed(packages: Sequence[str], folder: Path) -> Path:
    """Install packages, byte code included, into a new environment in `folder`; returns its interpreter."""
    python = folder / "bin" / "python"
    # The one of this environment, which need not be on the PATH.
    uv = Path(sys.executable).with_name("uv")
    subprocess.run([uv, "venv", "--quiet", "--python", "3.11", str(folder)], check=True)
    subprocess.run(
        [uv, "pip", "install", "--quiet", "--compile-bytecode", "--python", str(python), *packages], check=True
    )
    return python
