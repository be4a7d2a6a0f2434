"""BRISQUE with the package brisque: clipping, contrast, undefined values."""

import sys

import cv2
import numpy as np
import pytest

from rac_unet.scoring import brisque as module
from rac_unet.scoring.brisque import brisque, require_brisque
from tests.refusals import refused


@pytest.fixture
def photo():
    """An image with an edge, texture and a gradient, similar to a photograph."""
    pytest.importorskip("brisque", reason="BRISQUE is the extra brisque, whose libsvm a C compiler builds")
    rng = np.random.default_rng(0)
    picture = np.tile(np.linspace(0.2, 0.8, 96)[None, :, None], (96, 1, 3))
    picture[30:60, 20:70] = 0.35
    texture = cv2.GaussianBlur(rng.normal(0, 1, picture.shape), (0, 0), 1.2)
    return np.clip(picture + 0.1 * texture, 0, 1)


def test_blur_and_noise_are_worse(photo):
    rng = np.random.default_rng(1)
    blurred, noisy = cv2.GaussianBlur(photo, (0, 0), 3), photo + rng.normal(0, 0.2, photo.shape)
    good, blur, noise = brisque(np.stack([photo, blurred, noisy]))
    assert good < blur and good < noise


def test_values_are_clipped_and_never_stretched(photo):
    beyond = np.where(photo > 0.5, photo + 3, photo)
    clipped = np.where(photo > 0.5, 1, photo)
    np.testing.assert_allclose(brisque(beyond[None]), brisque(clipped[None]), rtol=1e-9)
    weak = 0.5 + 0.02 * (photo - 0.5)
    stretched = (weak - weak.min()) / np.ptp(weak)
    assert abs(brisque(weak[None]) - brisque(stretched[None]))[0] > 1


def test_scaling_equals_that_of_the_package(photo):
    """The overridden scaling converts arrays; for plain numbers it equals that of the package."""
    from brisque import BRISQUE

    scorer = module._scorer()
    features = np.random.default_rng(2).random(36).tolist()
    np.testing.assert_allclose(scorer.scale_features(features), BRISQUE.scale_features(scorer, features), rtol=1e-12)


def test_an_image_of_one_colour_has_nan(photo):
    values = brisque(np.stack([np.full_like(photo, 0.5), photo]))
    assert np.isnan(values[0]) and np.isfinite(values[1])


def test_a_missing_package_is_reported_with_its_installation(monkeypatch):
    monkeypatch.setitem(sys.modules, "brisque", None)
    module._scorer.cache_clear()
    try:
        with refused("missing_extra", "pip install 'rac_unet[brisque]'"):
            require_brisque()
    finally:
        module._scorer.cache_clear()
