"""Remove bad rows from a data set: rows and files are moved to `quarantine/`, nothing is deleted.

It can be killed at any time: first the rows are written to quarantine/pairs.csv, then pairs.csv is replaced, then the
files are moved. The next call completes what is left to do.
"""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Iterable
from pathlib import Path

import pandas as pd

from rac_unet.core.errors import UserError
from rac_unet.core.files.text_tables import Column, open_table
from rac_unet.core.files.whole import write_file
from rac_unet.data.pair_checks import IMAGE_COLUMNS, SPLITS, Fault, path_fault
from rac_unet.data.pairs import COLUMNS, PAIRS_FILE
from rac_unet.photos.listing import find_name

FOLDER = "quarantine"


def rows_to_go(frame: pd.DataFrame, faults: Iterable[Fault], leaks: Iterable[tuple[str, str, str]]) -> dict[int, str]:
    """Return row -> reason of the rows to remove; of rows in conflict, those of the test split are kept.

    Args:
        frame: the table.
        faults: faults of single rows, and identities in two splits.
        leaks: (a file, another file that shows the same photograph in another split, message).
    """
    reasons: dict[int, str] = {}
    users: dict[str, list[int]] = {}
    for column in IMAGE_COLUMNS:
        for row, name in enumerate(frame[column]):
            if name:
                users.setdefault(name, []).append(row)
    split = frame["split"].tolist()
    for fault in faults:
        if fault.kind != "identity":
            for row in users.get(fault.file, [fault.row]) if fault.file else [fault.row]:
                reasons.setdefault(row, fault.message.partition(": ")[2] or fault.message)
    rank = {name: number for number, name in enumerate(SPLITS)}
    people: dict[str, set[str]] = {}
    for row, identity in enumerate(frame["identity"]):
        if row not in reasons:
            people.setdefault(identity, set()).add(split[row])
    for row, identity in enumerate(frame["identity"]):
        home = max(people.get(identity, {split[row]}), key=lambda name: rank.get(name, -1))
        if row not in reasons and split[row] != home:
            reasons[row] = f"identity {identity!r} is in {home} too"
    for first, second, words in leaks:
        rows = {name: [row for row in users.get(name, []) if row not in reasons] for name in (first, second)}
        if rows[first] and rows[second]:
            lower = min((first, second), key=lambda name: rank.get(split[rows[name][0]], -1))
            reasons.update(dict.fromkeys(rows[lower], words))
    return dict(sorted(reasons.items()))


def move_rows(root: Path, reasons: dict[int, str]) -> tuple[int, int]:
    """Move rows and the files that no other row uses, and complete an interrupted call.

    Returns: numbers of moved rows and files.
    Raises: UserError when no row would be left.
    """
    header, rows = _read(root / PAIRS_FILE)
    if len(reasons) >= len(rows):
        raise UserError(f"all rows of {root / PAIRS_FILE} are faulty; nothing was moved. Prepare it again", "empty")
    kept = [row for number, row in enumerate(rows) if number not in reasons]
    if reasons:
        _append(root / FOLDER / PAIRS_FILE, header, [(rows[number], reason) for number, reason in reasons.items()])
        _write(root / PAIRS_FILE, header, kept)
    return len(reasons), _move_files(root, header, kept)


def _move_files(root: Path, header: list[str], kept: list[list[str]]) -> int:
    if not (root / FOLDER / PAIRS_FILE).exists():
        return 0
    used = {row[header.index(column)].strip() for row in kept for column in IMAGE_COLUMNS}
    gone_header, gone = _read(root / FOLDER / PAIRS_FILE)
    moved = 0
    for row in gone:
        for column in IMAGE_COLUMNS:
            name = row[gone_header.index(column)].strip() if column in gone_header else ""
            if name and name not in used and path_fault(name) is None:
                spelled = find_name(root, name)
                if spelled and (root / spelled).is_file():
                    (root / FOLDER / spelled).parent.mkdir(parents=True, exist_ok=True)
                    os.replace(root / spelled, root / FOLDER / spelled)
                    moved += 1
    return moved


def _append(path: Path, header: list[str], gone: list[tuple[list[str], str]]) -> None:
    before = _read(path)[1] if path.exists() else []
    if path.exists() and _read(path)[0] != [*header, "reason"]:
        raise UserError(f"{path} has other columns than the data set; move it away and try again", "mismatch")
    there = {tuple(row[:-1]) for row in before}
    _write(path, [*header, "reason"], before + [[*row, reason] for row, reason in gone if tuple(row) not in there])


def _read(path: Path) -> tuple[list[str], list[list[str]]]:
    """Return header and unchanged cells of a table, including other columns; known columns get their standard names."""
    table = open_table(path, [Column(name) for name in COLUMNS])
    header = [name.strip() for name in table.header]
    for name, place in table.at.items():
        header[place] = name
    return header, [row + [""] * (len(header) - len(row)) for _, _, row in table.rows()]


def _write(path: Path, header: list[str], rows: list[list[str]]) -> None:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([header, *rows])
    write_file(path, text.getvalue().encode())
