"""`redpop images verify` as people type it."""

import os
import time
from functools import partial

import pytest

from redpop_assets.storage.images import ImageStore
from redpop_assets.storage.warehouse import Warehouse

pytestmark = pytest.mark.integration


@pytest.fixture
def redpop(redpop, tmp_path):
    """On the home directory `home`."""
    return partial(redpop, REDPOP_HOME=str(tmp_path / "home"))


@pytest.fixture
def orphan(tmp_path):
    """A file of yesterday without a row, in a home with an empty warehouse."""
    with Warehouse(tmp_path / "home", source="reddit").write():
        pass
    store = ImageStore(tmp_path / "home" / "images")
    path = store.place.root / store.put(b"picture", "jpg").path
    os.utime(path, (time.time() - 86_400,) * 2)
    return path


def test_a_finding_is_an_error_until_it_is_repaired(redpop, orphan):
    answer = redpop("images", "verify")
    assert answer.code == 1
    assert "0 images in 1 files" in answer.output
    assert f"orphaned 1 files that no row names {orphan.parent.name}/{orphan.name}" in answer.output
    assert "redpop images verify --repair" in answer.output
    assert orphan.exists()
    answer = redpop("images", "verify", "--repair")
    assert (answer.code, "Repaired." in answer.output, orphan.exists()) == (0, True, False)
    answer = redpop("images", "verify")
    assert (answer.code, "Repaired." in answer.output) == (0, False)


def test_files_younger_than_the_given_age_are_left_alone(redpop, orphan):
    assert redpop("images", "verify", "--older-than", "2d").code == 0
    assert redpop("images", "verify", "--older-than", "12h").code == 1
    assert orphan.exists()


def test_an_age_has_a_unit(redpop, orphan):
    answer = redpop("images", "verify", "--repair", "--older-than", "12")
    assert (answer.code, "is no duration" in answer.output, orphan.exists()) == (1, True, True)


def test_without_a_warehouse_it_says_where_one_would_be(redpop):
    answer = redpop("images", "verify")
    assert answer.code == 1
    assert "There is no warehouse at" in answer.output


def test_the_commands_for_images_are_listed(redpop):
    answer = redpop("images", "--help")
    assert answer.code == 0
    assert "verify" in answer.output
