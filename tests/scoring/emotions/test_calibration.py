"""Calibration error, temperature scaling and the reliability plot."""

import cv2
import numpy as np
import pytest

from rac_unet.runtime.classifier import softmax
from rac_unet.scoring.emotions.calibration import (
    choose_strength,
    fit_prior,
    fit_temperature,
    reliability,
    write_reliability_plot,
)


def test_the_calibration_error_by_hand():
    curve = reliability(np.array([0.95, 0.95, 0.95, 0.95, 0.55, 0.55]), np.array([1, 1, 0, 0, 1, 0]))
    assert curve.n.tolist() == [0, 0, 0, 0, 0, 2, 0, 0, 0, 4]
    assert curve.accuracy[[5, 9]].tolist() == [0.5, 0.5] and np.isnan(curve.accuracy[0])
    assert curve.expected_calibration_error == pytest.approx((4 * 0.45 + 2 * 0.05) / 6)
    assert reliability(np.array([1.0]), np.array([True])).expected_calibration_error == 0
    assert curve.as_dict()["accuracy"][0] is None
    with pytest.raises(ValueError, match="no predictions"):
        reliability(np.array([]), np.array([]))


@pytest.mark.parametrize("temperature", [0.5, 1.0, 3.0])
def test_the_temperature_by_which_logits_were_scaled_is_found(temperature):
    random = np.random.default_rng(0)
    logits = random.normal(0, 2, (20_000, 7))
    powers = np.exp(logits)
    shares = powers / powers.sum(1, keepdims=True)
    true = (random.random((len(logits), 1)) < shares.cumsum(1)).argmax(1)
    assert fit_temperature(temperature * logits, true) == pytest.approx(temperature, rel=0.03)


def test_the_prior_and_temperature_by_which_logits_were_changed_are_found():
    random = np.random.default_rng(0)
    logits, moved = random.normal(0, 2, (20_000, 3)), np.array([1.5, -1.0, -0.5])
    true = (random.random((len(logits), 1)) < softmax(logits).cumsum(1)).argmax(1)
    bias = fit_prior(2 * (logits - moved), true)
    np.testing.assert_allclose(bias, 2 * moved, atol=0.15)
    assert fit_temperature(2 * (logits - moved) + bias, true) == pytest.approx(2, rel=0.03)


def test_a_class_that_does_not_occur_has_a_finite_prior():
    bias = fit_prior(np.random.default_rng(0).normal(0, 1, (200, 3)), np.tile([0, 2], 100))
    assert np.isfinite(bias).all() and bias[1] < min(bias[[0, 2]]) - 1


def test_the_most_accurate_strength_that_keeps_the_mean_class_accuracy():
    # Nine of the first class in ten. The more of the bias, the more of them are right, and the fewer of the second.
    true = np.array([0] * 90 + [1] * 10)
    need = np.concatenate([np.linspace(0, 2, 90), np.linspace(0, 1, 10)])
    logits, bias = np.stack([np.zeros(100), need], axis=1), np.array([1.0, 0.0])

    def scores(strength):
        correct = (logits + strength * bias).argmax(1) == true
        return correct.mean(), (correct[:90].mean() + correct[90:].mean()) / 2

    free, kept = choose_strength(logits, true, bias, 0), choose_strength(logits, true, bias, 0.4)
    assert free > kept > 0 and scores(free)[0] > scores(kept)[0] and scores(free)[1] < 0.4 <= scores(kept)[1]
    assert scores(kept + 0.05)[1] < 0.4
    assert choose_strength(logits, true, bias, 0.99) is None


def test_a_plot(tmp_path):
    random = np.random.default_rng(0)
    confidence = random.random(500)
    curve = reliability(confidence, random.random(500) < confidence)
    write_reliability_plot(tmp_path / "r.png", {"one": curve, "other": curve}, "500 faces")
    assert cv2.imread(str(tmp_path / "r.png")).std() > 5
