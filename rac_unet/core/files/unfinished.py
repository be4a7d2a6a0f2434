"""Remove incomplete files and folders that killed processes left under temporary names."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import time
from pathlib import Path

# Names of incomplete files and folders.
_TEMPORARY = re.compile(r"\.(?P<head>.+)\.(?P<pid>\d+)\.tmp(?P<ending>\..+)?")
_STARTED = time.time()


def remove_unfinished(folder: Path, name: str | None = None, idle: float = 0) -> None:
    """Remove temporary files and folders of `whole.replace_file` and `whole.new_folder` left by killed processes.

    Those of processes that still run on this machine are kept.

    Args:
        name: final name of the file or folder; None for any, in a folder that only this program writes to.
        idle: minimum seconds since the last change, for folders that other machines may be writing to.
    """
    # No permission, or removed by another process in the meantime: both can be ignored.
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        found = [(match, entry) for entry in entries if (match := _TEMPORARY.fullmatch(entry.name))]
        for match, entry in found:
            with contextlib.suppress(OSError):
                changed, final = entry.stat(follow_symlinks=False).st_mtime, match["head"] + (match["ending"] or "")
                is_stale = time.time() - changed >= idle and not _at_work(int(match["pid"]), changed)
                if name in (None, final) and is_stale:
                    shutil.rmtree(entry.path) if entry.is_dir(follow_symlinks=False) else os.unlink(entry.path)


def _at_work(pid: int, changed: float) -> bool:
    """Return whether the process with this id may still be writing a file that was changed at that time."""
    if pid == os.getpid():
        # In a container process ids are small, and an earlier process may have had the same.
        return changed >= _STARTED
    if os.name == "nt":
        # Windows has no signal that only tests a process.
        return True
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except OSError:
        # A process of another user.
        return True
    return True
