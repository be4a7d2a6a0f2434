"""Encode images as PNG, fast and with reproducible bytes."""

from __future__ import annotations

import cv2
import numpy as np

# Measured on 128-pixel faces: half the time of level 1 with default settings, for files a tenth larger.
_PNG_OPTIONS = [cv2.IMWRITE_PNG_COMPRESSION, 1, cv2.IMWRITE_PNG_STRATEGY, cv2.IMWRITE_PNG_STRATEGY_RLE]
if hasattr(cv2, "IMWRITE_PNG_FILTER"):  # newer than OpenCV 4.10
    _PNG_OPTIONS += [cv2.IMWRITE_PNG_FILTER, cv2.IMWRITE_PNG_FILTER_UP]


def encode_png(image: np.ndarray) -> bytes:
    """Encode a uint8 image as PNG: RGB or RGBA (H, W, 3 or 4), or grey (H, W).

    The bytes are reproducible with the same version of OpenCV.
    """
    if image.dtype != np.uint8 or image.ndim not in (2, 3) or (image.ndim == 3 and image.shape[2] not in (3, 4)):
        raise ValueError(f"expected uint8 (H, W, 3), (H, W, 4) or (H, W). Received: {image.dtype} {image.shape}")
    if image.ndim == 3:
        image = cv2.cvtColor(image, cv2.COLOR_RGB2BGR if image.shape[2] == 3 else cv2.COLOR_RGBA2BGRA)
    done, content = cv2.imencode(".png", image, _PNG_OPTIONS)
    if not done:
        raise ValueError(f"OpenCV could not encode an image of shape {image.shape}")
    return content.tobytes()
