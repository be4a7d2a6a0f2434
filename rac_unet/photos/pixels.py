"""Pixels of any of Pillow's modes as 8-bit RGB, upright, with or without what lies behind see-through ones."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from PIL import Image

# Rows are copied out of Pillow in pieces of this many pixels: in one piece it takes three times as long and twice the
# memory.
_PIECE = 250_000


def eight_bit(image: Image.Image) -> Image.Image:
    """The same as RGB, or as RGBA where pixels can be see-through.

    16-bit grey is divided by 257; 32-bit and float grey is stretched from its own least to its greatest value.
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
    """Undo an EXIF orientation 1..8; any other number counts as 1."""
    from PIL.Image import Transpose

    turns = {
        2: Transpose.FLIP_LEFT_RIGHT, 3: Transpose.ROTATE_180, 4: Transpose.FLIP_TOP_BOTTOM, 5: Transpose.TRANSPOSE,
        6: Transpose.ROTATE_270, 7: Transpose.TRANSVERSE, 8: Transpose.ROTATE_90,
    }  # fmt: skip
    return image.transpose(turns[orientation]) if orientation in turns else image


def as_array(image: Image.Image) -> np.ndarray:
    """(H, W, 3) or (H, W, 4) uint8 of an RGB or RGBA image."""
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
    """(H, W, 3) uint8 of (H, W, 4) uint8 that lies on white."""
    alpha = rgba[..., 3:].astype(np.uint16)
    return ((rgba[..., :3] * alpha + 255 * (255 - alpha) + 127) // 255).astype(np.uint8)


def with_transparency(image: np.ndarray, painted: np.ndarray, rgba: np.ndarray) -> np.ndarray:
    """A painted picture with the photo's own transparency: on white it looks like `image`, as far as that lets it.

    Args:
        image: (H, W, 3) uint8 RGB, the photo on white where it is not painted.
        painted: (H, W) bool.
        rgba: (H, W, 4) uint8, the photo.
    Returns: (H, W, 4) uint8; outside `painted` exactly the photo.
    """
    result = rgba.copy()
    seen = painted & (rgba[..., 3] > 0)
    alpha = rgba[seen, 3:].astype(np.float32) / 255
    colour = (image[seen] - 255 * (1 - alpha)) / alpha
    result[seen, :3] = np.rint(colour).clip(0, 255).astype(np.uint8)
    return result


def _from_deep(image: Image.Image) -> Image.Image:
    from PIL import Image

    values = np.asarray(image)
    # Pillow gives 16-bit PGM files as 32-bit ones.
    if image.mode.startswith("I;16") or image.format == "PPM" and image.mode == "I":
        return Image.fromarray(((values.astype(np.uint32) + 128) // 257).astype(np.uint8))
    values = values.astype(np.float64)
    finite = np.isfinite(values)
    low, high = (values[finite].min(), values[finite].max()) if finite.any() else (0, 0)
    grey = (np.where(finite, values, low) - low) * (255 / (high - low) if high > low else 0)
    return Image.fromarray(np.rint(grey).astype(np.uint8))
