"""Paint large faces of photographs with and without the network for large faces; sheets at full resolution."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from rac_unet.core.files.whole import replace_file
from rac_unet.photos.metadata import PhotoMetadata
from rac_unet.photos.reading import UnreadablePhoto, read_photo
from rac_unet.scoring.portraits.detail import detail_ratio
from rac_unet.unmasking.finding import FoundFace
from rac_unet.unmasking.inputs import PhotoFile
from rac_unet.unmasking.output import encode_result
from rac_unet.unmasking.painting.sizes import face_side
from rac_unet.unmasking.photo import Unmasker

# A picture on a sheet shows this share of the face crop around its middle, at the photo's own pixels, but at most so
# many; width of a sheet and of the gaps in pixels; quality of the JPEG.
_SHOWN, _MOST, _WIDTH, _GAP, _QUALITY = 0.95, 640, 2600, 6, 88


@dataclass(frozen=True)
class Portrait:
    """A large masked face of a photo, painted by several systems.

    Attributes:
        photo: name of the photo.
        side: side of the face crop in photo pixels.
        emotion: the painted emotion.
        ratios: system -> detail ratio; NaN if it cannot be measured.
        before: (H, W, 3) uint8 RGB, the face and its surroundings, at the photo's resolution.
        after: system -> the same part of the result.
    """

    photo: str
    side: float
    emotion: str | None
    ratios: dict[str, float]
    before: np.ndarray
    after: dict[str, np.ndarray]


@dataclass(frozen=True)
class _Found:
    """A finder that returns one known face."""

    face: FoundFace

    def find(self, _photo: np.ndarray) -> list[FoundFace]:
        return [self.face]


def paint_portraits(
    unmaskers: dict[str, Unmasker],
    files: Sequence[PhotoFile],
    least_side: float,
    emotion: str,
    advance: Callable[[], object] = lambda: None,
) -> tuple[list[Portrait], list[tuple[str, str]]]:
    """Paint every large masked face of photos with each system, each face alone.

    Args:
        unmaskers: system -> unmasker; all have the same network that finds faces and masks, and the first one finds.
        files: the photos.
        least_side: least side of the face crop, in photo pixels.
        emotion: see `Unmasker.unmask`.
        advance: called after each photo.
    Returns: the faces, in the order of the photos; (name, reason) of photos that cannot be read.
    """
    finder = next(iter(unmaskers.values())).finder
    found: list[Portrait] = []
    skipped: list[tuple[str, str]] = []
    for file in files:
        try:
            photo = read_photo(file.path)
        except UnreadablePhoto as reason:
            skipped.append((str(file.place), str(reason)))
            advance()
            continue
        for face in finder.find(photo):
            side = face_side(face.matrix, len(face.crop))
            if face.masked and side >= least_side:
                found.append(_paint(unmaskers, str(file.place), photo, face, side, emotion))
        advance()
    return found, skipped


def _paint(unmaskers, name: str, photo: np.ndarray, face: FoundFace, side: float, emotion: str) -> Portrait:
    middle = np.linalg.solve(face.matrix[:, :2], np.full(2, len(face.crop) / 2) - face.matrix[:, 2])
    half = min(_SHOWN * side, _MOST) / 2
    low = np.clip(np.rint(middle - half).astype(int), 0, None)
    rows, columns = (slice(low[i], max(int(middle[i] + half), low[i] + 1)) for i in (1, 0))
    ratios, after, shown = {}, {}, None
    for system, unmasker in unmaskers.items():
        usual = unmasker.finder
        unmasker.finder = _Found(face)
        try:
            result = unmasker.unmask(photo, emotion)
        finally:
            unmasker.finder = usual
        ratios[system] = detail_ratio(photo, result.image, result.occlusion)
        after[system] = result.image[rows, columns].copy()
        shown = result.faces[0].emotion
    return Portrait(name, side, shown, ratios, photo[rows, columns].copy(), after)


def choose_evenly(portraits: list[Portrait], count: int) -> list[Portrait]:
    """Return up to `count` portraits, evenly spaced in the order of the photos' names, whatever their scores."""
    ordered = sorted(portraits, key=lambda each: (each.photo, -each.side))
    places = np.linspace(0, len(ordered) - 1, min(count, len(ordered))).round().astype(int) if ordered else []
    return [ordered[i] for i in np.unique(places)]


def write_portrait_sheet(path: Path, groups: list[list[np.ndarray]]) -> None:
    """Write a JPEG of groups of pictures, side by side at full resolution; it is marked as synthetic.

    Args:
        path: the file.
        groups: for each face its pictures (H, W, 3) uint8 RGB, of one size; at least one face.
    """
    # The highest first, so that a line has tiles of nearly one height.
    tiles = sorted((np.concatenate(group, axis=1) for group in groups), key=lambda tile: -tile.shape[0])
    lines: list[list[np.ndarray]] = [[]]
    for tile in tiles:
        if lines[-1] and sum(each.shape[1] + _GAP for each in lines[-1]) + tile.shape[1] > _WIDTH:
            lines.append([])
        lines[-1].append(tile)
    width = max(sum(tile.shape[1] + _GAP for tile in line) for line in lines)
    heights = [max(tile.shape[0] for tile in line) + _GAP for line in lines]
    sheet = np.full((sum(heights), width, 3), 255, np.uint8)
    top = 0
    for line, height in zip(lines, heights, strict=True):
        left = 0
        for tile in line:
            sheet[top : top + tile.shape[0], left : left + tile.shape[1]] = tile
            left += tile.shape[1] + _GAP
        top += height
    content = encode_result(sheet, "jpeg", PhotoMetadata(), synthetic=True, quality=_QUALITY)
    replace_file(path, lambda temporary: temporary.write_bytes(content))
