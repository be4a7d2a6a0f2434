"""Frames: the square of an upright face crop that a picture shows, as (side, x, y) in shares of the crop's side.

Data sets are cropped differently: pictures of FER-2013 show the frame (0.764, 0.5, 0.43) of `data_prep`'s crops.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np

from rac_unet.core.errors import UserError

Frame = tuple[float, float, float]
WHOLE_CROP: Frame = (1.0, 0.5, 0.5)


def check_frame(frame: Any, where: str) -> Frame:
    """Return the three numbers of a frame; raises UserError when they are not a square within the crop."""
    try:
        side, x, y = (float(value) for value in frame)
    except (TypeError, ValueError):
        raise UserError(f"{where}: expected side, x and y, three numbers. Received: {frame!r}", "bad_value") from None
    inside = side / 2 - 1e-6 <= min(x, y) and max(x, y) <= 1 - side / 2 + 1e-6
    if not (0 < side <= 1 and inside):
        raise UserError(f"{where}: a square of {side:g} at ({x:g}, {y:g}) is not within the crop, 0..1", "bad_value")
    return side, x, y


def frame_pixels(frame: Frame, size: int) -> tuple[int, int, int]:
    """Return top, left and side of a frame in a crop of `size` x `size` pixels, rounded to whole pixels."""
    side, x, y = frame
    pixels = max(1, round(side * size))
    return *(min(max(round((at - side / 2) * size), 0), size - pixels) for at in (y, x)), pixels


def picture_in_crop(picture: np.ndarray, frame: Frame, size: int) -> np.ndarray:
    """Place a picture at its frame in a crop; outside the frame its border pixels are repeated.

    Args:
        picture: (S, S, 3) float32 or uint8.
    Returns: (size, size, 3) of the same type.
    """
    top, left, side = frame_pixels(frame, size)
    if len(picture) != side:
        picture = cv2.resize(picture, (side, side), interpolation=cv2.INTER_LINEAR)
    rest = size - side
    return cv2.copyMakeBorder(picture, top, rest - top, left, rest - left, cv2.BORDER_REPLICATE)
