"""Merge the rows of several data sets, and link their images."""

from __future__ import annotations

import contextlib
import itertools
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from rac_unet.core.emotions import EMOTIONS
from rac_unet.core.errors import UserError
from rac_unet.core.files.whole import write_file
from rac_unet.data import pairs
from rac_unet.data.pair_checks import IMAGE_COLUMNS, SPLITS
from rac_unet.data.records import refuse_records
from rac_unet.pairing.preparing import Made

_counter = itertools.count()


def read_sets(paths: Sequence[str], output: str) -> dict[str, pairs.PairSet]:
    """Read data sets; the keys are the names of their folders, with a number if they are equal.

    Raises: UserError when a set cannot be read, is the output or is given twice, or image sizes differ.
    """
    sets: dict[str, pairs.PairSet] = {}
    roots: dict[Path, str] = {}
    for path in paths:
        refuse_records(path)
        try:
            found = pairs.read(path)
        except UserError as error:
            hint = f"\nlist all faults with: python -m data_prep.check {path}" if error.kind == "bad_row" else ""
            raise UserError(f"{error}{hint}", error.kind) from None
        root = found.root.resolve()
        if root in roots:
            raise UserError(f"{path} is given twice", "usage")
        roots[root] = path
        if root == Path(output).resolve():
            raise UserError(f"--output {output} is one of the sets to merge; give another folder", "usage")
        stem = re.sub(r"[^A-Za-z0-9_-]+", "_", root.name) or "set"
        numbered = (f"{stem}-{number}" for number in itertools.count(2))
        name = next(name for name in itertools.chain([stem], numbered) if name not in sets)
        sets[name] = found
    sizes = {name: found.image_size for name, found in sets.items()}
    if len(set(sizes.values())) > 1:
        found_sizes = ", ".join(f"{name} {size} px" for name, size in sizes.items())
        raise UserError(
            f"the sets' images are of different sizes ({found_sizes}); prepare them with the same --size", "mismatch"
        )
    return sets


class MergedRows(Sequence):
    """Sequence of (number of the set, merged row of pairs.csv), computed on access.

    Attributes:
        rejected: (key, reason) of pairs left out because their person is in another split.
        weights: emotion -> factor of the weights of training pairs.
        had_weights: whether any set has weights already, which are then multiplied.
    """

    def __init__(self, sets: dict[str, pairs.PairSet], same_people: bool):
        frames = [found.frame for found in sets.values()]
        self._names, self._frames = list(sets), frames
        self._same_people = same_people
        self.weights: dict[str, float] = {}
        self.had_weights = any(found.has_weights for found in sets.values())
        self.rejected: list[tuple[str, str]] = []
        home = self._home_splits() if same_people else None
        self._rows: list[np.ndarray] = []
        for name, frame in zip(self._names, self._frames, strict=True):
            keep = np.ones(len(frame), bool)
            if home is not None:
                split, identity = frame["split"].astype(str), frame["identity"].astype(str)
                keep = (split == identity.map(home)).to_numpy()
                self.rejected += [
                    (f"{name}:{key}", f"its person {who!r} is in {home[who]}")
                    for key, who in zip(frame["key"][~keep], identity[~keep], strict=True)
                ]
            self._rows.append(np.flatnonzero(keep))
        # Converted to lists: reading a row of a data frame takes a hundred times as long.
        self._columns = (*pairs.COLUMNS, pairs.EMOTION_SHARES)
        self._cells = [
            list(zip(*(frame[c].astype(str).tolist() for c in self._columns), strict=True)) for frame in frames
        ]
        self._weights = [frame["weight"].tolist() for frame in frames]
        self._ends = np.cumsum([len(rows) for rows in self._rows])

    def __len__(self) -> int:
        return int(self._ends[-1])

    def __getitem__(self, index: int) -> tuple[int, dict]:
        number = int(np.searchsorted(self._ends, index, side="right"))
        start = int(self._ends[number - 1]) if number else 0
        row, name = int(self._rows[number][index - start]), self._names[number]
        cells = dict(zip(self._columns, self._cells[number][row], strict=True))
        cells["key"] = f"{name}:{cells['key']}"
        if not self._same_people:
            cells["identity"] = f"{name}:{cells['identity']}"
        factor = self.weights.get(cells["emotion"], 1.0) if cells["split"] == "train" else 1.0
        return number, {**cells, "weight": self._weights[number][row] * factor}

    def training_counts(self) -> dict[str, int]:
        """Return the number of training pairs of each emotion, without weights."""
        totals = dict.fromkeys(EMOTIONS, 0)
        for frame, rows in zip(self._frames, self._rows, strict=True):
            part = frame.iloc[rows]
            for emotion, count in part["emotion"][part["split"] == "train"].astype(str).value_counts().items():
                totals[emotion] += int(count)
        return totals

    def _home_splits(self) -> dict[str, str]:
        """Return identity -> the last of train, val, test with pairs of it, so that test people are not trained on."""
        home: dict[str, str] = {}
        for split in SPLITS:
            for frame in self._frames:
                home.update(dict.fromkeys(frame["identity"][frame["split"] == split].astype(str), split))
        return home


@dataclass(frozen=True)
class LinkMaker:
    """Callable that puts the images of a pair into a folder of the output named after their set.

    They are hard links if the disk supports them, which need no space and survive when either set is deleted; otherwise
    copies.
    """

    roots: tuple[str, ...]
    names: tuple[str, ...]
    copy: bool

    def __call__(self, item: tuple[int, dict], folder: str, unfinished: str) -> Made:
        number, row = item
        row, made = dict(row), Made(row["key"])
        for column in IMAGE_COLUMNS:
            if row[column]:
                target = f"{self.names[number]}/{row[column]}"
                source = os.path.join(self.roots[number], row[column])
                self._bring(source, os.path.join(folder, target), unfinished)
                made.files[target] = os.path.getsize(os.path.join(folder, target))
                row[column] = target
        made.rows.append(row)
        return made

    def _bring(self, source: str, target: str, unfinished: str) -> None:
        if not self.copy:
            temporary = os.path.join(unfinished, f"{os.getpid()}-{next(_counter)}.tmp")
            # On another disk, a file system without links, or with too many links, the image is copied.
            with contextlib.suppress(OSError):
                os.link(source, temporary)
                os.makedirs(os.path.dirname(target), exist_ok=True)
                os.replace(temporary, target)
                # If both were the same file already, replacing does nothing and the temporary name remains.
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(temporary)
                return
        with open(source, "rb") as file:
            write_file(target, file.read(), unfinished)
