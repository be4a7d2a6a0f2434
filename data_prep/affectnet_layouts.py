"""The forms in which people have AffectNet, and the landmarks in each.

arrays   {train_set,val_set}/images/N.jpg with annotations/N_exp.npy (a digit) and N_lnd.npy (68 landmarks)
tables   training.csv and validation.csv, whose lines name an image below Manually_Annotated_Images, with 68
         landmarks as x;y;x;y…
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from data_prep.loading import FileLoader, Loaded
from data_prep.sources import Source, find_folders, images_in, list_images, make_key, subfolders
from rac_unet.data.pair_checks import path_fault
from rac_unet.data.progress import Progress
from rac_unet.emotions import parse_source_label
from rac_unet.errors import UserError

if TYPE_CHECKING:
    import numpy as np

    from data_prep.sources import Photo

_ARRAY_SETS = {"train_set": "train", "val_set": "test"}
_FOLDER_SETS = {"train": "train", "val": "val", "valid": "val", "test": "test"}
_TABLES = {"training.csv": "train", "validation.csv": "test"}
_COLUMNS = ("subdirectory_filepath", "face_x", "face_y", "face_width", "face_height", "facial_landmarks", "expression")
WANTED = {
    "arrays": "train_set/images/N.jpg and train_set/annotations/N_exp.npy, and the same in val_set",
    "tables": "training.csv and validation.csv, with the images they name in a folder beside or below",
    "folders": "train/0 … train/7, and the same in val (or valid) or test",
}


def recognise(root: Path, wanted: str = "auto") -> tuple[str, Path]:
    """Name and folder of the layout found at `root` or up to three levels below.

    Raises: UserError that shows what was looked for, and what is there.
    """
    names = list(WANTED) if wanted == "auto" else [wanted]
    for name in names:
        found = find_folders(root, _FITS[name])
        if found:
            return name, found[0]
    looked = "\n".join(f"  {name}: {WANTED[name]}" for name in names)
    here = ", ".join(folder.name for folder in subfolders(root)) or "no folder"
    raise UserError(f"no AffectNet found in {root}, which holds: {here}; looked for\n{looked}")


def read_arrays(base: Path) -> Source:
    """Every image with its expression file; AffectNet's validation set becomes test, its test set being kept back."""
    source = Source("AffectNet, .npy annotations")
    listed = []
    for name, split in _ARRAY_SETS.items():
        images, notes = base / name / "images", base / name / "annotations"
        if not images.is_dir():
            source.remarks.append(f"there is no {name}/images")
            continue
        files = images_in(images)
        listing = os.listdir(notes) if notes.is_dir() else []
        expressions = {file.removesuffix("_exp.npy") for file in listing if file.endswith("_exp.npy")}
        stems: dict[str, int] = {}
        for file in files:
            stem = Path(file).stem
            stems[stem] = stems.get(stem, 0) + 1
        listed.append((name, split, files, expressions, stems))
    progress = Progress(sum(len(files) for _, _, files, _, _ in listed), noun="annotations")
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
                    emotion = _read_expression(base / name / "annotations" / f"{stem}_exp.npy")
                except UserError as error:
                    source.reject(path, str(error))
                else:
                    source.add(path, emotion, split)
        for stem in sorted(expressions - stems.keys()):
            source.reject(f"{name}/annotations/{stem}_exp.npy", "labels an image that is not there")
    progress.close()
    return source


def read_tables(base: Path) -> Source:
    """Every line of training.csv and validation.csv; the images are looked for in and below the tables' folder."""
    source = Source("AffectNet, CSV tables")
    seen: dict[str, str] = {}
    on_disk: set[str] = set()
    roots: list[Path] | None = None
    for name, split in _TABLES.items():
        if not (base / name).is_file():
            source.remarks.append(f"there is no {name}")
            continue
        for number, place, cells in table_lines(base / name):
            where = f"{name} line {number}"
            if len(cells) < len(_COLUMNS):
                source.reject(where, f"has {len(cells)} cells, {len(_COLUMNS)} or more are needed")
                continue
            image = cells[0].replace("\\", "/")
            if fault := path_fault(image):
                source.reject(where, f"its path {fault}")
                continue
            if image in seen:
                source.reject(where, f"names {image!r}, as {seen[image]} did, which counts")
                continue
            seen[image] = where
            roots = roots or _image_roots(base)
            root = next((root for root in roots if (root / image).is_file()), None)
            if root is None:
                source.reject(image, f"{name} names it, and there is no image")
                continue
            roots.sort(key=lambda other: other != root)
            path = (root / image).relative_to(base).as_posix()
            on_disk.add(path)
            try:
                emotion = parse_source_label("affectnet", cells[_COLUMNS.index("expression")])
            except UserError as error:
                source.reject(path, str(error))
                continue
            source.add(path, emotion, split, key=make_key(image), place=place)
    for path in list_images(base):
        if path not in on_disk:
            source.reject(path, "has no label: no line names it")
    return source


def read_folders(base: Path) -> Source:
    """{train,val,test}/{0..7}/*.jpg. Where there is no test, AffectNet's validation set becomes it, as elsewhere."""
    source = Source("AffectNet, in folders 0 to 7")
    source.remarks.append("folder numbers are taken as AffectNet's own: 0 neutral, 1 happiness, 2 sadness … 7 contempt")
    tested = any(images_in(folder) for folder in subfolders(base / "test"))
    for name, split in _FOLDER_SETS.items():
        for folder in subfolders(base / name):
            try:
                emotion, wrong = parse_source_label("affectnet", folder.name), ""
            except UserError as error:
                emotion, wrong = "", str(error)
            for file in images_in(folder):
                path = f"{name}/{folder.name}/{file}"
                if wrong:
                    source.reject(path, wrong)
                else:
                    source.add(path, emotion, split if tested or split != "val" else "test")
    return source


def table_lines(path: Path) -> Iterator[tuple[int, int, list[str]]]:
    """(line number, byte offset, cells) of every line below the header; validation.csv often has none."""
    with open(path, "rb") as file:
        place = 0
        for number, line in enumerate(file, 1):
            here, place = place, place + len(line)
            cells = split_line(line)
            if cells and cells != [""] and not (number == 1 and cells[0].lower() == _COLUMNS[0]):
                yield number, here, cells


def split_line(line: bytes) -> list[str]:
    return [cell.strip().strip('"') for cell in line.decode("utf-8-sig", "replace").strip().split(",")]


class ArrayLoader(FileLoader):
    """Read N.jpg and the landmarks in N_lnd.npy."""

    def __call__(self, photo: Photo) -> Loaded:
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

    def __call__(self, photo: Photo) -> Loaded:
        import numpy as np

        name = next(name for name, split in _TABLES.items() if (split == "test") == (photo.split == "test"))
        with open(os.path.join(self.root, name), "rb") as file:
            file.seek(photo.place)
            cells = split_line(file.readline())
        try:
            landmarks = _as_points(np.array([float(word) for word in cells[5].split(";")]))
        except ValueError:
            landmarks = None
        box = None
        if landmarks is None:
            try:
                x, y, width, height = (float(word) for word in cells[1:5])
                box = (x, y, x + width, y + height)
            except ValueError:
                box = None
        return Loaded(self.read(photo.path), landmarks, box)


def _as_points(numbers: np.ndarray) -> np.ndarray | None:
    return numbers.reshape(68, 2) if numbers.size == 136 else None


def _read_expression(path: Path) -> str:
    import numpy as np

    try:
        value = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise UserError(f"{path.name} cannot be read as an array: {str(error).splitlines()[0][:80]}") from None
    if value.size != 1:
        raise UserError(f"{path.name} holds {value.size} values, one is needed")
    text = str(value.ravel()[0])
    return parse_source_label("affectnet", text.removesuffix(".0"))


def _image_roots(base: Path) -> list[Path]:
    """Folders that paths of the tables may be relative to: those with images below, named so, then the base."""
    named = [
        f for f in find_folders(base, lambda folder: folder.name.lower().endswith("_images"), depth=3) if f != base
    ]
    return [*named, *subfolders(base), base]


def _fits_arrays(folder: Path) -> bool:
    return any((folder / name / "images").is_dir() and (folder / name / "annotations").is_dir() for name in _ARRAY_SETS)


def _fits_tables(folder: Path) -> bool:
    return any((folder / name).is_file() for name in _TABLES)


def _fits_folders(folder: Path) -> bool:
    # 1 to 7 without 0 would be RAF-DB.
    return all((folder / "train" / digit).is_dir() for digit in "01") and any(
        (folder / name).is_dir() for name in ("val", "valid", "test")
    )


_FITS = {"arrays": _fits_arrays, "tables": _fits_tables, "folders": _fits_folders}
