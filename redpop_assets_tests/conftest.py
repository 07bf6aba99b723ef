"""What the tests of all rooms share; the fixtures themselves are in `fixtures/`, by subject."""

import gc
import os
from collections.abc import Iterator
from zlib import crc32

import hypothesis
import pytest

os.environ["HF_HUB_OFFLINE"] = "1"  # read when huggingface_hub is imported: no test may ask the hub
# Read when a process starts: by the workers of this one, and by the commands that tests run.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # threads that spin while they wait stall a machine that is shared
# The workers share the processors, so DuckDB gets one thread: for tables of a few rows, waking others is half of it.
os.environ.setdefault("SLURM_CPUS_ON_NODE", "1")  # the one variable in which it looks for their number
# The same for the matrix products of numpy and scipy, whose threads spin for milliseconds after each small one.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
# What a network frees is kept for its next layer (glibc): to have each page anew takes as long as the arithmetic.
for _name in ("MALLOC_MMAP_THRESHOLD_", "MALLOC_TRIM_THRESHOLD_"):
    os.environ.setdefault(_name, str(2**30))

pytest_plugins = [
    "redpop_assets_tests.fixtures.communities",
    "redpop_assets_tests.fixtures.deployments",
    "redpop_assets_tests.fixtures.object_storage",
    "redpop_assets_tests.fixtures.places",
    "redpop_assets_tests.fixtures.postgres",
    "redpop_assets_tests.fixtures.public_data",
]

# How long an example takes says what else the machine does, not what is wrong. The examples are the same each time;
# `HYPOTHESIS_PROFILE=search` looks for others.
hypothesis.settings.register_profile("redpop", deadline=None, derandomize=True)
hypothesis.settings.register_profile("search", deadline=None)
hypothesis.settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "redpop"))


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Iterator[None]:
    """What is imported stays: no collector of garbage looks through it, neither now nor before each of its long walks.

    A million objects are there once all files are imported; to walk through them took a third of the time of that. And
    what a test leaves is looked through after 50,000 objects instead of 700: that was 3 % of the processor time of the
    tests of `refresh/`.
    """
    gc.disable()
    try:
        return (yield)
    finally:
        gc.enable()
        gc.freeze()
        gc.set_threshold(50_000)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Whole deployments come first and what is quick last, so that no worker is left alone with a long file at the end.

    While one worker fills the home that many files share, the others have deployments of their own to do. Between them
    and what is quick files are shuffled, always in the same way: by their names those that wait for servers and disks
    would come together, and leave the processors idle.
    """
    sharing = dict.fromkeys(item.path for item in items if "pipeline" in getattr(item, "fixturenames", ()))

    def turn(item: pytest.Item) -> tuple[int, int]:
        if item.path in sharing:
            return 0 if item.path == next(iter(sharing)) else 2, 0
        if item.get_closest_marker("end_to_end"):
            return 1, 0
        if item.get_closest_marker("integration"):
            return 3, crc32(item.path.name.encode())
        return 4, 0

    items.sort(key=turn)
