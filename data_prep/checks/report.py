"""Check a data set of pairs and collect the results in a report."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
import pandas as pd

from data_prep.checks.images import RowChecker, RowsToCheck
from data_prep.checks.near_duplicates import HASH_BYTES, find_duplicates, same_photograph
from rac_unet.core.emotions import EMOTIONS
from rac_unet.core.parallel import run_parallel
from rac_unet.core.progress import Progress
from rac_unet.data import pairs
from rac_unet.data.pair_checks import IMAGE_COLUMNS, SPLITS, Faults
from rac_unet.pairing.mask_policy import NO_MASK

FORMAT = 1


class Same(NamedTuple):
    """Two rows that show the same photograph, in different files."""

    first: int
    second: int
    distance: int
    mirrored: bool


@dataclass
class Report:
    """Result of checking a data set.

    Attributes:
        pairs: the data set, with or without faults.
        faults: faults of single rows.
        leaks: the same photograph in two splits.
        twins: the same photograph twice in one split, under two identities; not a fault.
        hidden: (N,) share of hidden pixels; NaN where unknown.
        pictures: number of different unmasked pictures.
        strays: images in the folder that no row uses.
        distance: largest number of different bits of candidates for the same photograph.
    """

    pairs: pairs.PairSet
    faults: Faults
    leaks: list[Same]
    twins: list[Same]
    hidden: np.ndarray
    pictures: int
    strays: list[str]
    distance: int

    @property
    def wrong(self) -> bool:
        return bool(self.faults or self.leaks)

    def messages(self) -> list[str]:
        """Return the messages of all faults and leaks."""
        return [fault.message for fault in self.faults] + [self.describe(leak) for leak in self.leaks]

    def describe(self, same: Same) -> str:
        first, second = (self.pairs.frame.iloc[row] for row in same[:2])
        mirrored = " mirrored" if same.mirrored else ""
        rows = [
            f"line {row + 2} ({cells['split']}, {cells['key']!r})"
            for row, cells in ((same.first, first), (same.second, second))
        ]
        return f"{' and '.join(rows)} show the same photograph{mirrored} ({same.distance} bits apart)"

    def two_emotions(self) -> list[Same]:
        """Return the twins with different labels."""
        emotion = self.pairs.frame["emotion"].tolist()
        return [same for same in self.twins if emotion[same.first] != emotion[same.second]]

    def leak_files(self) -> list[tuple[str, str, str]]:
        """Return the two files of each leak, and its message."""
        shown = RowsToCheck(self.pairs).shown
        return [(shown[leak.first], shown[leak.second], self.describe(leak)) for leak in self.leaks]

    def remarks(self) -> list[str]:
        """Return remarks that are not faults."""
        lines = []
        real = int((~self.pairs.has_truth).sum())
        if real:
            lines.append(f"{real:,} pictures show real masks, without ground truth")
        if bare := int((self.pairs.frame["mask_style"] == NO_MASK).sum()):
            lines.append(f"{bare:,} pairs show a face without a mask")
        if self.twins:
            differ = len(self.two_emotions())
            lines.append(
                f"{len(self.twins):,} photographs are twice in one split, under two identities"
                + (f", {differ:,} of them with two emotions" if differ else "")
            )
        if self.strays:
            lines.append(f"{len(self.strays):,} images are not used by any row, such as {self.strays[0]!r}")
        missing = [split for split in SPLITS if not (self.pairs.frame["split"] == split).any()]
        if missing:
            lines.append(f"no pairs in {' and '.join(missing)}; training needs train and val, evaluation needs test")
        return lines

    def counts(self, row: str, column: str) -> pd.DataFrame:
        """Return the number of pairs for each combination of two columns' values."""
        frame = self.pairs.frame
        table = pd.crosstab(frame[row].astype(str), frame[column].astype(str))
        order = {"emotion": EMOTIONS, "split": SPLITS}
        for axis, name in ((0, row), (1, column)):
            if name in order:
                table = table.reindex(order[name], axis=axis, fill_value=0)
        return table

    def hidden_share(self) -> dict[str, float] | None:
        """Return mean and percentiles of the hidden share of a picture, 0..1; None without occlusion maps."""
        known = self.hidden[np.isfinite(self.hidden)]
        if not len(known):
            return None
        figures = [known.mean(), *np.percentile(known, [5, 50, 95])]
        return dict(zip(("mean", "p5", "median", "p95"), map(float, figures), strict=True))

    def as_dict(self) -> dict[str, Any]:
        """Return the content of check.json."""
        frame = self.pairs.frame
        keys = frame["key"].tolist()

        def pair(same: Same) -> dict[str, Any]:
            return {
                "keys": [keys[same.first], keys[same.second]],
                "splits": [frame["split"].iloc[row] for row in same[:2]],
                "emotions": [frame["emotion"].iloc[row] for row in same[:2]],
                "distance": same.distance,
                "mirrored": same.mirrored,
            }

        def table(row: str, column: str) -> dict[str, dict[str, int]]:
            return {key: dict(value) for key, value in self.counts(row, column).T.to_dict().items()}

        return {
            "format": FORMAT,
            "sound": not self.wrong,
            "data_fingerprint": self.pairs.fingerprint,
            "image_size": self.pairs.image_size,
            "pairs": len(self.pairs),
            "pictures": self.pictures,
            "without_truth": int((~self.pairs.has_truth).sum()),
            "identities": int(frame["identity"].nunique()),
            "emotion_by_split": table("emotion", "split"),
            "mask_style_by_split": table("mask_style", "split"),
            "source_by_split": table("source", "split"),
            "source_by_emotion": table("source", "emotion"),
            "hidden_share": self.hidden_share(),
            "settings": {"distance": self.distance},
            "faults": [
                {
                    "kind": fault.kind,
                    "line": fault.row + 2,
                    "key": keys[fault.row],
                    "file": fault.file or None,
                    "message": fault.message,
                }
                for fault in self.faults
            ],
            "leaks": [pair(same) | {"message": self.describe(same)} for same in self.leaks],
            "same_photograph_in_one_split": [pair(same) for same in self.twins],
            "files_without_a_row": self.strays,
        }


def check_set(root: Path, distance: int, workers: int, progress: bool = True) -> Report:
    """Check all rows and images of a data set.

    Args:
        root: folder of pairs.csv.
        distance: largest number of different bits of candidates for the same photograph.
    Raises: UserError when there is no table, or it cannot be read.
    """
    found, faults = pairs.inspect(root)
    count = len(found)
    rows = RowsToCheck(found)
    # Files whose header is already faulty are not checked again.
    reported = {fault.row for fault in faults if fault.kind in ("image", "path")}
    hidden = np.full(count, np.nan)
    hashes, hashed = np.zeros((count, HASH_BYTES), np.uint8), np.zeros(count, bool)
    bad_files: dict[tuple[int, str], str] = {}
    line = Progress(count, noun="pairs", enabled=progress)
    for results in run_parallel(
        RowChecker(str(found.root)), rows, [r for r in range(count) if r not in reported], workers
    ):
        for row, result in results:
            hidden[row] = result.hidden
            bad_files.update({(row, column): message for column, message in result.faults})
            if result.hash is not None:
                hashes[row], hashed[row] = result.hash, True
        line.advance(len(results))
    line.close()
    named: set[str] = {fault.file for fault in faults if fault.file}
    for (row, column), message in sorted(bad_files.items()):
        name = found.frame[column].iloc[row]
        # A file that several pairs share is reported once.
        if name not in named:
            named.add(name)
            faults.note("image", row, message, name)
    faults.sort(key=lambda fault: fault.row)
    leaks, twins = _compare(found, rows.shown, np.flatnonzero(hashed), hashes, distance, progress)
    return Report(found, faults, leaks, twins, hidden, int(hashed.sum()), _strays(found), distance)


def _compare(
    found: pairs.PairSet, shown: list[str], rows: np.ndarray, hashes: np.ndarray, distance: int, progress: bool
) -> tuple[list[Same], list[Same]]:
    """Find the same photograph in two splits, and in one split under two identities (photos of a person are alike)."""
    split, identity, source = (found.frame[column].tolist() for column in ("split", "identity", "source"))

    @lru_cache(maxsize=256)
    def picture(row: int) -> np.ndarray:
        return cv2.imread(f"{found.root}/{shown[row]}", cv2.IMREAD_GRAYSCALE)

    def confirm(a: int, b: int, mirrored: bool) -> bool:
        if split[a] == split[b] and identity[a] == identity[b]:
            return False
        # The identities of drawn faces are known, and different ones can be nearly equal.
        if source[a].startswith("toy-") and source[b].startswith("toy-"):
            return False
        return same_photograph(picture(a)[:, ::-1] if mirrored else picture(a), picture(b))

    # Of pictures with equal hashes, each is compared only with the one that would be kept.
    groups: dict[bytes, list[int]] = {}
    for row in rows.tolist():
        groups.setdefault(hashes[row].tobytes(), []).append(row)
    stay = np.array([max(group, key=lambda row: (_rank(split[row]), -row)) for group in groups.values()], np.int64)
    alike = [
        Same(int(first), row, 0, False)
        for first, group in zip(stay, groups.values(), strict=True)
        for row in group
        if row != first and confirm(int(first), row, False)
    ]
    line = Progress(len(stay), noun="pictures compared", enabled=progress)
    alike += [
        Same(int(stay[each.first]), int(stay[each.second]), each.distance, each.mirrored)
        for each in find_duplicates(
            hashes[stay], lambda i, j, mirrored: confirm(int(stay[i]), int(stay[j]), mirrored), distance, line.advance
        )
    ]
    line.close()
    leaks, twins = [], []
    for same in sorted(alike):
        (twins if split[same.first] == split[same.second] else leaks).append(same)
    return leaks, twins


def _rank(split: str) -> int:
    return SPLITS.index(split) if split in SPLITS else -1


def _strays(found: pairs.PairSet) -> list[str]:
    """Return the images in the folders of the table's paths that no row uses."""
    named = {name for column in IMAGE_COLUMNS for name in found.frame[column]}
    tops = {name.split("/")[0] for name in named if "/" in name and not name.startswith((".", "/"))}
    there = (
        path.relative_to(found.root).as_posix() for top in sorted(tops) for path in (found.root / top).rglob("*.png")
    )
    return sorted(name for name in there if name not in named)
