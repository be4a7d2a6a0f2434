"""Read and check a label file before any photo is touched: every fault in it is named at once."""

from __future__ import annotations

import csv
import hashlib
import io
import re
from dataclasses import dataclass
from pathlib import Path

from rac_unet.data.pair_checks import SPLITS, path_fault
from rac_unet.data.pairs import assign_splits
from rac_unet.emotions import EMOTIONS, parse_emotion
from rac_unet.errors import UserError

_MAX_FAULTS_SHOWN = 50


@dataclass(frozen=True)
class LabelledPhoto:
    """One row of the label file, completed.

    Attributes:
        path: relative to the photos folder, forward slashes.
        key: unique and safe in file names; follows from `path` alone.
        identity: as given, else the key: each photo its own person.
    """

    path: str
    key: str
    emotion: str
    identity: str
    split: str


def read_labels(path: str | Path, content: bytes, seed: int) -> list[LabelledPhoto]:
    """Parse a label file: columns path and emotion, and if present identity and split; others are ignored.

    Where the split is empty or absent, an identity that has one elsewhere keeps it; the others are assigned
    by `assign_splits` with `seed`.

    Args:
        path: for messages alone; `content` is the file.
    Raises: one UserError with every bad row: its line, its value, what is allowed.
    """
    rows = _rows(path, content)
    faults: list[str] = []
    seen: dict[str, int] = {}
    splits: dict[str, tuple[str, int]] = {}
    found: list[tuple[str, str, str, str, str]] = []
    for line, row in rows:
        photo, emotion = row["path"].replace("\\", "/").removeprefix("./"), ""
        if fault := path_fault(photo):
            faults.append(f"line {line}: path {row['path']!r} {fault}")
        elif photo in seen:
            faults.append(f"line {line}: path {row['path']!r} is already on line {seen[photo]}")
        seen.setdefault(photo, line)
        try:
            emotion = parse_emotion(row["emotion"])
        except UserError:
            faults.append(f"line {line}: unknown emotion {row['emotion']!r}")
        key = _key(photo)
        identity = row.get("identity") or key
        split = row.get("split", "").lower()
        if split and split not in SPLITS:
            faults.append(f"line {line}: unknown split {row['split']!r}; use one of: {', '.join(SPLITS)}")
        elif split:
            other, where = splits.setdefault(identity, (split, line))
            if other != split:
                faults.append(
                    f"line {line}: identity {identity!r} is in {split!r} here, in {other!r} on line {where}; "
                    "one person belongs to one split"
                )
        found.append((photo, key, emotion, identity, split))
    if faults:
        rest = len(faults) - _MAX_FAULTS_SHOWN
        shown = [f"  {fault}" for fault in faults[:_MAX_FAULTS_SHOWN]] + [f"  ... and {rest:,} more"] * (rest > 0)
        hint = f"\nthe emotions are: {', '.join(EMOTIONS)}" if any("emotion" in fault for fault in faults) else ""
        raise UserError(f"{path} has {len(faults):,} bad row{'s' * (len(faults) > 1)}:\n" + "\n".join(shown) + hint)
    if not found:
        raise UserError(f"{path} holds no row below its header")
    assigned = assign_splits((identity for _, _, _, identity, _ in found), seed)
    return [
        LabelledPhoto(photo, key, emotion, identity, splits[identity][0] if identity in splits else drawn)
        for (photo, key, emotion, identity, _), drawn in zip(found, assigned, strict=True)
    ]


def _rows(path: str | Path, content: bytes) -> list[tuple[int, dict[str, str]]]:
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UserError(f"{path} is not UTF-8 text (byte {error.start}); save it as CSV in UTF-8") from None
    reader = csv.reader(io.StringIO(text, newline=""))
    rows: list[tuple[int, dict[str, str]]] = []
    try:
        columns = [name.strip().lower() for name in next(reader, [])]
        missing = [name for name in ("path", "emotion") if name not in columns]
        if missing:
            raise UserError(
                f"{path} lacks the column {' and '.join(missing)}; its first line must name the columns "
                f"path and emotion, and may name identity and split. Found: {', '.join(columns) or 'nothing'}"
            )
        for cells in reader:
            if cells:
                cells = [cell.strip() for cell in cells] + [""] * (len(columns) - len(cells))
                rows.append((reader.line_num, dict(zip(columns, cells, strict=False))))
    except csv.Error as error:
        raise UserError(f"{path}, line {reader.line_num}, is not CSV: {error}") from None
    return rows


def _key(path: str) -> str:
    """The photo's name made safe for any file system, and a hash of its path against namesakes."""
    stem = re.sub(r"[^A-Za-z0-9_-]+", "_", Path(path).stem)[:80]
    return f"{stem}-{hashlib.blake2b(path.encode(), digest_size=5).hexdigest()}"
