"""Calibration images cover all emotions, missing labels, black and white; check images are pairs as stored."""

import numpy as np
import pytest

from rac_unet.data import pairs as pairs_module
from rac_unet.exporting.sample_pictures import calibration_pictures, read_pictures
from tests.refusals import refused


@pytest.fixture(scope="module")
def pairs(toy_pairs):
    return pairs_module.read(toy_pairs)


def test_pairs_are_read_as_they_are_on_disk(pairs):
    import cv2

    count = len(pairs.split("val"))
    found = read_pictures(pairs, "val", 1000, 64)
    assert {name: value.shape for name, value in found.items()} == {
        "masked_image": (count, 64, 64, 3),
        "emotion": (count, 7),
        "unmasked_image": (count, 64, 64, 3),
        "occlusion": (count, 64, 64, 1),
    }
    assert all(value.dtype == np.float32 and value.min() >= 0 and value.max() <= 1 for value in found.values())
    files = [cv2.imread(path)[..., ::-1] for path in pairs.split("val").paths("masked")]
    for picture in np.round(255 * found["masked_image"]).astype(np.uint8):
        assert any(np.array_equal(picture, file) for file in files)
    np.testing.assert_array_equal(found["emotion"].sum(1), 1)
    # Known pixels are those of the truth.
    known = found["occlusion"] == 0
    np.testing.assert_array_equal(found["masked_image"] * known, found["unmasked_image"] * known)
    again = read_pictures(pairs, "val", 2, 64)
    np.testing.assert_array_equal(again["masked_image"], found["masked_image"][:2])


def test_calibration_takes_every_emotion_in_turn(pairs):
    found = calibration_pictures(pairs, 16, 32)
    assert found["masked_image"].shape == (16, 32, 32, 3)
    labels = found["emotion"]
    assert sorted(labels[:7].argmax(1)) == list(range(7)) and (labels[:7].sum(1) == 1).all()
    np.testing.assert_array_equal(np.flatnonzero(labels.sum(1) == 0), [7, 15])
    assert found["masked_image"][0, 0, 0].tolist() == [0, 0, 0] and found["masked_image"][0, 0, -1].tolist() == [
        1,
        1,
        1,
    ]


def test_a_split_without_pairs_is_refused(pairs):
    few = pairs.split("train")
    with refused("empty", "'val'", "train", "--data"):
        read_pictures(few, "val", 5, 64)
    with refused("mismatch", "64", "48"):
        calibration_pictures(few, 5, 48)
