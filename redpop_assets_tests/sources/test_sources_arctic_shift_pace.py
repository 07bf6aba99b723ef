"""One pace for all processes of a machine, kept in a file that may be missing, damaged or out of reach."""

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from redpop_assets.sources.arctic_shift.pace import LONGEST_HOLD, Pace

NOW = 1_780_000_000.0


class Waits(list[float]):
    def __call__(self, seconds: float) -> None:
        self.append(seconds)

    def clock(self) -> float:
        return NOW + sum(self)


@pytest.fixture
def waits() -> Waits:
    return Waits()


def paced(waits: Waits, file: Path | None = None, rate: float = 0.5) -> Pace:
    return Pace(rate, file, clock=waits.clock, sleep=waits)


@pytest.mark.parametrize("shared", [False, True])
def test_requests_are_an_interval_apart_and_the_first_one_waits_for_nobody(waits, tmp_path, shared):
    pace = paced(waits, tmp_path / "pace.json" if shared else None)
    sent = []
    for _ in range(4):
        pace.wait()
        sent.append(waits.clock() - NOW)
    assert sent == [0, 2, 4, 6]
    assert pace.seconds_waited == sum(waits) == 6


def test_paces_on_one_file_are_one_pace_and_hold_each_other(waits, tmp_path):
    first, second = (paced(waits, tmp_path / "deep" / "pace.json") for _ in range(2))
    first.wait()
    second.wait()
    assert waits.clock() - NOW == 2
    second.hold(30)
    first.wait()
    assert waits.clock() - NOW == 32
    assert max(waits) <= 5  # looked at again meanwhile


def test_a_long_hold_is_said_once(waits, caplog):
    pace = paced(waits)
    pace.hold(40)
    pace.wait()
    assert caplog.text.count("asks to wait") == 1
    assert "in 40 s" in caplog.text


def test_nobody_is_held_for_longer_than_the_longest_hold(waits, tmp_path):
    pace = paced(waits, tmp_path / "pace.json")
    pace.hold(1e9)
    pace.wait()
    assert waits.clock() - NOW == LONGEST_HOLD
    (tmp_path / "pace.json").write_text(
        json.dumps({"next": waits.clock() + 2 * LONGEST_HOLD})
    )  # the clock was set back
    before = waits.clock()
    pace.wait()
    assert waits.clock() == before


@pytest.mark.parametrize(
    "content", ["", "{", "[]", '{"next": "soon"}', '{"next": NaN}', '{"next": null}', "[" * 5000, "{}"]
)
def test_a_damaged_file_is_begun_anew(waits, tmp_path, content):
    file = tmp_path / "pace.json"
    file.write_text(content)
    pace = paced(waits, file)
    pace.wait()
    pace.wait()
    assert waits.clock() - NOW == 2
    assert json.loads(file.read_text()) == {"next": NOW + 4}


def test_a_file_out_of_reach_stops_nobody(waits, tmp_path, caplog):
    (tmp_path / "file").write_text("")
    pace = paced(waits, tmp_path / "file" / "pace.json")
    pace.wait()
    pace.wait()
    assert waits.clock() - NOW == 2
    assert pace.file is None
    assert "REDPOP_BUDGET_DIR" in caplog.text


@pytest.mark.integration
def test_processes_keep_one_pace(tmp_path):
    program = (
        "import sys, time\nfrom pathlib import Path\nfrom redpop_assets.sources.arctic_shift.pace import Pace\n"
        "pace = Pace(20.0, Path(sys.argv[1]))\n"
        "for _ in range(8):\n    pace.wait()\n"
    )
    command = [sys.executable, "-c", program, str(tmp_path / "pace.json")]
    started = time.time()
    processes = [subprocess.Popen(command) for _ in range(3)]
    assert [process.wait(timeout=60) for process in processes] == [0, 0, 0]
    assert json.loads((tmp_path / "pace.json").read_text())["next"] >= started + 24 / 20 - 0.001
