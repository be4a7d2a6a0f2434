"""Cut a wider face crop where a mask extends below the usual crop.

Only pixels inside the crop can be inpainted. Of 234 faces with real masks, 32 had masks that extend below the crop,
such as the tip of a folded mask or a scarf. An eighth of these masks was left with the usual crop, a hundredth with the
wider one. For masks that leave the crop sideways, mostly with a strap, a wider crop did not help.
"""

from __future__ import annotations

import cv2
import numpy as np

from rac_unet.faces.align import transform_points
from rac_unet.unmasking.pasting import FaceMap

# Scale of a face in the wider crop, and the fixed point, in shares of the side: above the eyes, since masks extend
# beyond the bottom. The scale is hardly beyond the augmentation in training.
_ZOOM, _FIXED_POINT = 0.88, np.array([0.5, 0.2])
# A map runs out of the crop if it covers at least this share of the lower border.
_TOUCHING = 0.1
# Grey level of pixels outside the photo, in crops that are shown to people.
_OUTSIDE = 224


def runs_out(where: FaceMap, matrix: np.ndarray, shape: tuple[int, ...]) -> bool:
    """Return whether a map reaches the crop's lower border where the photo continues.

    Args:
        where: the map.
        matrix: (2, 3) photo pixel (x, y, 1) -> crop pixel.
        shape: shape of the photo, height first.
    """
    size = len(where.weight)
    reached = (where.weight[-1] > 0) & ~_beyond_photo(matrix, shape, size)[-1]
    return bool(reached.sum() > _TOUCHING * size)


def wider_frame(points: np.ndarray, matrix: np.ndarray, size: int) -> np.ndarray:
    """Return landmarks with which `align_face` cuts a crop that shows more below and to both sides of the face.

    Args:
        points: (68, 2) photo pixels, the landmarks of the usual crop.
        matrix: (2, 3) photo pixel (x, y, 1) -> pixel of the usual crop.
        size: side of the usual crop in pixels.
    """
    in_crop = transform_points(matrix, points)
    fixed = _FIXED_POINT * size
    # `align_face` fits the crop to the landmarks, so spreading them widens the crop.
    return transform_points(cv2.invertAffineTransform(matrix), fixed + (in_crop - fixed) / _ZOOM)


def grey_outside(crop: np.ndarray, matrix: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Return a crop for display, grey outside the photo, where the network sees repeated border pixels.

    Args:
        crop: (S, S, 3) uint8.
        matrix: (2, 3) photo pixel (x, y, 1) -> crop pixel.
        shape: shape of the photo, height first.
    """
    return np.where(_beyond_photo(matrix, shape, len(crop))[..., None], np.uint8(_OUTSIDE), crop)


def _beyond_photo(matrix: np.ndarray, shape: tuple[int, ...], size: int) -> np.ndarray:
    back = cv2.invertAffineTransform(matrix)
    y, x = np.mgrid[:size, :size]
    column, row = (back[i, 0] * x + back[i, 1] * y + back[i, 2] for i in (0, 1))
    # A pixel extends half a pixel around its centre; the rest of the margin is for rounding errors.
    return (column < -0.51) | (row < -0.51) | (column > shape[1] - 0.49) | (row > shape[0] - 0.49)
