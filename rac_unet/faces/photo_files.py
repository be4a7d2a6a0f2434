"""Read photo files as they come: any common format, upright, in bounded memory, or one line saying why not.

OpenCV does the decoding. What it leaves open is settled here: size and wholeness are read from the file's own
header first (a small file can claim a huge picture, and older OpenCV fills a cut-off JPEG with grey), see-
through images are laid on white, and a very large photo is decoded at a fraction of its size.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

import cv2
import numpy as np

from rac_unet.faces.photo_header import PhotoHeader, read_photo_header

MAX_PIXELS = 200_000_000
# A photo above this is decoded at half, a quarter or an eighth; 16 megapixels are plenty for a crop.
FULL_DECODE_PIXELS = 16_000_000
_MAX_FILE_BYTES = 500_000_000
_REDUCED = {
    1: cv2.IMREAD_COLOR,
    2: cv2.IMREAD_REDUCED_COLOR_2,
    4: cv2.IMREAD_REDUCED_COLOR_4,
    8: cv2.IMREAD_REDUCED_COLOR_8,
}


class UnreadablePhoto(Exception):
    """Why a file gives no picture, in a few words that make sense after its name."""


def read_photo(path: str | Path, full_size: bool = False) -> np.ndarray:
    """Return the photo as (H, W, 3) uint8 RGB, upright by its EXIF orientation.

    Grey, CMYK, palette and 16-bit images become 8-bit RGB, see-through ones lie on white, of an animation the
    first frame is taken. Above 16 megapixels the result is 1/2, 1/4 or 1/8 the size, unless `full_size`.

    Raises: UnreadablePhoto (missing, empty, no image, cut off, more than 200 megapixels, not decodable).
    """
    return decode_photo(read_photo_bytes(path), full_size)


def read_photo_bytes(path: str | Path) -> bytes:
    """The content of a regular file of at most 500 MB; raises UnreadablePhoto where it cannot be had."""
    try:
        # Opening a pipe would wait for ever for somebody to write into it.
        if not stat.S_ISREG(os.stat(path).st_mode):
            raise UnreadablePhoto("not a regular file")
        with open(path, "rb") as file:
            return file.read(_MAX_FILE_BYTES + 1)
    except FileNotFoundError:
        raise UnreadablePhoto("file is missing") from None
    except (OSError, ValueError) as error:
        raise UnreadablePhoto(f"file cannot be opened: {getattr(error, 'strerror', error)}") from None


def decode_photo(content: bytes, full_size: bool = False) -> np.ndarray:
    """`read_photo` for bytes in memory."""
    if not content:
        raise UnreadablePhoto("file is empty")
    if len(content) > _MAX_FILE_BYTES:
        raise UnreadablePhoto(f"file is larger than {_MAX_FILE_BYTES // 1_000_000} MB")
    try:
        header = read_photo_header(content)
    except ValueError as error:
        raise UnreadablePhoto(str(error)) from None
    pixels = header.width * header.height
    if not pixels:
        raise UnreadablePhoto("image has no pixels")
    if pixels > MAX_PIXELS:
        raise UnreadablePhoto(
            f"image is {header.width} x {header.height} pixels; the limit is {MAX_PIXELS // 10**6} megapixels"
        )
    if header.cut_off:
        raise UnreadablePhoto(f"{header.format} file is cut off")
    shrink = next((factor for factor in (1, 2, 4) if full_size or pixels <= FULL_DECODE_PIXELS * factor**2), 8)
    # Reduced decoding has no see-through variant; a picture that large is a photograph.
    image = _decode_on_white(content, header) if header.may_be_transparent and shrink == 1 else None
    if image is None:
        image = _decode(content, _REDUCED[shrink])
        if image is None:
            raise UnreadablePhoto(f"{header.format} file is damaged, or of a kind that OpenCV cannot read")
        image = cv2.cvtColor(image, cv2.COLOR_BGR2RGB)
    return np.ascontiguousarray(image)


def _decode(content: bytes, flags: int) -> np.ndarray | None:
    try:
        return cv2.imdecode(np.frombuffer(content, np.uint8), flags)
    except cv2.error:
        return None


def _decode_on_white(content: bytes, header: PhotoHeader) -> np.ndarray | None:
    """RGB over white, upright; None when the picture turns out to have no see-through pixel."""
    image = _decode(content, cv2.IMREAD_UNCHANGED)
    if image is None or image.ndim != 3 or image.shape[2] != 4:
        return None
    if image.dtype == np.uint16:
        image = np.rint(image / np.float32(257)).astype(np.uint8)
    if image.dtype != np.uint8 or (image[..., 3] == 255).all():
        return None
    alpha = image[..., 3:].astype(np.float32) / 255
    colour = np.rint(image[..., 2::-1] * alpha + 255 * (1 - alpha)).astype(np.uint8)
    return _upright(colour, header.orientation)


def _upright(image: np.ndarray, orientation: int) -> np.ndarray:
    """Undo an EXIF orientation 1..8, which IMREAD_UNCHANGED leaves as it is."""
    if orientation in (5, 6, 7, 8):
        image = image.transpose(1, 0, 2)
    if orientation in (2, 3, 6, 7):
        image = image[:, ::-1]
    if orientation in (3, 4, 7, 8):
        image = image[::-1]
    return image
