"""The detail ratio: 1 where the painted part has the photo's texture, less where it is softer, more where sharper."""

import cv2
import numpy as np
import pytest

from rac_unet.scoring.portraits.detail import detail_ratio

SIDE = 200


def noisy(deviation, seed=0, grey=130.0):
    noise = np.random.default_rng(seed).normal(0, deviation, (SIDE, SIDE, 1)) + (grey, grey - 20, grey - 40)
    return np.clip(np.rint(noise), 0, 255).astype(np.uint8)


def region(radius=50):
    down, across = np.mgrid[:SIDE, :SIDE]
    return np.hypot(across - SIDE / 2, down - SIDE / 2) < radius


@pytest.mark.parametrize(("painted", "expected"), [(2.5, 0.5), (5, 1), (10, 2)])
def test_it_is_the_ratio_of_the_deviations(painted, expected):
    before, where = noisy(5), region()
    after = np.where(where[..., None], noisy(painted, 1), before)
    assert detail_ratio(before, after, where) == pytest.approx(expected, rel=0.1)


def test_edges_and_hair_do_not_count():
    before, where = noisy(5), region()
    after = np.where(where[..., None], noisy(5, 1), before)
    after[97:103, 70:130] = 20
    dark_hair = before.copy()
    dark_hair[:60] = noisy(60, 3, grey=40)[:60]
    assert detail_ratio(before, after, where) == pytest.approx(1, abs=0.25)
    after[:60] = dark_hair[:60]
    assert detail_ratio(dark_hair, np.where(where[..., None], after, dark_hair), where) == pytest.approx(1, abs=0.25)


def test_there_is_no_ratio_without_texture_skin_or_painting():
    before, where = noisy(5), region()
    flat = np.full_like(before, 128)
    assert np.isnan(detail_ratio(flat, flat, where))
    assert np.isnan(detail_ratio(before, before, np.zeros_like(where)))
    assert np.isnan(detail_ratio(before, before, region(4))) and np.isnan(detail_ratio(before, before, where | True))


def test_it_depends_on_the_surroundings_alone():
    """A larger photo with the same face has the same ratio, also at its border."""
    before, where = noisy(5), region()
    after = np.where(where[..., None], cv2.GaussianBlur(before, (0, 0), 1), before)
    wide = [np.pad(each, [(0, 300), (0, 100)] + [(0, 0)] * (each.ndim - 2), mode="edge") for each in (before, after)]
    padded = np.pad(where, [(0, 300), (0, 100)])
    assert detail_ratio(before, after, where) == pytest.approx(detail_ratio(*wide, padded), rel=0.02)
