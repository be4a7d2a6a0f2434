"""Read a data set of pairs in the format of tensorflow-datasets: TFRecord shards and a pairs.csv.

`data_prep.to_tfds` writes it. It is read without TensorFlow and tensorflow-datasets: the rows of pairs.csv are in
the order of the records, and the place of each record follows from the lengths in the TFRecord files.
"""

from __future__ import annotations

import hashlib
import json
import os
import struct
from pathlib import Path

import numpy as np

from rac_unet.core.emotions import EMOTIONS
from rac_unet.core.errors import UserError
from rac_unet.data.pair_checks import SPLITS, Faults, check_values
from rac_unet.data.pairs import PAIRS_FILE, PairSet, compact, parse_table
from rac_unet.data.record_places import Records

NAME = "rac_unet_pairs"
FEATURES_FILE = "features.json"
# Image column -> feature of a record; `Pictures` decodes these three.
IMAGE_FEATURES = {"masked": "masked_image", "unmasked": "unmasked_image", "occlusion": "occlusion"}


def find_records(path: str | os.PathLike) -> Path | None:
    """Find the version folder of a tensorflow-datasets data set: `path`, or one or two levels below; None if not found.

    Raises: UserError when there are several.
    """
    path = Path(path)
    if (path / PAIRS_FILE).is_file() and not (path / FEATURES_FILE).is_file():
        return None
    levels = ([path], sorted(path.glob("*")), sorted(path.glob(f"{NAME}/*")))
    for folders in levels:
        found = [folder for folder in folders if (folder / FEATURES_FILE).is_file()]
        if len(found) > 1:
            names = ", ".join(str(folder) for folder in found)
            raise UserError(f"{path} contains several data sets; give one of: {names}", "ambiguous")
        if found:
            return found[0]
    return None


def refuse_records(path: str | os.PathLike) -> None:
    """Raise UserError when the data set at `path` has TFRecords, for commands that need image files."""
    if folder := find_records(path):
        raise UserError(
            f"{folder} contains TFRecord shards; give the folder of pairs that they were made from", "wrong_type"
        )


def read_records(folder: Path) -> PairSet:
    """Read and check the rows and locate every record; no pictures are read.

    Args:
        folder: result of `find_records`.
    Raises: UserError when a file is missing, cut off, or does not match the others.
    """
    image_size = _check_features(folder)
    table = folder / PAIRS_FILE
    if not table.is_file():
        raise UserError(
            f"{folder} lacks {PAIRS_FILE}, the table of its records; make it again with data_prep.to_tfds",
            "missing",
        )
    frame = parse_table(table)
    faults = Faults()
    check_values(frame, faults)
    faults.raise_if_any(table)
    digest = hashlib.sha256(table.read_bytes())
    files: list[Path] = []
    places: list[np.ndarray] = []
    for split in SPLITS:
        rows = np.flatnonzero((frame["split"] == split).to_numpy())
        shards = _shards(folder, split) if len(rows) else []
        found = [_scan(path) for path in shards]
        count = sum(len(each) for each in found)
        if count != len(rows):
            raise UserError(
                f"{folder} has {count:,} records of the split {split}, but {table.name} has {len(rows):,} rows; "
                "make it again with data_prep.to_tfds",
                "mismatch",
            )
        for path, each in zip(shards, found, strict=True):
            places.append(np.column_stack([np.full(len(each), len(files), np.int64), each]))
            files.append(path)
            digest.update(f"{path.name}\0{path.stat().st_size}\n".encode())
    # Records are ordered by split, so the rows are sorted by split to match them.
    order = np.argsort([SPLITS.index(split) for split in frame["split"]], kind="stable")
    at = np.concatenate(places)[np.argsort(order, kind="stable")]
    sizes = np.array([path.stat().st_size for path in files], np.int64)
    records = Records(tuple(map(str, files)), sizes, at[:, 0], at[:, 1], at[:, 2])
    compact(frame)
    return PairSet(folder, frame, image_size, digest.hexdigest(), records)


def _check_features(folder: Path) -> int:
    """Return the image size; refuse other data sets, and one whose labels are numbered in another order."""
    try:
        features = json.loads((folder / FEATURES_FILE).read_text(encoding="utf-8"))["featuresDict"]["features"]
        shape = features["masked_image"]["image"]["shape"]["dimensions"]
        size, wide = int(shape[0]), int(shape[1])
        missing = {*IMAGE_FEATURES.values(), "emotion"} - features.keys()
        labels = (folder / "emotion.labels.txt").read_text(encoding="utf-8").split()
    except (OSError, ValueError, KeyError, TypeError, IndexError) as error:
        raise UserError(
            f"{folder} is not a data set of pairs written by data_prep.to_tfds ({error!r})", "bad_layout"
        ) from None
    if missing or size != wide:
        raise UserError(f"{folder} is not a data set of pairs written by data_prep.to_tfds", "bad_layout")
    if labels != list(EMOTIONS):
        raise UserError(
            f"{folder} has another order of emotions: {', '.join(labels)}; expected {', '.join(EMOTIONS)}. "
            "Make it again with data_prep.to_tfds",
            "mismatch",
        )
    return size


def _shards(folder: Path, split: str) -> list[Path]:
    """Return all files of a split in order; raises UserError when one is missing."""
    files = sorted(folder.glob(f"*-{split}.tfrecord-*-of-*"))
    wanted = int(files[0].name.rpartition("-of-")[2]) if files else 1
    numbers = [int(path.name.rpartition("-of-")[0].rpartition("-")[2]) for path in files]
    if numbers != list(range(wanted)):
        lost = next(number for number in range(wanted) if number not in numbers)
        raise UserError(
            f"{folder} lacks a file of the split {split}: number {lost} of {wanted} (…-{lost:05d}-of-…)", "missing"
        )
    return files


def _scan(path: Path) -> np.ndarray:
    """Return the start and the length of each record's content in a TFRecord file, (N, 2) int64.

    A record is eight bytes of length, four of checksum, the content, and four of checksum.
    """
    found = []
    file = os.open(path, os.O_RDONLY | getattr(os, "O_BINARY", 0))
    try:
        size, place = os.fstat(file).st_size, 0
        while place < size:
            os.lseek(file, place, os.SEEK_SET)
            head = os.read(file, 8)
            length = struct.unpack("<Q", head)[0] if len(head) == 8 else size
            end = place + 12 + length + 4
            if end > size:
                raise UserError(f"{path} is cut off after {len(found):,} records; copy it again", "unreadable")
            found.append((place + 12, length))
            place = end
    finally:
        os.close(file)
    return np.array(found, np.int64).reshape(-1, 2)
