"""Pictures scaled down."""

import numpy as np
import pytest

from rac_unet.photos.scaling import scaled_down


@pytest.mark.parametrize(("shape", "size"), [((300, 200), (90, 60)), ((20, 1000), (2, 90)), ((1, 5000), (1, 90))])
def test_the_longer_side(shape, size):
    scaled = scaled_down(np.full((*shape, 3), 77, np.uint8), 90)
    assert scaled.shape == (*size, 3) and scaled.dtype == np.uint8 and (scaled == 77).all()


def test_small_pictures_are_not_enlarged():
    picture = np.zeros((30, 90, 3), np.uint8)
    assert scaled_down(picture, 90) is picture and scaled_down(picture, None) is picture


def test_transparent_pixels_colour_no_neighbours():
    picture = np.zeros((64, 64, 4), np.uint8)
    picture[:, :31] = (200, 100, 50, 255)
    picture[:, 31:, 1] = 255
    scaled = scaled_down(picture, 16)
    seen = scaled[scaled[..., 3] > 8, :3].astype(int)
    assert np.abs(seen - (200, 100, 50)).max() < 12 and (scaled[:, -4:, 3] == 0).all()
