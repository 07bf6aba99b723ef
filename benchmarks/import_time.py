"""How long a Dagster process needs to import the code location, as a multiple of `import dagster` alone.

Each import runs in a fresh interpreter; the two alternate, so that a busy machine slows both. Run:
`python benchmarks/import_time.py`
"""

import argparse
import statistics
import subprocess
import sys
import time


def seconds(module: str) -> float:
    """Wall time of a fresh interpreter that imports one module."""
    began = time.perf_counter()
    subprocess.run([sys.executable, "-c", f"import {module}"], check=True)
    return time.perf_counter() - began


def main() -> None:
    """Print the medians and their ratio."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    rounds = parser.parse_args().rounds
    pairs = [(seconds("dagster"), seconds("redpop_assets.definitions")) for _ in range(rounds + 1)][1:]
    bare, ours = (statistics.median(column) for column in zip(*pairs, strict=True))
    print(f"import dagster                    {bare:.2f} s (median of {rounds})")
    print(f"import redpop_assets.definitions  {ours:.2f} s, {ours / bare:.2f} x")


if __name__ == "__main__":
    main()
