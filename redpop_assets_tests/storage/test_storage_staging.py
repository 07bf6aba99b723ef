"""What is not finished goes with its process: at the end of the block, or with the next sweep after a kill."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from redpop_assets.storage.staging import SETTLED, held_folder, sweep, unheld

PLACES = [".", "live", "images", "models/pics/gbm", "figures/pics"]
HOLD = """
import contextlib, sys
from pathlib import Path
from redpop_assets.storage.staging import held_folder
with contextlib.ExitStack() as held:
    for place in sys.argv[2:]:
        folder = held.enter_context(held_folder(Path(sys.argv[1]) / place))
        (folder / "half").write_bytes(b"x" * 1000)
    print("held", flush=True)
    sys.stdin.read()
"""


def holder(home: Path) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(home), *PLACES], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def halves(home: Path) -> int:
    return len(list(home.glob("**/.new-*/half")))


def test_a_folder_lasts_as_long_as_its_block(tmp_path):
    with pytest.raises(RuntimeError), held_folder(tmp_path / "new") as folder:  # noqa: PT012
        (folder / "deeper").mkdir()
        (folder / "deeper" / "file").write_bytes(b"x")
        assert sweep(tmp_path / "new").files == 0
        assert (folder / "deeper" / "file").exists()
        raise RuntimeError
    assert list((tmp_path / "new").iterdir()) == []


def test_what_a_killed_process_left_goes_and_what_a_living_one_holds_stays(tmp_path):
    living, killed = holder(tmp_path), holder(tmp_path)
    try:
        assert halves(tmp_path) == 2 * len(PLACES)
        assert sweep(tmp_path).files == 0
        killed.send_signal(signal.SIGKILL)
        killed.communicate()
        # However old it looks: the lock alone counts.
        for folder in tmp_path.glob("**/.new-*"):
            os.utime(folder, (0, 0))
        assert len(unheld(tmp_path / "images")) == 1
        swept = sweep(tmp_path)
        assert (swept.files, swept.bytes) == (len(PLACES), 1000 * len(PLACES))
        assert str(swept) == "removed 5 files (0.0 MB) that killed processes had left"
        assert halves(tmp_path) == len(PLACES)
        assert sweep(tmp_path).files == 0
    finally:
        living.communicate("")
    assert halves(tmp_path) == 0


def test_a_process_id_that_is_used_again_keeps_nothing(tmp_path):
    """Nothing in the name is a process: this one runs, and holds another folder."""
    with held_folder(tmp_path / "live") as mine:
        stale = mine.with_name(f".new-{'ab' * 16}")
        stale.mkdir()
        (stale / "redpop.duckdb").write_bytes(b"half")
        assert sweep(tmp_path).files == 1
        assert mine.exists()
        assert not stale.exists()


def test_folders_are_not_swept_while_they_are_made(tmp_path):
    done = threading.Event()

    def sweeping() -> None:
        while not done.is_set():
            sweep(tmp_path)

    thread = threading.Thread(target=sweeping)
    thread.start()
    try:
        for number in range(200):
            with held_folder(tmp_path / "live") as folder:
                (folder / "file").write_bytes(bytes([number]))
                assert (folder / "file").read_bytes() == bytes([number])
    finally:
        done.set()
        thread.join()


EARLIER = [
    *("images/.new/0123abcd", "images/ab/.new-x1y2", "models/pics/gbm/.new-a_b3/model.txt", "figures/pics/.new-77-0a"),
    *("live/new-77-0a.duckdb", "live/new-77-0a.duckdb.wal", "live/rebuilding-77.duckdb", "live/migrating-77.duckdb"),
    *("live/migrating-77.duckdb.wal", "redpop.duckdb.publishing"),
]
KEPT = [
    "live/redpop.duckdb",
    "live/redpop.duckdb.wal",
    "redpop.duckdb",
    "images/ab/abc.jpg",
    "models/pics/gbm/00/a",
    "x",
]


def test_what_earlier_versions_left_goes_when_it_is_old(tmp_path):
    for name in (*EARLIER, *KEPT):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"half")
    assert sweep(tmp_path).files == 0
    moment = time.time() - 2 * SETTLED.total_seconds()
    for path in sorted(tmp_path.rglob("*"), reverse=True):
        os.utime(path, (moment, moment))
    assert sweep(tmp_path).files == len(EARLIER)
    assert sorted(path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file()) == sorted(
        KEPT
    )


def test_a_home_that_is_not_there_has_nothing_to_sweep(tmp_path):
    assert sweep(tmp_path / "nowhere").files == 0
