"""Find the photos given as files, folders and patterns, and the path of each result below the output folder."""

from __future__ import annotations

import glob
import json
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path, PurePath

from rac_unet.photos.listing import LeftOut, find_photos, is_photo_name, match_pattern
from rac_unet.photos.writing import is_signed

# Predict's own files: the name of the list of skipped photos, and the first bytes of a photo's and a clip's report.
SKIPPED, REPORT_START = "skipped.csv", (b'{\n "photo": ', b'{\n "clip": ')
# Added to a photo's name for the file of its map: photo.map.png.
MAP_PART = ".map"


@dataclass(frozen=True)
class PhotoFile:
    """An input photo.

    Attributes:
        path: the given path, or a path below the given folder.
        place: path of its result below the output folder, without the suffix; unique.
        map: file of a user's map; None without one.
    """

    path: Path
    place: PurePath
    map: Path | None = None


@dataclass
class Listing:
    """The photos found for the given paths and patterns.

    Attributes:
        photos: each file once, in the given order; files of folders sorted by name.
        missing: (name, reason) of paths that cannot be read.
        left_out: other files in the folders: no photos by their names, or links to listed files.
        own_files: number of files left out because they are results.
    """

    photos: list[PhotoFile] = field(default_factory=list)
    missing: list[tuple[str, str]] = field(default_factory=list)
    left_out: LeftOut = field(default_factory=LeftOut)
    own_files: int = 0

    @property
    def other_files(self) -> int:
        """Number of files in folders that are not photos by their names."""
        return self.left_out.passed.total()


def list_photos(
    given: list[str],
    output: str | os.PathLike,
    wanted: Callable[[str], bool] = is_photo_name,
    signed: Callable[[Path], bool] = is_signed,
) -> Listing:
    """Find the photos of command-line arguments.

    A folder's structure is mirrored below the output; if several folders are given, each gets a subfolder of its name.
    Single files are mirrored relative to their common parent, matches of a pattern relative to its last folder before a
    wildcard. Links to folders are followed, and each file is taken once. Results of this call or an earlier one are not
    taken as input, unless the file itself is given.

    Args:
        given: paths and patterns (`*`, `?`, `[…]`, `**`); patterns are for shells that do not expand them.
        output: folder of the results, which may be inside a folder of photos.
        wanted: file name -> whether a file of a folder is listed.
        signed: path -> whether a file has the mark of a result.
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
                elif _is_result(match, Path(base), Path(output), signed):
                    listing.own_files += 1
                else:
                    files.append((match, below))
        else:
            listing.missing.append((word, "this path does not exist"))
    if alone:
        parent = os.path.commonpath([os.path.abspath(path.parent) for path in alone])
        files += [(path, PurePath(os.path.relpath(os.path.abspath(path), parent))) for path in alone]
    top = [path for path, place in folders if place == PurePath()]
    for path, place in folders:
        named = PurePath(path.resolve().name) if len(top) > 1 and place == PurePath() else place
        files += [(file, named / below) for file, below in _walk(path, Path(output), listing, wanted, signed)]
    _place(files, listing)
    return listing


def _walk(
    folder: Path, output: Path, listing: Listing, wanted: Callable[[str], bool], signed: Callable[[Path], bool]
) -> list[tuple[Path, PurePath]]:
    found = []
    for photo in find_photos(folder, listing.left_out, wanted=wanted):
        path = Path(folder, photo.path)
        if _is_result(path, folder, output, signed):
            listing.own_files += 1
        else:
            found.append((path, PurePath(photo.path)))
    _note_missing(folder, listing)
    return found


def _note_missing(folder: Path, listing: Listing) -> None:
    listing.missing += [(str(folder / below), reason) for below, reason in listing.left_out.missing]
    listing.left_out.missing.clear()


def _is_result(path: Path, given: Path, output: Path, signed: Callable[[Path], bool]) -> bool:
    """Return whether a file found in a folder is a result, by its mark or its report.

    All files in the output folder are results, unless the photos are inside it (if `given`, the folder that was given,
    is inside).
    """
    own, parent, top = (os.path.join(os.path.realpath(each), "") for each in (output, path.parent, given))
    if parent.startswith(own) and not top.startswith(own):
        return True
    return signed(path) or has_report(path)


def has_report(path: Path) -> bool:
    """Return whether a report next to a file lists it as a result.

    An unchanged copy of a photo has no mark, nor has a map after it was edited.
    """
    return any(
        _lists(path.with_name(f"{stem}.json"), path.name) for stem in {path.stem, path.stem.removesuffix(MAP_PART)}
    )


def _lists(report: Path, name: str) -> bool:
    try:
        content = report.read_bytes()
        return content.startswith(REPORT_START) and name in json.loads(content)["results"]
    except (OSError, ValueError, KeyError, TypeError):
        return False


def _is_account(path: Path, output: Path) -> bool:
    """Return whether a file in the output folder is skipped.csv or a report, recognised by its first bytes."""
    folder, own = (os.path.join(os.path.realpath(each), "") for each in (path.parent, output))
    if not folder.startswith(own):
        return False
    if path.name == SKIPPED:
        return folder == own
    try:
        with path.open("rb") as file:
            return path.suffix == ".json" and file.read(max(map(len, REPORT_START))).startswith(REPORT_START)
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
        # For a.jpg next to a.png, and for file systems that do not distinguish A and a.
        while str(free).casefold() in taken:
            number += 1
            free = stem.with_name(f"{stem.name}-{number}")
        taken.add(str(free).casefold())
        listing.photos.append(PhotoFile(path, free))
