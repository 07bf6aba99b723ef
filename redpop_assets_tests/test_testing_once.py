"""What is made once for all processes: by the first that asks, and anew where it was left unfinished."""

import pytest

from redpop_assets.testing.once import made_once


def test_it_is_made_by_the_first_who_asks_and_only_once(tmp_path):
    made = []

    def make(folder):
        made.append(folder)
        (folder / "content").write_text(f"number {len(made)}")

    for _ in range(3):
        assert (made_once(tmp_path / "shared", make) / "content").read_text() == "number 1"
    assert len(made) == 1


def test_what_was_left_unfinished_is_made_anew(tmp_path):
    def fails(folder):
        (folder / "half").touch()
        raise OSError("the disk is full")

    with pytest.raises(OSError, match="disk"):
        made_once(tmp_path / "shared", fails)
    found = made_once(tmp_path / "shared", lambda folder: (folder / "whole").touch())
    assert {path.name for path in found.iterdir() if not path.name.startswith(".")} == {"whole"}
