"""Losses against independent references, and their gradients on hard inputs."""

import numpy as np
import pytest
import tensorflow as tf

from rac_unet.config import LOSSES, resolve
from rac_unet.objectives import losses


def _pair(kind, size=64, batch=2):
    rng = np.random.default_rng(0)
    truth = cv2_smooth(rng.random((batch, size, size, 3)))
    image = {
        "near": truth + 0.05 * rng.normal(size=truth.shape),
        "noise": rng.random(truth.shape),
        "inverted": 1 - truth,
        "identical": truth.copy(),
        "flat": np.full_like(truth, 0.5),
        "beyond": 3 * truth - 1,
    }[kind]
    return tf.constant(truth, tf.float32), tf.constant(image, tf.float32)


def cv2_smooth(image):
    kernel = np.ones(5) / 5
    for axis in (1, 2):
        image = np.apply_along_axis(lambda row: np.convolve(row, kernel, "same"), axis, image)
    return image


def _call(name, truth, image, occlusion=None):
    if occlusion is None:
        occlusion = np.zeros((*truth.shape[:3], 1))
        occlusion[:, truth.shape[1] // 2 :] = 1
    targets = {"unmasked_image": truth, "occlusion": tf.constant(occlusion, tf.float32)}
    return resolve(LOSSES, name)(targets, {"inpainted_image": image})


def _direct_ms_ssim_l1(truth, image):
    """Zhao's loss with 33 x 33 two-dimensional windows in float64, one picture at a time."""
    scipy_like = []
    for x, y in zip(np.asarray(image, np.float64), np.asarray(truth, np.float64), strict=True):
        side = x.shape[0]

        def blur(plane, sigma, side=side):
            taps = np.arange(33) - 16
            window = np.exp(-(taps**2) / (2 * sigma**2))
            window = np.outer(window, window) / window.sum() ** 2
            padded = np.pad(plane, 16)
            spectrum = np.fft.rfft2(padded, (side + 64, side + 64)) * np.fft.rfft2(window, (side + 64, side + 64))
            return np.fft.irfft2(spectrum)[32 : 32 + side, 32 : 32 + side]

        product, luminance = 1.0, 1.0
        for sigma in (0.5, 1, 2, 4, 8):
            for c in range(3):
                a, b = x[..., c], y[..., c]
                ma, mb = blur(a, sigma), blur(b, sigma)
                va, vb, vab = blur(a * a, sigma) - ma**2, blur(b * b, sigma) - mb**2, blur(a * b, sigma) - ma * mb
                product = product * (2 * vab + 0.0009) / (va + vb + 0.0009)
                if sigma == 8:
                    luminance = luminance * (2 * ma * mb + 0.0001) / (ma**2 + mb**2 + 0.0001)
        l1 = np.mean([blur(np.abs(x - y)[..., c], 8) for c in range(3)], axis=0)
        scipy_like.append(np.mean(200 * (0.025 * (1 - luminance * product) + 0.975 * l1)))
    return np.array(scipy_like)


@pytest.mark.parametrize("kind", ["near", "noise", "flat"])
def test_ms_ssim_l1_equals_the_two_dimensional_form(kind):
    truth, image = _pair(kind)
    np.testing.assert_allclose(_call("ms_ssim_l1", truth, image), _direct_ms_ssim_l1(truth, image), rtol=2e-5)


@pytest.mark.parametrize("name", sorted(LOSSES))
def test_losses_are_per_picture_and_0_for_the_truth(name):
    truth, image = _pair("near")
    values = _call(name, truth, image).numpy()
    assert values.shape == (2,) and (values > 0).all()
    assert np.abs(_call(name, *_pair("identical")).numpy()).max() < 1e-4
    # A picture's loss must not depend on the others in its batch.
    np.testing.assert_allclose(_call(name, truth[1:], image[1:]).numpy(), values[1:], rtol=1e-4)


@pytest.mark.parametrize("name", sorted(LOSSES))
@pytest.mark.parametrize("kind", ["near", "noise", "inverted", "identical", "flat", "beyond"])
def test_gradients_are_finite(name, kind):
    truth, image = _pair(kind)
    with tf.GradientTape() as tape:
        tape.watch(image)
        value = tf.reduce_sum(_call(name, truth, image))
    assert np.isfinite(value) and np.isfinite(tape.gradient(value, image)).all()


@pytest.mark.parametrize("kind", ["near", "noise", "inverted"])
@pytest.mark.parametrize(("size", "scales"), [(64, 4), (128, 5)])
def test_ms_ssim_equals_tensorflows(kind, size, scales):
    truth, image = _pair(kind, size)
    factors = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)[:scales]
    reference = tf.image.ssim_multiscale(truth, image, 1.0, factors, filter_size=7)
    np.testing.assert_allclose(1 - _call("ms_ssim", truth, image), reference, atol=1e-5)


def test_ms_ssim_pulls_an_inverted_picture_back():
    """Where TensorFlow's gradient is NaN, ours must still point towards the truth."""
    truth, image = _pair("inverted")
    variable = tf.Variable(image)
    optimizer = tf.keras.optimizers.Adam(0.02)
    first = float(tf.reduce_mean(tf.abs(truth - variable)))
    for _ in range(40):
        with tf.GradientTape() as tape:
            value = tf.reduce_mean(_call("ms_ssim", truth, variable))
        optimizer.apply([tape.gradient(value, variable)], [variable])
    assert float(tf.reduce_mean(_call("ms_ssim", truth, variable))) < 0.95
    assert float(tf.reduce_mean(tf.abs(truth - variable))) < first


def test_ms_ssim_l1_survives_few_bits_of_mantissa():
    """Rounding can bring a flat picture's variance below 0; the quotient must not explode."""
    truth = tf.fill((1, 64, 64, 3), 0.9)
    rounded = tf.cast(tf.cast(truth, tf.bfloat16), tf.float32)
    assert 0 <= float(_call("ms_ssim_l1", truth, rounded)[0]) < 10


def test_hole_losses_see_the_hole_alone():
    truth = tf.zeros((1, 4, 4, 3))
    image = np.zeros((1, 4, 4, 3), np.float32)
    image[0, 0, 0], image[0, 3, 3] = 0.5, 0.9
    occlusion = np.zeros((1, 4, 4, 1))
    occlusion[0, 0, :2] = [[0.01], [1]]  # soft and full count alike
    assert float(_call("hole_l1", truth, tf.constant(image), occlusion)[0]) == pytest.approx(0.25)
    assert float(_call("hole_l2", truth, tf.constant(image), occlusion)[0]) == pytest.approx(0.125)
    assert float(_call("hole_l1", truth, tf.constant(image), 0 * occlusion)[0]) == 0


def test_weighted_sum_adds_and_names_its_terms():
    truth, image = _pair("near")
    targets = {"unmasked_image": truth, "occlusion": tf.ones((2, 64, 64, 1))}
    total, terms = losses.make_loss({"l1": 2.0, "hole_l2": 3.0})(targets, {"inpainted_image": image})
    np.testing.assert_allclose(total, 2 * terms["l1"] + 3 * terms["hole_l2"], rtol=1e-6)


def test_gaussian_matrix_is_zero_padded_convolution():
    row = np.random.default_rng(0).random(40)
    taps = np.arange(33) - 16
    kernel = np.exp(-(taps**2) / (2 * 4.0**2))
    expected = np.convolve(row, kernel / kernel.sum(), "same")
    np.testing.assert_allclose(losses.gaussian_matrix(40, 4.0) @ row, expected, rtol=1e-5)
