"""Cut an upright square crop around a face, placed by its landmarks.

Every crop shows the face in the same place and at the same size (eyes level at 0.34 of the height, the chin near 0.84,
brows to chin 60 % of the crop), so the network need not learn where a face is, and a PSNR is comparable between data
sets. There is room below the chin because real masks reach there: with the chin at 0.91, nearly half of them reached
beyond the crop, and pixels outside it cannot be inpainted.

The fit uses only landmarks that a mask leaves visible: eyes, the bridge of the nose, and the face's outline next to
the ears. The detector's chin under a mask is some pixels off, and a network trained on crops placed by the true chin
would then get a framing that it was not trained on.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

# Mean of the landmarks of 607 faces after similarity alignment, mirrored and averaged; eyes level at 0.365.
# Image-left half and midline of iBUG-68 points 0-16 (jaw), 27-35 (nose) and 36-47 (eyes).
_LEFT_JAW = [
    (0.149, 0.390),
    (0.153, 0.460),
    (0.156, 0.531),
    (0.165, 0.608),
    (0.187, 0.689),
    (0.256, 0.802),
    (0.302, 0.844),
    (0.385, 0.899),
]
_CHIN = (0.500, 0.925)
_NOSE = [(0.500, 0.343), (0.500, 0.417), (0.500, 0.484), (0.500, 0.526)]
_LEFT_NOSTRIL = [(0.412, 0.581), (0.461, 0.591)]
_SEPTUM = (0.500, 0.591)
_LEFT_EYE = [(0.275, 0.365), (0.310, 0.347), (0.363, 0.344), (0.415, 0.372), (0.370, 0.382), (0.318, 0.381)]


def _mirrored(points: list[tuple[float, float]]) -> list[tuple[float, float]]:
    return [(1 - x, y) for x, y in reversed(points)]


# Mirrored eye in iBUG's own order: inner corner first.
_RIGHT_EYE = [(1 - _LEFT_EYE[i][0], _LEFT_EYE[i][1]) for i in (3, 2, 1, 0, 5, 4)]
# The iBUG numbers of the template's rows, and those of them that a mask leaves visible.
FITTED = np.r_[0:17, 27:48]
VISIBLE = np.r_[0:2, 15:17, 27:29, 36:48]
_VISIBLE_ROWS = np.searchsorted(FITTED, VISIBLE)
_MEAN_FACE = np.array(
    _LEFT_JAW
    + [_CHIN]
    + _mirrored(_LEFT_JAW)
    + _NOSE
    + _LEFT_NOSTRIL
    + [_SEPTUM]
    + _mirrored(_LEFT_NOSTRIL)
    + _LEFT_EYE
    + _RIGHT_EYE
)
# The template in a crop, in fractions of its side, is smaller and higher than the mean face.
_EYES, _ZOOM = (0.5, 0.34), 0.915
TEMPLATE = (_MEAN_FACE - [0.5, 0.365]) * _ZOOM + _EYES


@dataclass(frozen=True)
class AlignedFace:
    """An upright face crop and how it was cut.

    Attributes:
        image: (size, size, 3) uint8 RGB.
        points: (68, 2) float32 landmarks in the crop's pixels.
        matrix: (2, 3) float64, photo pixel (x, y, 1) -> crop pixel.
    """

    image: np.ndarray
    points: np.ndarray
    matrix: np.ndarray


def align_face(image: np.ndarray, points: np.ndarray, size: int = 128) -> AlignedFace:
    """Cut an upright crop around the landmarks of one face.

    Args:
        image: (H, W, 3) uint8 RGB photo; beyond its border its edge pixels are repeated (mirrored, a chin
            at the border would give a second mouth).
        points: (68, 2) iBUG landmarks in photo pixels, of which `VISIBLE` are used.
        size: side of the crop in pixels.
    """
    matrix = fitted_matrix(points, size)
    photo, to_crop = image, matrix
    zoom = np.hypot(matrix[0, 0], matrix[0, 1])
    if zoom < 0.5:
        # warpAffine samples 2x2 pixels only; a large photo is first averaged down so that no pixel is skipped.
        shrink = 1 / np.floor(1 / zoom)
        photo = cv2.resize(image, None, fx=shrink, fy=shrink, interpolation=cv2.INTER_AREA)
        ratio = np.array([image.shape[1] / photo.shape[1], image.shape[0] / photo.shape[0]])
        # x_full = (x_small + 0.5) * ratio - 0.5, so the matrix for the small photo absorbs both shifts.
        to_crop = np.c_[matrix[:, :2] * ratio, matrix[:, 2] + matrix[:, :2] @ (ratio / 2 - 0.5)]
    crop = cv2.warpAffine(photo, to_crop, (size, size), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return AlignedFace(crop, transform_points(matrix, points), matrix)


def fitted_matrix(points: np.ndarray, size: int) -> np.ndarray:
    """Return the (2, 3) matrix, photo pixel (x, y, 1) -> crop pixel, with which `align_face` cuts its crop."""
    return fit_similarity(points[VISIBLE], TEMPLATE[_VISIBLE_ROWS] * size - 0.5)


def fit_similarity(source: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Return the (2, 3) rotation, uniform scale and shift from `source` (N, 2) to `target`, by least squares."""
    source, target = np.asarray(source, np.float64), np.asarray(target, np.float64)
    a, b = source - source.mean(0), target - target.mean(0)
    norm = max((a**2).sum(), 1e-12)
    scale_cos = (a * b).sum() / norm
    scale_sin = (a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]).sum() / norm
    turn = np.array([[scale_cos, -scale_sin], [scale_sin, scale_cos]])
    return np.c_[turn, target.mean(0) - turn @ source.mean(0)]


def transform_points(matrix: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Apply a (2, 3) affine matrix to (N, 2) points; float32."""
    return (points @ matrix[:, :2].T + matrix[:, 2]).astype(np.float32)
