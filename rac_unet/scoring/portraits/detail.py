"""Detail ratio: the texture of the painted part of a photo over that of the known skin next to it."""

from __future__ import annotations

import cv2
import numpy as np

# Detail is what a Gaussian blur of this standard deviation in pixels removes.
_SIGMA = 1.5
# Texture is this quantile of the absolute detail: what is everywhere, not edges, hair and lips.
_QUANTILE = 0.25
# Width of the ring of known pixels, in square roots of the painted area; margin in pixels on both sides of the border,
# where a soft edge mixes both.
_RING, _MARGIN = 0.2, 3
# Largest difference in colour from the painted skin, of 255, and the least share of the ring that must be like it.
_SKIN, _LEAST_SKIN = 51, 0.2
_FEWEST = 200
# Grey levels; with less, a photo has no texture that could be matched.
_LEAST_DETAIL = 0.05


def detail_ratio(before: np.ndarray, after: np.ndarray, region: np.ndarray) -> float:
    """Return the texture inside the painted region over that of the skin around it; 1 is best.

    Below 1, the painted part is softer than the photo; above 1, it is sharper or has more grain.

    Args:
        before: (H, W, 3) uint8 RGB, the photo.
        after: (H, W, 3) uint8 RGB, the result.
        region: (H, W) bool, the painted pixels of one face.
    Returns: a number above 0; NaN if the region or the skin around it is too small, or the photo has no texture there.
    """
    rows, columns = np.flatnonzero(region.any(1)), np.flatnonzero(region.any(0))
    if not len(rows):
        return float("nan")
    reach = round(_RING * float(region.sum()) ** 0.5) + _MARGIN + 1
    box = tuple(slice(max(each[0] - reach, 0), each[-1] + 1 + reach) for each in (rows, columns))
    region = region[box].astype(np.uint8)
    inside = cv2.erode(region, _square(_MARGIN), borderValue=0) > 0
    away = cv2.distanceTransform(1 - region, cv2.DIST_L2, 5)
    ring = (away > _MARGIN) & (away < reach)
    smooth = [cv2.GaussianBlur(each[box].astype(np.float32), (0, 0), 2 * _SIGMA) for each in (before, after)]
    if min(inside.sum(), ring.sum()) < _FEWEST:
        return float("nan")
    skin = ring & (np.abs(smooth[0] - np.median(smooth[1][inside], axis=0)).max(-1) < _SKIN)
    known = skin if skin.sum() >= max(_LEAST_SKIN * ring.sum(), _FEWEST) else ring
    there, wanted = (
        float(np.quantile(_detail(image[box])[part], _QUANTILE)) for image, part in ((after, inside), (before, known))
    )
    return there / wanted if wanted >= _LEAST_DETAIL else float("nan")


def _detail(image: np.ndarray) -> np.ndarray:
    grey = image.astype(np.float32).mean(axis=-1)
    return np.abs(grey - cv2.GaussianBlur(grey, (0, 0), _SIGMA))


def _square(radius: int) -> np.ndarray:
    return np.ones((2 * radius + 1, 2 * radius + 1), np.uint8)
