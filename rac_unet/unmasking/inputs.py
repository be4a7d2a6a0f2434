"""Which photos are meant: files, folders with all below them, and patterns; each with its place below the output."""

from __future__ import annotations

import glob
import json
import os
from dataclasses import dataclass, field
from pathlib import Path, PurePath

from rac_unet.photos.listing import LeftOut, find_photos, match_pattern
from rac_unet.photos.writing import is_signed

# By which predict's own files are known beside its results: the list of what was skipped, and how each report begins.
SKIPPED, REPORT_START = "skipped.csv", b'{\n "photo": '


@dataclass(frozen=True)
class PhotoFile:
    """A photo to be read.

    Attributes:
        path: as it was given, or below the folder that was given.
        place: where its result belongs below the output folder, without the ending; no two are alike.
    """

    path: Path
    place: PurePath


@dataclass
class Listing:
    """What was given.

    Attributes:
        photos: each file once, in the order it was given; folders by name.
        missing: (name, reason) of what cannot be looked into.
        left_out: what else was found in folders: files that are no photos by their names, links to what is listed.
        own_files: how many files were left out because they are results.
    """

    photos: list[PhotoFile] = field(default_factory=list)
    missing: list[tuple[str, str]] = field(default_factory=list)
    left_out: LeftOut = field(default_factory=LeftOut)
    own_files: int = 0

    @property
    def other_files(self) -> int:
        """How many files in folders are no photos by their names."""
        return self.left_out.passed.total()


def list_photos(given: list[str], output: str | os.PathLike) -> Listing:
    """Find the photos that words of a command line mean.

    A folder's structure is mirrored below the output; with several folders each has its own name there. Single files
    are mirrored from their common parent, what a pattern finds from its first folder without a wildcard. Links to
    folders are followed; each file is taken once. Results, of this call or another, are never taken as input, unless
    one is named itself.

    Args:
        given: paths and patterns (`*`, `?`, `[…]`, `**`), for shells that leave those to the program.
        output: folder of the results, which may lie within a folder of photos.
    """
    listing = Listing()
    listing.left_out.ignored = lambda path: _is_account(Path(path), Path(output))
    folders: list[tuple[Path, PurePath]] = []
    files: list[tuple[Path, PurePath]] = []
    alone: list[Path] = []
    for word in given:
        path = Path(word)
        if path.is_dir():
            folders.append((path, PurePath()))
        elif os.path.lexists(path):
            alone.append(path)
        elif glob.has_magic(word):
            base, matches = match_pattern(word, listing.left_out)
            _note_missing(Path(base), listing)
            if not matches:
                listing.missing.append((word, "no file matches this pattern"))
            for match, below in ((Path(match), PurePath(below)) for match, below in matches):
                if match.is_dir():
                    folders.append((match, below))
                elif _is_result(match, Path(base), Path(output)):
                    listing.own_files += 1
                else:
                    files.append((match, below))
        else:
            listing.missing.append((word, "there is nothing at this path"))
    if alone:
        parent = os.path.commonpath([os.path.abspath(path.parent) for path in alone])
        files += [(path, PurePath(os.path.relpath(os.path.abspath(path), parent))) for path in alone]
    top = [path for path, place in folders if place == PurePath()]
    for path, place in folders:
        named = PurePath(path.resolve().name) if len(top) > 1 and place == PurePath() else place
        files += [(file, named / below) for file, below in _walk(path, Path(output), listing)]
    _place(files, listing)
    return listing


def _walk(folder: Path, output: Path, listing: Listing) -> list[tuple[Path, PurePath]]:
    found = []
    for photo in find_photos(folder, listing.left_out):
        path = Path(folder, photo.path)
        if _is_result(path, folder, output):
            listing.own_files += 1
        else:
            found.append((path, PurePath(photo.path)))
    _note_missing(folder, listing)
    return found


def _note_missing(folder: Path, listing: Listing) -> None:
    listing.missing += [(str(folder / below), reason) for below, reason in listing.left_out.missing]
    listing.left_out.missing.clear()


def _is_result(path: Path, given: Path, output: Path) -> bool:
    """Whether a file found in a folder is a result: its mark or its report says so.

    All in the output folder are, unless the photos are in it themselves (`given`, the folder that was named, is there).
    """
    own, parent, top = (os.path.join(os.path.realpath(each), "") for each in (output, path.parent, given))
    if parent.startswith(own) and not top.startswith(own):
        return True
    return is_signed(path) or has_report(path)


def has_report(path: Path) -> bool:
    """Whether a report next to a file names it as its result: an unchanged copy of a photo has no mark."""
    try:
        content = path.with_suffix(".json").read_bytes()
        return content.startswith(REPORT_START) and path.name in json.loads(content)["results"]
    except (OSError, ValueError, KeyError, TypeError):
        return False


def _is_account(path: Path, output: Path) -> bool:
    """Whether a file is what predict writes beside its results: skipped.csv, or a report, known by its beginning."""
    folder, own = (os.path.join(os.path.realpath(each), "") for each in (path.parent, output))
    if not folder.startswith(own):
        return False
    if path.name == SKIPPED:
        return folder == own
    try:
        with path.open("rb") as file:
            return path.suffix == ".json" and file.read(len(REPORT_START)) == REPORT_START
    except OSError:
        return False


def _place(files: list[tuple[Path, PurePath]], listing: Listing) -> None:
    seen, taken = set(), set()
    for path, place in files:
        real = os.path.realpath(path)
        if real in seen:
            continue
        seen.add(real)
        stem, number = place.with_suffix("") if place.suffix else place, 1
        free = stem
        # a.jpg and a.png; and some file systems take A and a for the same.
        while str(free).casefold() in taken:
            number += 1
            free = stem.with_name(f"{stem.name}-{number}")
        taken.add(str(free).casefold())
        listing.photos.append(PhotoFile(path, free))
