"""Metadata are copied between file formats, corrected and marked; results are read back with Pillow."""

import io
import struct

import numpy as np
import pytest
from PIL import Image, features

from rac_unet.photos.metadata import SOURCE_TYPE, PhotoMetadata, marked, upright_metadata
from rac_unet.photos.reading import decode_photo
from rac_unet.photos.writing import is_signed
from rac_unet.unmasking.output import encode_result

XMP = (
    b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    b'<rdf:Description rdf:about="" xmlns:dc="http://purl.org/dc/elements/1.1/"'
    b' xmlns:tiff="http://ns.adobe.com/tiff/1.0/" xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/"'
    b' tiff:Orientation="6" '
    b'Iptc4xmpExt:DigitalSourceType="http://cv.iptc.org/newscodes/digitalsourcetype/digitalCapture">'
    b"<dc:rights>Ann</dc:rights></rdf:Description></rdf:RDF></x:xmpmeta>"
)
PROFILE = struct.pack(">I", 200) + b"lcms\x04\0\0\0mntrRGB XYZ " + bytes(176)
PICTURE = np.full((6, 9, 3), 90, np.uint8)
PICTURE[0, 0] = 200, 20, 20
KINDS = ["jpeg", "png", "webp"]


def exif(orientation=6, thumbnail=b"\xff\xd8thumbnail\xff\xd9", width=4000):
    """A small TIFF structure: maker, orientation, a picture size in the Exif directory, and a thumbnail."""
    first = struct.pack("<H", 3)
    first += struct.pack("<HHII", 0x010F, 2, 4, int.from_bytes(b"Ann\0", "little"))
    first += struct.pack("<HHIHH", 0x0112, 3, 1, orientation, 0)
    details_at = 8 + len(first) + 12 + 4
    first += struct.pack("<HHII", 0x8769, 4, 1, details_at)
    details = struct.pack("<HHHIIHHIHHI", 2, 0xA002, 4, 1, width, 0xA003, 3, 1, 3000, 0, 0)
    second_at = details_at + len(details)
    second = struct.pack("<HHHIIHHIII", 2, 0x0201, 4, 1, second_at + 30, 0x0202, 4, 1, len(thumbnail), 0)
    head = b"II*\0" + struct.pack("<I", 8) + first + struct.pack("<I", second_at if thumbnail else 0) + details
    return head + (second + thumbnail if thumbnail else b"")


def opened(content):
    image = Image.open(io.BytesIO(content))
    image.load()
    return image


def xmp_of(image):
    found = image.info.get("xmp") or image.info.get("XML:com.adobe.xmp") or b""
    return found.encode() if isinstance(found, str) else found


@pytest.mark.parametrize(
    "source",
    [
        *KINDS,
        "tiff",
        pytest.param("avif", marks=pytest.mark.skipif(not features.check("avif"), reason="this Pillow writes no AVIF")),
    ],
)
@pytest.mark.parametrize("target", KINDS)
def test_everything_goes_from_one_format_to_another(source, target):
    stream, options = io.BytesIO(), {"exif": b"Exif\0\0" + exif(), "icc_profile": PROFILE, "xmp": XMP}
    if source == "png":
        from PIL.PngImagePlugin import PngInfo

        info = PngInfo()
        info.add_itxt("XML:com.adobe.xmp", options.pop("xmp").decode())
        options["pnginfo"] = info
    elif source == "tiff":
        tags = Image.Exif()
        tags[0x010F], tags[0x0112], tags[700] = "Ann", 6, XMP
        options = {"exif": tags, "icc_profile": PROFILE}
    Image.fromarray(PICTURE).save(stream, source, **options)
    photo = decode_photo(stream.getvalue())
    assert photo.pixels.shape == (9, 6, 3)
    result = opened(encode_result(photo.pixels, target, photo.metadata, True))
    assert result.size == (6, 9) and np.abs(np.asarray(result.convert("RGB")).astype(int) - photo.pixels).mean() < 5
    found = result.getexif()
    assert found[0x010F] == "Ann" and found.get(0x0112, 1) == 1
    if source != "tiff":
        assert found.get_ifd(0x8769) == {0xA002: 6, 0xA003: 9}
    assert b"thumbnail" not in result.info["exif"] and result.info["icc_profile"] == PROFILE
    assert b"<dc:rights>Ann" in xmp_of(result) and SOURCE_TYPE.encode() in xmp_of(result)
    assert b'tiff:Orientation="6"' not in xmp_of(result)


@pytest.mark.parametrize("kind", KINDS)
def test_the_line_of_plain_text(kind):
    image = opened(encode_result(PICTURE, kind, PhotoMetadata(), True))
    said = {"jpeg": image.info.get("comment", b"").decode(), "png": image.info.get("Comment")}.get(kind)
    assert kind == "webp" or said.startswith("synthetic: face painted by rac_unet")


def test_exif_data_that_need_no_change_keep_their_bytes():
    """Maker notes can contain absolute offsets, which a rewrite would break."""
    upright = exif(1, thumbnail=b"", width=9) + b"notes"
    assert upright_metadata(PhotoMetadata(upright), 9, 3000).exif == upright
    assert upright_metadata(PhotoMetadata(upright), 8, 3000).exif != upright


def test_upright_pixels_have_orientation_1_their_own_size_and_no_thumbnail():
    for before in (exif(6), exif(1), exif(3, thumbnail=b"")):
        found = Image.Exif()
        found.load(upright_metadata(PhotoMetadata(before), 70_000, 2).exif)
        assert found[0x010F] == "Ann" and found[0x0112] == 1
        assert found.get_ifd(0x8769) == {0xA002: 70_000, 0xA003: 2}
        assert not found.get_ifd(Image.ExifTags.IFD.IFD1)


def test_a_profile_for_other_colours_is_dropped():
    assert upright_metadata(PhotoMetadata(icc=PROFILE.replace(b"RGB ", b"CMYK")), 1, 1).icc == b""
    assert upright_metadata(PhotoMetadata(icc=PROFILE), 1, 1).icc == PROFILE


def test_the_mark_replaces_another_source_type():
    metadata, said = marked(PhotoMetadata(xmp=XMP), True, "1.2")
    assert said == "synthetic: face painted by rac_unet 1.2"
    assert metadata.xmp.count(b"DigitalSourceType>") == 2 and b"digitalCapture" not in metadata.xmp
    assert b"Ann" in metadata.xmp and marked(metadata, True, "1.2")[0] == metadata
    untouched, _ = marked(PhotoMetadata(xmp=XMP), False)
    assert b"digitalCapture" in untouched.xmp and SOURCE_TYPE.encode() not in untouched.xmp
    for nothing in (b"", b"not XML at all", "<rdf:RDF/>".encode("utf-16")):
        assert marked(PhotoMetadata(xmp=nothing), True)[0].xmp.count(SOURCE_TYPE.encode()) == 1


def test_a_jpeg_leaves_out_what_it_cannot_hold_but_never_the_mark(tmp_path):
    large = PhotoMetadata(exif(1, b"", 9) + bytes(70_000), b"", XMP.replace(b"Ann", b"A" * 70_000))
    (tmp_path / "a.jpg").write_bytes(encode_result(PICTURE, "jpeg", large, True))
    found = opened((tmp_path / "a.jpg").read_bytes())
    assert len(found.info.get("exif", b"")) < 70_000 and is_signed(tmp_path / "a.jpg")
    assert SOURCE_TYPE.encode() in xmp_of(found) and len(xmp_of(found)) < 1000


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("synthetic", [True, False])
def test_written_pictures_are_recognised_by_their_mark(tmp_path, kind, synthetic):
    content = encode_result(PICTURE, kind, PhotoMetadata(xmp=XMP), synthetic)
    (tmp_path / "a").write_bytes(content)
    assert is_signed(tmp_path / "a")
    stream = io.BytesIO()
    opened(content).save(stream, kind, xmp=xmp_of(opened(content)))
    (tmp_path / "b").write_bytes(stream.getvalue())
    assert is_signed(tmp_path / "b") or kind == "png", "written again by another program that keeps its XMP"


def files_mentioning_the_mark(kind):
    """Pictures of other programs that contain this package's name or the text of the mark."""
    line = "synthetic: face painted by rac_unet 0.1.0"
    xmp = XMP.replace(b"Ann", b"urn:x-rac-unet:1.0: synthetic: face painted by rac_unet")
    for text in ("my figure for the rac_unet paper", f"compare with '{line}'", f"{line}\nand more", f"not {line}"):
        options = {"comment": text, "xmp": xmp}
        if kind == "png":
            from PIL.PngImagePlugin import PngInfo

            options = {"pnginfo": PngInfo()}
            options["pnginfo"].add_text("Comment", text)
            options["pnginfo"].add_text("Description", line)
            options["pnginfo"].add_itxt("XML:com.adobe.xmp", xmp.decode())
        stream = io.BytesIO()
        Image.fromarray(PICTURE).save(stream, kind, **options)
        yield stream.getvalue()
        # After the end, where it is not part of the picture.
        yield stream.getvalue() + line.encode()


@pytest.mark.parametrize("kind", [*KINDS, "gif"])
def test_a_file_that_only_mentions_rac_unet_is_not_recognised(tmp_path, kind):
    for number, content in enumerate(files_mentioning_the_mark(kind)):
        (tmp_path / f"{number}").write_bytes(content)
        assert not is_signed(tmp_path / f"{number}"), number
    (tmp_path / "notes.txt").write_text("synthetic: face painted by rac_unet 0.1.0")
    assert not is_signed(tmp_path / "notes.txt") and not is_signed(tmp_path) and not is_signed(tmp_path / "gone")


@pytest.mark.parametrize("kind", KINDS)
def test_damaged_files_and_metadata_never_cause_another_error(tmp_path, kind):
    rng = np.random.default_rng(0)
    from rac_unet.photos.reading import UnreadablePhoto

    photo = encode_result(PICTURE, kind, PhotoMetadata(exif(), PROFILE, XMP), True)
    read = 0
    for _ in range(60):
        broken = bytearray(photo[: rng.integers(4, len(photo))] if rng.random() < 0.3 else photo)
        for place in rng.integers(3, len(broken), 8):
            broken[place] = rng.integers(256)
        (tmp_path / "broken").write_bytes(broken)
        is_signed(tmp_path / "broken")
        try:
            found = decode_photo(bytes(broken))
        except UnreadablePhoto:
            continue
        read += 1
        assert SOURCE_TYPE.encode() in xmp_of(opened(encode_result(found.pixels, kind, found.metadata, True)))
    assert read or kind != "jpeg"
