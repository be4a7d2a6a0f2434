"""Convert images of any Pillow mode to upright 8-bit RGB or RGBA pixels, and handle transparency."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from PIL import Image

# Pixels copied out of Pillow at a time: copying all at once takes three times as long and twice the memory.
_PIECE = 250_000


def eight_bit(image: Image.Image) -> Image.Image:
    """Convert an image to RGB, or to RGBA where it has transparency.

    16-bit grey is divided by 257; 32-bit and float grey is scaled from its minimum and maximum to 0 and 255.
    Raises: ValueError for a mode that cannot be converted.
    """
    if image.mode.startswith(("I", "F")):
        return _from_deep(image).convert("RGB")
    if image.mode == "LAB":
        from PIL import ImageCms

        return ImageCms.profileToProfile(
            image, ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB"), outputMode="RGB"
        )
    if image.mode == "La":
        image = image.convert("LA")
    if image.has_transparency_data:
        return image.convert("RGBA")
    return image if image.mode == "RGB" else image.convert("RGB")


def upright(image: Image.Image, orientation: int) -> Image.Image:
    """Rotate or flip an image upright by its EXIF orientation 1..8; other numbers count as 1."""
    from PIL.Image import Transpose

    turns = {
        2: Transpose.FLIP_LEFT_RIGHT,
        3: Transpose.ROTATE_180,
        4: Transpose.FLIP_TOP_BOTTOM,
        5: Transpose.TRANSPOSE,
        6: Transpose.ROTATE_270,
        7: Transpose.TRANSVERSE,
        8: Transpose.ROTATE_90,
    }
    return image.transpose(turns[orientation]) if orientation in turns else image


def as_array(image: Image.Image) -> np.ndarray:
    """Return an RGB or RGBA image as a (H, W, 3) or (H, W, 4) uint8 array."""
    width, height = image.size
    if width * height <= 2 * _PIECE:
        return np.array(image)
    array = np.empty((height, width, len(image.mode)), np.uint8)
    rows = max(1, _PIECE // width)
    for top in range(0, height, rows):
        bottom = min(top + rows, height)
        array[top:bottom] = np.asarray(image.crop((0, top, width, bottom)))
    return array


def on_white(rgba: np.ndarray) -> np.ndarray:
    """Return (H, W, 4) uint8 RGBA composited on white as (H, W, 3) uint8."""
    alpha = rgba[..., 3:].astype(np.uint16)
    return ((rgba[..., :3] * alpha + 255 * (255 - alpha) + 127) // 255).astype(np.uint8)


def with_transparency(image: np.ndarray, painted: np.ndarray, rgba: np.ndarray) -> np.ndarray:
    """Give a painted picture the photo's transparency, so that on white it looks as much like `image` as possible.

    Args:
        image: (H, W, 3) uint8 RGB; outside `painted` the photo on white.
        painted: (H, W) bool, the painted pixels.
        rgba: (H, W, 4) uint8, the photo.
    Returns: (H, W, 4) uint8; outside `painted` exactly the photo.
    """
    result = rgba.copy()
    visible = painted & (rgba[..., 3] > 0)
    alpha = rgba[visible, 3:].astype(np.float32) / 255
    colour = (image[visible] - 255 * (1 - alpha)) / alpha
    result[visible, :3] = np.rint(colour).clip(0, 255).astype(np.uint8)
    return result


def _from_deep(image: Image.Image) -> Image.Image:
    from PIL import Image

    values = np.asarray(image)
    # Pillow decodes 16-bit PGM files as 32-bit ones.
    if image.mode.startswith("I;16") or image.format == "PPM" and image.mode == "I":
        return Image.fromarray(((values.astype(np.uint32) + 128) // 257).astype(np.uint8))
    values = values.astype(np.float64)
    finite = np.isfinite(values)
    low, high = (values[finite].min(), values[finite].max()) if finite.any() else (0, 0)
    grey = (np.where(finite, values, low) - low) * (255 / (high - low) if high > low else 0)
    return Image.fromarray(np.rint(grey).astype(np.uint8))
