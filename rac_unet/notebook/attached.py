"""Find the inputs attached to a notebook: data sets of pairs, run directories, photographs.

Kaggle puts a data set in <input>/<slug> or <input>/datasets/<owner>/<slug>, and the output of another notebook in
<input>/<slug> or <input>/notebooks/<owner>/<slug>; so inputs are identified by their content, not by their path.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path

from rac_unet.core.errors import UserError
from rac_unet.core.rundir import CLASSIFIER, NETWORK, copy_run, open_run
from rac_unet.notebook.commands import NotebookError

_PAIRS_FILE = "pairs.csv"
_RUN_FILES = {"config.yaml", "provenance.json"}
# <input>/notebooks/<owner>/<slug>/pairs-tfds/rac_unet_pairs/1.0.0, and two more levels.
_DEPTH = 8
_KERNELS = {NETWORK: "rac-unet-train", CLASSIFIER: "rac-unet-train-classifier"}


def find_pairs(root: str | os.PathLike, chosen: str | os.PathLike | None = None) -> Path:
    """Find the data set of pairs below `root`, with image files or TFRecords.

    Args:
        chosen: the folder given by the user; if given, nothing is searched.
    Raises: NotebookError when none or several are found.
    """
    found = [Path(chosen)] if chosen else list(_folders(Path(root), lambda names: _PAIRS_FILE in names))
    if not found:
        raise NotebookError(
            f"no data set of pairs (a folder with {_PAIRS_FILE}) in {root}; attach the output of the notebook "
            "rac-unet-prepare-data, or your own data set made with data_prep",
            "missing",
        )
    if len(found) > 1:
        raise NotebookError(f"several data sets of pairs in {root}; set DATA to one of: {_list(found)}", "ambiguous")
    return found[0]


def find_runs(root: str | os.PathLike, kind: str = NETWORK) -> list[Path]:
    """Return all run directories of a `NETWORK` or `CLASSIFIER` below `root`, sorted by start time."""

    def fits(path: Path) -> bool:
        try:
            open_run(path, need_weights=False, kind=kind)
        except UserError:
            return False
        return True

    found = _folders(Path(root), lambda names: names >= _RUN_FILES)
    # Names start with the time.
    return sorted((path for path in found if fits(path)), key=lambda path: path.name)


def find_run(root: str | os.PathLike, chosen: str | os.PathLike | None = None, kind: str = NETWORK) -> Path:
    """Find the most recent run directory below `root`.

    Args:
        chosen: the run directory given by the user; if given, nothing is searched.
        kind: `NETWORK` or `CLASSIFIER`.
    Raises: NotebookError when none is found.
    """
    if chosen:
        return Path(chosen)
    found = find_runs(root, kind)
    if not found:
        what = "of an emotion classifier" if kind == CLASSIFIER else "of a network that paints faces"
        raise NotebookError(
            f"no run directory {what} in {root}; attach the output of the notebook {_KERNELS[kind]}, after it has run",
            "missing",
        )
    return found[-1]


def guided_options(root: str | os.PathLike, start: str | os.PathLike | None = None) -> list[str]:
    """Return the options of rac_unet.train for guided training with all attached classifiers as readers.

    Args:
        start: run directory of the network for the warm start; None uses the most recent attached one.
    Raises: NotebookError when no classifier or no network is attached.
    """
    readers = find_runs(root, CLASSIFIER)
    if not readers:
        raise NotebookError(
            f"no emotion readers in {root}; attach the outputs of the notebook {_KERNELS[CLASSIFIER]} that are to "
            "guide the training, but not that of the judge",
            "missing",
        )
    start = find_run(root, start)
    print(f"guided by {_list(readers)}, from {start}; a classifier that judges the result must not be among these")
    return ["--init_from", str(start), "--guidance.readers", json.dumps([str(path) for path in readers])]


def find_previous(name: str, *roots: str | os.PathLike, kind: str = NETWORK) -> Path | None:
    """Find the run to resume: the most recent one with this name, in the first folder that has one; None if none has.

    Args:
        name: name of a run directory without the time, which is the preset's name.
        roots: folders to search, this session's runs before attached ones.
        kind: `NETWORK` or `CLASSIFIER`.
    """
    pattern = re.compile(rf"\d{{8}}-\d{{6}}-{re.escape(name)}(-\d+)?")
    for root in roots:
        runs = find_runs(root, kind)
        fitting = [path for path in runs if pattern.fullmatch(path.name)]
        if fitting:
            print(f"resuming {fitting[-1]} with its own settings")
            return fitting[-1]
        if runs:
            print(f"{_list(runs)}: not of {name!r}, so not resumed")
    print(f"no run of {name!r} to resume: starting a new one")
    return None


def take_over(run: Path, runs: str | os.PathLike) -> Path:
    """Copy a run directory atomically into the folder `runs`, and make the copy writable.

    Attached inputs are read-only, and only the output of this notebook version can be attached again.

    Returns: the copy; `run` itself if it is in `runs` already.
    """
    target = Path(runs) / run.name
    if not target.exists():
        copy_run(Path(run), target)
    return target


def find_source(root: str | os.PathLike, name: str | None = None) -> Path:
    """Find the attached data set to prepare: the one called `name`, or the only one without wheels.

    Raises: NotebookError when none is found, or several and no name is given.
    """
    found = {path.name: path for path in _attached(Path(root)) if not any(path.glob("*.whl"))}
    if name in found:
        return found[name]
    if name is None and len(found) == 1:
        return next(iter(found.values()))
    there = ", ".join(sorted(found)) or "only wheels"
    if name is not None:
        raise NotebookError(f"no attached data set is called {name!r}; attached in {root}: {there}", "unknown_name")
    if not found:
        raise NotebookError(f"no data set to prepare in {root}; attach yours (a private one) with Add Input", "missing")
    raise NotebookError(f"several data sets in {root}; give the one to use in SOURCES: {there}", "ambiguous")


def plain_names(runs: list[Path]) -> dict[str, Path]:
    """Return name -> run directory: the name without the time, or the full name where two would be equal."""
    short = [re.sub(r"^\d{8}-\d{6}-", "", run.name) for run in runs]
    return {name if short.count(name) == 1 else run.name: run for name, run in zip(short, runs, strict=True)}


def _attached(root: Path) -> Iterator[Path]:
    for path in sorted(entry for entry in root.glob("*") if entry.is_dir()):
        if path.name in ("datasets", "notebooks"):
            yield from sorted(entry for entry in path.glob("*/*") if entry.is_dir())
        elif path.name == "competitions":
            yield from sorted(entry for entry in path.glob("*") if entry.is_dir())
        else:
            yield path


def _folders(root: Path, wanted: Callable[[set[str]], bool], depth: int = _DEPTH) -> Iterator[Path]:
    """Yield folders at or below `root` whose file names are `wanted`, in order; matches are not searched further."""
    try:
        with os.scandir(root) as entries:
            found = [(entry.name, entry.is_dir()) for entry in entries]
    except OSError:
        return
    if wanted({name for name, folder in found if not folder}):
        yield root
    elif depth:
        for name in sorted(name for name, folder in found if folder and not name.startswith(".")):
            yield from _folders(root / name, wanted, depth - 1)


def _list(paths: list[Path]) -> str:
    return ", ".join(str(path) for path in paths)
