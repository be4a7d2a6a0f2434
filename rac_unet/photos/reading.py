"""Read photo files: any common format, upright, in bounded memory, or one line saying why not.

Pillow does the decoding. Around it: the number of pixels is checked before any is decoded (a small file can claim a
huge picture), see-through images are laid on white, and a very large photo is decoded at a fraction of its size.
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

from rac_unet.photos.kinds import HEAD_BYTES, JPEG, PNG, Kind, kind_of
from rac_unet.photos.metadata import PhotoMetadata, read_metadata
from rac_unet.photos.pixels import as_array, eight_bit, on_white, upright

if TYPE_CHECKING:
    from PIL.ImageFile import ImageFile

MAX_PIXELS = 200_000_000
# A photo above this is decoded at half, a quarter or an eighth; 16 megapixels are plenty for a crop.
FULL_DECODE_PIXELS = 16_000_000
_MAX_FILE_BYTES = 500_000_000
# Each block of 64 pixels has at least a bit in a JPEG, which is 512 pixels a byte for grey, and less for colour.
_MOST_PIXELS_PER_BYTE = 1000
# Kinds whose further pictures are frames or pages, and not sizes, layers or previews of the first.
_ANIMATED = ("GIF", "PNG", "WebP", "AVIF", "HEIC", "TIFF")
_NEEDED = {
    "HEIC": "file is a HEIC photo, which needs another package: pip install pillow-heif; or save it as JPEG",
    "AVIF": "file is an AVIF photo, which needs a newer Pillow: pip install 'pillow>=11.3'; or save it as JPEG",
}
_ORIENTATION = 0x0112
_PIXEL_CHUNKS = (b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND")


class UnreadablePhoto(Exception):
    """Why a file gives no picture, in a few words that make sense after its name."""


@dataclass(frozen=True)
class Photo:
    """A photo file, decoded.

    Attributes:
        pixels: (H, W, 3) uint8 RGB, upright; see-through pixels lie on white.
        rgba: (H, W, 4) uint8, upright, with the file's own transparency; None where every pixel is opaque.
        kind: JPEG, PNG, WebP, …
        frames: how many pictures an animation or a document of pages holds; the first is used.
        metadata: the file's own, not yet put right for upright pixels.
    """

    pixels: np.ndarray
    rgba: np.ndarray | None = None
    kind: str = ""
    frames: int = 1
    metadata: PhotoMetadata = field(default=PhotoMetadata(), repr=False)


def read_photo(path: str | Path, full_size: bool = False) -> np.ndarray:
    """Return the photo as (H, W, 3) uint8 RGB, upright by its EXIF orientation.

    Every mode becomes 8-bit RGB, see-through images lie on white, of an animation the first frame is taken. Above 16
    megapixels the result is 1/2, 1/4 or 1/8 the size, unless `full_size`.

    Raises: UnreadablePhoto (missing, empty, no image, a video, cut off, more than 200 megapixels, not decodable).
    """
    return decode_photo(read_photo_bytes(path), full_size).pixels


def read_photo_bytes(path: str | Path) -> bytes:
    """The content of a regular file of at most 500 MB; raises UnreadablePhoto where it cannot be read."""
    try:
        # Opening a pipe would wait until something is written into it.
        if not stat.S_ISREG(os.stat(path).st_mode):
            raise UnreadablePhoto("not a regular file")
        with open(path, "rb") as file:
            head = file.read(HEAD_BYTES)
            size = os.fstat(file.fileno()).st_size
            # A video can be of any size; it is not read for nothing.
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
            # Pillow's remarks about damage, and about sizes that are limited here.
            warnings.simplefilter("ignore")
            try:
                return _decoded(kind, content, full_size)
            except (UnreadablePhoto, MemoryError):
                raise
            except Exception:
                if kind is not PNG:
                    raise
                # A wrong checksum of a remark, or a long one, is no reason to refuse the picture.
                return _decoded(kind, _pixels_alone(content), full_size)
    except UnreadablePhoto:
        raise
    except MemoryError:
        raise UnreadablePhoto("not enough memory for it") from None
    # Plugins raise anything over bytes that nobody foresaw, and one file must not end a batch.
    except Exception as error:
        said = " ".join(str(error).split())[:120] or type(error).__name__
        if "truncated" in said.lower():
            raise UnreadablePhoto(f"{kind.name} file is cut off") from None
        raise UnreadablePhoto(f"{kind.name} file is damaged, or of a kind that Pillow cannot read ({said})") from None


def open_image(kind: Kind, stream: BinaryIO) -> ImageFile:
    """Pillow's image of an open file, of which only the header was read; raises anything that a plugin raises."""
    try:
        plugin = importlib.import_module(kind.plugin)
        if kind.name == "HEIC":
            importlib.import_module("pillow_heif").register_heif_opener()
    except ImportError:
        plugin = None
    if plugin is None or not getattr(plugin, "SUPPORTED", True):
        raise UnreadablePhoto(_NEEDED.get(kind.name, f"file is a {kind.name} photo, which this Pillow cannot read"))
    from PIL import Image

    # Image.open would import plugins for nothing, and has a limit of pixels that belongs to the whole process.
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
        # libjpeg would make up the rest in grey.
        raise UnreadablePhoto(f"JPEG file is cut off: it claims {width} x {height} pixels and has {len(content)} bytes")
    shrink = next((factor for factor in (1, 2, 4) if full_size or pixels <= FULL_DECODE_PIXELS * factor**2), 8)
    if shrink > 1:
        # A JPEG is decoded at that size; other kinds let this pass.
        image.draft(None, (width // shrink, height // shrink))
    image.load()
    # Behind the pixels of a PNG there can be more; those of a TIFF are turned by now.
    orientation, metadata, frames = _orientation(image), read_metadata(image), _frames(kind, image, content)
    shrink //= max(1, round(width / image.width))
    image = eight_bit(image)
    image = upright(image.reduce(shrink) if shrink > 1 else image, orientation)
    array = as_array(image)
    rgba = array if array.shape[2] == 4 and (array[..., 3] < 255).any() else None
    flat = on_white(array) if rgba is not None else np.ascontiguousarray(array[..., :3])
    return Photo(flat, rgba, kind.name, frames, metadata)


def _pixels_alone(png: bytes) -> bytes:
    """A PNG file without all that its pixels do not need, except EXIF data that are whole."""
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
    # Damaged EXIF data are no reason to refuse a photo.
    except Exception:
        return 1


def _frames(kind: Kind, image: ImageFile, content: bytes) -> int:
    if kind.name not in _ANIMATED:
        return 1
    try:
        if kind.name in ("GIF", "TIFF"):
            # They count by looking for the next one, which loses the first one's pixels.
            image = open_image(kind, io.BytesIO(content))
        return max(1, int(getattr(image, "n_frames", 1)))
    # What lies behind the first picture may be damaged.
    except Exception:
        return 1
