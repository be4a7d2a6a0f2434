"""Results in the format of each photo, and what is said of their size."""

import os
import re

import numpy as np
import pytest
from PIL import Image

from rac_unet.unmasking.choice.formats import forecast, result_format

HEIC = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic"


@pytest.fixture
def photos(tmp_path):
    """Files of six kinds, one of them no photo, by their names."""
    picture = Image.fromarray(np.random.default_rng(0).integers(0, 255, (200, 300, 3)).astype(np.uint8))
    for name in ("a.jpg", "b.png", "c.webp", "d.gif", "e.tif"):
        picture.save(tmp_path / name)
    (tmp_path / "f.heic").write_bytes(HEIC)
    (tmp_path / "g.jpg").write_text("no photo")
    return {path.name: path for path in sorted(tmp_path.iterdir())}


def test_kinds_that_cannot_be_written_have_a_substitute(photos, tmp_path):
    wanted = {"a.jpg": "jpeg", "b.png": "png", "c.webp": "webp", "d.gif": "png", "e.tif": "png", "f.heic": "jpeg"}
    assert {name: result_format(photos[name], "same") for name in wanted} == wanted
    assert {result_format(path, "webp") for path in photos.values()} == {"webp"}
    assert result_format(photos["g.jpg"], "same") == result_format(tmp_path / "gone.jpg", "same") == "png"
    os.mkfifo(tmp_path / "pipe.jpg")
    assert result_format(tmp_path / "pipe.jpg", "same") == "png", "opening a pipe would block"
    misnamed = photos["a.jpg"].rename(tmp_path / "a.png")
    assert result_format(misnamed, "same") == "jpeg", "by its content"


def megabytes(text):
    return [float(number) for number in re.findall(r"([\d.]+) MB", text)]


def test_the_size_is_said_beforehand(photos):
    text = forecast([photos["a.jpg"]], "png")
    after, before = megabytes(text)
    assert "1 JPEG becomes PNG" in text and "--format same" in text
    assert before == pytest.approx(photos["a.jpg"].stat().st_size / 1e6, rel=0.05) and after == pytest.approx(0.087)
    # A quarter of the pixels.
    assert megabytes(forecast([photos["a.jpg"]], "png", 150))[0] == pytest.approx(after / 4, rel=0.05)
    text = forecast([photos["a.jpg"]] * 40, "png")
    assert "40 JPEG become PNG" in text and megabytes(text)[0] == pytest.approx(40 * after, rel=0.05)


def test_each_kind_is_named(photos):
    parts = forecast(list(photos.values()), "same").split("; ")
    assert [re.match(r"1 \S+", part)[0] for part in parts[:-1]] == ["1 JPEG", "1 WebP", "1 GIF", "1 TIFF", "1 HEIC"]
    assert "its own quality" in parts[0] and "without loss" in parts[1] and "become" not in parts[0] + parts[1]
    assert "becomes PNG, about" in parts[2] and "becomes JPEG of quality 95" in parts[4]
    assert "pixels outside the masks" in parts[-1]


def test_nothing_is_said_where_nothing_changes(photos, tmp_path):
    kept = [photos["b.png"], photos["g.jpg"], tmp_path / "gone.jpg"]
    assert forecast(kept, "same") == forecast([*kept, photos["d.gif"]], "png") == forecast([], "same") == ""
    assert forecast(list(photos.values()), "jpeg") == "", "which was asked for"
