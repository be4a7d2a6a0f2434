"""Scale pictures down."""

from __future__ import annotations

import numpy as np


def scaled_down(picture: np.ndarray, side: int | None) -> np.ndarray:
    """Return a picture whose longer side has at most this many pixels; the same array if it has already.

    Args:
        picture: (H, W, 3) or (H, W, 4) uint8. Transparent pixels do not colour their neighbours.
        side: pixels; None for any number.
    """
    height, width = picture.shape[:2]
    longer = max(height, width)
    if side is None or longer <= side:
        return picture
    from PIL import Image

    size = [max(1, round(length * side / longer)) for length in (width, height)]
    return np.array(Image.fromarray(picture).resize(size, Image.Resampling.LANCZOS))
