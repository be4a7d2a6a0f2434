"""Pairs cropped to a smaller square: pictures, rows, and refusals."""

import dataclasses
import shutil

import cv2
import numpy as np
import pytest

from data_prep import crop
from rac_unet.data import pairs
from tests.refusals import refused


@pytest.fixture(scope="module")
def cut(toy_pairs, tmp_path_factory):
    """A toy set with weights, a distribution and a real mask, and the same set cropped to the upper left 3/4."""
    folder = tmp_path_factory.mktemp("crop")
    source = shutil.copytree(toy_pairs, folder / "source")
    rows = [dataclasses.replace(row, weight=2.0) for row in (pairs.read(source)[i] for i in range(10))]
    rows[0] = dataclasses.replace(rows[0], emotion_shares="fear:0.6 anger:0.4")
    rows[1] = dataclasses.replace(rows[1], unmasked="", occlusion="", split="test", identity="x", mask_style="real")
    pairs.write(source, rows, weighted=True, shared=True)
    words = [str(source), "--output", str(folder / "cut"), "--frame", "0.75,0.375,0.375", "--size", "48"]
    assert crop.main([*words, "--workers", "1"]) == 0
    return pairs.read(source), pairs.read(folder / "cut")


def test_rows_are_unchanged(cut):
    before, after = cut
    assert after.image_size == 48 and after.frame.astype(str).equals(before.frame.astype(str))
    assert (after.weights == 2).all() and after[0].emotion_shares == "fear:0.6 anger:0.4"


def test_pictures_show_the_square(cut):
    before, after = cut
    for column in pairs.IMAGE_COLUMNS:
        for old, new in zip(before.paths(column), after.paths(column), strict=True):
            if old:
                assert (cv2.imread(new) == cv2.imread(old)[:48, :48]).all()


def test_visible_pixels_stay_equal_when_averaged_down(cut, tmp_path):
    before, _ = cut
    words = [str(before.root), "--output", str(tmp_path / "small"), "--frame", "0.9,0.5,0.5", "--size", "50"]
    assert crop.main([*words, "--workers", "1"]) == 0
    for row in (pairs.read(tmp_path / "small")[i] for i in (0, 5)):
        masked, unmasked, occlusion = (
            cv2.imread(str(tmp_path / "small" / getattr(row, c))) for c in pairs.IMAGE_COLUMNS
        )
        seen = occlusion[..., 0] == 0
        assert 0.2 < seen.mean() < 1 and (masked[seen] == unmasked[seen]).all()
        assert np.abs(masked[~seen].astype(int) - unmasked[~seen]).mean() > 5


@pytest.mark.parametrize(
    ("frame", "size", "kind", "named"),
    [
        ("0.75,0.5,0.5", "49", "bad_value", "--size 49"),
        ("0.9,0.9,0.5", "48", "bad_value", "--frame"),
        ("0.75", "48", "bad_value", "--frame"),
    ],
)
def test_wrong_frames_and_sizes_are_refused(cut, tmp_path, frame, size, kind, named):
    with refused(kind, named):
        crop.main([str(cut[0].root), "--output", str(tmp_path / "o"), "--frame", frame, "--size", size])
    assert not (tmp_path / "o").exists()


def test_a_set_is_not_cropped_into_itself(cut):
    with refused("usage", "--output"):
        crop.main([str(cut[0].root), "--output", str(cut[0].root), "--frame", "0.75,0.5,0.5", "--size", "48"])
