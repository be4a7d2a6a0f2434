"""The layouts of AffectNet, and the landmarks in each.

arrays   {train_set,val_set}/images/N.jpg with annotations/N_exp.npy (a digit) and N_lnd.npy (68 landmarks)
tables   training.csv and validation.csv, with a line per image in Manually_Annotated_Images and its 68 landmarks as
         x;y;x;y…
folders  {train,val,test}/{0..7}/*.jpg, without landmarks
"""

from __future__ import annotations

import os
import re
from collections import Counter
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from data_prep.sources.loading import FileLoader, Loaded
from data_prep.sources.numbering import choose_numbering, describe_numbering, read_label
from data_prep.sources.source import (
    Source,
    find_folders,
    images_in,
    label_column,
    make_key,
    named_folders_hint,
    path_column,
    subfolders,
)
from rac_unet.core.emotions import as_number
from rac_unet.core.errors import UserError
from rac_unet.core.files.text_tables import Column, Table, open_table
from rac_unet.core.progress import Progress
from rac_unet.data.pair_checks import path_fault
from rac_unet.photos.listing import find_name, find_photos, is_photo_name

if TYPE_CHECKING:
    import numpy as np

    from data_prep.sources.source import SourcePhoto

_ARRAY_SETS = {"train_set": "train", "val_set": "test"}
_FOLDER_SETS = {"train": "train", "val": "val", "valid": "val", "test": "test"}
_TABLES = {"training.csv": "train", "validation.csv": "test"}
# In the order of tables without header.
_COLUMNS = (
    path_column("subDirectory_filePath"),
    *(Column(name, needed=False) for name in ("face_x", "face_y", "face_width", "face_height")),
    Column("facial_landmarks", ("landmarks",), needed=False),
    label_column("expression"),
)
_BOX = ("face_x", "face_y", "face_width", "face_height")
_NUMBERINGS = ("affectnet",)
WANTED = {
    "arrays": "train_set/images/N.jpg and train_set/annotations/N_exp.npy, and the same in val_set",
    "tables": "training.csv and validation.csv, with their images in a folder next to them or below",
    "folders": "train/0 … train/7, and the same in val (or valid) or test",
}


def find_layout(root: Path, wanted: str = "auto") -> tuple[str, Path]:
    """Find the layout at `root` or up to three levels below; return its name and folder.

    Raises: UserError with the layouts that were looked for, and the folders that were found.
    """
    names = list(WANTED) if wanted == "auto" else [wanted]
    for name in names:
        found = find_folders(root, _FITS[name])
        if found:
            return name, found[0]
    looked = "; ".join(f"{name}: {WANTED[name]}" for name in names)
    here = ", ".join(folder.name for folder in subfolders(root)) or "no folder"
    hint = named_folders_hint(root)
    raise UserError(f"no AffectNet found in {root}, which contains: {here}; looked for {looked}{hint}", "bad_layout")


def read_arrays(base: Path, numbering: str | None = None, follow_links: bool = False) -> Source:
    """Read all images with an expression file; the validation set becomes test, since the test set is not published."""
    source = Source("AffectNet, .npy annotations")
    listed = []
    for name, split in _ARRAY_SETS.items():
        images, notes = base / name / "images", base / name / "annotations"
        if not images.is_dir():
            source.remarks.append(f"there is no {name}/images")
            continue
        files = images_in(images, source.left_out)
        listing = os.listdir(notes) if notes.is_dir() else []
        expressions = {file.removesuffix("_exp.npy") for file in listing if file.endswith("_exp.npy")}
        listed.append((name, split, files, expressions, Counter(Path(file).stem for file in files)))
    progress = Progress(sum(len(files) for _, _, files, _, _ in listed), noun="annotations")
    labelled: list[tuple[str, str, str]] = []
    for name, split, files, expressions, stems in listed:
        for file in files:
            progress.advance()
            stem, path = Path(file).stem, f"{name}/images/{file}"
            if stems[stem] > 1:
                source.reject(path, f"{stems[stem]} images are called {stem!r}, with different endings")
            elif stem not in expressions:
                source.reject(path, f"has no label: no {stem}_exp.npy")
            else:
                try:
                    labelled.append((path, _read_expression(base / name / "annotations" / f"{stem}_exp.npy"), split))
                except ValueError as error:
                    source.reject(path, str(error))
        for stem in sorted(expressions - stems.keys()):
            source.reject(f"{name}/annotations/{stem}_exp.npy", "labels an image that is not there")
    progress.close()
    numbers = choose_numbering(
        (label for _, label, _ in labelled), _NUMBERINGS, numbering, f"{base}, in its _exp.npy files"
    )
    for path, label, split in labelled:
        _add(source, path, label, split, numbers)
    return source


def read_tables(base: Path, numbering: str | None = None, follow_links: bool = False) -> Source:
    """Read all lines of training.csv and validation.csv; images are searched in and below the folder of the tables."""
    source = Source("AffectNet, CSV tables")
    seen: dict[str, str] = {}
    on_disk: set[str] = set()
    roots: list[Path] | None = None
    labelled: list[tuple[str, str, str, str, int]] = []
    for name, split in _TABLES.items():
        if not (base / name).is_file():
            source.remarks.append(f"there is no {name}")
            continue
        table = _open(str(base / name))
        source.remarks += [table.encoding.note] * bool(table.encoding.note)
        needed = 1 + max(table.at[column.name] for column in _COLUMNS if column.needed)
        for number, place, cells in table.rows():
            where = f"{name} line {number}"
            if len(cells) < needed:
                source.reject(where, f"has {len(cells)} cells, {needed} or more are needed")
                continue
            image = table.cell(cells, "subDirectory_filePath").replace("\\", "/")
            if fault := path_fault(image):
                source.reject(where, f"its path {fault}")
                continue
            if image in seen:
                source.reject(where, f"names {image!r}, as {seen[image]} did, which counts")
                continue
            seen[image] = where
            roots = roots or _image_roots(base)
            root = next((root for root in roots if (root / image).is_file()), None)
            found = image if root else None
            if root is None:
                root, found = next(((root, name) for root in roots if (name := find_name(root, image))), (None, None))
            if root is None:
                source.reject(image, f"{name} names it, and there is no image")
                continue
            roots.sort(key=lambda other: other != root)
            path = (root / found).relative_to(base).as_posix()
            on_disk.add(path)
            labelled.append((path, table.cell(cells, "expression"), split, make_key(image), place))
    numbers = choose_numbering(
        (label for _, label, _, _, _ in labelled), _NUMBERINGS, numbering, f"{base}, in the column expression"
    )
    for path, label, split, key, place in labelled:
        _add(source, path, label, split, numbers, key=key, place=place)
    for photo in find_photos(base, source.left_out, outside=follow_links, prefer=lambda path: path in on_disk):
        if photo.path not in on_disk:
            source.reject(photo.path, "has no label: no line names it")
    return source


def read_folders(base: Path, numbering: str | None = None, follow_links: bool = False) -> Source:
    """Read {train,val,test}/{0..7}/*.jpg; without a test folder, the validation set becomes test."""
    source = Source("AffectNet, in folders 0 to 7")
    labelled = []
    tested = any(images_in(folder) for folder in subfolders(base / "test"))
    for name, split in _FOLDER_SETS.items():
        images_in(base / name, source.left_out)
        for folder in subfolders(base / name):
            own = split if tested or split != "val" else "test"
            files = images_in(folder, source.left_out)
            labelled += [(f"{name}/{folder.name}/{file}", folder.name, own) for file in files]
    numbers = choose_numbering(
        (label for _, label, _ in labelled), _NUMBERINGS, numbering, f"{base}, whose folders are numbered"
    )
    if numbers:
        source.remarks.append(f"folder numbers are read as {describe_numbering(numbers)}")
    for path, label, split in labelled:
        _add(source, path, label, split, numbers)
    return source


def _add(source: Source, path: str, label: str, split: str, numbers: str | None, **more) -> None:
    try:
        emotion = read_label(label, numbers)
    except UserError as error:
        source.reject(path, str(error))
    else:
        source.add(path, emotion, split, **more)


@lru_cache(maxsize=4)
def _open(path: str) -> Table:
    """Open a table with header, or in the documented format without one, since validation.csv often has none."""
    return open_table(path, _COLUMNS, bare=_is_bare)


def _is_bare(cells: list[str]) -> bool:
    """Return whether a line is a row in AffectNet's format: an image, its box, its landmarks, a number."""
    box, landmarks = cells[1:5], cells[5:6]
    return (
        len(cells) >= len(_COLUMNS)
        and is_photo_name(cells[0].rpartition("/")[2])
        and as_number(cells[6]) is not None
        and all(re.fullmatch(r"-?[\d.]+", side) for side in box)
        and (landmarks == [""] or landmarks[0].count(";") > 1)
    )


class ArrayLoader(FileLoader):
    """Read N.jpg and the landmarks in N_lnd.npy."""

    def __call__(self, photo: SourcePhoto) -> Loaded:
        import numpy as np

        images, _, file = photo.path.rpartition("/")
        notes = os.path.join(self.root, os.path.dirname(images), "annotations", f"{Path(file).stem}_lnd.npy")
        try:
            landmarks = _as_points(np.load(notes, allow_pickle=False).astype(np.float64).ravel())
        except (OSError, ValueError, TypeError, EOFError):
            landmarks = None
        return Loaded(self.read(photo.path), landmarks)


class TableLoader(FileLoader):
    """Read an image and the landmarks in its line of training.csv or validation.csv."""

    def __call__(self, photo: SourcePhoto) -> Loaded:
        import numpy as np

        name = next(name for name, split in _TABLES.items() if (split == "test") == (photo.split == "test"))
        table = _open(os.path.join(self.root, name))
        cells = table.row_at(photo.place)
        try:
            words = table.cell(cells, "facial_landmarks").split(";")
            landmarks = _as_points(np.array([float(word) for word in words]))
        except ValueError:
            landmarks = None
        box = None
        if landmarks is None:
            try:
                x, y, width, height = (float(table.cell(cells, side)) for side in _BOX)
                box = (x, y, x + width, y + height)
            except ValueError:
                box = None
        return Loaded(self.read(photo.path), landmarks, box)


def _as_points(numbers: np.ndarray) -> np.ndarray | None:
    return numbers.reshape(68, 2) if numbers.size == 136 else None


def _read_expression(path: Path) -> str:
    """Read a label as text; raises ValueError with a message that follows a photo's name."""
    import numpy as np

    try:
        value = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise ValueError(f"{path.name} cannot be read as an array: {str(error).splitlines()[0][:80]}") from None
    if value.size != 1:
        raise ValueError(f"{path.name} holds {value.size} values, one is needed")
    return str(value.ravel()[0])


def _image_roots(base: Path) -> list[Path]:
    """Return the folders that paths of the tables may be relative to, folders named `…_images` first."""
    named = [
        f for f in find_folders(base, lambda folder: folder.name.lower().endswith("_images"), depth=3) if f != base
    ]
    return [*named, *subfolders(base), base]


def _fits_arrays(folder: Path) -> bool:
    return any((folder / name / "images").is_dir() and (folder / name / "annotations").is_dir() for name in _ARRAY_SETS)


def _fits_tables(folder: Path) -> bool:
    return any((folder / name).is_file() for name in _TABLES)


def _fits_folders(folder: Path) -> bool:
    numbered = any((folder / "train" / digit).is_dir() for digit in "01234567")
    return numbered and any((folder / name).is_dir() for name in ("val", "valid", "test"))


_FITS = {"arrays": _fits_arrays, "tables": _fits_tables, "folders": _fits_folders}
