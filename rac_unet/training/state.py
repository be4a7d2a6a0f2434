"""Everything a resumed run needs, in one file: variables by position, and the numbers that are not tensors.

Weights alone would lose Adam's moments, the averaged weights, the place in the data and the best loss so far, as the
original did. Two generations are kept, so that a file damaged by a crash costs minutes and not the run.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np

from rac_unet.errors import UserError
from rac_unet.rundir import replace_file

GENERATIONS = 2


def save_state(folder: Path, groups: dict[str, list], numbers: dict[str, Any]) -> Path:
    """Write a backup and drop the oldest.

    Args:
        folder: the run's backup folder.
        groups: name -> Keras or TensorFlow variables in a fixed order.
        numbers: JSON-able, with `step`.
    Returns: the file written.
    """
    arrays = {f"{name}/{i:04d}": v.numpy() for name, group in groups.items() for i, v in enumerate(group)}
    arrays["numbers"] = np.array(json.dumps(numbers))
    path = folder / f"step_{numbers['step']:08d}.npz"

    def write(temporary: Path) -> None:
        with temporary.open("wb") as file:
            np.savez(file, **arrays)

    replace_file(path, write)
    for old in _backups(folder)[GENERATIONS:]:
        old.unlink()
    return path


def load_state(folder: Path, log) -> tuple[dict[str, np.ndarray], dict[str, Any]] | None:
    """Read the newest backup that is whole; None when there is none at all.

    Args:
        log: called with a line of text when a damaged backup is passed over.
    Raises: UserError when there are backups and every one is damaged.
    """
    backups = _backups(folder)
    for unfinished in folder.glob(".step_*"):
        unfinished.unlink()
    for path in backups:
        try:
            with np.load(path, allow_pickle=False) as file:
                arrays = {name: file[name] for name in file.files}
            numbers = json.loads(str(arrays.pop("numbers")))
        except Exception as error:  # zipfile, zlib, NumPy and JSON each fail in ways of their own on a damaged file
            log(f"backup {path.name} is damaged ({type(error).__name__}); trying the one before")
            continue
        for damaged in backups[: backups.index(path)]:
            # It would count as the newest generation and push a good one out.
            damaged.unlink()
        return arrays, numbers
    if backups:
        raise UserError(f"every backup in {folder} is damaged; start a new run")
    return None


def restore(arrays: dict[str, np.ndarray], groups: dict[str, list]) -> None:
    """Put arrays read by `load_state` back into the variables.

    Raises: UserError when count or shapes differ, that is, when the network or optimizer is not the one backed up.
    """
    stored = set(arrays)
    wanted = {f"{name}/{i:04d}": v for name, group in groups.items() for i, v in enumerate(group)}
    odd = sorted(stored ^ set(wanted)) or [n for n, v in wanted.items() if tuple(v.shape) != arrays[n].shape]
    if odd:
        raise UserError(
            f"the backup does not fit this network and optimizer ({len(odd)} tensors differ, first {odd[0]})"
        )
    for name, variable in wanted.items():
        variable.assign(arrays[name])


def _backups(folder: Path) -> list[Path]:
    """Newest first."""
    return sorted((p for p in folder.glob("step_*.npz") if re.fullmatch(r"step_\d+\.npz", p.name)), reverse=True)
