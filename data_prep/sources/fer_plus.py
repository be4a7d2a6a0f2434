"""Read FER+, the votes of ten people on each FER-2013 picture, as distributions over the seven emotions.

Votes by Barsoum et al. (2016, arXiv:1608.01041), https://github.com/microsoft/FERPlus, MIT licence. Two layouts are
read: Microsoft's folders `FER2013{Train,Valid,Test}/ferNNNNNNN.png`, and `fer2013.csv`; both with `fer2013new.csv`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from data_prep.sources.source import Source, SourcePhoto, images_in
from rac_unet.core.emotions import EMOTIONS, parse_emotion
from rac_unet.core.errors import UserError
from rac_unet.core.files.text_tables import Column, open_table
from rac_unet.data.pairs import hash_share, write_shares

VOTES_FILE = "fer2013new.csv"
OWN_LABELS_FILE = "fer2013_labels.csv"
FOLDERS = {"FER2013Train": "train", "FER2013Valid": "val", "FER2013Test": "test"}
_IMAGE_NAME = Column("Image name")
_OTHERS = ("contempt", "unknown", "NF")
# A single vote of ten is mostly noise; Barsoum et al. drop it, too.
FEWEST_VOTES = 2
# With fewer of ten votes for the seven emotions together, a picture is not used.
FEWEST_FOR_THE_SEVEN = 5


def is_votes_folder(folder: Path) -> bool:
    """Return whether a folder has Microsoft's layout of FER+."""
    return any((folder / name).is_dir() for name in FOLDERS)


def read_votes_folder(folder: Path, votes: Path, labels: str, seed: int) -> Source:
    """Read Microsoft's layout: pictures in three folders, votes by file name.

    Args:
        votes: fer2013new.csv.
        labels: `votes`; `own`, FER-2013's label from fer2013_labels.csv; `both`, the mean of the two.
        seed: without a test folder, half of the validation pictures, by hash, become the test split.
    Raises: UserError when a table is missing or cannot be read.
    """
    source = Source("FER-2013 in folders, with FER+ votes")
    own = read_own_labels(folder / OWN_LABELS_FILE) if labels != "votes" else {}
    shares = {name: row for _, name, row in read_votes(votes) if name}
    for name, split in FOLDERS.items():
        if not (folder / name).is_dir():
            source.remarks.append(f"there is no {name}")
            continue
        for entry in images_in(folder / name):
            path = f"{name}/{entry}"
            if entry not in shares:
                source.reject(path, f"has no row in {votes.name}")
                continue
            _add(source, path, Path(entry).stem, split, shares[entry], own.get(entry), labels)
    if source.photos and not any(photo.split == "test" for photo in source.photos):
        source.photos = [
            replace(photo, split="test")
            if photo.split == "val" and hash_share(f"{seed}:test:{photo.key}") < 0.5
            else photo
            for photo in source.photos
        ]
        source.remarks.append("half of the validation pictures are the test split")
    return source


def add_votes(source: Source, votes: Path, labels: str) -> Source:
    """Return the photos of fer2013.csv with votes instead of labels, or with the mean of both.

    Args:
        source: result of `read_table`; the votes are in the same order.
    Raises: UserError as `read_votes` does.
    """
    if labels == "own":
        return source
    shares = {f"line {number}": row for number, _, row in read_votes(votes)}
    voted = Source(f"{source.layout}, with FER+ votes", rejected=source.rejected, remarks=source.remarks)
    for photo in source.photos:
        if photo.path not in shares:
            voted.reject(photo.path, f"has no row in {votes.name}")
            continue
        _add(voted, photo.path, photo.key, photo.split, shares[photo.path], photo.emotion, labels, photo.place)
    return voted


def read_votes(path: Path) -> Iterator[tuple[int, str, dict[str, int]]]:
    """Yield the rows of fer2013new.csv: (line, image name, votes by column), from line 2.

    Raises: UserError when the file is missing, its header lacks a column, or a cell is not a whole number.
    """
    wanted = (*EMOTIONS, *_OTHERS)
    if not path.is_file():
        raise UserError(f"no votes at {path}; give fer2013new.csv with --votes", "missing")
    table = open_table(path, (_IMAGE_NAME, *map(Column, wanted)))
    for number, _, cells in table.rows():
        try:
            votes = {name: int(table.cell(cells, name)) for name in wanted}
        except ValueError:
            raise UserError(f"{path}, line {number}: votes are not whole numbers", "bad_row") from None
        yield number, table.cell(cells, _IMAGE_NAME.name), votes


def read_own_labels(path: Path) -> dict[str, str]:
    """Return image name -> emotion of a table with the columns `Image name` and `emotion`.

    Raises: UserError when it is missing, or a row has no valid emotion.
    """
    if not path.is_file():
        raise UserError(f"no labels at {path}; --labels own and both need this file", "missing")
    table = open_table(path, (_IMAGE_NAME, Column("emotion")))
    labels = {}
    for number, _, cells in table.rows():
        try:
            labels[table.cell(cells, _IMAGE_NAME.name)] = parse_emotion(table.cell(cells, "emotion"))
        except UserError as error:
            raise UserError(f"{path}, line {number}: {error}", "unknown_emotion") from None
    return labels


def shares_of(votes: dict[str, int]) -> dict[str, float] | str:
    """Return the distribution over the seven emotions, or why there is none.

    Single votes are dropped; the others are divided by their sum over the seven.
    """
    kept = {name: count for name, count in votes.items() if count >= FEWEST_VOTES}
    seven = {name: kept[name] for name in EMOTIONS if name in kept}
    total, strongest = sum(seven.values()), max(seven.values(), default=0)
    for name in _OTHERS:
        if kept.get(name, 0) >= max(strongest, FEWEST_VOTES):
            return "voters see no face" if name == "NF" else f"voters see {name}"
    if total < FEWEST_FOR_THE_SEVEN:
        return "voters do not agree"
    return {name: count / total for name, count in seven.items()}


def _add(source: Source, path, key, split, votes, own: str | None, labels: str, place: int = 0) -> None:
    """Add a picture with its distribution, or reject it. The test split always uses only the votes."""
    shares = shares_of(votes)
    if labels == "own" and split != "test":
        if own is None:
            source.reject(path, "has no label of its own")
            return
        source.photos.append(SourcePhoto(path, key, own, key, split, place=place))
        return
    if isinstance(shares, str):
        source.reject(path, shares)
        return
    if labels == "both" and split != "test" and own is not None:
        shares = {name: (shares.get(name, 0) + (name == own)) / 2 for name in EMOTIONS}
    emotion = max(EMOTIONS, key=lambda name: shares.get(name, 0))
    source.photos.append(SourcePhoto(path, key, emotion, key, split, place=place, shares=write_shares(shares)))
