"""Checks of a data set of pairs before training; each fault is reported with its line."""

from __future__ import annotations

import hashlib
import os
import re
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from rac_unet.core.emotions import EMOTIONS
from rac_unet.core.errors import UserError
from rac_unet.photos.listing import find_name
from rac_unet.photos.png_header import read_png_header

if TYPE_CHECKING:
    import pandas as pd

SPLITS = ("train", "val", "test")
IMAGE_COLUMNS = ("masked", "unmasked", "occlusion")
_MAX_FAULTS_SHOWN = 20
# A path that starts with a name is valid without these; a quick test for a million paths.
_SUSPICIOUS = re.compile(r"\.\.|[:\0]")


def path_fault(path: str) -> str | None:
    """Return what is wrong with a path that must be inside a folder; None when it is valid."""
    if path and path[0] not in "./\\" and not _SUSPICIOUS.search(path):
        return None
    if not path or path in (".", ".."):
        return "names no file"
    if PurePosixPath(path).is_absolute() or PureWindowsPath(path).anchor:
        return "is absolute; give it relative to the folder"
    if ".." in PurePosixPath(path).parts or ".." in PureWindowsPath(path).parts:
        return "leads out of the folder with '..'"
    if "\0" in path:
        return "contains a zero byte"
    return None


class Fault(NamedTuple):
    """A fault of a data set.

    Attributes:
        kind: identity, split, emotion, key, path, image, truth or weight; for programs that act on faults.
        row: position in the table, 0 for the first row below the header.
        message: description that starts with the line.
        file: the faulty image, if it is an image; all other rows that use it are faulty, too.
    """

    kind: str
    row: int
    message: str
    file: str = ""


class Faults(list):
    """A list of `Fault`."""

    def note(self, kind: str, row: int, message: str, file: str = "") -> None:
        self.append(Fault(kind, int(row), f"line {row + 2}: {message}", file))

    def raise_if_any(self, path: Path) -> None:
        """Raises: UserError with the first 20 and their number."""
        if self:
            rest = len(self) - _MAX_FAULTS_SHOWN
            lines = [f"  {fault.message}" for fault in self[:_MAX_FAULTS_SHOWN]]
            lines += [f"  ... and {rest:,} more"] * (rest > 0)
            raise UserError(f"{path} has {len(self):,} fault{'s' * (len(self) > 1)}:\n" + "\n".join(lines), "bad_row")


def read_shares(text: str) -> dict[str, float]:
    """Parse a cell of `emotion_shares`, a distribution over emotions: `anger:0.3 sadness:0.7`.

    Raises: ValueError for an unknown or repeated name, a share outside 0..1, or a sum other than 1.
    """
    shares: dict[str, float] = {}
    for word in text.split():
        name, _, share = word.partition(":")
        if name not in EMOTIONS or name in shares:
            raise ValueError(f"{name!r} is unknown or given twice")
        shares[name] = float(share)
    if not all(0 <= share <= 1 for share in shares.values()) or abs(sum(shares.values()) - 1) > 0.005:
        raise ValueError("shares are not between 0 and 1, or do not sum to 1")
    return shares


def check_values(frame: pd.DataFrame, faults: Faults) -> None:
    for column, valid in (("emotion", EMOTIONS), ("split", SPLITS)):
        for row in np.flatnonzero(~frame[column].isin(valid).to_numpy()):
            value = frame[column].iloc[row]
            faults.note(column, row, f"unknown {column} {value!r}; use one of: {', '.join(valid)}")
    for row in np.flatnonzero((frame["emotion_shares"] != "").to_numpy()):
        try:
            read_shares(frame["emotion_shares"].iloc[row])
        except ValueError as error:
            faults.note("emotion", row, f"emotion_shares {frame['emotion_shares'].iloc[row]!r}: {error}")
    for row in np.flatnonzero((frame["key"] == "").to_numpy()):
        faults.note("key", row, "empty key")
    for row in np.flatnonzero((frame["key"].duplicated() & (frame["key"] != "")).to_numpy()):
        faults.note("key", row, f"key {frame['key'].iloc[row]!r} is already used above")
    first = frame.drop_duplicates("identity").set_index("identity")["split"]
    for row in np.flatnonzero((frame["split"] != frame["identity"].map(first)).to_numpy()):
        identity = frame["identity"].iloc[row]
        faults.note(
            "identity",
            row,
            f"identity {identity!r} is in {frame['split'].iloc[row]!r} here "
            f"and in {first[identity]!r} above; all pairs of an identity must be in one split",
        )
    no_truth, no_occlusion = ((frame[column] == "").to_numpy() for column in ("unmasked", "occlusion"))
    for row in np.flatnonzero(no_truth != no_occlusion):
        name = "unmasked" if no_truth[row] else "occlusion"
        faults.note("truth", row, f"{name} names no file; unmasked and occlusion must be both given or both left empty")
    for row in np.flatnonzero(no_truth & no_occlusion & (frame["split"] != "test").to_numpy()):
        faults.note("truth", row, "a picture without ground truth (unmasked is empty) can only be in the split test")
    for row in np.flatnonzero(~(np.isfinite(frame["weight"]) & (frame["weight"] > 0)).to_numpy()):
        faults.note("weight", row, "weight must be a number above 0")


def check_paths(frame: pd.DataFrame, faults: Faults) -> np.ndarray:
    """Return which rows have valid paths: one for a picture without ground truth, three for the others."""
    sound = np.ones(len(frame), bool)
    for column in IMAGE_COLUMNS:
        for row, name in enumerate(frame[column]):
            if (name or column == "masked") and (fault := path_fault(name)):
                sound[row] = False
                faults.note("path", row, f"{column} {name!r} {fault}")
    return sound


def check_images(root: Path, frame: pd.DataFrame, rows: np.ndarray, faults: Faults) -> tuple[int, bytes]:
    """Check the header of every image file; return the image size and a hash of all file sizes.

    A file whose name on disk is in another Unicode form is found, and its name on disk is written to `frame`.
    """
    digest = hashlib.sha256()
    seen: dict[str, None] = {}
    renamed: dict[str, str] = {}
    first_size: tuple[int, int] | None = None
    prefix = f"{root}{os.sep}"
    columns = [frame[column].to_numpy(object) for column in IMAGE_COLUMNS]
    for row in np.flatnonzero(rows):
        for column, names in zip(IMAGE_COLUMNS, columns, strict=True):
            name = names[row]
            if name in seen or not name:
                continue
            seen[name] = None
            where = f"{column} {name!r}"
            try:
                try:
                    header = read_png_header(prefix + name)
                except FileNotFoundError:
                    if not (spelled := find_name(root, name)):
                        raise
                    header = read_png_header(prefix + spelled)
                    renamed[name] = spelled
            except FileNotFoundError:
                faults.note("image", row, f"{where} is not there", name)
                continue
            except (OSError, ValueError) as error:
                faults.note("image", row, f"{where} {error}", name)
                continue
            size = (header.height, header.width)
            first_size = first_size or size
            if size[0] != size[1]:
                faults.note("image", row, f"{where} is {size[1]} x {size[0]} pixels; images must be square", name)
            elif size != first_size:
                faults.note("image", row, f"{where} is {size[0]} pixels wide, others are {first_size[0]}", name)
            if header.bit_depth != 8:
                faults.note("image", row, f"{where} has {header.bit_depth} bits per channel; 8 are needed", name)
            digest.update(f"{name}\0{header.file_size}\n".encode())
    if renamed:
        for column in IMAGE_COLUMNS:
            frame[column] = [renamed.get(name, name) for name in frame[column]]
    return (first_size[0] if first_size else 0), digest.digest()
