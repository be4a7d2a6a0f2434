"""Photo files as people have them: each kind comes out as the same upright RGB picture, or with a reason."""

import io
import struct
import zlib

import cv2
import numpy as np
import pytest

from rac_unet.faces import photo_files
from rac_unet.faces.photo_files import UnreadablePhoto, decode_photo, read_photo


@pytest.fixture(scope="module")
def picture():
    """(48, 80, 3) smooth RGB, unlike itself under every turn and channel swap."""
    y, x = np.mgrid[:48, :80]
    return np.stack([3 * x, 5 * y, 255 - 2 * x - y], axis=-1).clip(0, 255).astype(np.uint8)


def saved(picture, kind, mode="RGB", **options):
    image = pytest.importorskip("PIL.Image").fromarray(picture).convert(mode)
    stream = io.BytesIO()
    image.save(stream, kind, **options)
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
        ("PNG", "RGB", {}, 0),
        ("PNG", "P", {}, 30),
        ("GIF", "RGB", {}, 30),
        ("WEBP", "RGB", {"quality": 95}, 6),
        ("WEBP", "RGB", {"lossless": True}, 0),
        ("BMP", "RGB", {}, 0),
        ("TIFF", "RGB", {}, 0),
    ],
)
def test_common_formats(picture, kind, mode, options, tolerance):
    image = decode_photo(saved(picture, kind, mode, **options))
    assert image.dtype == np.uint8 and image.flags.c_contiguous
    assert np.abs(image.astype(int) - picture).mean() <= tolerance


def test_grey_and_16_bit(picture):
    grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)
    assert (decode_photo(encoded(grey, ".png")) == grey[..., None]).all()
    deep = picture[..., ::-1].astype(np.uint16) * 257
    assert np.abs(decode_photo(encoded(deep, ".png")).astype(int) - picture).max() <= 1


@pytest.mark.parametrize("depth", [8, 16])
def test_see_through_pixels_lie_on_white(picture, depth):
    alpha = np.full((48, 80, 1), 255, np.uint8)
    alpha[:10], alpha[10:20] = 0, 51
    image = np.concatenate([picture[..., ::-1], alpha], axis=-1)
    if depth == 16:
        image = image.astype(np.uint16) * 257
    found = decode_photo(encoded(image, ".png"))
    assert (found[:10] == 255).all()
    assert np.abs(found[10:20] - (0.2 * picture[10:20] + 0.8 * 255)).max() <= 1
    assert (found[20:] == picture[20:]).all()


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG"])
def test_of_an_animation_the_first_frame_is_taken(picture, kind):
    other = pytest.importorskip("PIL.Image").new("RGB", (80, 48))
    content = saved(picture, kind, save_all=True, append_images=[other, other])
    assert np.abs(decode_photo(content).astype(int) - picture).mean() < 30


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize(("kind", "mode"), [("JPEG", "RGB"), ("PNG", "RGB"), ("PNG", "RGBA"), ("WEBP", "RGBA")])
def test_exif_orientation_is_applied(picture, kind, mode, orientation):
    pil = pytest.importorskip("PIL.Image")
    from PIL import ImageOps

    exif = pil.Exif()
    exif[0x0112] = orientation
    image = pil.fromarray(picture)
    if mode == "RGBA":
        image.putalpha(200)
    stream = io.BytesIO()
    image.save(stream, kind, exif=exif, **({"lossless": True} if kind == "WEBP" else {}))
    upright = ImageOps.exif_transpose(pil.open(io.BytesIO(stream.getvalue())))
    expected = np.asarray(upright.convert("RGBA"), float)
    expected = expected[..., :3] * expected[..., 3:] / 255 + 255 - expected[..., 3:]
    found = decode_photo(stream.getvalue())
    assert found.shape == expected.shape
    assert np.abs(found - expected).mean() < 2


def test_files_that_are_no_photo_say_why(tmp_path, picture):
    assert error(b"") == "file is empty"
    assert "not an image" in error(b"path,emotion\nphoto.jpg,anger\n")
    assert "not an image" in error(b"RIFF\x10\0\0\0WAVEfmt and sound")
    phone = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic"
    assert error(phone) == "file is a HEIC photo, which cannot be read; save it as JPEG or PNG"
    assert error(phone.replace(b"heic", b"avif")).startswith("file is an AVIF photo")
    assert "not an image" in error(phone.replace(b"heic", b"mp42"))
    with pytest.raises(UnreadablePhoto, match="missing"):
        read_photo(tmp_path / "nowhere.jpg")
    with pytest.raises(UnreadablePhoto, match="not a regular file"):
        read_photo(tmp_path)


@pytest.mark.parametrize("extension", [".jpg", ".png", ".webp", ".gif", ".bmp", ".tiff"])
def test_files_cut_anywhere_are_refused_or_whole(picture, extension):
    if extension == ".gif" and not cv2.haveImageWriter("x.gif"):
        pytest.skip("this OpenCV writes no GIF")
    noise = np.random.default_rng(0).integers(0, 255, picture.shape, np.uint8)
    content = encoded(noise, extension)
    whole = decode_photo(content)
    for length in (3, 11, 25, 60, len(content) // 3, len(content) // 2, len(content) - 40):
        try:
            found = decode_photo(content[:length])
        except UnreadablePhoto as reason:
            assert str(reason)
        else:
            assert (found == whole).all(), f"{length} of {len(content)} bytes gave another picture"


def test_a_jpeg_with_data_behind_its_end_is_fine(picture):
    assert decode_photo(saved(picture, "JPEG") + b"\0" * 100 + b"more").shape == picture.shape


def test_a_bomb_is_refused_by_its_header():
    header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    chunk = struct.pack(">I", 13) + b"IHDR" + header + struct.pack(">I", zlib.crc32(b"IHDR" + header))
    end = b"\0\0\0\0IEND\xaeB`\x82"
    assert "60000 x 60000" in error(b"\x89PNG\r\n\x1a\n" + chunk + end)


@pytest.mark.parametrize("extension", [".jpg", ".png"])
def test_a_very_large_photo_is_read_at_a_fraction(monkeypatch, picture, extension):
    monkeypatch.setattr(photo_files, "FULL_DECODE_PIXELS", 48 * 80 // 4)
    content = encoded(picture[..., ::-1], extension)
    image = decode_photo(content)
    assert image.shape == (24, 40, 3)
    assert decode_photo(content, full_size=True).shape == picture.shape
    small = cv2.resize(picture, (40, 24), interpolation=cv2.INTER_AREA)
    assert np.abs(image.astype(int) - small).mean() < 6
