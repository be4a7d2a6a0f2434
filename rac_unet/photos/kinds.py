"""Detect a file's format from its first bytes: supported image formats with their Pillow plugins, and videos.

Pillow's plugins are imported one at a time: importing all takes longer than decoding a photo, and some start other
programs.
"""

from __future__ import annotations

import re
from typing import NamedTuple

# As many as `kind_of` needs.
HEAD_BYTES = 4096
READ = "JPEG, PNG, WebP, AVIF, HEIC, TIFF, GIF, BMP and other common formats are read"


class Kind(NamedTuple):
    """An image format: its display name, Pillow's plugin module and Pillow's name of the format."""

    name: str
    plugin: str
    format: str


JPEG = Kind("JPEG", "PIL.JpegImagePlugin", "JPEG")
PNG = Kind("PNG", "PIL.PngImagePlugin", "PNG")
_TIFF = Kind("TIFF", "PIL.TiffImagePlugin", "TIFF")
_AVIF = Kind("AVIF", "PIL.AvifImagePlugin", "AVIF")
_HEIC = Kind("HEIC", "pillow_heif.HeifImagePlugin", "HEIF")
_JPEG2000 = Kind("JPEG 2000", "PIL.Jpeg2KImagePlugin", "JPEG2000")
_TGA = Kind("TGA", "PIL.TgaImagePlugin", "TGA")

_SIGNATURES = (
    (rb"\xff\xd8\xff", JPEG),
    (rb"\x89PNG\r\n\x1a\n", PNG),
    (rb"RIFF....WEBP", Kind("WebP", "PIL.WebPImagePlugin", "WEBP")),
    (rb"GIF8[79]a", Kind("GIF", "PIL.GifImagePlugin", "GIF")),
    (rb"II[*+]\x00|MM\x00[*+]", _TIFF),
    (rb"BM", Kind("BMP", "PIL.BmpImagePlugin", "BMP")),
    (rb"\x00\x00\x00\x0cjP  \r\n\x87\n|\xff\x4f\xff\x51", _JPEG2000),
    (rb"P[1-6f]\s|P[Ff]\n|Py\s", Kind("PPM", "PIL.PpmImagePlugin", "PPM")),
    (rb"qoif", Kind("QOI", "PIL.QoiImagePlugin", "QOI")),
    (rb"8BPS", Kind("PSD", "PIL.PsdImagePlugin", "PSD")),
    (rb"DDS ", Kind("DDS", "PIL.DdsImagePlugin", "DDS")),
    (rb"\x00\x00\x01\x00", Kind("ICO", "PIL.IcoImagePlugin", "ICO")),
    (rb"icns", Kind("ICNS", "PIL.IcnsImagePlugin", "ICNS")),
    (rb"\x01\xda[\x00\x01][\x01\x02]", Kind("SGI", "PIL.SgiImagePlugin", "SGI")),
    (rb"\x0a[\x00\x02\x03\x05]\x01", Kind("PCX", "PIL.PcxImagePlugin", "PCX")),
)
_TGA_END = b"TRUEVISION-XFILE.\0"

_VIDEOS = (
    (rb"\x1aE\xdf\xa3", "Matroska or WebM"),
    (rb"RIFF....AVI ", "AVI"),
    (rb"....(moov|mdat|wide|pnot)", "MP4 or MOV"),
    (rb"FLV\x01", "FLV"),
    (rb"\x30\x26\xb2\x75\x8e\x66\xcf\x11", "WMV"),
    (rb"\x00\x00\x01[\xba\xb3]", "MPEG"),
    (rb"G.{187}G.{187}G|....G.{191}G.{191}G", "MPEG transport stream"),
    (rb"OggS", "Ogg"),
)
# Brands in the file type box of ISO 14496-12 that are images (ISO 23008-12); the others are videos.
_AVIF_BRANDS = {b"avif", b"avis"}
_HEIC_BRANDS = {b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis", b"hevm", b"hevs", b"mif1", b"msf1"}
_UNSUPPORTED = (
    (rb"\x00\x00\x00\x0cJXL \r\n\x87\n|\xff\x0a", "a JPEG XL photo"),
    (rb"....ftypcrx |FUJIFILMCCD-RAW|IIRO|IIRS|IIU\x00|\x00MRM", "a raw photo of a camera"),
)


def kind_of(head: bytes, tail: bytes = b"") -> Kind:
    """Return the image format of a file with these first (and last) bytes.

    Raises: ValueError with a message for the user when it is a video or not a supported image.
    """
    for signature, kind in _SIGNATURES:
        if _matches(head, signature):
            return kind
    for signature, name in _UNSUPPORTED:
        if _matches(head, signature):
            raise ValueError(f"file is {name}, which is not supported; save it as JPEG or PNG")
    if head[4:8] == b"ftyp":
        return _iso_kind(head)
    for signature, name in _VIDEOS:
        if _matches(head, signature):
            raise ValueError(f"file is a video ({name}); videos are not read; give photos, or frames saved as photos")
    # TGA has no signature at the start, and its first version none at the end either.
    if tail.endswith(_TGA_END):
        return _TGA
    raise ValueError(f"file is not an image of a supported format ({READ})")


def _matches(head: bytes, pattern: bytes) -> bool:
    return re.match(pattern, head, re.DOTALL) is not None


def _iso_kind(head: bytes) -> Kind:
    end = min(max(int.from_bytes(head[:4], "big"), 16), len(head))
    # The major brand, then (after a version number) the compatible brands.
    brands = [head[8:12], *(head[start : start + 4] for start in range(16, end, 4))]
    if brands[0] in _AVIF_BRANDS | _HEIC_BRANDS:
        return _AVIF if _AVIF_BRANDS & set(brands) else _HEIC
    raise ValueError("file is a video (MP4 or MOV); videos are not read; give photos, or frames saved as photos")
