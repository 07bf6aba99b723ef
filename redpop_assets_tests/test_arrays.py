"""Libraries that are imported when something of them is asked for."""

import sys
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import numpy as np
import pyarrow as pa
import pytest

from redpop_assets import arrays
from redpop_assets.arrays import Later


@pytest.fixture
def slow(tmp_path, monkeypatch):
    """Name of a module that takes a while to import, and says each time that it is imported."""
    (tmp_path / "slow_module.py").write_text(
        "import time, pathlib\n"
        "with pathlib.Path(__file__).with_name('imports').open('a') as file:\n    file.write('.')\n"
        "time.sleep(0.2)\nlast = 7\n",
        encoding="utf-8",
    )
    monkeypatch.syspath_prepend(tmp_path)
    yield "slow_module"
    sys.modules.pop("slow_module", None)


def test_a_library_is_imported_when_something_of_it_is_asked_for(slow, tmp_path):
    module = Later(slow)
    assert slow not in sys.modules
    assert module.last == 7
    assert slow in sys.modules
    assert vars(module)["last"] == 7  # the next one to ask does not come by here
    assert (tmp_path / "imports").read_text(encoding="utf-8") == "."


def test_threads_that_ask_at_once_are_given_the_whole_module(slow, tmp_path):
    module, together = Later(slow), Barrier(8)

    def ask(_):
        together.wait()
        return module.last

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(ask, range(8))) == [7] * 8
    assert (tmp_path / "imports").read_text(encoding="utf-8") == "."


def test_what_is_not_there_is_said_as_by_the_library_itself(slow):
    with pytest.raises(AttributeError, match=r"slow_module.*first"):
        _ = Later(slow).first
    with pytest.raises(ModuleNotFoundError, match="no_such_library"):
        _ = Later("no_such_library").anything


def test_they_are_the_libraries_themselves():
    assert arrays.np.float32 is np.float32
    assert arrays.npt.NDArray is np.typing.NDArray
    assert arrays.pa.Table is pa.Table
    assert arrays.np.linalg.norm is np.linalg.norm
