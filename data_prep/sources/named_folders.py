"""Read photos from folders named after emotions: `train/happiness/x.jpg`, `angry/y.png`."""

from __future__ import annotations

import contextlib
from pathlib import Path, PurePosixPath
from typing import NoReturn

from data_prep.sources.numbering import choose_numbering, read_label
from data_prep.sources.source import Source
from rac_unet.core.emotions import EMOTIONS, as_number
from rac_unet.core.errors import UserError
from rac_unet.data.pairs import assign_splits
from rac_unet.photos.listing import find_photos

_SPLIT_NAMES = {
    "train": "train",
    "training": "train",
    "train_set": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "val_set": "val",
    "publictest": "val",
    "test": "test",
    "testing": "test",
    "test_set": "test",
    "privatetest": "test",
}


def read_named_folders(
    root: Path,
    seed: int,
    skip: str | Path | None = None,
    hint: str = "",
    follow_links: bool = False,
    numbering: str | None = None,
    candidates: tuple[str, ...] = (),
) -> Source:
    """Read a folder whose subfolders are named after emotions, and optionally splits.

    Photos without a split folder are split 80, 10, 10 by their names.

    Args:
        skip: a folder below `root` to leave out (the output).
        hint: an alternative for the user, for the message when no folder is named after an emotion.
        follow_links: also enter links to folders outside `root`.
        numbering: numbering of emotions given as numbers.
        candidates: see `choose_numbering`; for a known source.
    Raises: UserError when no folder is named after an emotion, or folders are numbered and the numbering is unknown.
    """
    source = Source("photos in folders named after emotions")
    undecided: list[str] = []
    found = find_photos(
        root, source.left_out, skip, follow_links, prefer=lambda path: len(_named(path, numbering)) == 1
    )
    if not any(_named(photo.path, numbering) for photo in found):
        # Larger numbers may be years.
        parts = (part for photo in found for part in PurePosixPath(photo.path).parts[:-1])
        numbers = [part for part in parts if (number := as_number(part)) is not None and number <= 10]
        numbering = choose_numbering(numbers, candidates, numbering, f"{root}, whose folders are numbered")
    for photo in found:
        path, folders = photo.path, PurePosixPath(photo.path).parts[:-1]
        emotions = _named(path, numbering)
        others = set().union(*(_named(other, numbering) for other in photo.others)) - emotions
        splits = {_SPLIT_NAMES[name.lower()] for name in folders if name.lower() in _SPLIT_NAMES}
        if len(emotions) != 1:
            found_names = " and ".join(sorted(emotions)) or "none"
            source.reject(path, f"its folders must name one emotion, and name {found_names}")
        elif others:
            source.reject(path, f"links show the same file as {' and '.join(sorted(others))}, too")
        elif len(splits) > 1:
            source.reject(path, "its folders name two splits")
        else:
            source.add(path, emotions.pop(), splits.pop() if splits else "")
            undecided += [] if source.photos[-1].split else [source.photos[-1].key]
    if not source.photos:
        _refuse(root, source, hint)
    _fill_splits(source, undecided, seed)
    return source


def _refuse(root: Path, source: Source, hint: str) -> NoReturn:
    count = len(source.rejected)
    folders = sorted({PurePosixPath(path).parent.as_posix() for path, _ in source.rejected})
    shown = ", ".join(folders[:8]) + ", …" * (len(folders) > 8)
    what = f"it contains {count:,} photo{'s' * (count > 1)}, in {shown}" if count else "it contains no photos"
    lost = [f"{path} {reason}" for path, reason in source.left_out.missing]
    others = "; ".join(filter(None, [source.left_out.describe(), *lost[:3]]))
    raise UserError(
        f"no folder below {root} is named after an emotion: {what}{f' ({others})' if others else ''}; sort the photos "
        f"into folders called {', '.join(EMOTIONS)}{hint}",
        "bad_layout" if count else "empty",
    )


def _fill_splits(source: Source, undecided: list[str], seed: int) -> None:
    from dataclasses import replace

    drawn = dict(zip(undecided, assign_splits(undecided, seed), strict=True))
    source.photos = [photo if photo.split else replace(photo, split=drawn[photo.key]) for photo in source.photos]
    if undecided and len(undecided) < len(source.photos):
        source.remarks.append(
            f"{len(undecided):,} photos are not in a folder named train, val or test; they were split at random"
        )


def _named(path: str, numbering: str | None) -> set[str]:
    """Return the emotions that the folders of a path are named after."""
    found = set()
    for name in PurePosixPath(path).parts[:-1]:
        with contextlib.suppress(UserError):
            found.add(read_label(name, numbering))
    return found
