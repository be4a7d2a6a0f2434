"""How a JPEG or WebP file is compressed, so that another can be written like it."""

from __future__ import annotations

import io
from typing import NamedTuple

import numpy as np

from rac_unet.photos.kinds import JPEG
from rac_unet.photos.reading import open_image
from rac_unet.photos.writing import QUALITY

# Sum of the IJG's example table for brightness (ITU-T T.81, table K.1), of which libjpeg makes the table of a quality.
_EXAMPLE = np.array(
    [16, 11, 10, 16, 24, 40, 51, 61, 12, 12, 14, 19, 26, 58, 60, 55, 14, 13, 16, 24, 40, 57, 69, 56]
    + [14, 17, 22, 29, 51, 87, 80, 62, 18, 22, 37, 56, 68, 109, 103, 77, 24, 35, 55, 64, 81, 104, 113, 92]
    + [49, 64, 78, 87, 103, 121, 120, 101, 72, 92, 95, 98, 112, 100, 103, 99]
)


class Compression(NamedTuple):
    """The compression of a JPEG or WebP file.

    Attributes:
        quality: 1..100, as libjpeg counts.
        subsampling: how JPEG stores colours, as Pillow counts: 0 for 4:4:4, 1 for 4:2:2, 2 for 4:2:0; None for what
            suits the quality.
        lossless: whether a WebP file keeps every pixel.
    """

    quality: int = QUALITY
    subsampling: int | None = None
    lossless: bool = False


def compression_of(content: bytes, kind: str) -> Compression:
    """Return the compression of a file: of a JPEG the quality whose table is nearest to the file's.

    A WebP file does not say its quality, so that a lossy one gets the default, as every file that is damaged here.

    Args:
        content: the whole file.
        kind: `Photo.kind`.
    """
    if kind == "WebP":
        return Compression(lossless=_is_lossless(content))
    if kind != JPEG.name:
        return Compression()
    # The photo can be decoded; headers that only this needs may still be wrong.
    try:
        from PIL.JpegImagePlugin import get_sampling

        image = open_image(JPEG, io.BytesIO(content))
        sampling = get_sampling(image)
        return Compression(_quality(image.quantization[0]), sampling if sampling >= 0 else None)
    except Exception:
        return Compression()


def _quality(table: list[int]) -> int:
    """Return the quality whose table for brightness has the nearest sum, in whichever order the entries are."""
    sums = [_table(quality).sum() for quality in range(1, 101)]
    return 1 + int(np.abs(np.array(sums) - sum(table)).argmin())


def _table(quality: int) -> np.ndarray:
    scale = 5000 // quality if quality < 50 else 200 - 2 * quality
    return np.clip((_EXAMPLE * scale + 50) // 100, 1, 255)


def _is_lossless(content: bytes) -> bool:
    """Return whether the first picture of a WebP file is lossless; chunks are a name, a length and data."""
    place = 12
    while place + 8 <= len(content):
        name, length = content[place : place + 4], int.from_bytes(content[place + 4 : place + 8], "little")
        if name in (b"VP8 ", b"VP8L"):
            return name == b"VP8L"
        # A frame of an animation has 16 bytes of its own before the picture's chunks.
        place += 8 + 16 if name == b"ANMF" else 8 + length + length % 2
    return False
