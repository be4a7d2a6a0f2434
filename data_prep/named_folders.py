"""Photos sorted into folders that name the emotion: `train/happiness/x.jpg`, `angry/y.png`."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

from data_prep.sources import Source, list_images
from rac_unet.data.pairs import assign_splits
from rac_unet.emotions import EMOTIONS, parse_emotion
from rac_unet.errors import UserError

_SPLIT_NAMES = {
    "train": "train", "training": "train", "train_set": "train", "val": "val", "valid": "val", "validation": "val",
    "val_set": "val", "publictest": "val", "test": "test", "testing": "test", "test_set": "test", "privatetest": "test",
}  # fmt: skip


def read_named_folders(root: Path, seed: int, skip: str | Path | None = None, hint: str = "") -> Source:
    """Scan a folder whose subfolders name emotions, and if there are any, splits.

    Where no folder names a split, photos are split 80, 10, 10 by their own names.

    Args:
        skip: a folder below `root` to leave out (the output).
        hint: what else the user could do, for the message when no folder names an emotion.
    Raises: UserError when no folder names an emotion.
    """
    source = Source("photos in folders named after emotions")
    undecided: list[str] = []
    for path in list_images(root, skip):
        folders = PurePosixPath(path).parts[:-1]
        emotions = {emotion for name in folders if (emotion := _emotion(name))}
        splits = {_SPLIT_NAMES[name.lower()] for name in folders if name.lower() in _SPLIT_NAMES}
        if len(emotions) != 1:
            found = " and ".join(sorted(emotions)) or "none"
            source.reject(path, f"its folders must name one emotion, and name {found}")
        elif len(splits) > 1:
            source.reject(path, "its folders name two splits")
        else:
            source.add(path, emotions.pop(), splits.pop() if splits else "")
            undecided += [] if source.photos[-1].split else [source.photos[-1].key]
    if not source.photos:
        raise UserError(
            f"no folder below {root} names an emotion; sort the photos into folders called {', '.join(EMOTIONS)}{hint}"
        )
    _fill_splits(source, undecided, seed)
    return source


def _fill_splits(source: Source, undecided: list[str], seed: int) -> None:
    from dataclasses import replace

    drawn = dict(zip(undecided, assign_splits(undecided, seed), strict=True))
    source.photos = [photo if photo.split else replace(photo, split=drawn[photo.key]) for photo in source.photos]
    if undecided and len(undecided) < len(source.photos):
        source.remarks.append(f"{len(undecided):,} photos lie in no folder named train, val or test; split by chance")


def _emotion(name: str) -> str | None:
    try:
        return parse_emotion(name)
    except UserError:
        return None
