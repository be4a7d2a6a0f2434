"""Find the map file of each photo: one file for all, or a folder with a map for each."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path, PurePath

from rac_unet.core.errors import UserError
from rac_unet.photos.listing import is_photo_name
from rac_unet.unmasking.choice.own_map import check_map_file
from rac_unet.unmasking.inputs import MAP_PART, PhotoFile


def match_maps(given: Path, photos: list[PhotoFile]) -> tuple[list[PhotoFile], int]:
    """Return the photos with their maps, and how many listed files were left out because they are maps.

    In a folder a photo's map has its name: `a.map.png` or `a.png` for `a.jpg`, in a subfolder as the photo's or in the
    folder itself. A photo without one keeps None.

    Args:
        given: a map file, or a folder of maps.
        photos: the photos found; some may be the maps, if their folder is among the photos.
    Raises: UserError when the path does not exist, the file cannot be read, two files have the name of one photo's
        map, or no photo has a map.
    """
    if not given.exists():
        raise UserError(f"--map {given}: this path does not exist", "missing")
    if not given.is_dir():
        check_map_file(given, "--map")
        real = os.path.realpath(given)
        rest = [photo for photo in photos if os.path.realpath(photo.path) != real]
        return [replace(photo, map=given) for photo in rest], len(photos) - len(rest)
    real = {photo.path: os.path.realpath(photo.path) for photo in photos}
    start = os.path.join(os.path.realpath(given), "")
    elsewhere = [photo for photo in photos if not real[photo.path].startswith(start)]
    count = len(photos)
    # If none is elsewhere, the maps are next to the photos.
    photos = elsewhere or photos
    listed = {real[photo.path] for photo in photos}
    files = _files(given)
    matched = [replace(photo, map=_map_of(photo, files, listed, given)) for photo in photos]
    used = {os.path.realpath(photo.map) for photo in matched if photo.map}
    rest = [photo for photo in matched if real[photo.path] not in used]
    if not any(photo.map for photo in rest):
        example = f", such as {photos[0].path.stem}.png for {photos[0].path.name}" if photos else ""
        raise UserError(f"--map {given}: no photo has a map of its name in this folder{example}", "missing")
    return rest, count - len(rest)


def _files(folder: Path) -> dict[tuple[PurePath, str], list[Path]]:
    """Return the pictures in a folder by their subfolder and their name without its ending."""
    files: dict[tuple[PurePath, str], list[Path]] = {}
    for path, _, names in os.walk(folder):
        for name in sorted(filter(is_photo_name, names)):
            key = PurePath(os.path.relpath(path, folder)), os.path.splitext(name)[0]
            files.setdefault(key, []).append(Path(path, name))
    return files


def _names(photo: PhotoFile) -> Iterator[tuple[PurePath, str]]:
    """Yield where a photo's map may be, the surest first."""
    for folder in dict.fromkeys((photo.place.parent, PurePath())):
        for name in dict.fromkeys((photo.place.name, photo.path.stem)):
            yield folder, name + MAP_PART
            yield folder, name


def _map_of(
    photo: PhotoFile, files: dict[tuple[PurePath, str], list[Path]], listed: set[str], folder: Path
) -> Path | None:
    for key in _names(photo):
        found = files.get(key, [])
        if not key[1].endswith(MAP_PART):
            # A photo of the same name is no map.
            found = [path for path in found if os.path.realpath(path) not in listed]
        if len(found) > 1:
            names = " and ".join(str(path.relative_to(folder)) for path in found[:2])
            raise UserError(f"--map {folder}: {names} are both maps of {photo.path}; remove one", "ambiguous")
        if found:
            return found[0]
    return None
