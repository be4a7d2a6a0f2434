"""Photo metadata (EXIF, XMP, ICC): read, correct for a new file, and mark as synthetic.

The mark is IPTC's "digital source type" and a property of our own in the XMP, and one line of plain text where the
format allows it. The last two identify a picture that this package wrote.
"""

from __future__ import annotations

import re
import warnings
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL import Image

SOURCE_TYPE = "http://cv.iptc.org/newscodes/digitalsourcetype/compositeWithTrainedAlgorithmicMedia"
NAMESPACE = "urn:x-rac-unet:1.0:"
_ORIENTATION, _EXIF_IFD, _GPS_IFD = 0x0112, 0x8769, 0x8825
_WIDTHS, _HEIGHTS = {0: 0x0100, _EXIF_IFD: 0xA002}, {0: 0x0101, _EXIF_IFD: 0xA003}
# Kept from a TIFF file's directory: description, maker, model, software, time, author, rights. Its other tags
# describe how the pixels are stored.
_TIFF_TAGS = (0x010E, 0x010F, 0x0110, 0x0131, 0x0132, 0x013B, 0x8298)

_PACKET = (
    b'<?xpacket begin="\xef\xbb\xbf" id="W5M0MpCehiHzreSzNTczkc9d"?><x:xmpmeta xmlns:x="adobe:ns:meta/">'
    b'<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">%s</rdf:RDF></x:xmpmeta><?xpacket end="w"?>'
)
_OURS = re.compile(
    rb'<rdf:Description rdf:about="" xmlns:rac_unet="%s"[^>]*>.*?</rdf:Description>' % re.escape(NAMESPACE.encode()),
    re.DOTALL,
)
_MARK_TEXT = re.compile(r"synthetic: faces? painted by rac_unet( \S+)?|rac_unet: no face painted")


@dataclass(frozen=True)
class PhotoMetadata:
    """Metadata of a photo: exif (a TIFF structure), icc (a colour profile), xmp (a packet); each may be empty."""

    exif: bytes = b""
    icc: bytes = b""
    xmp: bytes = b""


def read_metadata(image: Image.Image) -> PhotoMetadata:
    """Read the metadata of an image opened by Pillow; damaged parts are returned empty."""
    icc = image.info.get("icc_profile")
    try:
        exif = _exif(image)
    # Pillow raises many kinds of exceptions over damaged EXIF data.
    except Exception:
        exif = b""
    return PhotoMetadata(exif, icc if isinstance(icc, bytes) else b"", _xmp(image))


def upright_metadata(metadata: PhotoMetadata, width: int, height: int) -> PhotoMetadata:
    """Return the metadata corrected for upright 8-bit RGB pixels of this size.

    Orientation becomes 1 and the size is corrected. The thumbnail is dropped, since it shows the original picture, not
    rotated, and so is a colour profile for grey or CMYK.
    """
    exif = metadata.exif
    if exif:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                exif = _upright_exif(exif, width, height)
        except Exception:
            exif = b""
    icc = metadata.icc if metadata.icc[16:20] == b"RGB " else b""
    xmp = re.sub(rb"(tiff:Orientation\s*=\s*[\"'])\d+|(<tiff:Orientation>)\d+", rb"\g<1>\g<2>1", metadata.xmp)
    xmp = re.sub(rb"<xmp:Thumbnails>.*?</xmp:Thumbnails>", b"", xmp, flags=re.S)
    return PhotoMetadata(exif, icc, xmp)


def marked(metadata: PhotoMetadata, synthetic: bool, version: str | None = None) -> tuple[PhotoMetadata, str]:
    """Return the metadata with the mark in its XMP, and the mark as a line of plain text.

    Args:
        synthetic: whether a face was painted; then the XMP gets the IPTC source type "composite with trained
            algorithmic media" instead of any other.
        version: version of this package.
    """
    text = "rac_unet: no face painted"
    source = b""
    xmp = _OURS.sub(b"", metadata.xmp)
    if synthetic:
        text = f"synthetic: face painted by rac_unet {version or ''}".strip()
        source = f"<Iptc4xmpExt:DigitalSourceType>{SOURCE_TYPE}</Iptc4xmpExt:DigitalSourceType>".encode()
        xmp = re.sub(rb"\sIptc4xmpExt:DigitalSourceType\s*=\s*(\"[^\"]*\"|'[^']*')", b"", xmp)
        xmp = re.sub(
            rb"<Iptc4xmpExt:DigitalSourceType\b[^>]*?(/>|>.*?</Iptc4xmpExt:DigitalSourceType>)", b"", xmp, flags=re.S
        )
    ours = (
        f'<rdf:Description rdf:about="" xmlns:rac_unet="{NAMESPACE}"'
        ' xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/">'
        f"<rac_unet:mark>{text}</rac_unet:mark>%s</rdf:Description>"
    ).encode() % source
    head, end, tail = xmp.rpartition(b"</rdf:RDF>")
    return replace(metadata, xmp=head + ours + end + tail if end else _PACKET % ours), text


def mark_alone(text: str) -> bytes:
    """Return an XMP packet with only the mark, for files whose format cannot hold the photo's own XMP."""
    return marked(PhotoMetadata(), text.startswith("synthetic"), text.partition("rac_unet ")[2])[0].xmp


def has_mark(image: Image.Image) -> bool:
    """Return whether an image opened by Pillow has the mark, in its comment or as the property in its XMP."""
    comments = [body for name, body in getattr(image, "applist", ()) if name == "COM"]
    return any(map(is_mark, [*comments, image.info.get("Comment")])) or _xmp_has_mark(_xmp(image))


def is_mark(text: str | bytes | None) -> bool:
    """Return whether a comment is the mark of a picture or clip that this package wrote."""
    if isinstance(text, bytes):
        text = text.decode("latin-1")
    return isinstance(text, str) and _MARK_TEXT.fullmatch(text) is not None


def _xmp(image: Image.Image) -> bytes:
    xmp = image.info.get("xmp") or image.info.get("XML:com.adobe.xmp") or b""
    return xmp.encode() if isinstance(xmp, str) else xmp if isinstance(xmp, bytes) else b""


def _xmp_has_mark(xmp: bytes) -> bool:
    if NAMESPACE.encode() not in xmp:
        return False
    from xml.etree import ElementTree

    try:
        root = ElementTree.fromstring(xmp.strip(b"\0 \r\n"))
    except ElementTree.ParseError:
        return False
    return any(is_mark(found.text) for found in root.iter(f"{{{NAMESPACE}}}mark"))


def _exif(image: Image.Image) -> bytes:
    exif = image.info.get("exif")
    if exif is None and "Raw profile type exif" in image.info:
        exif = image.getexif().tobytes()
    elif exif is None and hasattr(image, "tag_v2"):
        exif = _tiff_exif(image)
    return re.sub(rb"^(Exif\0\0)+", b"", exif or b"")


def _tiff_exif(image: Image.Image) -> bytes:
    from PIL import Image

    found, chosen = image.getexif(), Image.Exif()
    for tag in _TIFF_TAGS:
        if tag in found:
            chosen[tag] = found[tag]
    for tag in (_EXIF_IFD, _GPS_IFD):
        if ifd := found.get_ifd(tag):
            chosen[tag] = ifd
    return chosen.tobytes() if len(chosen) else b""


def _upright_exif(exif: bytes, width: int, height: int) -> bytes:
    from PIL import Image

    found, thumbnail = Image.Exif(), Image.Exif()
    found.load(exif)
    thumbnail.load(exif)
    details = dict(found.get_ifd(_EXIF_IFD)) if _EXIF_IFD in found else {}
    changed = bool(thumbnail.get_ifd(Image.ExifTags.IFD.IFD1))
    for tags, where in ((found, 0), (details, _EXIF_IFD)):
        for tag, value in ((_WIDTHS[where], width), (_HEIGHTS[where], height)):
            if tag in tags and tags[tag] != value:
                tags[tag] = value
                changed = True
    if found.get(_ORIENTATION, 1) != 1:
        found[_ORIENTATION] = 1
        changed = True
    # Rewriting moves everything in it, which breaks maker notes that contain absolute offsets.
    if not changed:
        return exif
    if details:
        found[_EXIF_IFD] = details
    return found.tobytes().removeprefix(b"Exif\0\0")
