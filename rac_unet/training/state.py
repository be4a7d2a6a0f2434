"""Save and load backups: one file with everything a resumed run needs.

A backup has the variables that the caller gives, by position (`_backed_up_variables` of `Trainer` in `loop.py` and of
`ClassifierTrainer` in `classifying.py`), and numbers such as the step and the best loss. Two backups are kept, so
that a file damaged by a crash costs minutes and not the run.
"""

from __future__ import annotations

import json
import os
import re
import time
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from rac_unet.core.errors import UserError
from rac_unet.core.files.whole import replace_file

GENERATIONS = 2
# Version of a backup's layout; increased when an older version cannot read it.
BACKUP_FORMAT = 2
# Largest share of the training time that backups may take.
COST_SHARE = 1 / 50


def save_state(folder: Path, groups: dict[str, list], numbers: dict[str, Any]) -> Path:
    """Write a backup, verify it, and remove the oldest.

    Args:
        folder: the run's backup folder.
        groups: name -> TensorFlow variables in a fixed order.
        numbers: JSON-serialisable values, including `step`.
    Returns: the file written.
    Raises: OSError when the file on disk differs from what was written; earlier backups are then unchanged.
    """
    arrays = {f"{name}/{i:04d}": v.numpy() for name, group in groups.items() for i, v in enumerate(group)}
    arrays["numbers"] = np.array(json.dumps({"format": BACKUP_FORMAT, **numbers}))
    path = folder / f"step_{numbers['step']:08d}.npz"

    def write(temporary: Path) -> None:
        with temporary.open("wb") as file:
            np.savez(file, **arrays)
            file.flush()
            os.fsync(file.fileno())
        with zipfile.ZipFile(temporary) as archive:
            # Reading compares each member with its checksum.
            if damaged := archive.testzip():
                raise OSError(f"{path}: {damaged} on the disk differs from what was written; is the disk failing?")

    replace_file(path, write)
    for old in find_backups(folder)[GENERATIONS:]:
        old.unlink()
    return path


def load_state(folder: Path, log) -> tuple[dict[str, np.ndarray], dict[str, Any]] | None:
    """Read the newest intact backup; None if there is no backup.

    Args:
        folder: the run's backup folder.
        log: called with a line of text for each damaged backup.
    Raises: UserError when all backups are damaged.
    """
    backups = find_backups(folder)
    for path in backups:
        try:
            with path.open("rb") as opened, np.load(opened, allow_pickle=False) as file:
                arrays = {name: file[name] for name in file.files}
            numbers = json.loads(str(arrays.pop("numbers")))
            made_with = int(numbers.get("format", 1))
        except Exception as error:  # zipfile, zlib, NumPy and JSON raise different classes for a damaged file
            log(f"backup {path.name} is damaged ({type(error).__name__}); trying the previous one")
            continue
        if made_with != BACKUP_FORMAT:
            age = (
                "a newer version of rac_unet; upgrade"
                if made_with > BACKUP_FORMAT
                else "an earlier version; start a new run"
            )
            raise UserError(
                f"{path} was written by {age} (format {made_with}, this version reads {BACKUP_FORMAT})", "unsupported"
            )
        for damaged in backups[: backups.index(path)]:
            # Kept, it would count as the newest generation, and an intact backup would be removed.
            damaged.unlink()
        return arrays, numbers
    if backups:
        raise UserError(f"every backup in {folder} is damaged; start a new run", "unreadable")
    return None


class BackupClock:
    """Decide when the next backup is due.

    Args:
        seconds: least time between two backups.
    """

    def __init__(self, seconds: float):
        self._least, self.cost = seconds, 0.0
        self._reported = False
        self._last = time.monotonic()

    @property
    def interval(self) -> float:
        """Seconds between two backups, from the cost of the last one."""
        return max(self._least, self.cost / COST_SHARE)

    def is_due(self) -> bool:
        return time.monotonic() - self._last >= self.interval

    def made(self, seconds: float) -> bool:
        """Record a backup that took `seconds`; return True the first time this makes backups rarer than requested."""
        self.cost, self._last = seconds, time.monotonic()
        rarer = self.interval > self._least and self._least > 0 and not self._reported
        self._reported = self._reported or rarer
        return rarer


def restore_variables(arrays: dict[str, np.ndarray], groups: dict[str, list]) -> None:
    """Assign the arrays of `load_state` to the variables.

    Raises: UserError when number or shapes differ, because the backup is of another network or optimizer.
    """
    stored = set(arrays)
    wanted = {f"{name}/{i:04d}": v for name, group in groups.items() for i, v in enumerate(group)}
    odd = sorted(stored ^ set(wanted)) or [n for n, v in wanted.items() if tuple(v.shape) != arrays[n].shape]
    if odd:
        raise UserError(
            f"the backup does not match this network and optimizer ({len(odd)} tensors differ, first {odd[0]})",
            "mismatch",
        )
    for name, variable in wanted.items():
        variable.assign(arrays[name])


def find_backups(folder: Path) -> list[Path]:
    """Return the backup files of a folder, intact or damaged, newest first."""
    return sorted((p for p in folder.glob("step_*.npz") if re.fullmatch(r"step_\d+\.npz", p.name)), reverse=True)
