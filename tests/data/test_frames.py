"""Frames: the square of a crop that a picture shows."""

import numpy as np
import pytest

from rac_unet.data.frames import WHOLE_CROP, check_frame, frame_pixels, picture_in_crop
from tests.refusals import refused

FER = (0.764, 0.5, 0.43)


@pytest.mark.parametrize("frame", [(1.1, 0.5, 0.5), (0.5, 0.2, 0.5), (0, 0.5, 0.5), (0.5, 0.5), "abc"])
def test_a_frame_outside_the_crop_is_refused(frame):
    with refused("bad_value", "--frame"):
        check_frame(frame, "--frame")


def test_a_frame_in_pixels():
    assert check_frame(["0.764", "0.5", "0.43"], "--frame") == FER
    assert frame_pixels(FER, 128) == (6, 15, 98) and frame_pixels(WHOLE_CROP, 61) == (0, 0, 61)
    # Rounding never leaves the crop.
    for size in range(1, 40):
        top, left, side = frame_pixels((0.5, 0.75, 0.75), size)
        assert side >= 1 and max(top, left) + side <= size


def test_a_picture_is_placed_at_its_frame():
    picture = np.random.default_rng(0).random((49, 49, 3)).astype(np.float32)
    crop = picture_in_crop(picture, FER, 64)
    assert crop.shape == (64, 64, 3) and (crop[3:52, 8:57] == picture).all()
    assert (crop[0, 8:57] == picture[0]).all() and (crop[63, 60] == picture[-1, -1]).all()
    assert picture_in_crop(picture, WHOLE_CROP, 49) is not None
    assert picture_in_crop(picture, FER, 128).shape == (128, 128, 3)
