"""Photo files of every format are read as the same upright 8-bit RGB picture, or refused with a reason."""

import io
import struct
import sys
import zlib

import cv2
import numpy as np
import pytest
from PIL import Image, ImageCms, ImageFile, features
from PIL.PngImagePlugin import PngInfo

from rac_unet.photos import reading
from rac_unet.photos.metadata import upright_metadata
from rac_unet.photos.reading import UnreadablePhoto, decode_photo, read_photo

needs_avif = pytest.mark.skipif(not features.check("avif"), reason="this Pillow reads no AVIF")


@pytest.fixture(scope="module")
def picture():
    """(48, 80, 3) smooth RGB that changes under every rotation, flip and channel swap."""
    y, x = np.mgrid[:48, :80]
    return np.stack([3 * x, 5 * y, 255 - 2 * x - y], axis=-1).clip(0, 255).astype(np.uint8)


def in_mode(picture, mode):
    """A Pillow image of that mode; deep modes are grey over their full range, `I` over 0..65535."""
    image = Image.fromarray(picture)
    if mode == "LAB":
        profiles = ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB")
        return ImageCms.profileToProfile(image, *profiles, outputMode="LAB")
    if mode in ("I", "I;16", "F"):
        grey = np.asarray(image.convert("L"))
        return Image.fromarray(grey.astype({"I": np.int32, "I;16": np.uint16, "F": np.float32}[mode]) * 257)
    return image.convert(mode)


def saved(picture, kind, mode="RGB", **options):
    stream = io.BytesIO()
    in_mode(picture, mode).save(stream, kind, **options)
    return stream.getvalue()


def encoded(image, extension):
    return cv2.imencode(extension, image)[1].tobytes()


def error(content):
    with pytest.raises(UnreadablePhoto) as caught:
        decode_photo(content)
    return str(caught.value)


@pytest.mark.parametrize(
    ("kind", "mode", "options", "tolerance"),
    [
        ("JPEG", "RGB", {"quality": 95}, 3),
        ("JPEG", "RGB", {"quality": 95, "progressive": True}, 3),
        ("JPEG", "CMYK", {"quality": 95}, 4),
        ("JPEG", "YCbCr", {"quality": 95}, 4),
        ("MPO", "RGB", {"quality": 95}, 3),
        ("PNG", "RGB", {}, 0),
        ("PNG", "P", {}, 30),
        ("GIF", "RGB", {}, 30),
        ("WEBP", "RGB", {"quality": 95}, 6),
        ("WEBP", "RGB", {"lossless": True}, 0),
        ("BMP", "RGB", {}, 0),
        ("BMP", "P", {}, 30),
        ("TIFF", "RGB", {}, 0),
        ("TIFF", "RGB", {"compression": "tiff_lzw"}, 0),
        ("TIFF", "CMYK", {}, 1),
        ("TIFF", "LAB", {}, 4),
        ("TIFF", "P", {}, 30),
        ("JPEG2000", "RGB", {}, 1),
        ("PPM", "RGB", {}, 0),
        ("TGA", "RGB", {}, 0),
        ("PCX", "RGB", {}, 0),
        ("SGI", "RGB", {}, 0),
        pytest.param("AVIF", "RGB", {"quality": 95}, 6, marks=needs_avif),
    ],
)
def test_common_formats(picture, kind, mode, options, tolerance):
    image = decode_photo(saved(picture, kind, mode, **options)).pixels
    assert image.dtype == np.uint8 and image.flags.c_contiguous
    assert np.abs(image.astype(int) - picture).mean() <= tolerance


@pytest.mark.parametrize(
    ("kind", "mode", "tolerance"),
    [("PNG", "L", 0), ("TIFF", "L", 0), ("PNG", "I;16", 0), ("TIFF", "I;16", 0), ("PPM", "I", 0), ("JPEG", "L", 2)],
)
def test_grey(picture, kind, mode, tolerance):
    grey = np.asarray(Image.fromarray(picture).convert("L"))
    image = decode_photo(saved(picture, kind, mode)).pixels
    assert np.abs(image.astype(int) - grey[..., None]).max() <= tolerance


@pytest.mark.parametrize("mode", ["I", "F"])
def test_32_bit_and_float_grey_is_scaled_from_its_minimum_to_its_maximum(picture, mode):
    grey = np.asarray(Image.fromarray(picture).convert("L")).astype(float)
    expected = (grey - grey.min()) * 255 / (grey.max() - grey.min())
    image = decode_photo(saved(picture, "TIFF", mode)).pixels
    assert np.abs(image - expected[..., None]).max() <= 0.51


def test_float_grey_with_values_that_are_not_finite():
    values = np.array([[0, 0.5, 1, np.nan, np.inf, -np.inf]], np.float32)
    stream = io.BytesIO()
    Image.fromarray(values).save(stream, "TIFF")
    assert decode_photo(stream.getvalue()).pixels[0, :, 0].tolist() == [0, 128, 255, 0, 0, 0]


def test_one_bit_and_16_bit_colour(picture):
    bits = np.asarray(Image.fromarray(picture).convert("1"))
    assert (decode_photo(saved(picture, "PNG", "1")).pixels == 255 * bits[..., None]).all()
    assert (decode_photo(saved(picture, "TIFF", "1", compression="group4")).pixels == 255 * bits[..., None]).all()
    deep = picture[..., ::-1].astype(np.uint16) * 257
    for extension in (".png", ".tiff"):
        assert np.abs(decode_photo(encoded(deep, extension)).pixels.astype(int) - picture).max() <= 1


@pytest.mark.parametrize("depth", [8, 16])
def test_transparent_pixels_are_composited_on_white_and_kept(picture, depth):
    alpha = np.full((48, 80, 1), 255, np.uint8)
    alpha[:10], alpha[10:20] = 0, 51
    image = np.concatenate([picture[..., ::-1], alpha], axis=-1)
    if depth == 16:
        image = image.astype(np.uint16) * 257
    found = decode_photo(encoded(image, ".png"))
    assert (found.pixels[:10] == 255).all()
    assert np.abs(found.pixels[10:20] - (0.2 * picture[10:20] + 0.8 * 255)).max() <= 1
    assert (found.pixels[20:] == picture[20:]).all()
    assert (found.rgba == np.concatenate([picture, alpha], axis=-1)).all()
    image[..., 3] = np.iinfo(image.dtype).max
    assert decode_photo(encoded(image, ".png")).rgba is None, "opaque"


@pytest.mark.parametrize(("kind", "mode"), [("PNG", "LA"), ("WEBP", "RGBA"), ("TIFF", "RGBA"), ("GIF", "RGBA")])
def test_every_kind_of_transparency(picture, kind, mode):
    image = Image.fromarray(picture).convert(mode)
    image.putalpha(Image.fromarray(np.where(np.arange(80) < 40, 0, 255).astype(np.uint8)[None].repeat(48, 0)))
    stream = io.BytesIO()
    image.save(stream, kind)
    found = decode_photo(stream.getvalue())
    assert (found.rgba[..., 3] == np.where(np.arange(80) < 40, 0, 255)).all()
    assert (found.pixels[:, :40] == 255).all() and found.pixels[:, 40:].mean() < 200


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG", "TIFF", pytest.param("AVIF", marks=needs_avif)])
def test_the_first_frame_of_an_animation_is_used(picture, kind):
    others = [Image.new("RGB", (80, 48), colour) for colour in ("black", "red")]
    found = decode_photo(saved(picture, kind, save_all=True, append_images=others))
    assert np.abs(found.pixels.astype(int) - picture).mean() < 30
    assert found.frames == 3 and decode_photo(saved(picture, kind)).frames == 1


def test_the_second_picture_of_a_camera_file_does_not_count_as_a_frame(picture):
    assert decode_photo(saved(picture, "MPO", save_all=True, append_images=[Image.new("RGB", (8, 8))])).frames == 1


def exif_of(orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    return exif


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize(
    ("kind", "mode"),
    [
        ("JPEG", "RGB"),
        ("PNG", "RGB"),
        ("PNG", "RGBA"),
        ("WEBP", "RGB"),
        ("WEBP", "RGBA"),
        ("TIFF", "RGB"),
        ("TIFF", "L"),
        pytest.param("AVIF", "RGB", marks=needs_avif),
    ],
)
def test_exif_orientation_is_applied(picture, kind, mode, orientation):
    image = Image.fromarray(picture).convert(mode)
    if mode == "RGBA":
        image.putalpha(200)
    stream = io.BytesIO()
    image.save(stream, kind, exif=exif_of(orientation), **({"lossless": True} if kind == "WEBP" else {}))
    on_white = np.asarray(image.convert("RGBA"), float)
    on_white = on_white[..., :3] * on_white[..., 3:] / 255 + 255 - on_white[..., 3:]
    # From the definition in EXIF: the places of the file's first row and column in the upright picture.
    turns = {
        1: lambda a: a,
        2: lambda a: a[:, ::-1],
        3: lambda a: a[::-1, ::-1],
        4: lambda a: a[::-1],
        5: lambda a: a.swapaxes(0, 1),
        6: lambda a: a[::-1].swapaxes(0, 1),
        7: lambda a: a[::-1, ::-1].swapaxes(0, 1),
        8: lambda a: a[:, ::-1].swapaxes(0, 1),
    }
    expected = turns[orientation](on_white)
    found = decode_photo(stream.getvalue()).pixels
    assert found.shape == expected.shape
    assert np.abs(found - expected).mean() < 2


def with_chunk(webp, body):
    """A WebP file whose EXIF chunk, the last one, is replaced."""
    head = webp[: webp.rindex(b"EXIF")] + b"EXIF" + struct.pack("<I", len(body)) + body + b"\0" * (len(body) % 2)
    return head[:4] + struct.pack("<I", len(head) - 8) + head[8:]


@pytest.mark.parametrize("times", [0, 1])
def test_the_orientation_is_read_with_or_without_the_exif_prefix(picture, times):
    """`Exif\\0\\0` belongs to JPEG only, but several encoders write it into WebP and PNG."""
    exif = b"Exif\0\0" * times + exif_of(6).tobytes().removeprefix(b"Exif\0\0")
    webp = with_chunk(saved(picture, "WEBP", lossless=True, exif=exif_of(6)), exif)
    png = saved(picture, "PNG")
    chunk = b"eXIf" + exif
    png = png[:33] + struct.pack(">I", len(exif)) + chunk + struct.pack(">I", zlib.crc32(chunk)) + png[33:]
    for content in (webp, png):
        assert (decode_photo(content).pixels == picture[::-1].swapaxes(0, 1)).all()


def test_the_orientation_is_read_from_imagemagicks_profile(picture):
    """Before PNG had an EXIF chunk, EXIF data were written as hexadecimal text."""
    exif = exif_of(6).tobytes()
    info = PngInfo()
    info.add_text("Raw profile type exif", f"\nexif\n{len(exif):8}\n{exif.hex()}\n", zip=True)
    found = decode_photo(saved(picture, "PNG", pnginfo=info))
    assert (found.pixels == picture[::-1].swapaxes(0, 1)).all()
    assert found.metadata.exif and upright_metadata(found.metadata, 48, 80).exif


def png_chunk(name, body, checksum=None):
    checksum = zlib.crc32(name + body) if checksum is None else checksum
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", checksum)


@pytest.mark.parametrize(
    "remark",
    [
        png_chunk(b"tEXt", b"Comment\0x", checksum=1),
        png_chunk(b"zTXt", b"Comment\0\0" + zlib.compress(bytes(3_000_000))),
        png_chunk(b"iCCP", b"profile\0\0" + zlib.compress(bytes(3_000_000))),
        png_chunk(b"iCCP", b"profile\0\0not compressed"),
    ],
    ids=["checksum", "long text", "long profile", "broken profile"],
)
def test_a_png_with_a_damaged_or_long_text_chunk_is_read(picture, remark):
    content = saved(picture, "PNG", exif=exif_of(6))
    found = decode_photo(content[:33] + remark + content[33:]).pixels
    assert (found == picture[::-1].swapaxes(0, 1)).all()


@pytest.mark.parametrize(
    "exif", [b"", b"II*\0", b"II*\0\xff\xff\xff\xff", b"no exif at all", exif_of(9).tobytes(), exif_of(0).tobytes()]
)
def test_a_photo_with_damaged_exif_data_is_read(picture, exif):
    for kind in ("PNG", "WEBP", "JPEG"):
        prefix = b"Exif\0\0" if kind == "JPEG" else b""
        found = decode_photo(saved(picture, kind, exif=prefix + exif.removeprefix(b"Exif\0\0"))).pixels
        assert found.shape == picture.shape


PHONE = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic"


def test_files_that_are_not_photos_are_refused_with_a_reason(tmp_path, picture):
    assert error(b"") == "file is empty"
    for content in (
        b"path,emotion\nphoto.jpg,anger\n",
        b"RIFF\x10\0\0\0WAVEfmt and sound",
        b"%PDF-1.4 x",
        b"%!PS-Adobe",
    ):
        assert "not an image" in error(content) and "JPEG" in error(content)
    assert "JPEG XL" in error(b"\0\0\0\x0cJXL \r\n\x87\n" + bytes(30))
    assert "raw photo" in error(b"\0\0\0\x18ftypcrx \0\0\0\1crx isom")
    with pytest.raises(UnreadablePhoto, match="missing"):
        read_photo(tmp_path / "nowhere.jpg")
    with pytest.raises(UnreadablePhoto, match="not a regular file"):
        read_photo(tmp_path)


VIDEOS = {
    "MP4": b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom" + bytes(50),
    "MP4 or MOV": b"\0\0\0\x14ftypqt  \0\0\0\0qt  " + bytes(50),
    "MOV": b"\0\0\0\x08wide\0\0\0\x10mdat" + bytes(50),
    "Matroska": b"\x1aE\xdf\xa3\x93B\x82\x88matroska" + bytes(50),
    "WebM": b"\x1aE\xdf\xa3\x9fB\x82\x84webm" + bytes(50),
    "AVI": b"RIFF\x10\x10\0\0AVI LIST" + bytes(50),
    "WMV": b"\x30\x26\xb2\x75\x8e\x66\xcf\x11\xa6\xd9\0\xaa\0\x62\xce\x6c" + bytes(50),
    "FLV": b"FLV\1\5\0\0\0\x09" + bytes(50),
    "MPEG": b"\0\0\1\xba\x44" + bytes(50),
    "transport stream": (b"G" + bytes(187)) * 3,
}


@pytest.mark.parametrize("name", VIDEOS)
def test_a_video_is_refused_as_a_video(name, tmp_path):
    said = error(VIDEOS[name])
    assert "video" in said and "not read" in said and name in said
    # With any name and of any size: only its first bytes are read.
    with (tmp_path / "clip.jpg").open("wb") as file:
        file.write(VIDEOS[name])
        file.truncate(3 * reading._MAX_FILE_BYTES)
    with pytest.raises(UnreadablePhoto, match="video"):
        read_photo(tmp_path / "clip.jpg")


def test_an_image_in_a_video_container_is_an_image(picture):
    """HEIC and AVIF use the same container; a file whose major brand is mif1 is identified by its other brands."""
    assert "AVIF" in error(b"\0\0\0\x18ftypmif1\0\0\0\0mif1avif" + bytes(40))
    assert "video" not in error(PHONE)


def test_without_pillow_heif_the_refusal_of_a_heic_photo_names_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    said = error(PHONE)
    assert "HEIC" in said and "pip install 'rac_unet[heif]'" in said


def test_with_pillow_heif_it_is_read(picture):
    heif = pytest.importorskip("pillow_heif")
    heif.register_heif_opener()
    # In this format a separate box holds the rotation, which the library applies; the EXIF data only repeat it.
    found = decode_photo(saved(picture, "HEIF", quality=95, exif=exif_of(6)))
    assert found.kind == "HEIC" and found.metadata.exif[:2] in (b"II", b"MM")
    assert np.abs(found.pixels.astype(int) - picture).mean() < 6


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", pytest.param("AVIF", marks=needs_avif)])
def test_cut_off_files_are_refused_or_read_completely(picture, kind):
    noise = np.random.default_rng(0).integers(0, 255, picture.shape, np.uint8)
    content = saved(noise, kind)
    whole = decode_photo(content).pixels
    for length in (3, 11, 25, 60, len(content) // 3, len(content) // 2, len(content) - 40):
        try:
            found = decode_photo(content[:length]).pixels
        except UnreadablePhoto as reason:
            assert str(reason)
        else:
            assert (found == whole).all(), f"{length} of {len(content)} bytes gave another picture"
    assert ImageFile.LOAD_TRUNCATED_IMAGES is False


def test_a_jpeg_with_data_after_its_end_is_read(picture):
    assert decode_photo(saved(picture, "JPEG") + b"\0" * 100 + b"more").pixels.shape == picture.shape


def claiming(content, kind, width, height):
    """The same file with another size in its header."""
    if kind == "PNG":
        header = struct.pack(">II", width, height) + content[24:29]
        return content[:16] + header + struct.pack(">I", zlib.crc32(b"IHDR" + header)) + content[33:]
    if kind == "GIF":
        at = content.index(b",\0\0\0\0")
        sides = struct.pack("<HH", width, height)
        return content[:6] + sides + content[10 : at + 5] + sides + content[at + 9 :]
    if kind == "BMP":
        return content[:18] + struct.pack("<ii", width, height) + content[26:]
    at = content.index(b"\xff\xc0") + 5
    return content[:at] + struct.pack(">HH", height, width) + content[at + 4 :]


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "BMP"])
def test_a_decompression_bomb_is_refused_by_its_header(picture, kind):
    assert "60000 x 60000" in error(claiming(saved(picture, kind), kind, 60_000, 60_000))
    if kind != "JPEG":
        assert error(claiming(saved(picture, kind), kind, 200, 300)), "below the limit it does not have what it claims"


def test_the_limit_of_pixels_is_checked_and_pillows_is_unchanged(picture, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    for kind in ("PNG", "JPEG", "BMP"):
        assert decode_photo(saved(picture, kind)).pixels.shape == picture.shape
    assert Image.MAX_IMAGE_PIXELS == 100


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_a_very_large_photo_is_read_at_a_fraction_of_its_size(monkeypatch, picture, kind):
    monkeypatch.setattr(reading, "FULL_DECODE_PIXELS", 48 * 80 // 4)
    content = saved(picture, kind)
    image = decode_photo(content).pixels
    assert image.shape == (24, 40, 3)
    assert decode_photo(content, full_size=True).pixels.shape == picture.shape
    small = cv2.resize(picture, (40, 24), interpolation=cv2.INTER_AREA)
    assert np.abs(image.astype(int) - small).mean() < 6


def test_a_large_photo_is_copied_in_pieces(picture, monkeypatch):
    from rac_unet.photos import pixels

    whole = decode_photo(saved(picture, "PNG")).pixels
    monkeypatch.setattr(pixels, "_PIECE", 7 * 80)
    assert (decode_photo(saved(picture, "PNG")).pixels == whole).all() and (whole == picture).all()


def test_a_photo_that_needs_too_much_memory_is_refused(picture, monkeypatch):
    def too_little(image):
        raise MemoryError

    monkeypatch.setattr(reading, "as_array", too_little)
    assert error(saved(picture, "PNG")) == "not enough memory for it"
