"""Drawing a planned pair: pairs without a mask have equal pictures, props are in both, known pixels are equal."""

import numpy as np
import pytest

from rac_unet.pairing.drawing import draw_pair
from rac_unet.pairing.mask_policy import NO_MASK, PairPlan
from rac_unet.synthesis.masks.painting import paint_mask
from rac_unet.synthesis.props import placing
from rac_unet.synthesis.toys.face import draw_face


@pytest.fixture(scope="module")
def face():
    drawn = draw_face(3, "surprise", 1, 96)
    return drawn.image, drawn.points


def test_a_plain_plan_paints_a_mask_and_nothing_else(face):
    image, points = face
    pair, alone = draw_pair(image, points, PairPlan("kn95", 5)), paint_mask(image, points, "kn95", 5)
    assert pair.unmasked is image
    np.testing.assert_array_equal(pair.masked, alone.image)
    np.testing.assert_array_equal(pair.occlusion, alone.occlusion)


@pytest.mark.parametrize("props_seed", [None, 1, 2])
@pytest.mark.parametrize("degrade_seed", [None, 3])
def test_a_face_without_a_mask_is_the_same_in_both_pictures(face, props_seed, degrade_seed):
    pair = draw_pair(*face, PairPlan(NO_MASK, 5, props_seed, degrade_seed))
    np.testing.assert_array_equal(pair.masked, pair.unmasked)
    assert not pair.occlusion.any() and (pair.unmasked is face[0]) == (props_seed is None and degrade_seed is None)


def test_known_pixels_are_equal_in_every_combination(face):
    for seed in range(25):
        pair = draw_pair(*face, PairPlan("surgical", seed, seed, seed if seed % 2 else None))
        seen = pair.occlusion == 0
        np.testing.assert_array_equal(pair.masked[seen], pair.unmasked[seen])
        assert 0.05 < (~seen).mean() < 0.9 and (pair.unmasked != face[0]).any()
        again = draw_pair(*face, PairPlan("surgical", seed, seed, seed if seed % 2 else None))
        assert all((a == b).all() for a, b in zip(pair, again, strict=True))


def test_a_hand_in_front_of_the_mask_is_in_both_pictures(face, monkeypatch):
    monkeypatch.setattr(placing, "choose_props", lambda seed: ("hand",))
    image, points = face
    without = paint_mask(image, points, "cloth_black", 1).occlusion
    crossed = 0
    for seed in range(6):
        (layer,) = placing.draw_props(image, points, seed)
        pair = draw_pair(image, points, PairPlan("cloth_black", 1, seed))
        only = layer.cover == 1
        assert not pair.occlusion[only].any()
        np.testing.assert_array_equal(pair.masked[only], np.rint(layer.colour[only]).astype(np.uint8))
        np.testing.assert_array_equal(pair.unmasked[only], pair.masked[only])
        apart = layer.cover == 0
        np.testing.assert_array_equal(pair.occlusion[apart], without[apart])
        crossed += (only & (without == 255)).sum() > 50
    assert crossed >= 3


def test_a_mask_worn_over_a_scarf_hides_it(face, monkeypatch):
    monkeypatch.setattr(placing, "choose_props", lambda seed: ("headscarf",))
    image, points = face
    under = next(seed for seed in range(20) if not placing.draw_props(image, points, seed)[0].over_mask)
    (layer,) = placing.draw_props(image, points, under)
    pair = draw_pair(image, points, PairPlan("bandana", 1, under))
    scarf = layer.lay_over(image)
    np.testing.assert_array_equal(pair.unmasked, scarf)
    alone = paint_mask(scarf, points, "bandana", 1)
    np.testing.assert_array_equal(pair.masked, alone.image)
    np.testing.assert_array_equal(pair.occlusion, alone.occlusion)
