"""Metrics and statistics, against values computed by hand and scikit-image."""

import cv2
import numpy as np
import pandas as pd
import pytest

from rac_unet.scoring import metric_table
from rac_unet.scoring.baselines import telea
from rac_unet.scoring.metric_table import BRISQUE, GroundTruth, score_images
from rac_unet.scoring.metrics import compose, map_claims, map_iou, ms_ssim, psnr, ssim
from rac_unet.scoring.statistics import paired_difference, summarise


def test_psnr_by_hand():
    truth = np.zeros((2, 4, 4, 3))
    image = np.stack([np.full((4, 4, 3), 0.1), np.full((4, 4, 3), 0.01)])
    np.testing.assert_allclose(psnr(truth, image), [20, 40], atol=1e-9)
    np.testing.assert_array_equal(psnr(truth, truth), [100, 100])


def test_psnr_is_per_image():
    truth = np.zeros((2, 2, 2, 3))
    image = np.stack([np.full((2, 2, 3), 0.1), np.full((2, 2, 3), 0.01)])
    assert psnr(truth, image).mean() == pytest.approx(30)
    assert psnr(truth.reshape(1, 4, 2, 3), image.reshape(1, 4, 2, 3))[0] < 23


def test_hole_composite_and_raw_by_hand():
    truth = np.full((1, 32, 32, 3), 0.5, np.float32)
    image = truth + 0.1
    occlusion = np.zeros((1, 32, 32, 1), np.float32)
    occlusion[:, :8] = 0.2  # a quarter of the pixels; barely hidden is hidden
    image[:, :8] = 0.7
    scores = score_images(GroundTruth(truth, occlusion), image)
    assert scores["psnr_hole"][0] == pytest.approx(-10 * np.log10(0.04), abs=1e-4)
    assert scores["psnr_composite"][0] == pytest.approx(-10 * np.log10(0.04 / 4), abs=1e-4)
    assert scores["psnr_raw"][0] == pytest.approx(-10 * np.log10(0.04 / 4 + 0.01 * 3 / 4), abs=1e-4)


def test_hole_and_composite_metrics_are_nan_if_nothing_is_hidden():
    truth = np.zeros((2, 32, 32, 3), np.float32)
    occlusion = np.zeros((2, 32, 32, 1), np.float32)
    occlusion[1, 0] = 1
    scores = score_images(GroundTruth(truth, occlusion), truth + 0.1)
    for name, values in scores.items():
        # The composite of a bare face is the ground truth, with perfect scores.
        assert np.isfinite(values).tolist() == [name.endswith("_raw"), True], name


def test_map_by_hand():
    occlusion, predicted = np.zeros((3, 10, 10, 1)), np.zeros((3, 10, 10, 1))
    occlusion[0, :4] = 0.1  # barely hidden is hidden
    predicted[0, 1:6] = 0.5
    predicted[1, 0, :3] = 0.9  # a bare face with three false-positive pixels
    np.testing.assert_allclose(map_iou(occlusion, predicted), [30 / 60, 0, np.nan])
    np.testing.assert_allclose(map_claims(occlusion, predicted), [20 / 60, 0.03, 0])


def test_outputs_outside_the_range_are_clipped():
    truth = np.ones((1, 32, 32, 3), np.float32)
    assert score_images(GroundTruth(truth, np.ones((1, 32, 32, 1))), truth * 7)["psnr_raw"][0] == 100


def test_compose_keeps_known_pixels_bit_for_bit():
    rng = np.random.default_rng(0)
    truth, image = rng.random((2, 1, 8, 8, 3)).astype(np.float32)
    occlusion = (rng.random((1, 8, 8, 1)) > 0.5) * 0.3
    result, known = compose(truth, image, occlusion), occlusion[..., 0] == 0
    assert (result[known] == truth[known]).all() and (result[~known] == image[~known]).all()


def natural_pictures(size=64):
    """Return two smooth images with detail, and noisy and blurred versions of them."""
    rng = np.random.default_rng(3)
    truth = np.stack([cv2.GaussianBlur(rng.random((size, size, 3)), (0, 0), sigma) for sigma in (1, 4)])
    truth = ((truth - truth.min()) / np.ptp(truth)).astype(np.float32)
    noisy = np.clip(truth[0] + rng.normal(0, 0.1, truth[0].shape), 0, 1)
    return truth, np.stack([noisy, cv2.GaussianBlur(truth[1], (0, 0), 3)]).astype(np.float32)


@pytest.mark.parametrize("size", [48, 64, 128])
def test_psnr_and_ssim_agree_with_scikit_image(size):
    measures = pytest.importorskip("skimage.metrics", reason="the reference is scikit-image, of the extra dev")
    truth, image = natural_pictures(size)
    theirs = [measures.peak_signal_noise_ratio(a, b, data_range=1) for a, b in zip(truth, image, strict=True)]
    np.testing.assert_allclose(psnr(truth, image), theirs, atol=1e-4)
    maps = [
        measures.structural_similarity(
            a, b, data_range=1, channel_axis=2, gaussian_weights=True, sigma=1.5, use_sample_covariance=False, full=True
        )[1]
        for a, b in zip(truth.astype(np.float64), image.astype(np.float64), strict=True)
    ]
    # Its window of 11 extends over the border, that of tf.image does not.
    inside = [m[5:-5, 5:-5].mean() for m in maps]
    np.testing.assert_allclose(ssim(truth, image), inside, atol=1e-4)


def test_ms_ssim_agrees_with_a_direct_computation():
    """Wang et al. 2003 written out in NumPy and OpenCV: four scales at 64 px, window 7, sigma 1.5."""
    kernel = cv2.getGaussianKernel(7, 1.5)

    def blur(image):
        return cv2.sepFilter2D(image, -1, kernel, kernel)[3:-3, 3:-3]

    def direct(a, b):
        result = np.ones(3)
        for scale, power in enumerate((0.0448, 0.2856, 0.3001, 0.2363)):
            if scale:
                a, b = (p.reshape(len(p) // 2, 2, len(p) // 2, 2, 3).mean(axis=(1, 3)) for p in (a, b))
            mean_a, mean_b = blur(a), blur(b)
            var_a, var_b, both = blur(a * a) - mean_a**2, blur(b * b) - mean_b**2, blur(a * b) - mean_a * mean_b
            value = (2 * both + 0.03**2) / (var_a + var_b + 0.03**2)
            if scale == 3:
                value *= (2 * mean_a * mean_b + 0.01**2) / (mean_a**2 + mean_b**2 + 0.01**2)
            result *= value.mean(axis=(0, 1)) ** power
        return result.mean()

    truth, image = natural_pictures(64)
    theirs = [direct(a.astype(np.float64), b.astype(np.float64)) for a, b in zip(truth, image, strict=True)]
    np.testing.assert_allclose(ms_ssim(truth, image), theirs, atol=1e-4)


def test_brisque_is_computed_once_if_both_views_are_equal(monkeypatch):
    images = []

    def mean_level(image):
        images.append(image)
        return image.mean(axis=(1, 2, 3))

    monkeypatch.setattr(metric_table, "brisque", mean_level)
    truth = np.full((1, 32, 32, 3), 0.5, np.float32)
    occlusion = np.zeros((1, 32, 32, 1), np.float32)
    occlusion[:, :16] = 1
    ground = GroundTruth(truth, occlusion)
    pasted = score_images(ground, compose(truth, truth + 0.2, occlusion), given=[BRISQUE])
    assert len(images) == 1 and pasted["brisque_raw"] is pasted["brisque_composite"]
    painted = score_images(ground, truth + 0.2, given=[BRISQUE])
    assert len(images) == 3
    assert painted["brisque_raw"][0] == pytest.approx(0.7) and painted["brisque_composite"][0] == pytest.approx(0.6)


def test_ms_ssim_bounds():
    picture = np.random.default_rng(0).random((1, 64, 64, 3)).astype(np.float32)
    assert ms_ssim(picture, picture)[0] == pytest.approx(1, abs=1e-4)
    assert ms_ssim(picture, 1 - picture)[0] < 0.1


def test_telea_fills_an_image_of_one_colour_with_it():
    masked = np.full((1, 32, 32, 3), 100 / 255, np.float32)
    occlusion = np.zeros((1, 32, 32, 1), np.float32)
    occlusion[:, 10:20, 10:20] = 1
    masked[:, 10:20, 10:20] = 1
    np.testing.assert_allclose(telea(masked, occlusion), 100 / 255, atol=2.5 / 255)


def test_mean_and_interval():
    rng = np.random.default_rng(0)
    values = rng.normal(20, 2, 400)
    mean = summarise(values, np.arange(400))
    assert mean.n == 400 and mean.mean == pytest.approx(values.mean())
    half = 1.96 * values.std() / 20
    assert mean.low == pytest.approx(mean.mean - half, abs=0.05)
    assert mean.high == pytest.approx(mean.mean + half, abs=0.05)


def test_more_images_of_the_same_people_do_not_narrow_the_interval():
    per_person = np.random.default_rng(0).normal(20, 2, 40)
    single = summarise(per_person, np.arange(40))
    tenfold = summarise(np.repeat(per_person, 10), np.repeat(np.arange(40), 10))
    assert tenfold.n == 400
    assert tenfold.high - tenfold.low == pytest.approx(single.high - single.low, rel=0.15)


def test_nan_is_ignored_in_means():
    assert summarise(np.array([1.0, np.nan, 3.0]), pd.Series(["a", "b", "c"])).n == 2
    assert summarise(np.array([np.nan]), np.array(["a"])) is None
    one = summarise(np.array([1.0, 2.0]), np.array(["a", "a"]))
    assert one.low == one.high == one.mean == 1.5


def test_ssim_of_flat_pictures_by_hand():
    a, b = np.full((1, 16, 16, 3), 0.5, np.float32), np.full((1, 16, 16, 3), 0.6, np.float32)
    # Without contrast SSIM is that of luminance: (2ab + C1) / (a^2 + b^2 + C1), C1 = 0.01^2.
    # TensorFlow's float32 gives a contrast of a few ten-thousandths instead of 0.
    assert ssim(a, b)[0] == pytest.approx((2 * 0.3 + 1e-4) / (0.25 + 0.36 + 1e-4), abs=2e-3)
    assert ssim(a, a)[0] == pytest.approx(1, abs=1e-4)


def test_paired_differences_can_be_significant_with_overlapping_intervals():
    rng = np.random.default_rng(0)
    picture = rng.normal(20, 5, 200)
    first, second = picture + 0.3 + rng.normal(0, 0.5, 200), picture
    people = np.arange(200)
    difference, real = paired_difference(first, second, people)
    assert real and difference.low < difference.mean < difference.high and difference.n == 200
    assert difference.mean == pytest.approx((first - second).mean())
    a, b = summarise(first, people), summarise(second, people)
    assert a.low < b.high  # the intervals overlap
    assert not paired_difference(picture + rng.normal(0, 3, 200), picture, people)[1]
    second[:3] = np.nan
    assert paired_difference(first, second, people)[0].n == 197
    assert paired_difference([np.nan], [1.0], [0]) is None
    assert not paired_difference(picture + 1, picture, np.zeros(200))[1]  # one person is not enough
    with pytest.raises(ValueError, match="not the same images"):
        paired_difference([1, 2], [1], [0])
