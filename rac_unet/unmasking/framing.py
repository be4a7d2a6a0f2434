"""What a face crop shows of its photo, and a wider crop for a mask that goes on beyond the usual one.

A folded mask's tip, a scarf: of 234 faces with masks really worn, 32 had masks that went on below the crop, and what is
outside of it cannot be painted over. An eighth of these masks was left, and a hundredth with the wider crop. For masks
that leave it sideways, mostly by a strap, it brought nothing.
"""

from __future__ import annotations

import cv2
import numpy as np

from rac_unet.faces.align import transform_points
from rac_unet.unmasking.pasting import FaceMap

# How much smaller a face is in the wider crop, and the point that stays where it is, in shares of the side: above the
# eyes, since masks run out at the bottom. Hardly more than what training zooms and shifts by.
_ZOOM, _STAYS = 0.88, np.array([0.5, 0.2])
# A map runs out of the crop when it touches its lower border along this share of it.
_TOUCHING = 0.1
# Grey level of what lies beyond the photo, in pictures of crops for looking.
_NOTHING = 224


def runs_out(where: FaceMap, matrix: np.ndarray, shape: tuple[int, ...]) -> bool:
    """Whether a map reaches the crop's lower border where the photo goes on.

    Args:
        matrix: (2, 3) photo pixel (x, y, 1) -> crop pixel.
        shape: of the photo, height first.
    """
    size = len(where.weight)
    reached = (where.weight[-1] > 0) & ~_beyond_photo(matrix, shape, size)[-1]
    return bool(reached.sum() > _TOUCHING * size)


def wider_frame(points: np.ndarray, matrix: np.ndarray, size: int) -> np.ndarray:
    """Landmarks by which `align_face` cuts a crop that shows more below and beside the face.

    Args:
        points: (68, 2) photo pixels, by which the usual crop was cut.
        matrix: (2, 3) photo pixel (x, y, 1) -> pixel of that crop.
        size: its side.
    """
    in_crop = transform_points(matrix, points)
    stays = _STAYS * size
    # A crop is laid by its landmarks: the further they are apart, the more is around them.
    return transform_points(cv2.invertAffineTransform(matrix), stays + (in_crop - stays) / _ZOOM)


def without_reflection(crop: np.ndarray, matrix: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """A crop for people to look at: grey where it lies beyond the photo, which is mirrored in for the network.

    Args:
        crop: (S, S, 3) uint8.
        matrix: (2, 3) photo pixel (x, y, 1) -> crop pixel.
        shape: of the photo, height first.
    """
    return np.where(_beyond_photo(matrix, shape, len(crop))[..., None], np.uint8(_NOTHING), crop)


def _beyond_photo(matrix: np.ndarray, shape: tuple[int, ...], size: int) -> np.ndarray:
    back = cv2.invertAffineTransform(matrix)
    y, x = np.mgrid[:size, :size]
    column, row = (back[i, 0] * x + back[i, 1] * y + back[i, 2] for i in (0, 1))
    # A pixel is a square around its centre; what the whole photo fills is not to lose its rim to rounding.
    return (column < -0.51) | (row < -0.51) | (column > shape[1] - 0.49) | (row > shape[0] - 0.49)
