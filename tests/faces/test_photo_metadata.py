"""Metadata come through from one file format to another, put right, with the mark; read back by Pillow where it is."""

import io
import struct

import cv2
import numpy as np
import pytest

from rac_unet.errors import UserError
from rac_unet.faces.photo_files import decode_photo
from rac_unet.faces.photo_metadata import (
    SOURCE_TYPE,
    PhotoMetadata,
    embed_metadata,
    marked_synthetic,
    read_metadata,
    upright_metadata,
)  # fmt: skip

XMP = (
    b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    b'<rdf:Description rdf:about="" xmlns:dc="http://purl.org/dc/elements/1.1/" tiff:Orientation="6" '
    b'Iptc4xmpExt:DigitalSourceType="http://cv.iptc.org/newscodes/digitalsourcetype/digitalCapture">'
    b"<dc:rights>Ann</dc:rights></rdf:Description></rdf:RDF></x:xmpmeta>"
)
PROFILE = struct.pack(">I", 200) + b"lcms\x04\0\0\0mntrRGB XYZ " + bytes(176)


def encoded(kind, picture=None):
    picture = np.full((6, 9, 3), 90, np.uint8) if picture is None else picture
    return cv2.imencode({"jpeg": ".jpg"}.get(kind, f".{kind}"), picture)[1].tobytes()


def exif(orientation=6, thumbnail=b"\xff\xd8thumbnail\xff\xd9"):
    """A little TIFF structure: maker, orientation, a picture size in the Exif directory, and a thumbnail."""
    first = struct.pack("<H", 3)
    first += struct.pack("<HHII", 0x010F, 2, 4, int.from_bytes(b"Ann\0", "little"))
    first += struct.pack("<HHIHH", 0x0112, 3, 1, orientation, 0)
    details_at = 8 + len(first) + 12 + 4
    first += struct.pack("<HHII", 0x8769, 4, 1, details_at)
    details = struct.pack("<HHHIIHHIHHI", 2, 0xA002, 4, 1, 4000, 0xA003, 3, 1, 3000, 0, 0)
    second_at = details_at + len(details)
    second = struct.pack("<HHHIIHHIII", 2, 0x0201, 4, 1, second_at + 30, 0x0202, 4, 1, len(thumbnail), 0)
    return b"II*\0" + struct.pack("<I", 8) + first + struct.pack("<I", second_at) + details + second + thumbnail


@pytest.mark.parametrize("source", ["jpeg", "png", "webp"])
@pytest.mark.parametrize("target", ["jpeg", "png", "webp"])
def test_everything_goes_from_one_format_to_another(source, target):
    before = PhotoMetadata(exif(), PROFILE * 400, XMP)
    photo = embed_metadata(encoded(source), before, "hello")
    assert read_metadata(photo) == before
    result = embed_metadata(encoded(target), read_metadata(photo), "hello again")
    assert read_metadata(result) == before and b"hello again" in result
    assert (decode_photo(embed_metadata(encoded(target), PhotoMetadata(), "x")) == decode_photo(encoded(target))).all()


@pytest.mark.parametrize("kind", ["jpeg", "png", "webp"])
def test_another_program_reads_them(kind):
    pil = pytest.importorskip("PIL.Image")
    metadata = marked_synthetic(upright_metadata(PhotoMetadata(exif(), PROFILE, XMP), 9, 6))
    image = pil.open(io.BytesIO(embed_metadata(encoded(kind), metadata, "synthetic: face painted")))
    image.load()
    assert image.info["icc_profile"] == PROFILE
    assert dict(image.getexif())[0x0112] == 1 and image.getexif()[0x010F] == "Ann"
    assert image.getexif().get_ifd(0x8769) == {0xA002: 9, 0xA003: 6}
    assert image.getexif().get_ifd(pil.ExifTags.IFD.IFD1) == {} if hasattr(pil, "ExifTags") else True
    xmp = image.info.get("xmp") or image.info.get("XML:com.adobe.xmp")
    xmp = xmp.encode() if isinstance(xmp, str) else xmp
    assert SOURCE_TYPE.encode() in xmp and b"<dc:rights>Ann" in xmp
    if kind == "jpeg":
        assert image.info["comment"] == b"synthetic: face painted"
    elif kind == "png":
        assert image.text["Comment"] == "synthetic: face painted"


def test_upright_pixels_have_orientation_1_their_own_size_and_no_thumbnail():
    found = upright_metadata(PhotoMetadata(exif(6), PROFILE, XMP), 70_000, 2)
    assert b"thumbnail" not in found.exif and b"Ann" in found.exif and len(found.exif) == len(exif(thumbnail=b""))
    behind = exif() + b"notes"
    assert len(upright_metadata(PhotoMetadata(behind), 1, 1).exif) == len(behind), "what lies behind it stays there"
    assert b'tiff:Orientation="1"' in found.xmp
    assert found.exif.count(struct.pack("<HHII", 0xA002, 4, 1, 70_000)) == 1
    assert found.exif.count(struct.pack("<HHIHH", 0x0112, 3, 1, 1, 0)) == 1
    assert upright_metadata(PhotoMetadata(exif(1)), 4000, 3000).exif.count(b"Ann") == 1


def test_a_profile_for_other_colours_is_dropped():
    assert upright_metadata(PhotoMetadata(icc=PROFILE.replace(b"RGB ", b"CMYK")), 1, 1).icc == b""
    assert upright_metadata(PhotoMetadata(icc=PROFILE), 1, 1).icc == PROFILE


def test_the_mark_takes_the_place_of_another_source_type():
    marked = marked_synthetic(PhotoMetadata(xmp=XMP)).xmp
    assert marked.count(b"DigitalSourceType>") == 2 and b"digitalCapture" not in marked and b"Ann" in marked
    assert marked_synthetic(PhotoMetadata(xmp=marked)).xmp == marked
    for nothing in (b"", b"not XML at all", "<rdf:RDF/>".encode("utf-16")):
        assert marked_synthetic(PhotoMetadata(xmp=nothing)).xmp.count(SOURCE_TYPE.encode()) == 1


def test_a_jpeg_leaves_out_what_it_cannot_hold_but_never_the_mark():
    large = marked_synthetic(PhotoMetadata(exif() + bytes(70_000), b"", XMP.replace(b"Ann", b"A" * 70_000)))
    found = read_metadata(embed_metadata(encoded("jpeg"), large, "x"))
    assert found.exif == b"" and SOURCE_TYPE.encode() in found.xmp and len(found.xmp) < 1000


def test_damaged_files_and_metadata_give_what_is_whole_and_never_an_error():
    rng = np.random.default_rng(0)
    for kind in ("jpeg", "png", "webp"):
        photo = bytearray(embed_metadata(encoded(kind), PhotoMetadata(exif(), PROFILE, XMP), "x"))
        for _ in range(150):
            broken = photo[: rng.integers(4, len(photo))] if rng.random() < 0.3 else bytearray(photo)
            for place in rng.integers(3, len(broken), 8):
                broken[place] = rng.integers(256)
            found = marked_synthetic(upright_metadata(read_metadata(bytes(broken)), 9, 6))
            assert SOURCE_TYPE.encode() in read_metadata(embed_metadata(encoded(kind), found, "x")).xmp
    assert read_metadata(b"GIF89a....") == PhotoMetadata()


def test_other_formats_are_refused():
    with pytest.raises(UserError, match="JPEG, PNG and WebP"):
        embed_metadata(encoded("bmp"), PhotoMetadata(), "x")
