"""The quality of a file that another is written like."""

import io

import numpy as np
import pytest
from PIL import Image

from rac_unet.photos.compression import Compression, compression_of
from rac_unet.photos.metadata import PhotoMetadata
from rac_unet.photos.writing import compressed

PICTURE = Image.fromarray(np.random.default_rng(0).integers(0, 255, (48, 64, 3)).astype(np.uint8))


def encoded(kind, picture=PICTURE, **options):
    stream = io.BytesIO()
    picture.save(stream, kind, **options)
    return stream.getvalue()


@pytest.mark.parametrize("quality", [1, 10, 49, 50, 75, 92, 100])
def test_the_quality_of_a_jpeg(quality):
    assert compression_of(encoded("JPEG", quality=quality), "JPEG").quality == quality


@pytest.mark.parametrize("subsampling", [0, 1, 2])
def test_a_jpeg_is_written_with_the_tables_it_came_with(subsampling):
    content = encoded("JPEG", quality=83, subsampling=subsampling)
    found = compression_of(content, "JPEG")
    assert found == Compression(83, subsampling)
    again = Image.open(io.BytesIO(compressed(np.asarray(PICTURE), "jpeg", PhotoMetadata(), "", *found)))
    assert again.quantization == Image.open(io.BytesIO(content)).quantization
    assert compression_of(compressed(np.asarray(PICTURE), "jpeg", PhotoMetadata(), "", *found), "JPEG") == found


def test_jpegs_of_other_programs():
    """Tables that are no multiple of the example's have a quality near by; grey ones no subsampling."""
    flat = encoded("JPEG", qtables=[[7] * 64, [9] * 64])
    assert 88 <= compression_of(flat, "JPEG").quality <= 96
    assert compression_of(encoded("JPEG", PICTURE.convert("L"), quality=70), "JPEG") == Compression(70, None)
    assert compression_of(b"\xff\xd8\xff", "JPEG") == Compression()


def test_webp_with_and_without_loss():
    assert compression_of(encoded("WEBP", lossless=True), "WebP").lossless
    assert compression_of(encoded("WEBP", PICTURE.convert("RGBA"), lossless=True, exif=b"Exif\0\0MM"), "WebP").lossless
    assert not compression_of(encoded("WEBP", quality=80), "WebP").lossless
    moving = {"save_all": True, "append_images": [PICTURE.rotate(180)]}
    assert compression_of(encoded("WEBP", lossless=True, **moving), "WebP").lossless
    assert not compression_of(encoded("WEBP", **moving), "WebP").lossless
    assert compression_of(b"RIFF\0\0\0\0WEBP", "WebP") == compression_of(b"", "PNG") == Compression()


def test_lossless_webp_keeps_the_colours_of_transparent_pixels():
    rgba = np.dstack([np.asarray(PICTURE), np.zeros((48, 64), np.uint8)])
    content = compressed(rgba, "webp", PhotoMetadata(), "", lossless=True)
    assert (np.asarray(Image.open(io.BytesIO(content)).convert("RGBA")) == rgba).all()
