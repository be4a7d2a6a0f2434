"""The three forms in which people have RAF-DB, each recognised by what it cannot do without.

native   EmoLabel/list_patition_label.txt beside Image/aligned/train_00001_aligned.jpg and Image/original/…
repack   {train,test}/{1..7}/*.jpg, labels by folder; train_labels.csv beside them is compared where it is there
sorted   {train,test}/{masked,unmasked}/{0..6}/*.jpg of the original RAC-UNET project, masks already imposed
"""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path

from data_prep.sources import Source, find_folders, images_in, is_image_name, subfolders
from rac_unet.emotions import parse_source_label
from rac_unet.errors import UserError

LABEL_LISTS = ("list_patition_label.txt", "list_partition_label.txt")
_SPLITS = ("train", "test")

WANTED = {
    "native": "EmoLabel/list_patition_label.txt and Image/aligned/train_00001_aligned.jpg (or Image/original)",
    "repack": "train/1 … train/7 and test/1 … test/7 with images in them",
    "sorted": "train/masked/0 … 6, train/unmasked/0 … 6, and the same below test",
}


def recognise(root: Path, wanted: str = "auto") -> tuple[str, Path, list[str]]:
    """Name and folder of the layout found at `root` or up to three levels below, and remarks about others seen.

    Args:
        wanted: auto, or the only layout to look for.
    Raises: UserError that shows what was looked for, and what is there.
    """
    names = list(_FITS) if wanted == "auto" else [wanted]
    found = [(name, folder) for name in names for folder in find_folders(root, _FITS[name])]
    if not found:
        looked = "\n".join(f"  {name}: {WANTED[name]}" for name in names)
        here = ", ".join(folder.name for folder in subfolders(root)) or "no folder"
        hint = ""
        if find_folders(root, lambda folder: _has_classes(folder, "0123456") and not _fits_sorted(folder)):
            hint = (
                "\nfolders 0 … 6 without masked and unmasked are not RAF-DB's, whose labels are 1 … 7; say what they "
                "mean with a label file and data_prep.folder"
            )
        raise UserError(f"no RAF-DB found in {root}, which holds: {here}; looked for\n{looked}{hint}")
    others = [
        f"{name} layout in {folder} is left alone; choose with --layout or --source" for name, folder in found[1:]
    ]
    return *found[0], others


def read_native(base: Path, images: str) -> Source:
    """RAF-DB as its authors give it out.

    Args:
        base: the folder that holds EmoLabel and Image.
        images: aligned or original.
    """
    listing = next(base / "EmoLabel" / name for name in LABEL_LISTS if (base / "EmoLabel" / name).is_file())
    folder = base / "Image" / images
    if not images_in(folder):
        # Unpacking aligned.zip into a folder of its own gives aligned/aligned.
        folder = next((child for child in subfolders(folder) if images_in(child)), folder)
    names = images_in(folder)
    if not names:
        other = "original" if images == "aligned" else "aligned"
        hint = f", or take the others with --images {other}" if (base / "Image" / other).is_dir() else ""
        raise UserError(f"no image in {folder}; unpack RAF-DB's archive of {images} images there{hint}")
    source = Source(f"RAF-DB, native layout, {images} images")
    labels = _read_listing(listing, source)
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
            source.reject(path, "its name begins neither with train_ nor with test_")
        elif labels[photo]:
            source.add(path, labels[photo], split)
    for photo in labels:
        if photo + suffix not in by_stem:
            source.reject(photo, f"{listing.name} names it, and there is no image")
    return source


def read_repack(base: Path) -> Source:
    """{train,test}/{1..7}/*.jpg."""
    source = Source("RAF-DB, repacked in folders 1 to 7")
    for split in _SPLITS:
        told = _read_label_csv(base, split, source)
        seen = set()
        if not (base / split).is_dir():
            source.remarks.append(f"there is no folder {split}")
        for name in images_in(base / split):
            source.reject(f"{split}/{name}", "lies in no folder 1 to 7")
        for folder in subfolders(base / split):
            names = images_in(folder)
            try:
                emotion = parse_source_label("rafdb", folder.name)
            except UserError as error:
                for name in names:
                    source.reject(f"{split}/{folder.name}/{name}", f"folder {str(error)}")
                continue
            for name in _by_stem(names, f"{split}/{folder.name}", source).values():
                path = f"{split}/{folder.name}/{name}"
                seen.add(name)
                if told.get(name, emotion) != emotion:
                    source.reject(path, f"folder says {emotion}, {split}_labels.csv says {told[name]}")
                else:
                    source.add(path, emotion, split)
        for name in sorted(told.keys() - seen):
            source.reject(f"{split}/{name}", f"{split}_labels.csv names it, and there is no image")
    return source


def read_sorted(base: Path) -> Source:
    """{train,test}/{masked,unmasked}/{0..6}/*.jpg; a masked and an unmasked image belong together by name."""
    source = Source("the original project's sorted folders, masks already imposed")
    for split in _SPLITS:
        sides = {side: base / split / side for side in ("masked", "unmasked")}
        if not all(folder.is_dir() for folder in sides.values()):
            source.remarks.append(f"there is no {split}/masked and {split}/unmasked")
        labels = sorted({folder.name for side in sides.values() for folder in subfolders(side)})
        for label in labels:
            files = {
                side: _by_stem(images_in(folder / label), f"{split}/{side}/{label}", source)
                for side, folder in sides.items()
            }
            try:
                emotion = parse_source_label("original_folders", label)
            except UserError as error:
                for side, names in files.items():
                    for name in names.values():
                        source.reject(f"{split}/{side}/{label}/{name}", f"folder {error}")
                continue
            for stem, name in files["unmasked"].items():
                path = f"{split}/unmasked/{label}/{name}"
                if stem in files["masked"]:
                    source.add(path, emotion, split, masked=f"{split}/masked/{label}/{files['masked'][stem]}")
                else:
                    source.reject(path, "has no masked image of the same name")
            for stem, name in files["masked"].items():
                if stem not in files["unmasked"]:
                    source.reject(f"{split}/masked/{label}/{name}", "has no unmasked image of the same name")
    return source


def _fits_native(folder: Path) -> bool:
    return any((folder / "EmoLabel" / name).is_file() for name in LABEL_LISTS) and (folder / "Image").is_dir()


def _fits_repack(folder: Path) -> bool:
    return _has_classes(folder, "1234567") and not _has_classes(folder, "0")


def _fits_sorted(folder: Path) -> bool:
    return any(child.name in "0123456" for split in _SPLITS for child in subfolders(folder / split / "masked")) and any(
        (folder / split / "unmasked").is_dir() for split in _SPLITS
    )


def _has_classes(folder: Path, digits: str) -> bool:
    return any((folder / split / digit).is_dir() for split in _SPLITS for digit in digits)


_FITS: dict[str, Callable[[Path], bool]] = {"native": _fits_native, "repack": _fits_repack, "sorted": _fits_sorted}


def _by_stem(names: list[str], folder: str, source: Source) -> dict[str, str]:
    """Stem -> name; where two files differ in their ending alone nobody knows which is meant, so both are rejected."""
    found: dict[str, list[str]] = {}
    for name in names:
        found.setdefault(Path(name).stem, []).append(name)
    for stem, same in found.items():
        if len(same) > 1:
            for name in same:
                source.reject(f"{folder}/{name}", f"{len(same)} files are called {stem!r}, with different endings")
    return {stem: same[0] for stem, same in found.items() if len(same) == 1}


def _read_listing(path: Path, source: Source) -> dict[str, str]:
    """Photo's stem -> emotion of every line of RAF-DB's list; "" for one that is named and was rejected."""
    labels: dict[str, str] = {}
    lines: dict[str, int] = {}
    for number, line in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), 1):
        words = line.split()
        if not words:
            continue
        where = f"{path.name} line {number}"
        if len(words) != 2 or not is_image_name(words[0]):
            source.reject(where, f"is not a file name and a label: {line[:60]!r}")
            continue
        photo = Path(words[0]).stem
        try:
            emotion = parse_source_label("rafdb", words[1])
        except UserError as error:
            source.reject(photo, f"line {number}: {error}")
            labels[photo], lines[photo] = "", number
            continue
        if photo not in labels:
            labels[photo], lines[photo] = emotion, number
        elif labels[photo] == emotion:
            source.reject(where, f"repeats line {lines[photo]}, which counts")
        elif labels[photo]:
            source.reject(photo, f"lines {lines[photo]} and {number} label it differently")
            labels[photo] = ""
    if not labels:
        raise UserError(f"{path} holds no line like 'train_00001.jpg 5'")
    return labels


def _read_label_csv(base: Path, split: str, source: Source) -> dict[str, str]:
    """Image name -> emotion of the repack's own table; empty where there is none."""
    path = next((p for p in (base / f"{split}_labels.csv", base.parent / f"{split}_labels.csv") if p.is_file()), None)
    if path is None:
        return {}
    told: dict[str, str] = {}
    with open(path, newline="", encoding="utf-8-sig", errors="replace") as file:
        for number, row in enumerate(csv.reader(file), 1):
            if number == 1 or not row:
                continue
            try:
                told[Path(row[0].strip()).name] = parse_source_label("rafdb", row[1] if len(row) > 1 else "")
            except UserError as error:
                source.reject(f"{path.name} line {number}", str(error))
    return told
