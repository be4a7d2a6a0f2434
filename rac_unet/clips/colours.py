"""The pixel format and colours of a clip, and how painted RGB pixels are stored in the planes of its frames.

The planes of a frame (brightness and colour, or RGB) are those that were decoded. Painting changes them by the
difference between two RGB pictures, so that every plane is exactly as decoded where nothing was painted, whatever the
matrix, range and rounding of the conversion to RGB.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

# Matrices by their numbers in ITU-T H.273: the weights of red and of blue in the brightness.
_WEIGHTS = {
    1: (0.2126, 0.0722),
    4: (0.30, 0.11),
    5: (0.299, 0.114),
    6: (0.299, 0.114),
    7: (0.212, 0.087),
    9: (0.2627, 0.0593),
}
BT709, UNSPECIFIED, BT601, BT2020 = 1, 2, 6, 9
LIMITED, FULL = 1, 2
# Players take an unspecified matrix for BT.709 from this height on.
_HD = 720
RGB = "rgb24"
# Horizontal and vertical steps of the colour planes.
STEPS = {
    "yuv420p": (2, 2),
    "yuv422p": (2, 1),
    "yuv440p": (1, 2),
    "yuv444p": (1, 1),
    "yuv411p": (4, 1),
    "yuv410p": (4, 4),
}
# Changed pixels are gathered in boxes of this many pixels.
_TILE = 16


@dataclass(frozen=True)
class Colours:
    """How the pixels of a clip are stored.

    Attributes:
        format: FFmpeg's name: a key of `STEPS`, or `RGB`.
        matrix, range, transfer, primaries: numbers of ITU-T H.273 (range: 1 limited, 2 full) as the clip has them,
            2 for unspecified (range: 0).
        height: height of the stored frames, which decides what an unspecified matrix means.
    """

    format: str
    matrix: int
    range: int
    transfer: int
    primaries: int
    height: int

    @property
    def used_matrix(self) -> int:
        """The matrix to convert with: that of the clip, or the usual one if it is not specified."""
        if self.matrix in _WEIGHTS:
            return self.matrix
        return BT709 if self.height >= _HD else BT601

    @property
    def used_range(self) -> int:
        """The range to convert with."""
        return FULL if self.range == FULL else LIMITED

    def from_rgb(self) -> np.ndarray:
        """Return the (3, 3) matrix from differences in RGB to differences in brightness and both colour planes."""
        red, blue = _WEIGHTS[self.used_matrix]
        luma = np.array([red, 1 - red - blue, blue])
        rows = [luma, (np.array([0, 0, 1]) - luma) / (2 * (1 - blue)), (np.array([1, 0, 0]) - luma) / (2 * (1 - red))]
        scales = (1, 1, 1) if self.used_range == FULL else (219 / 255, 224 / 255, 224 / 255)
        return np.array([row * scale for row, scale in zip(rows, scales, strict=True)], np.float32)


def is_known_matrix(number: int) -> bool:
    """Return whether a matrix can be converted: one of those of television, or unspecified (0 is RGB itself)."""
    return number in _WEIGHTS or number in (0, UNSPECIFIED)


def painted_planes(
    planes: tuple[np.ndarray, ...], before: np.ndarray, after: np.ndarray, colours: Colours
) -> tuple[np.ndarray, ...]:
    """Return the planes of a painted frame.

    Args:
        planes: of the decoded frame, upright: (H, W) uint8 and two colour planes, or one of (H, W, 3) for `RGB`.
        before: (H, W, 3) uint8 RGB, the decoded frame.
        after: (H, W, 3) uint8 RGB, the painted frame.
    """
    if after is before:
        return planes
    if colours.format == RGB:
        return (after,)
    boxes = changed_boxes(before, after, STEPS[colours.format])
    if not boxes:
        return planes
    planes, matrix = tuple(plane.copy() for plane in planes), colours.from_rgb()
    across, down = STEPS[colours.format]
    for x0, y0, x1, y1 in boxes:
        part = np.s_[y0:y1, x0:x1]
        change = cv2.transform(cv2.subtract(after[part], before[part], dtype=cv2.CV_32F), matrix)
        _add(planes[0][part], change[..., 0])
        colour = change[..., 1:]
        if (across, down) != (1, 1):
            # At the right and lower border a colour sample covers fewer pixels.
            wide, high = -(x1 - x0) % across, -(y1 - y0) % down
            colour = cv2.copyMakeBorder(colour, 0, high, 0, wide, cv2.BORDER_REPLICATE)
            size = (colour.shape[1] // across, colour.shape[0] // down)
            colour = cv2.resize(colour, size, interpolation=cv2.INTER_AREA)
        rows, columns = colour.shape[:2]
        place = np.s_[y0 // down : y0 // down + rows, x0 // across : x0 // across + columns]
        for plane, values in zip(planes[1:], np.moveaxis(colour, -1, 0), strict=True):
            _add(plane[place], values)
    return planes


def changed_boxes(before: np.ndarray, after: np.ndarray, steps: tuple[int, int] = (1, 1)) -> list[tuple[int, ...]]:
    """Return boxes x0, y0, x1, y1 that contain all pixels in which two pictures differ, and touch no colour twice.

    Args:
        before, after: (H, W, 3) uint8.
        steps: horizontal and vertical step of the colour planes, which divide all x0 and y0.
    """
    height, width = before.shape[:2]
    tiles = _changed_tiles(before, after)
    _, _, found, _ = cv2.connectedComponentsWithStats(tiles.astype(np.uint8), connectivity=8)
    boxes = []
    for x, y, w, h, _ in found[1:].tolist():
        boxes.append((x * _TILE, y * _TILE, (x + w) * _TILE, (y + h) * _TILE))
    return [(x0, y0, min(x1, width), min(y1, height)) for x0, y0, x1, y1 in _apart(boxes)]


def _changed_tiles(before: np.ndarray, after: np.ndarray) -> np.ndarray:
    """Return which tiles of `_TILE` pixels have a difference, (rows, columns) bool."""
    height, width = before.shape[:2]
    # Eight bytes are compared at a time, if rows can be divided.
    unit = np.uint64 if 3 * width % 8 == 0 else np.uint8
    one, other = (np.ascontiguousarray(each).reshape(height, -1).view(unit) for each in (before, after))
    per_tile = 3 * _TILE // np.dtype(unit).itemsize
    changed = one != other
    high, wide = -height % _TILE, -changed.shape[1] % per_tile
    if high or wide:
        changed = np.pad(changed, ((0, high), (0, wide)))
    return changed.reshape(changed.shape[0] // _TILE, _TILE, -1, per_tile).any((1, 3))


def _apart(boxes: list[tuple[int, ...]]) -> list[tuple[int, ...]]:
    """Merge boxes that overlap: the difference would be added twice where they do."""
    merged: list[tuple[int, ...]] = []
    for box in boxes:
        while True:
            other = next((each for each in merged if _overlap(each, box)), None)
            if other is None:
                break
            merged.remove(other)
            box = (*np.minimum(box[:2], other[:2]).tolist(), *np.maximum(box[2:], other[2:]).tolist())
        merged.append(box)
    return merged


def _overlap(one: tuple[int, ...], other: tuple[int, ...]) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


def _add(plane: np.ndarray, change: np.ndarray) -> None:
    cv2.add(plane, change, dst=plane, dtype=cv2.CV_8U)
