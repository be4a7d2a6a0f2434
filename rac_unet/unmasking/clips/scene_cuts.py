"""Detect the cuts between the scenes of a clip."""

from __future__ import annotations

import cv2
import numpy as np

# Sides of the thumbnails that are compared, and the largest shift that is tried, to each side.
_WIDTH, _HEIGHT, _SHIFT_X, _SHIFT_Y = 48, 32, 10, 6
# A cut, if the thumbnails' correlation at the best shift is below the first value; or below the second while the mean
# colours differ by more than the third, relative to the full range. Of pairs of portraits, which are more alike than
# most scenes, 5 % are above the first; a picture moved by a sixth of its width and enlarged by 10 % is not below it.
_UNLIKE, _HARDLY_LIKE, _OTHER_COLOURS = 0.63, 0.8, 0.1
# It is none, if a half of the frame is found again with this correlation: something came before the camera.
_SAME_HALF = 0.85
# Standard deviation of a thumbnail, in grey levels, below which it is plain, and its correlation means nothing; and
# the mean difference, relative to the full range, above which a scene with a pattern follows a plain one.
_PLAIN, _DIFFERENT = 4.0, 0.13


class SceneCuts:
    """Compare each frame with the one before."""

    def __init__(self) -> None:
        self._before: np.ndarray | None = None

    def is_cut(self, pixels: np.ndarray) -> bool:
        """Return whether a new scene starts with this frame; False for the first frame of all.

        Args:
            pixels: (H, W, 3) uint8 RGB.
        """
        now, before = _thumbnail(pixels), self._before
        self._before = now
        if before is None:
            return False
        grey, grey_before = now.mean(-1), before.mean(-1)
        spreads = grey.std(), grey_before.std()
        if min(spreads) < _PLAIN:
            return max(spreads) >= 2 * _PLAIN and float(np.abs(now - before).mean()) / 255 > _DIFFERENT
        alike = min(_best_match(grey, grey_before), _best_match(grey_before, grey))
        pairs = (grey, grey_before), (grey_before, grey)
        if max(_found(half, other) for image, other in pairs for half in _halves(image)) > _SAME_HALF:
            return False
        colours = float(np.abs(now.mean((0, 1)) - before.mean((0, 1))).max()) / 255
        return alike < _UNLIKE or (alike < _HARDLY_LIKE and colours > _OTHER_COLOURS)


def _best_match(image: np.ndarray, other: np.ndarray) -> float:
    """Return the highest correlation of the middle of one thumbnail with a place in the other, -1..1."""
    return _found(image[_SHIFT_Y:-_SHIFT_Y, _SHIFT_X:-_SHIFT_X], other)


def _halves(image: np.ndarray) -> list[np.ndarray]:
    """Return the left, right, upper and lower half of a thumbnail, each without a margin for shifts."""
    rows, columns = image[_SHIFT_Y:-_SHIFT_Y], image[:, _SHIFT_X:-_SHIFT_X]
    return [rows[:, : _WIDTH // 2], rows[:, _WIDTH // 2 :], columns[: _HEIGHT // 2], columns[_HEIGHT // 2 :]]


def _found(part: np.ndarray, image: np.ndarray) -> float:
    return float(cv2.matchTemplate(image, np.ascontiguousarray(part), cv2.TM_CCOEFF_NORMED).max())


def _thumbnail(pixels: np.ndarray) -> np.ndarray:
    # Every n-th pixel, then averages: reading all pixels of a large frame would take longer than the comparison needs.
    step = max(1, min(pixels.shape[0] // (4 * _HEIGHT), pixels.shape[1] // (4 * _WIDTH)))
    return cv2.resize(pixels[::step, ::step], (_WIDTH, _HEIGHT), interpolation=cv2.INTER_AREA).astype(np.float32)
