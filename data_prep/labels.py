"""Read and check a label file before any photo is touched: every fault in it is named at once."""

from __future__ import annotations

import csv
import io
from dataclasses import replace
from pathlib import Path

from data_prep.sources import Photo, Source, make_key
from rac_unet.data.pair_checks import SPLITS, path_fault
from rac_unet.data.pairs import assign_splits
from rac_unet.emotions import EMOTIONS, parse_emotion
from rac_unet.errors import UserError

_MAX_FAULTS_SHOWN = 50


def read_labels(path: str | Path, content: bytes, seed: int, skip_bad_rows: bool = False) -> Source:
    """Parse a label file: columns path and emotion, and if present identity and split; others are ignored.

    Where the split is empty or absent, an identity that has one elsewhere keeps it; the others are assigned
    by `assign_splits` with `seed`.

    Args:
        path: for messages alone; `content` is the file.
        skip_bad_rows: reject bad rows one by one instead of refusing the file.
    Raises: one UserError with every bad row: its line, its value, what is allowed.
    """
    rows = _rows(path, content)
    source, faults = Source(f"label file {path}"), []
    seen: dict[str, int] = {}
    splits: dict[str, tuple[str, int]] = {}
    for line, row in rows:
        photo, split = row["path"].replace("\\", "/").removeprefix("./"), row.get("split", "").lower()
        identity = row.get("identity") or make_key(photo)
        wrong = []
        if fault := path_fault(photo):
            wrong.append(f"path {row['path']!r} {fault}")
        elif photo in seen:
            wrong.append(f"path {row['path']!r} is already on line {seen[photo]}")
        seen.setdefault(photo, line)
        try:
            emotion = parse_emotion(row["emotion"])
        except UserError:
            wrong.append(f"unknown emotion {row['emotion']!r}")
        if split and split not in SPLITS:
            wrong.append(f"unknown split {row['split']!r}; use one of: {', '.join(SPLITS)}")
        elif split and not wrong:
            other, where = splits.setdefault(identity, (split, line))
            if other != split:
                wrong.append(
                    f"identity {identity!r} is in {split!r} here, in {other!r} on line {where}; "
                    "one person belongs to one split"
                )
        if wrong:
            faults += [f"line {line}: {words}" for words in wrong]
            source.reject(photo if path_fault(photo) is None else f"line {line}", f"line {line}: {'; '.join(wrong)}")
        else:
            source.photos.append(Photo(photo, make_key(photo), emotion, identity, split))
    if faults and not skip_bad_rows:
        rest = len(faults) - _MAX_FAULTS_SHOWN
        shown = [f"  {fault}" for fault in faults[:_MAX_FAULTS_SHOWN]] + [f"  ... and {rest:,} more"] * (rest > 0)
        hint = f"\nthe emotions are: {', '.join(EMOTIONS)}" if any("emotion" in fault for fault in faults) else ""
        raise UserError(
            f"{path} has {len(faults):,} bad row{'s' * (len(faults) > 1)}:\n"
            + "\n".join(shown)
            + f"{hint}\nput them right, or go on without them: --skip_bad_rows"
        )
    if not source.photos:
        raise UserError(f"{path} holds no {'usable ' * bool(rows)}row below its header")
    assigned = assign_splits((photo.identity for photo in source.photos), seed)
    source.photos = [
        replace(photo, split=splits[photo.identity][0] if photo.identity in splits else drawn)
        for photo, drawn in zip(source.photos, assigned, strict=True)
    ]
    return source


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
