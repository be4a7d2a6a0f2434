"""How much of a face the network for large faces paints, by the size of the face in the photo."""

from __future__ import annotations

import numpy as np

# Side of the face crop in photo pixels. Up to the first, the 128-px network paints alone; from the second, the 256-px
# network does. Between them both paintings are mixed, so that faces of nearly one size look alike. At 128 the photo has
# as many pixels as the first network paints; at 180 it has half as many again, which a person sees.
ONLY_SMALL, ONLY_LARGE = 110, 180


def face_side(matrix: np.ndarray, size: int) -> float:
    """Return the side of a face crop in photo pixels; a face without hair is about two thirds of it wide.

    Args:
        matrix: (2, 3) photo pixel (x, y, 1) -> crop pixel.
        size: side of the crop in its own pixels.
    """
    return size / float(np.hypot(matrix[0, 0], matrix[0, 1]))


def large_share(side: float) -> float:
    """Return the share of the 256-px network in the painting of a face: 0 up to `ONLY_SMALL`, 1 from `ONLY_LARGE`.

    Args:
        side: result of `face_side`.
    """
    share = float(np.clip((side - ONLY_SMALL) / (ONLY_LARGE - ONLY_SMALL), 0, 1))
    return share * share * (3 - 2 * share)
