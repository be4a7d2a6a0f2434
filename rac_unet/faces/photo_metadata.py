"""What a photo's file says beside its pixels, carried over into a new file, and the mark that says "synthetic".

Camera data (EXIF), colour profile (ICC) and description (XMP) are taken from JPEG, PNG and WebP and put into the same
three, by the formats' own rules: JPEG (ITU T.81), PNG 3 (W3C), WebP (RFC 9649), EXIF 2.3, XMP part 3, ICC.1. OpenCV
writes pixels alone. The mark is IPTC's "digital source type" in the XMP and one line of plain text beside it.
"""

from __future__ import annotations

import contextlib
import os
import re
import stat
import struct
import zlib
from dataclasses import dataclass

from rac_unet.errors import UserError
from rac_unet.faces.photo_exif import upright_exif

SOURCE_TYPE = "http://cv.iptc.org/newscodes/digitalsourcetype/compositeWithTrainedAlgorithmicMedia"
# Stands in the plain text of every picture that predict writes, painted or not.
SIGN = "rac_unet"
# Nothing honest comes near it, and a compressed chunk must not fill the memory.
_MAX_BYTES = 16_000_000
# Beginning and end of a file; JPEG puts at most two segments of 64 KB and a profile before the text.
_LOOKED_AT = 1_000_000
_PNG_START = b"\x89PNG\r\n\x1a\n"
_EXIF, _XMP, _ICC = b"Exif\0\0", b"http://ns.adobe.com/xap/1.0/\0", b"ICC_PROFILE\0"
_PNG_XMP = b"XML:com.adobe.xmp"
# A JPEG segment's length field counts itself and has 16 bits.
_SEGMENT = 65_533

_PROPERTY = (
    '<rdf:Description rdf:about="" xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/">'
    f"<Iptc4xmpExt:DigitalSourceType>{SOURCE_TYPE}</Iptc4xmpExt:DigitalSourceType></rdf:Description>"
).encode()
_PACKET = (
    b'<?xpacket begin="\xef\xbb\xbf" id="W5M0MpCehiHzreSzNTczkc9d"?><x:xmpmeta xmlns:x="adobe:ns:meta/">'
    b'<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">%s</rdf:RDF></x:xmpmeta><?xpacket end="w"?>'
)


@dataclass(frozen=True)
class PhotoMetadata:
    """Attributes: exif (a TIFF structure), icc (a colour profile), xmp (a packet); each empty where there is none."""

    exif: bytes = b""
    icc: bytes = b""
    xmp: bytes = b""


def read_metadata(content: bytes) -> PhotoMetadata:
    """What a whole JPEG, PNG or WebP file in memory carries; damaged parts, and other formats, count as none."""
    for magic, read in ((b"\xff\xd8\xff", _from_jpeg), (_PNG_START, _from_png), (b"RIFF", _from_webp)):
        if content.startswith(magic):
            found: dict[str, bytes] = {}
            # What was found before a damage stays.
            with contextlib.suppress(struct.error, IndexError, zlib.error, ValueError):
                read(content, found)
            return PhotoMetadata(**found)
    return PhotoMetadata()


def upright_metadata(metadata: PhotoMetadata, width: int, height: int) -> PhotoMetadata:
    """The same for pixels that are upright 8-bit RGB of this size: orientation 1, size put right, no thumbnail.

    The thumbnail shows the old picture the old way round. A profile for grey or CMYK would be wrong for RGB.
    """
    exif = metadata.exif
    if exif:
        try:
            exif = upright_exif(exif, width, height)
        except ValueError:
            exif = b""
    icc = metadata.icc if metadata.icc[16:20] == b"RGB " else b""
    xmp = re.sub(rb"(tiff:Orientation\s*=\s*[\"'])\d+|(<tiff:Orientation>)\d+", rb"\g<1>\g<2>1", metadata.xmp)
    xmp = re.sub(rb"<xmp:Thumbnails>.*?</xmp:Thumbnails>", b"", xmp, flags=re.S)
    return PhotoMetadata(exif, icc, xmp)


def marked_synthetic(metadata: PhotoMetadata) -> PhotoMetadata:
    """The same with the IPTC source type "composite with trained algorithmic media", in place of any other."""
    xmp = metadata.xmp.replace(_PROPERTY, b"")
    xmp = re.sub(rb"\sIptc4xmpExt:DigitalSourceType\s*=\s*(\"[^\"]*\"|'[^']*')", b"", xmp)
    xmp = re.sub(
        rb"<Iptc4xmpExt:DigitalSourceType\b[^>]*?(/>|>.*?</Iptc4xmpExt:DigitalSourceType>)", b"", xmp, flags=re.S
    )
    head, end, tail = xmp.rpartition(b"</rdf:RDF>")
    packet = head + _PROPERTY + end + tail if end else _PACKET % _PROPERTY
    return PhotoMetadata(metadata.exif, metadata.icc, packet)


def embed_metadata(content: bytes, metadata: PhotoMetadata, comment: str) -> bytes:
    """Put metadata and a line of plain text into the bytes of a JPEG, PNG or WebP file, which has none so far.

    JPEG holds at most 64 KB of EXIF and of XMP: what is larger is left out, except that the mark stays.
    """
    for magic, write in ((b"\xff\xd8\xff", _into_jpeg), (_PNG_START, _into_png), (b"RIFF", _into_webp)):
        if content.startswith(magic):
            return write(content, metadata, comment.encode("latin-1", "replace"))
    raise UserError("metadata can be written into JPEG, PNG and WebP alone")


def is_signed(path: str | os.PathLike) -> bool:
    """Whether a file is a picture that predict wrote; False for what cannot be read."""
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):
            return False
        with open(path, "rb") as file:
            # PNG and JPEG have the text before the pixels, WebP behind them.
            head = file.read(_LOOKED_AT)
            file.seek(max(0, os.fstat(file.fileno()).st_size - _LOOKED_AT))
            return SIGN.encode() in head + file.read()
    except OSError:
        return False


def _from_jpeg(content: bytes, found: dict[str, bytes]) -> None:
    position, profile = 2, {}
    while content[position] == 0xFF and content[position + 1] != 0xDA:
        if content[position + 1] == 0xFF:  # fill byte
            position += 1
            continue
        marker = content[position + 1]
        if marker == 0x01 or 0xD0 <= marker <= 0xD8:  # no length follows
            position += 2
            continue
        (length,) = struct.unpack_from(">H", content, position + 2)
        body = content[position + 4 : position + 2 + length]
        if marker == 0xE1 and body.startswith(_EXIF):
            found.setdefault("exif", body[len(_EXIF) :])
        elif marker == 0xE1 and body.startswith(_XMP):
            found.setdefault("xmp", body[len(_XMP) :])
        elif marker == 0xE2 and body.startswith(_ICC):
            profile[body[len(_ICC)]] = body[len(_ICC) + 2 :]
        position += 2 + length
    found["icc"] = b"".join(profile[number] for number in sorted(profile))


def _from_png(content: bytes, found: dict[str, bytes]) -> None:
    position = len(_PNG_START)
    while position + 12 <= len(content):
        length, kind = struct.unpack_from(">I4s", content, position)
        body = content[position + 8 : position + 8 + length]
        if kind == b"eXIf":
            found.setdefault("exif", body)
        elif kind == b"iCCP":
            found.setdefault("icc", _inflated(body[body.index(b"\0") + 2 :]))
        elif kind == b"iTXt" and body.startswith(_PNG_XMP + b"\0"):
            compressed = body[len(_PNG_XMP) + 1]
            text = body[len(_PNG_XMP) + 3 :].split(b"\0", 2)[2]  # language and translated keyword come first
            found.setdefault("xmp", _inflated(text) if compressed else text)
        position += 12 + length


def _inflated(data: bytes) -> bytes:
    return zlib.decompressobj().decompress(data, _MAX_BYTES)


def _from_webp(content: bytes, found: dict[str, bytes]) -> None:
    for kind, body in _webp_chunks(content):
        if kind == b"EXIF":
            found.setdefault("exif", body.removeprefix(_EXIF))
        elif kind in (b"ICCP", b"XMP "):
            found.setdefault("icc" if kind == b"ICCP" else "xmp", body)


def _webp_chunks(content: bytes):
    position = 12
    while position + 8 <= len(content):
        kind, length = struct.unpack_from("<4sI", content, position)
        yield kind, content[position + 8 : position + 8 + length]
        position += 8 + length + length % 2


def _into_jpeg(content: bytes, metadata: PhotoMetadata, comment: bytes) -> bytes:
    segments = []
    if metadata.exif and len(_EXIF + metadata.exif) <= _SEGMENT:
        segments.append((0xE1, _EXIF + metadata.exif))
    xmp = metadata.xmp
    if len(_XMP + xmp) > _SEGMENT:
        xmp = _PACKET % _PROPERTY if SOURCE_TYPE.encode() in xmp else b""
    if xmp:
        segments.append((0xE1, _XMP + xmp))
    step = _SEGMENT - len(_ICC) - 2
    pieces = [metadata.icc[start : start + step] for start in range(0, len(metadata.icc), step)]
    if len(pieces) < 256:
        segments += [(0xE2, _ICC + bytes([i, len(pieces)]) + piece) for i, piece in enumerate(pieces, 1)]
    segments.append((0xFE, comment))
    # The JFIF header, which OpenCV writes first, has to stay first.
    start = 2
    if content[2:4] == b"\xff\xe0":
        start = 4 + struct.unpack_from(">H", content, 4)[0]
    made = b"".join(b"\xff" + bytes([marker]) + struct.pack(">H", len(body) + 2) + body for marker, body in segments)
    return content[:start] + made + content[start:]


def _into_png(content: bytes, metadata: PhotoMetadata, comment: bytes) -> bytes:
    chunks = [(b"tEXt", b"Comment\0" + comment)]
    if metadata.icc:
        chunks.append((b"iCCP", b"ICC profile\0\0" + zlib.compress(metadata.icc)))
    if metadata.exif:
        chunks.append((b"eXIf", metadata.exif))
    if metadata.xmp:
        chunks.append((b"iTXt", _PNG_XMP + b"\0\0\0\0\0" + metadata.xmp))
    made = b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body)) for kind, body in chunks
    )
    start = len(_PNG_START) + 25  # behind IHDR
    return content[:start] + made + content[start:]


def _into_webp(content: bytes, metadata: PhotoMetadata, comment: bytes) -> bytes:
    from rac_unet.faces.photo_header import read_photo_header

    header = read_photo_header(content)
    flags = (0x20 if metadata.icc else 0) | (0x08 if metadata.exif else 0) | (0x04 if metadata.xmp else 0)
    sides = (header.width - 1).to_bytes(3, "little") + (header.height - 1).to_bytes(3, "little")
    picture = [chunk for chunk in _webp_chunks(content) if chunk[0] in (b"VP8 ", b"VP8L")]
    chunks = [(b"VP8X", bytes([flags, 0, 0, 0]) + sides), (b"ICCP", metadata.icc), *picture]
    # WebP has no place for plain text; readers pass over chunks that they do not know.
    chunks += [(b"EXIF", metadata.exif), (b"XMP ", metadata.xmp), (b"TEXT", comment)]
    made = b"".join(
        kind + struct.pack("<I", len(body)) + body + b"\0" * (len(body) % 2) for kind, body in chunks if body
    )
    return b"RIFF" + struct.pack("<I", 4 + len(made)) + b"WEBP" + made
