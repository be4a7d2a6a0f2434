"""Measure how a face moves from one frame to the next, by the texture around its eyes.

The mesh's landmarks have a noise of about half a percent of the face in each frame. Motion measured by optical flow
is several times as exact from one frame to the next, but adds up errors over many: the second pass uses both.
"""

from __future__ import annotations

import cv2
import numpy as np

from rac_unet.faces.align import transform_points

# Outline of the part of a face that a mask leaves visible: temples, brows (without the forehead, which hair covers)
# and the bridge of the nose, by iBUG numbers.
_VISIBLE = (*range(2), 29, *range(15, 17), *range(26, 16, -1))
# The outline is reduced by this: with hair and background next to the face in it, the errors were three times as large.
_REDUCED = 0.9
# Longer side in pixels to which the face is reduced, by halving; wanted and least number of points to follow.
_SIDE, _MANY, _FEW = 160, 60, 8
# Largest distance, in pixels, between a point and the same followed there and back.
_RETURN = 0.5


def measure_move(before: np.ndarray, now: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Return the similarity (2, 3) by which a face moved between two frames; NaN if it cannot be measured.

    Args:
        before, now: (H, W, 3) uint8 RGB, two frames.
        points: (68, 2), its landmarks in `before`.
    """
    unknown = np.full((2, 3), np.nan)
    outline = points[list(_VISIBLE)]
    centre = outline.mean(0)
    outline = centre + _REDUCED * (outline - centre)
    low, high = outline.min(0), outline.max(0)
    side = float((high - low).max())
    if not np.isfinite(side) or side < 8:
        return unknown
    factor = 2 ** max(0, int(np.log2(side / _SIDE)) + 1) if side > _SIDE else 1
    # The surroundings are read too, into which the face may have moved.
    x0, y0 = (np.clip(low - 0.5 * side, 0, None) // factor * factor).astype(int)
    x1, y1 = np.minimum(high + 0.5 * side, [before.shape[1], before.shape[0]]).astype(int)
    if x1 - x0 < 8 * factor or y1 - y0 < 8 * factor:
        return unknown
    first, second = (_reduced(image[y0:y1, x0:x1], factor) for image in (before, now))
    where = np.zeros(first.shape, np.uint8)
    cv2.fillPoly(where, [np.rint((outline - [x0, y0]) / factor).astype(np.int32)], 255)
    start = cv2.goodFeaturesToTrack(first, _MANY, 0.01, max(2.0, side / factor / 25), mask=where)
    if start is None or len(start) < _FEW:
        return unknown
    settings = {"winSize": (13, 13), "maxLevel": 3}
    end, found, _ = cv2.calcOpticalFlowPyrLK(first, second, start, None, **settings)
    back, found_back, _ = cv2.calcOpticalFlowPyrLK(second, first, end, None, **settings)
    good = (found & found_back).ravel().astype(bool)
    good &= np.hypot(*(back - start).reshape(-1, 2).T) < _RETURN
    if good.sum() < _FEW:
        return unknown
    matrix, inside = cv2.estimateAffinePartial2D(start[good], end[good], ransacReprojThreshold=1.0)
    if matrix is None or inside.sum() < max(_FEW, 0.4 * len(start)):
        return unknown
    # x_frame = factor * (x_reduced + 0.5) - 0.5 + x0
    shift = np.array([x0, y0]) + factor / 2 - 0.5
    return np.c_[matrix[:, :2], factor * matrix[:, 2] + shift - matrix[:, :2] @ shift]


def moved(mesh: np.ndarray, move: np.ndarray) -> np.ndarray:
    """Return a mesh (468, 3) after a move (2, 3); unchanged if the move is not known."""
    if not np.isfinite(move).all():
        return mesh
    return np.c_[transform_points(move, mesh[:, :2]), mesh[:, 2:]].astype(np.float32)


def inverted(move: np.ndarray) -> np.ndarray:
    """Return the move (2, 3) back; NaN if the move is not known."""
    return cv2.invertAffineTransform(move) if np.isfinite(move).all() else move


def as_numbers(move: np.ndarray) -> np.ndarray:
    """Return the four numbers of a similarity (2, 3), as `Track.moves` has them."""
    return np.array([move[0, 0] - 1, move[1, 0], move[0, 2], move[1, 2]], np.float32)


def as_matrices(moves: np.ndarray) -> np.ndarray:
    """Return (N, 3, 3) float64 matrices of (N, 4) numbers as `as_numbers` makes them."""
    a, b, x, y = np.moveaxis(moves.astype(np.float64), -1, 0)
    zero, one = np.zeros_like(a), np.ones_like(a)
    return np.stack([1 + a, -b, x, b, 1 + a, y, zero, zero, one], -1).reshape(*a.shape, 3, 3)


def _reduced(image: np.ndarray, factor: int) -> np.ndarray:
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    while factor > 1:
        height, width = grey.shape[0] // 2, grey.shape[1] // 2
        grey = cv2.resize(grey[: 2 * height, : 2 * width], (width, height), interpolation=cv2.INTER_AREA)
        factor //= 2
    return grey
