"""Size, wholeness and orientation of an image file, read from its bytes without decoding a pixel.

From the formats' specifications: JPEG (ITU T.81), PNG 1.2, GIF89a, WebP (RFC 9649), BMP, TIFF 6.0, EXIF 2.3.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass


@dataclass(frozen=True)
class PhotoHeader:
    """What a file says about itself.

    Attributes:
        format: JPEG, PNG, GIF, WebP, BMP or TIFF.
        width, height: stored pixels, before any orientation is applied.
        cut_off: the end of the file is missing.
        may_be_transparent: it has, or can have, an alpha channel.
        orientation: EXIF 1..8; looked for only where `may_be_transparent`, since OpenCV applies it otherwise.
    """

    format: str
    width: int
    height: int
    cut_off: bool = False
    may_be_transparent: bool = False
    orientation: int = 1


def read_photo_header(content: bytes) -> PhotoHeader:
    """Read the header of a whole file in memory.

    Raises: ValueError, worded for a person, when it is no known kind of image or breaks off in its header.
    """
    for magic, read in _READERS:
        if content.startswith(magic):
            try:
                return read(content)
            except (struct.error, IndexError):
                raise ValueError("file is cut off within its header") from None
    # What phones write: ISO 14496-12's file type box, then the brand.
    if content[4:8] == b"ftyp" and content[8:12] in _UNREAD_BRANDS:
        raise ValueError(f"file is {_UNREAD_BRANDS[content[8:12]]} photo, which cannot be read; save it as JPEG or PNG")
    raise ValueError("file is not an image (JPEG, PNG, WebP, GIF, BMP and TIFF are read)")


def _jpeg(content: bytes) -> PhotoHeader:
    position, size = 2, None
    while True:
        if content[position] != 0xFF:
            raise ValueError("JPEG file is damaged")
        marker = content[position + 1]
        if marker == 0xFF:  # fill byte
            position += 1
            continue
        if marker == 0xDA:  # the picture's data begin
            break
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            height, width = struct.unpack_from(">HH", content, position + 5)
            size = size or (width, height)
        if marker == 0x01 or 0xD0 <= marker <= 0xD8:
            position += 2
        else:
            position += 2 + struct.unpack_from(">H", content, position + 2)[0]
    if size is None:
        raise ValueError("JPEG file is damaged")
    # Within the data 0xFF is escaped, so these two bytes can only be the end marker; what follows is ignored.
    return PhotoHeader("JPEG", *size, cut_off=content.find(b"\xff\xd9", position) < 0)


def _png(content: bytes) -> PhotoHeader:
    width, height, _, colour = struct.unpack_from(">IIBB", content, 16)
    transparent, orientation, position = colour in (4, 6), 1, 8
    while True:
        if position + 12 > len(content):
            return PhotoHeader("PNG", width, height, cut_off=True)
        length, kind = struct.unpack_from(">I4s", content, position)
        if kind == b"tRNS":
            transparent = True
        elif kind == b"eXIf":
            orientation = _exif_orientation(content[position + 8 : position + 8 + length])
        elif kind == b"IEND":
            return PhotoHeader("PNG", width, height, may_be_transparent=transparent, orientation=orientation)
        position += 12 + length


def _gif(content: bytes) -> PhotoHeader:
    width, height = struct.unpack_from("<HH", content, 6)
    return PhotoHeader("GIF", width, height, may_be_transparent=True)


def _webp(content: bytes) -> PhotoHeader:
    length, name = struct.unpack_from("<I4s", content, 4)
    if name != b"WEBP":
        raise ValueError("file is not an image (JPEG, PNG, WebP, GIF, BMP and TIFF are read)")
    cut_off = len(content) < length + 8
    kind = content[12:16]
    if kind == b"VP8X":
        width = 1 + int.from_bytes(content[24:27], "little")
        height = 1 + int.from_bytes(content[27:30], "little")
        found = content.find(b"EXIF", 30)
        orientation = _exif_orientation(content[found + 8 :]) if content[20] & 0x08 and found > 0 else 1
        return PhotoHeader("WebP", width, height, cut_off, bool(content[20] & 0x10), orientation)
    if kind == b"VP8L":
        bits = struct.unpack_from("<I", content, 21)[0]
        return PhotoHeader("WebP", 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF), cut_off, bool(bits >> 28 & 1))
    width, height = struct.unpack_from("<HH", content, 26)
    return PhotoHeader("WebP", width & 0x3FFF, height & 0x3FFF, cut_off)


def _bmp(content: bytes) -> PhotoHeader:
    if struct.unpack_from("<I", content, 14)[0] == 12:
        width, height = struct.unpack_from("<HH", content, 18)
    else:
        width, height = struct.unpack_from("<ii", content, 18)
    start = struct.unpack_from("<I", content, 10)[0]
    return PhotoHeader("BMP", abs(width), abs(height), cut_off=len(content) <= start)


def _tiff(content: bytes) -> PhotoHeader:
    tags = _tiff_tags(content)
    if 256 not in tags or 257 not in tags:
        raise ValueError("TIFF file is cut off or damaged")
    return PhotoHeader("TIFF", tags[256], tags[257])


def _exif_orientation(exif: bytes) -> int:
    exif = exif.removeprefix(b"Exif\0\0")
    try:
        orientation = _tiff_tags(exif).get(274, 1)
    except (struct.error, IndexError):
        return 1
    return orientation if 1 <= orientation <= 8 else 1


def _tiff_tags(content: bytes) -> dict[int, int]:
    """First value of each short or long tag in the first directory."""
    order = "<" if content[:2] == b"II" else ">"
    (start,) = struct.unpack_from(f"{order}I", content, 4)
    if start + 2 > len(content):
        return {}
    (count,) = struct.unpack_from(f"{order}H", content, start)
    tags = {}
    for entry in range(start + 2, min(start + 2 + 12 * count, len(content) - 11), 12):
        tag, kind = struct.unpack_from(f"{order}HH", content, entry)
        if kind in (3, 4):
            tags[tag] = struct.unpack_from(f"{order}{'H' if kind == 3 else 'I'}", content, entry + 8)[0]
    return tags


_UNREAD_BRANDS = {
    **dict.fromkeys((b"heic", b"heix", b"hevc", b"heim", b"heis", b"mif1", b"msf1"), "a HEIC"),
    **dict.fromkeys((b"avif", b"avis"), "an AVIF"),
}

_READERS = (
    (b"\xff\xd8\xff", _jpeg),
    (b"\x89PNG\r\n\x1a\n", _png),
    (b"GIF87a", _gif),
    (b"GIF89a", _gif),
    (b"RIFF", _webp),
    (b"BM", _bmp),
    (b"II*\0", _tiff),
    (b"MM\0*", _tiff),
)
