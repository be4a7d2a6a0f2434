"""Search a photo for faces at several scales and rotations, so that small, covered and lying faces are found too.

The detection networks have inputs of 128 or 192 pixels. A photo is therefore searched as a whole, then in overlapping
windows of a half and a quarter of its side, and in smaller windows as long as smaller faces are likely; and rotated,
when nothing else was found.
"""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np

# RGB uint8 image -> (N, 9) rows: score, x0, y0, x1, y1, image-left eye x, y, image-right eye x, y; in its pixels.
Detect = Callable[[np.ndarray], np.ndarray]

# The near-range network detects masked faces of at least some 30 of its 128 pixels; windows overlap by as much.
WINDOW = 128
_STEP = 96
_ALWAYS, _DEEPEST = 2, 6
# Longer side, in pixels, of the photo that is mirrored or rotated; the search of the whole photo uses at least this.
_ENOUGH = 384
# A picture is downscaled from one that is at least this much larger: downscaling by less blurs it.
_SPARE = 1.2
# Next to a face this small in its window there may be smaller ones that are not detected yet.
_SMALL = 48
_TURNS = (90, -90, 30, -30, 180)
_LYING = (90, -90, 180)


class ImagePyramid:
    """A photo and its repeated halvings, each computed on first use.

    The networks' inputs are so small that downscaling a large photo again for every search takes longer than they do.

    Args:
        image: (H, W, 3) uint8 RGB.
    """

    def __init__(self, image: np.ndarray):
        self._levels = [image]

    def at_least(self, side: float) -> tuple[np.ndarray, int]:
        """Return the smallest level whose longer side is at least `side`, and the photo's size relative to it."""
        level = 0
        while max(self._levels[level].shape[:2]) // 2 >= side and min(self._levels[level].shape[:2]) > 1:
            if level + 1 == len(self._levels):
                self._levels.append(_halved(self._levels[level]))
            level += 1
        return self._levels[level], 2**level

    def fitted(self, scale: float) -> np.ndarray:
        """Return the photo resized by `scale` <= 1; up to one pixel may be missing at the right and the bottom."""
        wanted = max(1.0, scale * max(self._levels[0].shape[:2]))
        source, factor = self.at_least(_SPARE * wanted)
        height, width = (max(1, round(side * factor * scale)) for side in source.shape[:2])
        # Down to a half, linear interpolation skips no pixel, is many times as fast and blurs less than averaging.
        near = max(source.shape[:2]) <= 2 * wanted
        return cv2.resize(source, (width, height), interpolation=cv2.INTER_LINEAR if near else cv2.INTER_AREA)

    def search(self, detect: Detect) -> np.ndarray:
        """Return the boxes detected in the whole photo, in its pixels."""
        image, factor = self.at_least(_ENOUGH)
        rows = detect(image)
        rows[:, 1:] *= factor
        return rows


def _halved(image: np.ndarray) -> np.ndarray:
    height, width = image.shape[0] // 2, image.shape[1] // 2
    # Averaging exactly 2 x 2 is many times as fast; an odd last row or column is left out.
    return cv2.resize(image[: 2 * height, : 2 * width], (width, height), interpolation=cv2.INTER_AREA)


def search_windows(image: np.ndarray, near: Detect, far: Detect) -> np.ndarray:
    """Return the boxes of all upright faces in a photo, searched as a whole and in windows.

    Args:
        image: (H, W, 3) uint8 RGB photo.
        near, far: detection of near and of small faces, see `Detect`.
    Returns: (N, 9) rows in the photo's pixels, one per face.
    """
    pyramid = ImagePyramid(image)
    rows = pyramid.search(near)
    if not len(rows):
        rows = _search_small(pyramid, lambda small: search_mirrored(small, near))
    found = [rows, pyramid.search(far)]
    longest = max(image.shape[:2])
    for level in range(1, _DEEPEST + 1):
        scale = (WINDOW + _STEP * (2**level - 1)) / longest
        # Magnifying would add no detail.
        if scale > 1:
            break
        sides = np.concatenate([rows[:, 3] - rows[:, 1] for rows in found])
        # The windows of the level before were twice as large in the photo.
        if level > _ALWAYS and len(sides) and sides.min() * scale / 2 > _SMALL:
            break
        found.append(_windows(pyramid, scale, near))
    return distinct_boxes(np.concatenate(found))


def search_mirrored(image: np.ndarray, detect: Detect) -> np.ndarray:
    """Return the boxes detected in a photo with a mirrored border, for a face that fills it from edge to edge."""
    border = max(image.shape[:2]) // 3
    padded = cv2.copyMakeBorder(image, border, border, border, border, cv2.BORDER_REFLECT_101)
    rows = detect(padded)
    rows[:, 1:] -= border
    centre = (rows[:, 1:3] + rows[:, 3:5]) / 2
    # A face whose centre is in the border is a reflection.
    return rows[((centre >= 0) & (centre < [image.shape[1], image.shape[0]])).all(1)]


def search_turned(image: np.ndarray, detect: Detect, lying: bool = False) -> np.ndarray:
    """Return the boxes of faces that are rotated, found by rotating the photo.

    Args:
        lying: only rotations by 90 and 180 degrees.
    Returns: (N, 9) rows as of `Detect`; upright squares, with the eyes at their places in the photo.
    """
    return _search_small(ImagePyramid(image), lambda small: _turned(small, detect, _LYING if lying else _TURNS))


def _search_small(pyramid: ImagePyramid, detect: Detect) -> np.ndarray:
    """Return the boxes detected in the whole photo at reduced size, in the photo's pixels."""
    image, factor = pyramid.at_least(_ENOUGH)
    scale = min(1.0, _ENOUGH / max(image.shape[:2]))
    rows = detect(pyramid.fitted(scale / factor) if scale < 1 else image)
    rows[:, 1:] *= factor / scale
    return rows


def _turned(image: np.ndarray, detect: Detect, turns: tuple[int, ...]) -> np.ndarray:
    size = (image.shape[1], image.shape[0])
    middle = (np.array(size) - 1) / 2
    found = []
    for angle in turns:
        matrix = cv2.getRotationMatrix2D(middle.tolist(), angle, 1.0)
        box = np.abs(matrix[:, :2]) @ size
        matrix[:, 2] += (box - size) / 2
        rows = detect(cv2.warpAffine(image, matrix, np.ceil(box).astype(int).tolist()))
        back = cv2.invertAffineTransform(matrix)
        centre, half = (rows[:, 1:3] + rows[:, 3:5]) / 2, (rows[:, 3:4] - rows[:, 1:2]) / 2
        centre, *eyes = (points @ back[:, :2].T + back[:, 2] for points in (centre, rows[:, 5:7], rows[:, 7:9]))
        found.append(np.hstack([rows[:, :1], centre - half, centre + half, *eyes]))
    rows = np.concatenate(found)
    # A face scores highest where it is upright.
    return distinct_boxes(rows[np.argsort(-rows[:, 0], kind="stable")])


def distinct_boxes(rows: np.ndarray) -> np.ndarray:
    """Return one row per face: of several boxes of one face, the first is kept."""
    kept: list[np.ndarray] = []
    for row in rows:
        low, high = row[1:3], row[3:5]
        for other in kept:
            shared = np.clip(np.minimum(high, other[3:5]) - np.maximum(low, other[1:3]), 0, None).prod()
            areas = (high - low).prod(), (other[3:5] - other[1:3]).prod()
            off = np.hypot(*(low + high - other[1:3] - other[3:5])) / 2
            # By the smaller side: a large box that is a false detection must not suppress the faces inside it.
            if shared > 0.3 * (sum(areas) - shared) or off < 0.35 * min(areas) ** 0.5:
                break
        else:
            kept.append(row)
    return np.array(kept, np.float32).reshape(-1, 9)


def _windows(pyramid: ImagePyramid, scale: float, detect: Detect) -> np.ndarray:
    small = pyramid.fitted(scale)
    height, width = small.shape[:2]
    found = [np.zeros((0, 9), np.float32)]
    for top in _starts(height):
        for left in _starts(width):
            window = small[top : top + WINDOW, left : left + WINDOW]
            rows = detect(window)
            # Cut by the window's edge: the next window, or the level before, shows the whole face.
            bottom, right = top + window.shape[0], left + window.shape[1]
            cut = (rows[:, 1] < 0) & (left > 0) | (rows[:, 3] > window.shape[1]) & (right < width)
            cut |= (rows[:, 2] < 0) & (top > 0) | (rows[:, 4] > window.shape[0]) & (bottom < height)
            rows = rows[~cut]
            rows[:, 1:] = (rows[:, 1:] + np.tile([left, top], 4)) / scale
            found.append(rows)
    return np.concatenate(found)


def _starts(side: int) -> list[int]:
    """Return the first pixels of windows along a side, evenly spaced, at most `_STEP` apart."""
    count = 1 + max(0, -(-(side - WINDOW) // _STEP))
    return [round(i * max(side - WINDOW, 0) / max(count - 1, 1)) for i in range(count)]
