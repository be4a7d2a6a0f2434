"""Read photo files of any common format, upright and in bounded memory.

Pillow decodes. In addition, the number of pixels is checked before decoding (a small file can claim a huge picture),
transparent images are composited on white, and very large photos are decoded at a fraction of their size.
"""

from __future__ import annotations

import importlib
import io
import os
import stat
import struct
import warnings
import zlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import numpy as np

from rac_unet.core.extras import install_command
from rac_unet.photos.kinds import HEAD_BYTES, JPEG, PNG, Kind, kind_of
from rac_unet.photos.metadata import PhotoMetadata, read_metadata
from rac_unet.photos.pixels import as_array, eight_bit, on_white, upright

if TYPE_CHECKING:
    from PIL.ImageFile import ImageFile

MAX_PIXELS = 200_000_000
# Larger photos are decoded at a half, a quarter or an eighth of their size; 16 megapixels are enough for a face crop.
FULL_DECODE_PIXELS = 16_000_000
_MAX_FILE_BYTES = 500_000_000
# A JPEG has at least one bit per block of 64 pixels: at most 512 pixels per byte in grey, fewer in colour.
_MOST_PIXELS_PER_BYTE = 1000
# Formats whose further pictures are frames or pages, not sizes, layers or previews of the first.
_ANIMATED = ("GIF", "PNG", "WebP", "AVIF", "HEIC", "TIFF")
_NEEDED = {
    "HEIC": f"file is a HEIC photo, which needs pillow-heif: {install_command('heif')}; or save it as JPEG",
    "AVIF": "file is an AVIF photo, which needs a newer Pillow: pip install 'pillow>=11.3'; or save it as JPEG",
}
_ORIENTATION = 0x0112
_PIXEL_CHUNKS = (b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND")


class UnreadablePhoto(Exception):
    """A file cannot be read as a photo; the message is a short reason that follows the file's name."""


@dataclass(frozen=True)
class Photo:
    """A decoded photo file.

    Attributes:
        pixels: (H, W, 3) uint8 RGB, upright; transparent pixels are composited on white.
        rgba: (H, W, 4) uint8, upright, with the file's transparency; None where every pixel is opaque.
        kind: JPEG, PNG, WebP, …
        frames: number of frames of an animation or pages of a document; the first is used.
        metadata: the file's metadata, not yet corrected for upright pixels.
    """

    pixels: np.ndarray
    rgba: np.ndarray | None = None
    kind: str = ""
    frames: int = 1
    metadata: PhotoMetadata = field(default=PhotoMetadata(), repr=False)


def read_photo(path: str | Path, full_size: bool = False) -> np.ndarray:
    """Return the photo as (H, W, 3) uint8 RGB, upright by its EXIF orientation.

    Every mode is converted to 8-bit RGB, transparent images are composited on white, and the first frame of an
    animation is used. Above 16 megapixels the result is 1/2, 1/4 or 1/8 the size, unless `full_size`.

    Raises: UnreadablePhoto (missing, empty, not an image, a video, cut off, above 200 megapixels, not decodable).
    """
    return decode_photo(read_photo_bytes(path), full_size).pixels


def read_photo_bytes(path: str | Path) -> bytes:
    """Return the content of a regular file of at most 500 MB; raises UnreadablePhoto where it cannot be read."""
    try:
        # Opening a pipe would block until something is written into it.
        if not stat.S_ISREG(os.stat(path).st_mode):
            raise UnreadablePhoto("not a regular file")
        with open(path, "rb") as file:
            head = file.read(HEAD_BYTES)
            size = os.fstat(file.fileno()).st_size
            # A video can be very large, so the format is checked before the rest is read.
            if size > HEAD_BYTES:
                file.seek(-min(size, HEAD_BYTES), os.SEEK_END)
                _kind(head, file.read())
                file.seek(len(head))
            if size > _MAX_FILE_BYTES:
                raise UnreadablePhoto(f"file is larger than {_MAX_FILE_BYTES // 1_000_000} MB")
            return head + file.read(_MAX_FILE_BYTES)
    except FileNotFoundError:
        raise UnreadablePhoto("file is missing") from None
    except (OSError, ValueError) as error:
        raise UnreadablePhoto(f"file cannot be opened: {getattr(error, 'strerror', None) or error}") from None


def decode_photo(content: bytes, full_size: bool = False) -> Photo:
    """Decode a whole file in memory; see `read_photo`."""
    if not content:
        raise UnreadablePhoto("file is empty")
    kind = _kind(content[:HEAD_BYTES], content[-HEAD_BYTES:])
    try:
        with warnings.catch_warnings():
            # Pillow warns about damage, and about sizes that are checked here.
            warnings.simplefilter("ignore")
            try:
                return _decoded(kind, content, full_size)
            except (UnreadablePhoto, MemoryError):
                raise
            except Exception:
                if kind is not PNG:
                    raise
                # The picture is still readable when a text chunk has a wrong checksum or is too long.
                return _decoded(kind, _pixels_alone(content), full_size)
    except UnreadablePhoto:
        raise
    except MemoryError:
        raise UnreadablePhoto("not enough memory for it") from None
    # Plugins raise any kind of exception over damaged bytes, and one file must not end a batch.
    except Exception as error:
        reason = " ".join(str(error).split())[:120] or type(error).__name__
        if "truncated" in reason.lower():
            raise UnreadablePhoto(f"{kind.name} file is cut off") from None
        raise UnreadablePhoto(f"{kind.name} file is damaged, or of a kind that Pillow cannot read ({reason})") from None


def open_image(kind: Kind, stream: BinaryIO) -> ImageFile:
    """Open a file as a Pillow image and read its header only; raises whatever the plugin raises."""
    try:
        plugin = importlib.import_module(kind.plugin)
        if kind.name == "HEIC":
            importlib.import_module("pillow_heif").register_heif_opener()
    except ImportError:
        plugin = None
    if plugin is None or not getattr(plugin, "SUPPORTED", True):
        raise UnreadablePhoto(_NEEDED.get(kind.name, f"file is a {kind.name} photo, which this Pillow cannot read"))
    from PIL import Image

    # Image.open would import plugins that are not needed, and its limit of pixels applies to the whole process.
    factory, _ = Image.OPEN[kind.format]
    return factory(stream, "")


def _kind(head: bytes, tail: bytes) -> Kind:
    try:
        return kind_of(head, tail)
    except ValueError as error:
        raise UnreadablePhoto(str(error)) from None


def _decoded(kind: Kind, content: bytes, full_size: bool) -> Photo:
    image = open_image(kind, io.BytesIO(content))
    width, height = image.size
    pixels = width * height
    if pixels <= 0:
        raise UnreadablePhoto("image has no pixels")
    if pixels > MAX_PIXELS:
        raise UnreadablePhoto(f"image is {width} x {height} pixels; the limit is {MAX_PIXELS // 10**6} megapixels")
    if kind is JPEG and len(content) * _MOST_PIXELS_PER_BYTE < pixels:
        # libjpeg would fill the rest with grey.
        raise UnreadablePhoto(f"JPEG file is cut off: it claims {width} x {height} pixels and has {len(content)} bytes")
    shrink = next((factor for factor in (1, 2, 4) if full_size or pixels <= FULL_DECODE_PIXELS * factor**2), 8)
    if shrink > 1:
        # Decodes a JPEG at that size; has no effect on other formats.
        image.draft(None, (width // shrink, height // shrink))
    image.load()
    # Only now: a PNG can have metadata after its pixels, and Pillow has rotated those of a TIFF.
    orientation, metadata, frames = _orientation(image), read_metadata(image), _frames(kind, image, content)
    shrink //= max(1, round(width / image.width))
    image = eight_bit(image)
    image = upright(image.reduce(shrink) if shrink > 1 else image, orientation)
    array = as_array(image)
    rgba = array if array.shape[2] == 4 and (array[..., 3] < 255).any() else None
    flat = on_white(array) if rgba is not None else np.ascontiguousarray(array[..., :3])
    return Photo(flat, rgba, kind.name, frames, metadata)


def _pixels_alone(png: bytes) -> bytes:
    """Return a PNG file with only the chunks that its pixels need, and EXIF data with a valid checksum."""
    kept, place = [png[:8]], 8
    while place + 12 <= len(png):
        length, name = struct.unpack_from(">I4s", png, place)
        end = place + 12 + length
        if name in _PIXEL_CHUNKS or (name == b"eXIf" and zlib.crc32(png[place + 4 : end - 4]) == _number(png, end - 4)):
            kept.append(png[place:end])
        place = end
    return b"".join(kept)


def _number(content: bytes, place: int) -> int:
    return int.from_bytes(content[place : place + 4], "big")


def _orientation(image: ImageFile) -> int:
    try:
        found = image.getexif().get(_ORIENTATION, 1)
        return found if isinstance(found, int) else 1
    # The photo is readable without its EXIF data.
    except Exception:
        return 1


def _frames(kind: Kind, image: ImageFile, content: bytes) -> int:
    if kind.name not in _ANIMATED:
        return 1
    try:
        if kind.name in ("GIF", "TIFF"):
            # These two count by seeking, which loses the pixels of the first frame.
            image = open_image(kind, io.BytesIO(content))
        return max(1, int(getattr(image, "n_frames", 1)))
    # The data after the first picture may be damaged.
    except Exception:
        return 1
