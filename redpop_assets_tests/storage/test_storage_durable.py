"""Copies of files, by the kernel and where it cannot."""

import errno
import os

import pytest

from redpop_assets.storage import durable

CONTENT = os.urandom(300_000)


def _cannot(*_):
    raise OSError(errno.EXDEV, "Invalid cross-device link")


def _breaks_off(*arguments, whole=os.copy_file_range):
    source, target, count, *offsets = arguments
    if offsets[0]:
        raise OSError(errno.EIO, "Input/output error")
    return whole(source, target, min(count, 1000), *offsets)


def _in_pieces(*arguments, whole=os.copy_file_range):
    source, target, count, *offsets = arguments
    return whole(source, target, min(count, 70_000), *offsets)


KERNELS = {
    "whole": os.copy_file_range,
    "pieces": _in_pieces,
    "none": _cannot,
    "half": _breaks_off,
    "nothing": lambda *_: 0,
}


@pytest.mark.parametrize("kernel", KERNELS)
def test_a_copy_has_the_bytes_of_the_file_wherever_that_was_read(tmp_path, monkeypatch, kernel):
    monkeypatch.setattr(os, "copy_file_range", KERNELS[kernel])
    (tmp_path / "from").write_bytes(CONTENT)
    (tmp_path / "to").write_bytes(b"longer than before" + CONTENT)
    with (tmp_path / "from").open("rb") as file:
        file.read(10)
        durable.copy(file, tmp_path / "to")
    assert (tmp_path / "to").read_bytes() == CONTENT


def test_where_there_is_no_such_call_it_is_copied_all_the_same(tmp_path, monkeypatch):
    monkeypatch.delattr(os, "copy_file_range")
    (tmp_path / "from").write_bytes(CONTENT)
    with (tmp_path / "from").open("rb") as file:
        durable.copy(file, tmp_path / "to")
    assert (tmp_path / "to").read_bytes() == CONTENT


def test_an_empty_file_is_copied(tmp_path):
    (tmp_path / "from").touch()
    with (tmp_path / "from").open("rb") as file:
        durable.copy(file, tmp_path / "to")
    assert (tmp_path / "to").read_bytes() == b""


def test_a_full_disk_is_said(tmp_path):
    (tmp_path / "from").write_bytes(CONTENT)
    with (tmp_path / "from").open("rb") as file, pytest.raises(OSError, match="No space left"):
        durable.copy(file, type(tmp_path)("/dev/full"))
