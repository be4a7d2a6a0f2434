"""Files and folders that a killed process left under a temporary name: which they are, and their removal."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import time
from pathlib import Path

# Names of files and folders that are not whole yet.
_TEMPORARY = re.compile(r"\.(?P<head>.+)\.(?P<pid>\d+)\.tmp(?P<ending>\..+)?")
_STARTED = time.time()


def remove_unfinished(folder: Path, name: str | None = None, idle: float = 0) -> None:
    """Remove what killed processes left in a folder: temporaries of `whole.replace_file` and `whole.new_folder`.

    Those of processes that still run on this machine are kept.

    Args:
        name: of the file or folder that was to be made; None for any, in a folder where everything is ours.
        idle: least seconds since the last change, where processes of other machines may be at work, too.
    """
    # Not ours to remove, or removed meanwhile by another process: neither stops anybody.
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        found = [(match, entry) for entry in entries if (match := _TEMPORARY.fullmatch(entry.name))]
        for match, entry in found:
            with contextlib.suppress(OSError):
                changed, meant = entry.stat(follow_symlinks=False).st_mtime, match["head"] + (match["ending"] or "")
                is_stale = time.time() - changed >= idle and not _at_work(int(match["pid"]), changed)
                if name in (None, meant) and is_stale:
                    shutil.rmtree(entry.path) if entry.is_dir(follow_symlinks=False) else os.unlink(entry.path)


def _at_work(pid: int, changed: float) -> bool:
    """Whether the process of that number is still writing what was changed at that time."""
    if pid == os.getpid():
        # In a container numbers are small, and the next process has the same.
        return changed >= _STARTED
    if os.name == "nt":
        # There is no harmless signal there.
        return True
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except OSError:
        # Another user's.
        return True
    return True
