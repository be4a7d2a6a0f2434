"""Bytes of PNG, JPEG and WebP files with metadata, and whether a file is one that was written here."""

from __future__ import annotations

import io
import os
import stat
import struct
import warnings
import zlib
from pathlib import Path

import numpy as np

from rac_unet.photos.kinds import HEAD_BYTES, kind_of
from rac_unet.photos.metadata import PhotoMetadata, has_mark, mark_alone
from rac_unet.photos.reading import UnreadablePhoto, open_image

ENDINGS = {"png": ".png", "jpeg": ".jpg", "webp": ".webp"}
# `Photo.kind` of each format.
KINDS = {"png": "PNG", "jpeg": "JPEG", "webp": "WebP"}
# Formats with transparency.
TRANSPARENT = ("png", "webp")
QUALITY = 95
_LIMITS = {"jpeg": 65_500, "webp": 16_383}
# A JPEG segment's length has 16 bits and includes itself; each kind of data starts with its name.
_EXIF_LIMIT, _XMP_LIMIT, _ICC_LIMIT = 65_533 - 6, 65_533 - 29, 255 * (65_533 - 14)
_PNG_START = 8 + 25  # signature and IHDR


def compressed(
    picture: np.ndarray,
    kind: str,
    metadata: PhotoMetadata,
    comment: str,
    quality: int = QUALITY,
    subsampling: int | None = None,
    lossless: bool = False,
) -> bytes:
    """Encode a picture with metadata as a JPEG or WebP file.

    Args:
        picture: (H, W, 3) uint8 RGB; for webp also (H, W, 4).
        kind: jpeg or webp.
        metadata: JPEG holds at most 64 KB of EXIF and of XMP; larger blocks are left out, except the mark.
        comment: a line of plain text; left out in WebP, which has no comments.
        quality: 1..100; below 90 JPEG stores colours at half the resolution, unless `subsampling` says how.
        subsampling, lossless: see `Compression` in compression.py.
    Raises: UnreadablePhoto when the format cannot hold the picture.
    """
    from PIL import Image

    limit = _LIMITS[kind]
    if max(picture.shape[:2]) > limit:
        raise UnreadablePhoto(f"a side is longer than {limit} pixels, which {kind} cannot hold; use --format png")
    options: dict = {"quality": quality}
    exif, icc, xmp = metadata.exif, metadata.icc, metadata.xmp
    if kind == "jpeg":
        exif = exif if len(exif) <= _EXIF_LIMIT else b""
        icc = icc if len(icc) <= _ICC_LIMIT else b""
        xmp = xmp if len(xmp) <= _XMP_LIMIT else mark_alone(comment)
        usual = 0 if quality >= 90 else 2
        options |= {"subsampling": usual if subsampling is None else subsampling, "comment": comment}
    elif lossless:
        # The quality is the effort then; without `exact` the colours of transparent pixels would be lost.
        options = {"lossless": True, "quality": 50, "exact": True}
    stream = io.BytesIO()
    exif = b"Exif\0\0" + exif if exif else b""
    try:
        Image.fromarray(picture).save(stream, kind, exif=exif, icc_profile=icc, xmp=xmp, **options)
    except (OSError, ValueError) as error:
        raise UnreadablePhoto(f"could not be written as {kind} ({error})") from None
    return stream.getvalue()


def with_png_metadata(content: bytes, metadata: PhotoMetadata, comment: str) -> bytes:
    """Add metadata and a line of plain text to the bytes of a PNG file that has neither."""
    chunks = [(b"tEXt", b"Comment\0" + comment.encode("latin-1", "replace"))]
    if metadata.icc:
        chunks.append((b"iCCP", b"ICC profile\0\0" + zlib.compress(metadata.icc)))
    if metadata.exif:
        chunks.append((b"eXIf", metadata.exif))
    if metadata.xmp:
        chunks.append((b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + metadata.xmp))
    made = b"".join(
        struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body)) for name, body in chunks
    )
    return content[:_PNG_START] + made + content[_PNG_START:]


def is_signed(path: str | os.PathLike) -> bool:
    """Return whether a file has the mark of a picture that predict wrote; False if it cannot be read."""
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):
            return False
        with Path(path).open("rb") as file, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            kind = kind_of(file.read(HEAD_BYTES))
            file.seek(0)
            return kind.name in KINDS.values() and has_mark(open_image(kind, file))
    # Not an image, or its header cannot be read.
    except Exception:
        return False
