"""Read and check a label file before any photo is opened; all its faults are reported together."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from data_prep.sources.numbering import choose_numbering, read_label
from data_prep.sources.source import Source, SourcePhoto, label_column, make_key, path_column
from rac_unet.core.emotions import EMOTIONS, as_number
from rac_unet.core.errors import UserError
from rac_unet.core.files.text_tables import Column, open_table
from rac_unet.data.pair_checks import SPLITS, path_fault
from rac_unet.data.pairs import assign_splits
from rac_unet.photos.listing import by_normal_name, normal_name

_MAX_FAULTS_SHOWN = 50


_COLUMNS = (
    path_column("path"),
    label_column("emotion"),
    Column("identity", needed=False),
    Column("split", needed=False),
)


def read_labels(
    path: str | Path,
    content: bytes,
    seed: int,
    skip_bad_rows: bool = False,
    numbering: str | None = None,
    unlabelled: str = "",
) -> Source:
    """Parse a label file with the columns path and emotion, optionally identity and split; others are ignored.

    Where the split is empty or absent, an identity with a split in another row keeps it; the others are assigned
    by `assign_splits` with `seed`.

    Args:
        path: for messages only; `content` is the content of the file.
        skip_bad_rows: reject bad rows instead of refusing the file.
        numbering: numbering of emotions given as numbers.
        unlabelled: the emotion of rows whose cell is empty; empty: such rows are bad.
    Raises: UserError with all bad rows (line, value, allowed values), or when all emotions are numbers and their
        numbering is unknown.
    """
    table = open_table(path, _COLUMNS, content)
    rows = [
        (line, {column.name: table.cell(cells, column.name) for column in _COLUMNS}) for line, _, cells in table.rows()
    ]
    emotions = [row["emotion"] for _, row in rows if row["emotion"]]
    if emotions and all(as_number(emotion) is not None for emotion in emotions):
        numbering = choose_numbering(emotions, (), numbering, str(path))
    source, faults = Source(f"label file {path}"), []
    source.remarks += [table.encoding.note] * bool(table.encoding.note)
    seen: dict[str, int] = {}
    splits: dict[str, tuple[str, int]] = {}
    for line, row in rows:
        photo, split = row["path"].replace("\\", "/").removeprefix("./"), row["split"].lower()
        identity = row["identity"] or make_key(photo)
        wrong = []
        if fault := path_fault(photo):
            wrong.append(f"path {row['path']!r} {fault}")
        elif photo in seen:
            wrong.append(f"path {row['path']!r} is already on line {seen[photo]}")
        seen.setdefault(photo, line)
        try:
            emotion = read_label(row["emotion"], numbering) if row["emotion"] or not unlabelled else unlabelled
        except UserError:
            wrong.append(f"unknown emotion {row['emotion']!r}")
        if split and split not in SPLITS:
            wrong.append(f"unknown split {row['split']!r}; use one of: {', '.join(SPLITS)}")
        elif split and not wrong:
            other, where = splits.setdefault(identity, (split, line))
            if other != split:
                wrong.append(
                    f"identity {identity!r} is in {split!r} here, in {other!r} on line {where}; "
                    "all rows of an identity must be in one split"
                )
        if wrong:
            faults += [f"line {line}: {words}" for words in wrong]
            source.reject(photo if path_fault(photo) is None else f"line {line}", f"line {line}: {'; '.join(wrong)}")
        else:
            source.photos.append(SourcePhoto(photo, make_key(photo), emotion, identity, split))
    if faults and not skip_bad_rows:
        raise UserError(_bad_rows(path, faults), "bad_row")
    if not source.photos:
        raise UserError(f"{path} has no {'usable ' * bool(rows)}row below its header", "empty")
    assigned = assign_splits((photo.identity for photo in source.photos), seed)
    source.photos = [
        replace(photo, split=splits[photo.identity][0] if photo.identity in splits else drawn)
        for photo, drawn in zip(source.photos, assigned, strict=True)
    ]
    return source


def _bad_rows(path: str | Path, faults: list[str]) -> str:
    """Return the message about a label file's bad rows."""
    rest = len(faults) - _MAX_FAULTS_SHOWN
    shown = [f"  {fault}" for fault in faults[:_MAX_FAULTS_SHOWN]] + [f"  ... and {rest:,} more"] * (rest > 0)
    hint = f"\nthe emotions are: {', '.join(EMOTIONS)}" if any("emotion" in fault for fault in faults) else ""
    head = f"{path} has {len(faults):,} bad row{'s' * (len(faults) > 1)}:\n"
    return head + "\n".join(shown) + f"{hint}\ncorrect them, or skip them with --skip_bad_rows"


def spell_as_on_disk(source: Source, paths: Iterable[str]) -> None:
    """Replace the paths of photos whose names on disk are in another Unicode form by the names on disk.

    Args:
        paths: paths of all photos below the folder.
    """
    existing = set(paths)
    # A file with an exactly matching row is not matched with other rows.
    spelled = by_normal_name(existing - {photo.path for photo in source.photos})
    source.photos = [
        photo if photo.path in existing else replace(photo, path=spelled.pop(normal_name(photo.path), photo.path))
        for photo in source.photos
    ]
