"""Calibration error, temperature scaling and the reliability plot."""

import cv2
import numpy as np
import pytest

from rac_unet.scoring.emotions.calibration import fit_temperature, reliability, write_reliability_plot


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


def test_a_plot(tmp_path):
    random = np.random.default_rng(0)
    confidence = random.random(500)
    curve = reliability(confidence, random.random(500) < confidence)
    write_reliability_plot(tmp_path / "r.png", {"one": curve, "other": curve}, "500 faces")
    assert cv2.imread(str(tmp_path / "r.png")).std() > 5
