"""What loading the code location costs a Dagster process, as a multiple of `import dagster` alone.

Each is done in a fresh interpreter; they alternate, so that a busy machine slows all of them. The processor time of the
interpreter (user and system) says what is done, the wall time what a person waits for. Bytecode is cached, as it is in
an installed deployment, in a folder of its own. Run: `python benchmarks/import_time.py`
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time

BARE = "import dagster"
IMPORT = "import redpop_assets.definitions"
LOAD = """
from redpop_assets.definitions import build_defs
from redpop_assets.settings import load_settings
build_defs(load_settings())
"""
LABELS = {BARE: "import dagster", IMPORT: "import the definitions", LOAD: "import and build them"}


def seconds(script: str, environment: dict[str, str]) -> tuple[float, float]:
    """Processor time and wall time of a fresh interpreter that runs a script."""
    began = time.perf_counter()
    child = subprocess.Popen([sys.executable, "-c", script], env=environment)
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        raise subprocess.CalledProcessError(child.returncode, child.args)
    return usage.ru_utime + usage.ru_stime, time.perf_counter() - began


def main() -> None:
    """Print the medians and their ratios."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    rounds = parser.parse_args().rounds
    with tempfile.TemporaryDirectory() as bytecode:
        environment = {**os.environ, "PYTHONPYCACHEPREFIX": bytecode}
        environment.pop("PYTHONDONTWRITEBYTECODE", None)
        found = [[seconds(script, environment) for script in LABELS] for _ in range(rounds + 1)][1:]
    medians = [[statistics.median(times) for times in zip(*pairs, strict=True)] for pairs in zip(*found, strict=True)]
    print(f"medians of {rounds}              processor           wall")
    for label, (processor, wall) in zip(LABELS.values(), medians, strict=True):
        print(
            f"{label:24}  {processor:.2f} s, {processor / medians[0][0]:.2f} x"
            f"      {wall:.2f} s, {wall / medians[0][1]:.2f} x"
        )


if __name__ == "__main__":
    main()
