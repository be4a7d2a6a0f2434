"""Prints of cloth masks: each changes the cloth, is a valid reflectance, and is reproducible by seed."""

import numpy as np
import pytest

from rac_unet.synthesis.masks import large_prints
from rac_unet.synthesis.masks.prints import printed
from rac_unet.synthesis.masks.sheet import Sheet, hsv

PICTURES = ("flag", "words", "mouth", "muzzle", "teeth", "tie_dye", "lace", "marble", "glitter")
GROUND, SECOND, THIRD = hsv(0.6, 0.8, 0.5), hsv(0.0, 0.9, 0.9), hsv(0.15, 0.8, 0.9)


@pytest.mark.parametrize("name", PICTURES)
def test_every_picture_changes_the_cloth_and_stays_a_reflectance(name):
    sheet = Sheet(64, 84, 1.5)
    draw = getattr(large_prints, f"_{name}")
    for seed in range(5):
        ground = sheet.fill(GROUND)
        drawn, again = (draw(np.random.default_rng(seed), sheet, ground.copy(), SECOND, THIRD) for _ in range(2))
        np.testing.assert_array_equal(drawn, again)
        assert drawn.shape == (64, 84, 3) and np.isfinite(drawn).all() and drawn.min() >= 0 and drawn.max() <= 1.4
        changed = (np.abs(drawn - ground).max(axis=2) > 0.1).mean()
        assert changed > 0.01, f"seed {seed}"
        assert drawn.reshape(-1, 3).std(axis=0).max() > 0.02


def test_all_pictures_and_plain_prints_are_used():
    sheet = Sheet(40, 52, 1.5)
    shares = [
        (np.abs(printed(np.random.default_rng(seed), sheet, GROUND) - GROUND).max(axis=2) > 0.1).mean()
        for seed in range(160)
    ]
    assert np.mean(np.array(shares) > 0.05) > 0.75
    assert np.std(shares) > 0.2  # from a line of letters to tie-dye


def test_a_flags_bands_are_thirds():
    sheet = Sheet(90, 90, 1.5)
    for seed in range(30):
        rng = np.random.default_rng(seed)
        upright, plain = rng.random() < 0.5, rng.random() >= 0.55
        if plain:
            break
    drawn = large_prints._flag(np.random.default_rng(seed), sheet, sheet.fill(GROUND), SECOND, THIRD)
    line = drawn[45] if upright else drawn[:, 45]
    for start, colour in ((2, GROUND), (33, SECOND), (63, THIRD)):
        np.testing.assert_allclose(line[start : start + 25], np.tile(colour, (25, 1)), atol=1e-6)
