"""`redpop images verify` as people type it."""

import io
import os
import sys
import time

import pytest
from rich.console import Console

from redpop_assets import cli
from redpop_assets.storage.images import ImageStore
from redpop_assets.storage.warehouse import Warehouse


@pytest.fixture
def redpop(only, tmp_path, monkeypatch, capfd):
    """Run `redpop …` on the home directory `home`; returns exit code and output."""

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["redpop", *arguments])
        monkeypatch.setattr(sys, "stdin", io.StringIO())
        monkeypatch.setattr(cli, "_console", Console(width=200))
        with only({"REDPOP_HOME": str(tmp_path / "home")}, tmp_path), pytest.raises(SystemExit) as end:
            cli.main()
        captured = capfd.readouterr()
        assert "Traceback" not in captured.out + captured.err
        return int(end.value.code or 0), " ".join((captured.out + captured.err).split())

    return run


@pytest.fixture
def orphan(tmp_path):
    """A file of yesterday without a row, in a home with an empty warehouse."""
    with Warehouse(tmp_path / "home", source="reddit").write():
        pass
    store = ImageStore(tmp_path / "home" / "images")
    path = store.root / store.put(b"picture", "jpg").path
    os.utime(path, (time.time() - 86_400,) * 2)
    return path


def test_a_finding_is_an_error_until_it_is_repaired(redpop, orphan):
    code, output = redpop("images", "verify")
    assert code == 1
    assert "0 images in 1 files" in output
    assert f"orphaned 1 files that no row names {orphan.parent.name}/{orphan.name}" in output
    assert "redpop images verify --repair" in output
    assert orphan.exists()
    code, output = redpop("images", "verify", "--repair")
    assert (code, "Repaired." in output, orphan.exists()) == (0, True, False)
    code, output = redpop("images", "verify")
    assert (code, "Repaired." in output) == (0, False)


def test_files_younger_than_the_given_age_are_left_alone(redpop, orphan):
    assert redpop("images", "verify", "--older-than", "2d")[0] == 0
    assert redpop("images", "verify", "--older-than", "12h")[0] == 1
    assert orphan.exists()


def test_an_age_has_a_unit(redpop, orphan):
    code, output = redpop("images", "verify", "--repair", "--older-than", "12")
    assert (code, "is no duration" in output, orphan.exists()) == (1, True, True)


def test_without_a_warehouse_it_says_where_one_would_be(redpop):
    code, output = redpop("images", "verify")
    assert code == 1
    assert "There is no warehouse at" in output


def test_the_commands_for_images_are_listed(redpop):
    code, output = redpop("images", "--help")
    assert code == 0
    assert "verify" in output
