"""Where to look for faces in a photo, so that the small, the covered and the lying ones are found too.

The detector's networks see 128 or 192 pixels. So a photo is looked at whole, then in overlapping windows of a half and
a quarter of its side, and smaller ones as long as there is a reason to expect smaller faces; and turned, when nothing
else was found.
"""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np

# RGB uint8 image -> (N, 9) rows: score, x0, y0, x1, y1, image-left eye x, y, image-right eye x, y; in its pixels.
Look = Callable[[np.ndarray], np.ndarray]

# The network for near faces sees masked ones from some 30 of its 128 pixels on; windows overlap by as much.
WINDOW = 128
_STEP = 96
_ALWAYS, _DEEPEST = 2, 6
# The longer side in pixels at which a whole photo is mirrored and turned; at that or more it is looked at whole.
_ENOUGH = 384
# What a picture is made smaller from is at least this much larger: less blurs it.
_SPARE = 1.2
# A face this small in its window has perhaps smaller ones beside it, which are not seen yet.
_SMALL = 48
_TURNS = (90, -90, 30, -30, 180)
_LYING = (90, -90, 180)


class Halves:
    """A photo and its halves, each made when it is first asked for.

    The networks see so little that averaging all of a large photo down, anew for every look, takes longer than they do.

    Args:
        image: (H, W, 3) uint8 RGB.
    """

    def __init__(self, image: np.ndarray):
        self._levels = [image]

    def at_least(self, side: float) -> tuple[np.ndarray, int]:
        """The smallest of them whose longer side is no less than `side`, and how often the photo's side is its own."""
        level = 0
        while max(self._levels[level].shape[:2]) // 2 >= side and min(self._levels[level].shape[:2]) > 1:
            if level + 1 == len(self._levels):
                self._levels.append(_halved(self._levels[level]))
            level += 1
        return self._levels[level], 2**level

    def fitted(self, scale: float) -> np.ndarray:
        """The photo, `scale` times as large, 1 at most; as good as nothing may be missing on the right and below."""
        wanted = max(1.0, scale * max(self._levels[0].shape[:2]))
        source, factor = self.at_least(_SPARE * wanted)
        height, width = (max(1, round(side * factor * scale)) for side in source.shape[:2])
        # Down to a half the linear leaves no pixel out, is many times as fast and blurs less than the mean.
        near = max(source.shape[:2]) <= 2 * wanted
        return cv2.resize(source, (width, height), interpolation=cv2.INTER_LINEAR if near else cv2.INTER_AREA)

    def look(self, look: Look) -> np.ndarray:
        """What is seen of the whole photo, in its pixels."""
        image, factor = self.at_least(_ENOUGH)
        rows = look(image)
        rows[:, 1:] *= factor
        return rows


def _halved(image: np.ndarray) -> np.ndarray:
    height, width = image.shape[0] // 2, image.shape[1] // 2
    # By an exact 2 x 2, which is many times as fast; an odd last row or column is left out.
    return cv2.resize(image[: 2 * height, : 2 * width], (width, height), interpolation=cv2.INTER_AREA)


def look_everywhere(image: np.ndarray, near: Look, far: Look) -> np.ndarray:
    """Boxes of all faces, from a look for near faces and one for small ones.

    Args:
        image: (H, W, 3) uint8 RGB photo.
        near, far: see `Look`.
    Returns: (N, 9) rows in the photo's pixels, one a face.
    """
    halves = Halves(image)
    rows = halves.look(near)
    found = [rows if len(rows) else _seen_small(halves, lambda small: mirrored_border(small, near)), halves.look(far)]
    longest = max(image.shape[:2])
    for level in range(1, _DEEPEST + 1):
        scale = (WINDOW + _STEP * (2**level - 1)) / longest
        # Nothing is magnified: there is no more to see.
        if scale > 1:
            break
        sides = np.concatenate([rows[:, 3] - rows[:, 1] for rows in found])
        # The windows of the level before were twice as large in the photo.
        if level > _ALWAYS and len(sides) and sides.min() * scale / 2 > _SMALL:
            break
        found.append(_windows(halves, scale, near))
    return distinct_boxes(np.concatenate(found))


def mirrored_border(image: np.ndarray, look: Look) -> np.ndarray:
    """Look at a photo that the face fills edge to edge, which leaves the detector no margin, with a mirrored border."""
    border = max(image.shape[:2]) // 3
    padded = cv2.copyMakeBorder(image, border, border, border, border, cv2.BORDER_REFLECT_101)
    rows = look(padded)
    rows[:, 1:] -= border
    centre = (rows[:, 1:3] + rows[:, 3:5]) / 2
    # A face whose centre lies in the border is a reflection.
    return rows[((centre >= 0) & (centre < [image.shape[1], image.shape[0]])).all(1)]


def look_turned(image: np.ndarray, look: Look, lying: bool = False) -> np.ndarray:
    """Boxes of faces that lie or stand on their heads; upright squares in the photo's pixels, eyes where they are.

    Args:
        lying: leave those out that are merely askew.
    """
    return _seen_small(Halves(image), lambda small: _turned(small, look, _LYING if lying else _TURNS))


def _seen_small(halves: Halves, look: Look) -> np.ndarray:
    """What is seen of a photo at a size that is enough for a look at the whole of it, in the photo's pixels."""
    image, factor = halves.at_least(_ENOUGH)
    scale = min(1.0, _ENOUGH / max(image.shape[:2]))
    rows = look(halves.fitted(scale / factor) if scale < 1 else image)
    rows[:, 1:] *= factor / scale
    return rows


def _turned(image: np.ndarray, look: Look, turns: tuple[int, ...]) -> np.ndarray:
    size = (image.shape[1], image.shape[0])
    middle = (np.array(size) - 1) / 2
    found = []
    for angle in turns:
        matrix = cv2.getRotationMatrix2D(middle.tolist(), angle, 1.0)
        box = np.abs(matrix[:, :2]) @ size
        matrix[:, 2] += (box - size) / 2
        rows = look(cv2.warpAffine(image, matrix, np.ceil(box).astype(int).tolist()))
        back = cv2.invertAffineTransform(matrix)
        centre, half = (rows[:, 1:3] + rows[:, 3:5]) / 2, (rows[:, 3:4] - rows[:, 1:2]) / 2
        centre, *eyes = (points @ back[:, :2].T + back[:, 2] for points in (centre, rows[:, 5:7], rows[:, 7:9]))
        found.append(np.hstack([rows[:, :1], centre - half, centre + half, *eyes]))
    rows = np.concatenate(found)
    # The right way up a face is seen best.
    return distinct_boxes(rows[np.argsort(-rows[:, 0], kind="stable")])


def distinct_boxes(rows: np.ndarray) -> np.ndarray:
    """One row a face; where several mean the same, the earliest stays."""
    kept: list[np.ndarray] = []
    for row in rows:
        low, high = row[1:3], row[3:5]
        for other in kept:
            shared = np.clip(np.minimum(high, other[3:5]) - np.maximum(low, other[1:3]), 0, None).prod()
            areas = (high - low).prod(), (other[3:5] - other[1:3]).prod()
            off = np.hypot(*(low + high - other[1:3] - other[3:5])) / 2
            # By the smaller side: a large box that turns out to be none must not take the faces in it along.
            if shared > 0.3 * (sum(areas) - shared) or off < 0.35 * min(areas) ** 0.5:
                break
        else:
            kept.append(row)
    return np.array(kept, np.float32).reshape(-1, 9)


def _windows(halves: Halves, scale: float, look: Look) -> np.ndarray:
    small = halves.fitted(scale)
    height, width = small.shape[:2]
    found = [np.zeros((0, 9), np.float32)]
    for top in _starts(height):
        for left in _starts(width):
            window = small[top : top + WINDOW, left : left + WINDOW]
            rows = look(window)
            # Cut by the window's edge: the next window, or the level before, shows the whole face.
            bottom, right = top + window.shape[0], left + window.shape[1]
            cut = (rows[:, 1] < 0) & (left > 0) | (rows[:, 3] > window.shape[1]) & (right < width)
            cut |= (rows[:, 2] < 0) & (top > 0) | (rows[:, 4] > window.shape[0]) & (bottom < height)
            rows = rows[~cut]
            rows[:, 1:] = (rows[:, 1:] + np.tile([left, top], 4)) / scale
            found.append(rows)
    return np.concatenate(found)


def _starts(side: int) -> list[int]:
    """Where windows begin along a side, evenly, at most `_STEP` apart."""
    count = 1 + max(0, -(-(side - WINDOW) // _STEP))
    return [round(i * max(side - WINDOW, 0) / max(count - 1, 1)) for i in range(count)]
