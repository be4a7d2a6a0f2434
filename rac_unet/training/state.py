"""Everything a resumed run needs, in one file: variables by position, and the numbers that are not tensors.

Weights alone would lose Adam's moments, the averaged weights, the place in the data and the best loss so far, as the
original did. Two generations are kept, so that a file damaged by a crash costs minutes and not the run.
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
# What a backup's layout is called; counts up when an older version could not go on with it.
FORMAT = 2
# A backup may cost this share of the time between two.
COST_SHARE = 1 / 50


def save_state(folder: Path, groups: dict[str, list], numbers: dict[str, Any]) -> Path:
    """Write a backup, read it back, and drop the oldest.

    Args:
        folder: the run's backup folder.
        groups: name -> TensorFlow variables in a fixed order.
        numbers: JSON-able, with `step`.
    Returns: the file written.
    Raises: OSError when what is on the disk is not what was written; the backups before it are still there.
    """
    arrays = {f"{name}/{i:04d}": v.numpy() for name, group in groups.items() for i, v in enumerate(group)}
    arrays["numbers"] = np.array(json.dumps({"format": FORMAT, **numbers}))
    path = folder / f"step_{numbers['step']:08d}.npz"

    def write(temporary: Path) -> None:
        with temporary.open("wb") as file:
            np.savez(file, **arrays)
            file.flush()
            os.fsync(file.fileno())
        with zipfile.ZipFile(temporary) as archive:
            # Each member has a checksum, which reading it compares.
            if damaged := archive.testzip():
                raise OSError(f"{path}: {damaged} is not on the disk as it was written; is the disk failing?")

    replace_file(path, write)
    for old in find_backups(folder)[GENERATIONS:]:
        old.unlink()
    return path


def load_state(folder: Path, log) -> tuple[dict[str, np.ndarray], dict[str, Any]] | None:
    """Read the newest backup that is whole; None when there is none at all.

    Args:
        log: called with a line of text when a damaged backup is passed over.
    Raises: UserError when there are backups and every one is damaged.
    """
    backups = find_backups(folder)
    for path in backups:
        try:
            with path.open("rb") as opened, np.load(opened, allow_pickle=False) as file:
                arrays = {name: file[name] for name in file.files}
            numbers = json.loads(str(arrays.pop("numbers")))
            made_with = int(numbers.get("format", 1))
        except Exception as error:  # zipfile, zlib, NumPy and JSON each fail in ways of their own on a damaged file
            log(f"backup {path.name} is damaged ({type(error).__name__}); trying the one before")
            continue
        if made_with != FORMAT:
            age = (
                "a newer version of rac_unet; upgrade" if made_with > FORMAT else "an earlier version; start a new run"
            )
            raise UserError(
                f"{path} was written by {age} (format {made_with}, this version reads {FORMAT})", "unsupported"
            )
        for damaged in backups[: backups.index(path)]:
            # It would count as the newest generation and push a good one out.
            damaged.unlink()
        return arrays, numbers
    if backups:
        raise UserError(f"every backup in {folder} is damaged; start a new run", "unreadable")
    return None


class BackupClock:
    """When the next backup is due.

    Args:
        seconds: least time between two.
    """

    def __init__(self, seconds: float):
        self._least, self.cost = seconds, 0.0
        self._told = False
        self._last = time.monotonic()

    @property
    def interval(self) -> float:
        """Seconds between two backups, as long as they cost what the last one did."""
        return max(self._least, self.cost / COST_SHARE)

    def is_due(self) -> bool:
        return time.monotonic() - self._last >= self.interval

    def made(self, seconds: float) -> bool:
        """A backup was made just now and took so long; whether that makes them rarer than asked for, the first time."""
        self.cost, self._last = seconds, time.monotonic()
        rarer = self.interval > self._least and self._least > 0 and not self._told
        self._told = self._told or rarer
        return rarer


def restore(arrays: dict[str, np.ndarray], groups: dict[str, list]) -> None:
    """Put arrays read by `load_state` back into the variables.

    Raises: UserError when count or shapes differ, that is, when the network or optimizer is not the one backed up.
    """
    stored = set(arrays)
    wanted = {f"{name}/{i:04d}": v for name, group in groups.items() for i, v in enumerate(group)}
    odd = sorted(stored ^ set(wanted)) or [n for n, v in wanted.items() if tuple(v.shape) != arrays[n].shape]
    if odd:
        raise UserError(
            f"the backup does not fit this network and optimizer ({len(odd)} tensors differ, first {odd[0]})",
            "mismatch",
        )
    for name, variable in wanted.items():
        variable.assign(arrays[name])


def find_backups(folder: Path) -> list[Path]:
    """Backup files of a folder, newest first, whole or damaged."""
    return sorted((p for p in folder.glob("step_*.npz") if re.fullmatch(r"step_\d+\.npz", p.name)), reverse=True)
