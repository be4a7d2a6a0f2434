"""Locks on files: one owner at a time, released with the file, also where there is no `fcntl`."""

import os
import sys
from types import SimpleNamespace

import pytest

from rac_unet.core.files.locking import lock_alone, lock_shared


@pytest.fixture
def opened(tmp_path):
    """Open the same file again and again; all are closed in the end."""
    files = []

    def open_again():
        files.append(os.open(tmp_path / "lock", os.O_RDWR | os.O_CREAT))
        return files[-1]

    yield open_again
    for file in files:
        os.close(file)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no shared locks")
def test_one_owner_or_several_that_share(opened):
    first, second, third = opened(), opened(), opened()
    lock_shared(first)
    lock_shared(second)
    with pytest.raises(BlockingIOError):
        lock_alone(third)


def test_without_fcntl_a_byte_behind_the_content_is_locked(opened, monkeypatch):
    """As on Windows, whose `msvcrt` is simulated."""
    locked = {}

    def locking(file, mode, count):
        where = os.lseek(file, 0, os.SEEK_CUR)
        if mode != "alone" or locked.setdefault((where, count), file) != file:
            raise PermissionError(13, "Permission denied")

    monkeypatch.setitem(sys.modules, "fcntl", None)
    monkeypatch.setitem(sys.modules, "msvcrt", SimpleNamespace(locking=locking, LK_NBLCK="alone"))
    first, second = opened(), opened()
    os.write(first, b"4711\n")
    lock_alone(first)
    with pytest.raises(BlockingIOError):
        lock_alone(second)
    # The owner's number can be read, and is written where it was going to be.
    assert os.read(second, 32) == b"4711\n" and os.lseek(first, 0, os.SEEK_CUR) == 5
    assert all(where > 1_000_000 for where, _ in locked)
    lock_shared(second)
