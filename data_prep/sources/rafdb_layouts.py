"""The three layouts of RAF-DB.

native   EmoLabel/list_patition_label.txt and Image/aligned/train_00001_aligned.jpg or Image/original/…
repack   {train,test}/{1..7}/*.jpg, labels by folder; train_labels.csv next to them, if it exists, is compared
         (also 0..6, with --numbering)
sorted   {train,test}/{masked,unmasked}/{0..6}/*.jpg of the original RAC-UNET project, with existing masks
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path, PurePosixPath

from data_prep.sources.numbering import OPTION, choose_numbering, describe_numbering, read_label
from data_prep.sources.source import (
    Source,
    find_folders,
    images_in,
    label_column,
    named_folders_hint,
    path_column,
    subfolders,
)
from rac_unet.core.errors import UserError
from rac_unet.core.files.text_files import read_text
from rac_unet.core.files.text_tables import open_table
from rac_unet.photos.listing import is_photo_name, normal_name

LABEL_LISTS = ("list_patition_label.txt", "list_partition_label.txt")
_SPLITS = ("train", "test")
# There are copies of RAF-DB's list that are numbered from zero. Folders from zero may have any data set's numbering.
LISTED = ("rafdb", "zero_based")
ZERO_BASED = ("zero_based", "fer2013", "alphabetical")
_TABLE = (path_column("image"), label_column("label"))

WANTED = {
    "native": "EmoLabel/list_patition_label.txt and Image/aligned/train_00001_aligned.jpg (or Image/original)",
    "repack": "train/1 … train/7 and test/1 … test/7 with images in them",
    "sorted": "train/masked/0 … 6, train/unmasked/0 … 6, and the same below test",
}


def find_layout(root: Path, wanted: str = "auto") -> tuple[str, Path, list[str]]:
    """Find the layout at `root` or up to three levels below; return its name, its folder, and remarks on others.

    Args:
        wanted: auto, or the only layout to look for.
    Raises: UserError with the layouts that were looked for, and the folders that were found.
    """
    names = list(_FITS) if wanted == "auto" else [wanted]
    found = [(name, folder) for name in names for folder in find_folders(root, _FITS[name])]
    if not found:
        looked = "; ".join(f"{name}: {WANTED[name]}" for name in names)
        here = ", ".join(folder.name for folder in subfolders(root)) or "no folder"
        hint = named_folders_hint(root)
        raise UserError(f"no RAF-DB found in {root}, which contains: {here}; looked for {looked}{hint}", "bad_layout")
    others = [f"{name} layout in {folder} is not used; choose with --layout or --source" for name, folder in found[1:]]
    return *found[0], others


def read_native(base: Path, images: str, numbering: str | None = None) -> Source:
    """Read RAF-DB as its authors distribute it.

    Args:
        base: the folder of EmoLabel and Image.
        images: aligned or original.
        numbering: numbering of the list; by default determined from all its numbers.
    """
    listing = next(base / "EmoLabel" / name for name in LABEL_LISTS if (base / "EmoLabel" / name).is_file())
    folder = base / "Image" / images
    if not images_in(folder):
        # Unpacking aligned.zip into a new folder gives aligned/aligned.
        folder = next((child for child in subfolders(folder) if images_in(child)), folder)
    source = Source(f"RAF-DB, native layout, {images} images")
    names = images_in(folder, source.left_out)
    if not names:
        other = "original" if images == "aligned" else "aligned"
        hint = f", or use the others with --images {other}" if (base / "Image" / other).is_dir() else ""
        raise UserError(f"no image in {folder}; unpack RAF-DB's archive of {images} images there{hint}", "empty")
    labels = _read_listing(listing, source, numbering)
    prefix = folder.relative_to(base).as_posix()
    suffix = "_aligned" if images == "aligned" else ""
    by_stem = _by_stem(names, prefix, source)
    for stem, name in by_stem.items():
        path = f"{prefix}/{name}"
        photo = stem.removesuffix(suffix)
        split = photo.split("_")[0]
        if photo not in labels:
            source.reject(path, f"has no label: no line of {listing.name} names it")
        elif split not in _SPLITS:
            source.reject(path, "its name starts neither with train_ nor with test_")
        elif labels[photo]:
            source.add(path, labels[photo], split)
    for photo in labels:
        if photo + suffix not in by_stem:
            source.reject(photo, f"{listing.name} names it, and there is no image")
    return source


def read_repack(base: Path, numbering: str | None = None) -> Source:
    """Read {train,test}/{1..7}/*.jpg."""
    source = Source("RAF-DB, repacked in numbered folders")
    images = {
        (split, folder.name): images_in(folder, source.left_out)
        for split in _SPLITS
        for folder in subfolders(base / split)
    }
    labels = [label for (_, label), names in images.items() for _ in names]
    numbers = choose_numbering(labels, ("rafdb", *ZERO_BASED), numbering, f"{base}, whose folders are numbered")
    tables = {split: _read_label_table(base, split, source) for split in _SPLITS}
    written = [label for rows in tables.values() for _, label, _ in rows]
    # Folders from 1 exist together with tables from 0, so a numbering given for folders need not apply to tables.
    chosen = None if numbering in (None, *LISTED) else numbering
    own = choose_numbering(written, LISTED, chosen, f"{base}'s label tables", default=numbers)
    _note_zero_based(source, own, "label tables", numbering)
    for split in _SPLITS:
        listed, seen = _by_image(tables[split], own, source), set()
        if not (base / split).is_dir():
            source.remarks.append(f"there is no folder {split}")
        for name in images_in(base / split, source.left_out):
            source.reject(f"{split}/{name}", "is in no numbered folder")
        for (part, label), names in images.items():
            if part != split:
                continue
            try:
                emotion = read_label(label, numbers)
            except UserError as error:
                for name in names:
                    source.reject(f"{split}/{label}/{name}", f"folder {error}")
                continue
            for name in _by_stem(names, f"{split}/{label}", source).values():
                path, known_as = f"{split}/{label}/{name}", normal_name(name)
                seen.add(known_as)
                if listed.get(known_as, emotion) != emotion:
                    source.reject(path, f"folder says {emotion}, {split}_labels.csv says {listed[known_as]}")
                else:
                    source.add(path, emotion, split)
        for name in sorted(listed.keys() - seen):
            source.reject(f"{split}/{name}", f"{split}_labels.csv names it, and there is no image")
    return source


def read_sorted(base: Path, numbering: str | None = None) -> Source:
    """Read {train,test}/{masked,unmasked}/{0..6}/*.jpg; a masked and an unmasked image are matched by name."""
    source = Source("the original project's sorted folders, with existing masks")
    files: dict[tuple[str, str, str], dict[str, str]] = {}
    for split in _SPLITS:
        sides = {side: base / split / side for side in ("masked", "unmasked")}
        if not all(folder.is_dir() for folder in sides.values()):
            source.remarks.append(f"there is no {split}/masked and {split}/unmasked")
        labels = sorted({folder.name for side in sides.values() for folder in subfolders(side)})
        for label in labels:
            for side, folder in sides.items():
                names = images_in(folder / label, source.left_out)
                files[split, side, label] = _by_stem(names, f"{split}/{side}/{label}", source)
        for folder in sides.values():
            images_in(folder, source.left_out)
    written = [label for (_, _, label), names in files.items() for _ in names]
    numbers = choose_numbering(written, ("zero_based", "rafdb"), numbering, f"{base}, whose folders are numbered")
    for split, label in dict.fromkeys((split, label) for split, _, label in files):
        masked, unmasked = files[split, "masked", label], files[split, "unmasked", label]
        try:
            emotion = read_label(label, numbers)
        except UserError as error:
            for side, names in (("masked", masked), ("unmasked", unmasked)):
                for name in names.values():
                    source.reject(f"{split}/{side}/{label}/{name}", f"folder {error}")
            continue
        for stem, name in unmasked.items():
            path = f"{split}/unmasked/{label}/{name}"
            if stem in masked:
                source.add(path, emotion, split, masked=f"{split}/masked/{label}/{masked[stem]}")
            else:
                source.reject(path, "has no masked image of the same name")
        for stem, name in masked.items():
            if stem not in unmasked:
                source.reject(f"{split}/masked/{label}/{name}", "has no unmasked image of the same name")
    return source


def _note_zero_based(source: Source, numbers: str | None, what: str, given: str | None) -> None:
    if numbers == "zero_based" and not given:
        source.remarks.append(
            f"its {what} are numbered from 0 and read as {describe_numbering(numbers)}, which is RAF-DB's order; if "
            f"this is wrong, give {OPTION}"
        )


def _fits_native(folder: Path) -> bool:
    return any((folder / "EmoLabel" / name).is_file() for name in LABEL_LISTS) and (folder / "Image").is_dir()


def _fits_repack(folder: Path) -> bool:
    return _has_classes(folder, "01234567")


def _fits_sorted(folder: Path) -> bool:
    return any(child.name in "0123456" for split in _SPLITS for child in subfolders(folder / split / "masked")) and any(
        (folder / split / "unmasked").is_dir() for split in _SPLITS
    )


def _has_classes(folder: Path, digits: str) -> bool:
    return any((folder / split / digit).is_dir() for split in _SPLITS for digit in digits)


_FITS: dict[str, Callable[[Path], bool]] = {"native": _fits_native, "repack": _fits_repack, "sorted": _fits_sorted}


def _by_stem(names: list[str], folder: str, source: Source) -> dict[str, str]:
    """Return stem -> name; files that differ only in their extension are ambiguous and are all rejected."""
    found: dict[str, list[str]] = {}
    for name in names:
        found.setdefault(normal_name(Path(name).stem), []).append(name)
    for stem, same in found.items():
        if len(same) > 1:
            for name in same:
                source.reject(f"{folder}/{name}", f"{len(same)} files are called {stem!r}, with different endings")
    return {stem: same[0] for stem, same in found.items() if len(same) == 1}


def _read_listing(path: Path, source: Source, given: str | None) -> dict[str, str]:
    """Return photo's stem -> emotion of every line of RAF-DB's list; "" for a photo that was rejected."""
    labels: dict[str, str] = {}
    lines: dict[str, int] = {}
    text, note = read_text(path)
    source.remarks += [note] * bool(note)
    rows: list[tuple[int, str, str]] = []
    for number, line in enumerate(text.splitlines(), 1):
        words = [word.strip('"') for word in re.split(r"[\s,;|]+", line.strip())]
        if words == [""]:
            continue
        if len(words) != 2 or not is_photo_name(words[0]):
            source.reject(f"{path.name} line {number}", f"is not a file name and a label: {line[:60]!r}")
        else:
            rows.append((number, normal_name(Path(words[0]).stem), words[1]))
    if not rows:
        raise UserError(f"{path} has no line like 'train_00001.jpg 5'", "bad_layout")
    numbers = choose_numbering([label for _, _, label in rows], LISTED, given, str(path))
    _note_zero_based(source, numbers, "labels", given)
    for number, photo, label in rows:
        try:
            emotion = read_label(label, numbers)
        except UserError as error:
            source.reject(photo, f"line {number}: {error}")
            labels[photo], lines[photo] = "", number
            continue
        if photo not in labels:
            labels[photo], lines[photo] = emotion, number
        elif labels[photo] == emotion:
            source.reject(f"{path.name} line {number}", f"repeats line {lines[photo]}, which counts")
        elif labels[photo]:
            source.reject(photo, f"lines {lines[photo]} and {number} label it differently")
            labels[photo] = ""
    return labels


def _read_label_table(base: Path, split: str, source: Source) -> list[tuple[str, str, str]]:
    """Return (image name, label as written, file and line) of each row of the repack's table; empty without one."""
    path = next((p for p in (base / f"{split}_labels.csv", base.parent / f"{split}_labels.csv") if p.is_file()), None)
    if path is None:
        return []
    table = open_table(path, _TABLE)
    source.remarks += [table.encoding.note] * bool(table.encoding.note)
    return [
        (
            normal_name(PurePosixPath(table.cell(cells, "image").replace("\\", "/")).name),
            table.cell(cells, "label"),
            f"{path.name} line {number}",
        )
        for number, _, cells in table.rows()
    ]


def _by_image(rows: list[tuple[str, str, str]], numbers: str | None, source: Source) -> dict[str, str]:
    """Return image name -> emotion."""
    emotions: dict[str, str] = {}
    for name, label, where in rows:
        try:
            emotions[name] = read_label(label, numbers)
        except UserError as error:
            source.reject(where, str(error))
    return emotions
