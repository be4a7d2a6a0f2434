"""Locks on open files, which the operating system releases when their owner ends for any reason.

Linux and macOS have `flock`. Windows locks bytes of a file, for one process only, and was not tested.
"""

from __future__ import annotations

import os

# Other processes cannot read bytes that Windows has locked, so these are behind the content of the file.
_BEHIND_CONTENT = 1 << 30


def lock_alone(descriptor: int) -> None:
    """Lock a file that is open for reading and writing, without waiting; closing it releases the lock.

    Raises: BlockingIOError when another process holds a lock; other OSErrors on a file system without locks.
    """
    try:
        import fcntl
    except ImportError:
        _lock_bytes(descriptor)
    else:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


def lock_shared(descriptor: int) -> None:
    """Lock an open file together with others that do so; wait for one that has locked it alone.

    Nothing is locked on Windows. Raises: OSError on a file system without locks.
    """
    try:
        import fcntl
    except ImportError:
        return
    fcntl.flock(descriptor, fcntl.LOCK_SH)


def _lock_bytes(descriptor: int) -> None:
    import msvcrt

    place = os.lseek(descriptor, 0, os.SEEK_CUR)
    os.lseek(descriptor, _BEHIND_CONTENT, os.SEEK_SET)
    try:
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
    except PermissionError as error:
        raise BlockingIOError(error.errno, error.strerror) from None
    finally:
        os.lseek(descriptor, place, os.SEEK_SET)
