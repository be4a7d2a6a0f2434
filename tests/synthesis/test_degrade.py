"""Degradation changes both pictures of a pair in the same way, and the occlusion map stays correct."""

import numpy as np
import pytest

from rac_unet.synthesis import degrade as steps
from rac_unet.synthesis.degrade import degrade
from rac_unet.synthesis.masks.painting import paint_mask
from rac_unet.synthesis.toys.face import draw_face

COLOURS = [steps._shadow, steps._expose, steps._tint, steps._noise, steps._compress]
PLACES = [steps._blur, steps._shrink, steps._cut_off]


@pytest.fixture(scope="module")
def pair():
    face = draw_face(2, "happiness", 1, 96)
    masked = paint_mask(face.image, face.points, "surgical", 1)
    return face.image, masked.image, masked.occlusion


def test_known_pixels_stay_equal_and_the_same_seed_gives_the_same_bytes(pair):
    made = [degrade(*pair, seed) for seed in range(40)]
    for unmasked, masked, occlusion in made:
        assert unmasked.shape == masked.shape == (96, 96, 3) and occlusion.shape == (96, 96)
        assert unmasked.dtype == masked.dtype == occlusion.dtype == np.uint8
        seen = occlusion == 0
        np.testing.assert_array_equal(masked[seen], unmasked[seen])
        assert 0.1 < (~seen).mean() < 0.85 and occlusion.max() > 250
        assert unmasked.std() > 3 and masked.std() > 3  # still pictures
        assert (unmasked != pair[0]).any()
    for seed in (0, 7):
        for first, again in zip(made[seed], degrade(*pair, seed), strict=True):
            np.testing.assert_array_equal(first, again)
    assert len({unmasked.tobytes() for unmasked, _, _ in made}) == 40


def test_a_face_without_a_mask_stays_without(pair):
    unmasked = pair[0]
    for seed in range(12):
        first, second, occlusion = degrade(unmasked, unmasked, np.zeros((96, 96), np.uint8), seed)
        np.testing.assert_array_equal(first, second)
        assert not occlusion.any()


@pytest.mark.parametrize("step", COLOURS)
def test_colours_change_and_nothing_moves(pair, step):
    for seed in range(4):
        one = steps._Pair(*(image.astype(np.float32) for image in pair[:2]), pair[2].astype(np.float32) / 255)
        before = one.hidden.copy()
        step(one, np.random.default_rng(seed))
        np.testing.assert_array_equal(one.hidden, before)
        assert (one.unmasked != pair[0]).any() and one.unmasked.min() >= 0 and one.unmasked.max() <= 255


@pytest.mark.parametrize("step", PLACES)
def test_the_occlusion_map_moves_with_the_mask(step):
    # A black mask on a white face: the grey of each pixel is the share of the mask in it.
    hidden = np.zeros((64, 64), np.float32)
    hidden[30:55, 12:50] = 1
    moved = 0
    for seed in range(12):
        white = np.full((64, 64, 3), 255, np.float32)
        one = steps._Pair(white.copy(), white * (1 - hidden[..., None]), hidden.copy())
        step(one, np.random.default_rng(seed))
        np.testing.assert_allclose(one.masked, 255 * (1 - one.hidden[..., None]) * np.ones(3), atol=0.1)
        np.testing.assert_allclose(one.unmasked, 255, atol=0.01)
        moved += (one.hidden != hidden).any()
    assert moved >= 6


def test_edge_pixels_are_repeated_beyond_the_cut():
    places = np.array([-1, 0, 1, 2, 3, 4, 5, 6], np.float32)
    assert steps._within(places, 1.0, 4.0).tolist() == [1, 1, 1, 2, 3, 4, 4, 4]

    class Fixed:
        """Cut 25 % off the left, nothing else, upright."""

        def __init__(self):
            self.shares, self.reaches = iter([0.9, 0.0, 0.9, 0.9, 0.9]), iter([0.25])

        def random(self):
            return next(self.shares)

        def uniform(self, low, high):
            return next(self.reaches)

        def normal(self, mean, spread):
            return 0.0

    ramp = np.tile(np.arange(8, dtype=np.float32)[None, :, None], (8, 1, 3))
    one = steps._Pair(ramp.copy(), ramp.copy(), np.zeros((8, 8), np.float32))
    steps._cut_off(one, Fixed())
    np.testing.assert_allclose(one.unmasked[3, :, 0], [2, 2, 2, 3, 4, 5, 6, 7], atol=1e-4)


def test_grey_is_grey_and_dark_is_dark(pair):
    grey = [seed for seed in range(60) if np.random.default_rng(seed).random() < 0.4]
    one = steps._Pair(*(image.astype(np.float32) for image in pair[:2]), pair[2].astype(np.float32) / 255)

    class Grey:
        def __init__(self):
            self.inner = np.random.default_rng(grey[0])
            self.random, self.uniform, self.normal = self.inner.random, self.inner.uniform, self.inner.normal

        def choice(self, values):
            return 0.0  # no coloured light

    steps._tint(one, Grey())
    assert np.ptp(one.unmasked, axis=2).max() < 1e-2
    for seed in range(6):
        one = steps._Pair(*(image.astype(np.float32) for image in pair[:2]), pair[2].astype(np.float32) / 255)
        steps._shadow(one, np.random.default_rng(seed))
        assert (one.unmasked <= pair[0] + 1e-3).all() and one.unmasked.mean() < 0.995 * pair[0].mean()
