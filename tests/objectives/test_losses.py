"""Losses against independent references, and their gradients on hard inputs."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from rac_unet.benchmarks.direct_ms_ssim import direct_ms_ssim_l1
from rac_unet.core.registry import LOSSES
from rac_unet.objectives import losses
from rac_unet.objectives.features import Extractor
from rac_unet.objectives.ssim import POWER_FACTORS, ms_ssim_map


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
    return losses.make_loss({name: 1.0}, EXTRACTOR)(targets, {"inpainted_image": image})[0]


def _small_extractor():
    """Two maps of random weights, with strides and a ReLU: several depths, and not differentiable everywhere."""
    keras.utils.set_random_seed(0)
    image = keras.Input((None, None, 3))
    first = keras.layers.Conv2D(4, 3, activation="relu")(image)
    second = keras.layers.Conv2D(8, 3, strides=2, activation="relu")(first)
    return Extractor("small", False, "two random layers", None, None, keras.Model(image, [first, second]))


EXTRACTOR = _small_extractor()
# Losses with which every network can be trained.
OF_PICTURES = sorted(name for name, row in LOSSES.items() if row.output == "inpainted_image")


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


@pytest.mark.parametrize("kind", ["near", "noise", "flat", "inverted", "beyond"])
def test_ms_ssim_l1_equals_the_two_dimensional_form(kind):
    truth, image = _pair(kind)
    reference = _direct_ms_ssim_l1(truth, image)
    np.testing.assert_allclose(_call("ms_ssim_l1", truth, image), reference, rtol=1e-5)
    np.testing.assert_allclose(direct_ms_ssim_l1(truth, image), reference, rtol=1e-5)


def test_ms_ssim_l1_is_exact_for_nearly_equal_pictures():
    """In float32 the form with a covariance has only three or four correct digits here."""
    rng = np.random.default_rng(1)
    truth = tf.constant(0.9 + 0.02 * rng.normal(size=(2, 64, 64, 3)), tf.float32)
    image = truth + tf.constant(1e-3 * rng.normal(size=truth.shape), tf.float32)
    np.testing.assert_allclose(_call("ms_ssim_l1", truth, image), _direct_ms_ssim_l1(truth, image), rtol=5e-5)


@pytest.mark.parametrize("kind", ["near", "noise", "inverted"])
def test_ssim_equals_tensorflows(kind):
    truth, image = _pair(kind)
    np.testing.assert_allclose(1 - _call("ssim", truth, image), tf.image.ssim(truth, image, 1.0), atol=2e-4)


@pytest.mark.parametrize("name", OF_PICTURES)
def test_losses_are_per_picture_and_0_for_the_truth(name):
    truth, image = _pair("near")
    values = _call(name, truth, image).numpy()
    assert values.shape == (2,) and (values > 0).all()
    assert np.abs(_call(name, *_pair("identical")).numpy()).max() < 1e-4
    # A picture's loss must not depend on the others in its batch.
    np.testing.assert_allclose(_call(name, truth[1:], image[1:]).numpy(), values[1:], rtol=1e-4)


@pytest.mark.parametrize("name", OF_PICTURES)
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
    np.testing.assert_allclose(1 - _call("ms_ssim", truth, image), reference, atol=1e-4)


PICTURES = ("noise", "smooth", "flat", "black", "white", "checkerboard")


def _picture(kind, rng, side=64):
    y, x = np.mgrid[:side, :side]
    wave = 0.5 + 0.4 * np.sin(x * rng.uniform(0.02, 0.3) + y * rng.uniform(0.02, 0.3))
    grey = np.ones((side, side, 1))
    drawn = {
        "noise": rng.random((side, side, 3)),
        "smooth": wave[..., None] * rng.random(3),
        "flat": grey * rng.random(3),
        "black": 0 * grey,
        "white": grey,
        "checkerboard": ((x // rng.integers(1, 5) + y // 3) % 2)[..., None],
    }
    return np.broadcast_to(drawn[kind], (side, side, 3)).astype(np.float32)


def _exact_ms_ssim(x, y, scales):
    """Wang's formula in float64, window 7, by sliding windows."""
    offsets = np.arange(7) - 3
    kernel = np.exp(-(offsets**2) / (2 * 1.5**2))
    kernel /= kernel.sum()

    def blur(a):
        for axis in (1, 2):
            a = np.lib.stride_tricks.sliding_window_view(a, 7, axis) @ kernel
        return a

    result = 1.0
    for scale in range(scales):
        if scale:
            x, y = (a.reshape(len(a), a.shape[1] // 2, 2, a.shape[2] // 2, 2, 3).mean((2, 4)) for a in (x, y))
        mx, my = blur(x), blur(y)
        value = (2 * (blur(x * y) - mx * my) + 9e-4) / (blur(x * x) + blur(y * y) - mx**2 - my**2 + 9e-4)
        if scale == scales - 1:
            value = value * (2 * mx * my + 1e-4) / (mx**2 + my**2 + 1e-4)
        result = result * np.maximum(value.mean((1, 2)), 0) ** POWER_FACTORS[scale]
    return result.mean(-1)


def test_ms_ssim_is_exact_and_its_gradient_finite_for_any_two_pictures():
    rng = np.random.default_rng(7)
    pairs, textured = [], []
    for first in PICTURES:
        picture = _picture(first, rng)
        for second in PICTURES:
            pairs.append((picture, _picture(second, rng)))
            textured.append({first, second} <= {"noise", "smooth"})
        pairs += [(picture, picture), (picture, 1 - picture), (picture, picture + np.float32(1e-3) * rng.random())]
        textured += 3 * [first in ("noise", "smooth")]
    truth, image = (np.stack(side) for side in zip(*pairs, strict=True))
    variable = tf.Variable(image)
    with tf.GradientTape() as tape:
        value = ms_ssim_map(tf.constant(truth), variable, 4)
    gradient = tape.gradient(value, variable)
    assert np.isfinite(gradient).all() and np.abs(gradient).max() < 1
    np.testing.assert_allclose(value, _exact_ms_ssim(np.float64(truth), np.float64(image), 4), atol=1e-4)
    tensorflows = tf.image.ssim_multiscale(truth, image, 1.0, POWER_FACTORS[:4], filter_size=7).numpy()
    # TensorFlow's rounding error reaches 5e-4 where a picture, or its coarsest scale, is flat; else both are equal.
    np.testing.assert_allclose(value.numpy()[textured], tensorflows[textured], atol=1e-4)
    np.testing.assert_allclose(value, tensorflows, atol=1e-2)


def test_perceptual_by_hand():
    """A 1x1 convolution that doubles, then average pooling: known maps, distances by hand."""
    image = keras.Input((None, None, 3))
    double = keras.layers.Conv2D(3, 1, use_bias=False, name="double")(image)
    pooled = keras.layers.AveragePooling2D(2, name="pooled")(double)
    model = keras.Model(image, {"a": double, "b": pooled})
    model.get_layer("double").set_weights([2 * np.eye(3, dtype=np.float32)[None, None]])
    extractor = Extractor("double", True, "", None, None, model)
    truth, painted = np.zeros((2, 4, 4, 3), np.float32), np.zeros((2, 4, 4, 3), np.float32)
    painted[0, 0, 0, 0] = 0.6  # 1.2 in one of 48 values of the first map, 0.3 in one of 12 of the second
    painted[1] = 0.25
    loss = losses.make_loss({"perceptual": 1.0}, extractor)
    total, _ = loss({"unmasked_image": truth}, {"inpainted_image": tf.constant(painted)})
    np.testing.assert_allclose(total, [1.2 / 48 + 0.3 / 12, 1.0], rtol=1e-6)


def test_ms_ssim_pulls_an_inverted_picture_back():
    """Where TensorFlow's gradient is NaN, ours must still point towards the ground truth."""
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
    """Rounding can make a flat picture's variance negative; the quotient must not explode."""
    truth = tf.fill((1, 64, 64, 3), 0.9)
    rounded = tf.cast(tf.cast(truth, tf.bfloat16), tf.float32)
    assert 0 <= float(_call("ms_ssim_l1", truth, rounded)[0]) < 10


def test_hole_losses_count_only_hidden_pixels():
    truth = tf.zeros((1, 4, 4, 3))
    image = np.zeros((1, 4, 4, 3), np.float32)
    image[0, 0, 0], image[0, 3, 3] = 0.5, 0.9
    occlusion = np.zeros((1, 4, 4, 1))
    occlusion[0, 0, :2] = [[0.01], [1]]  # soft and full count alike
    assert float(_call("hole_l1", truth, tf.constant(image), occlusion)[0]) == pytest.approx(0.25)
    assert float(_call("hole_l2", truth, tf.constant(image), occlusion)[0]) == pytest.approx(0.125)
    assert float(_call("hole_l1", truth, tf.constant(image), 0 * occlusion)[0]) == 0
    # 3 of 48 numbers are off by 0.5: MSE 1/64, 18.06 dB, which is 21.94 below 40, and the 1 in the logarithm.
    expected = 4 + np.log10(1 / 64 + 1e-4)
    assert float(_call("composite_psnr", truth, tf.constant(image), occlusion)[0]) == pytest.approx(expected, abs=1e-5)
    assert expected == pytest.approx(2.194, abs=4e-3)
    assert float(_call("composite_psnr", truth, tf.constant(image), 0 * occlusion)[0]) == 0


def test_chroma_counts_tints_over_the_hole_in_full_and_brightness_and_detail_hardly():
    rng = np.random.default_rng(0)
    truth = np.repeat(rng.random((1, 64, 64, 3)), 6, axis=0).astype(np.float32)
    image = truth.copy()
    occlusion = np.zeros((6, 64, 64, 1), np.float32)
    occlusion[:5, 30:, 10:50] = 0.3
    image[0, ..., 0] += 0.1  # Cb -0.0168736, Cr 0.05
    image[1, ..., 2] += 0.1  # Cb 0.05, Cr -0.0081312
    image[2] += 0.3  # brightness
    image[3, :20] = 0  # not hidden
    image[4, ..., 0] += np.where(np.indices((64, 64)).sum(0) % 2, 0.1, -0.1)  # detail
    image[5] = 0  # nothing hidden
    values = _call("chroma", tf.constant(truth), tf.constant(image), occlusion).numpy()
    np.testing.assert_allclose(values[:2], [(0.0168736 + 0.05) / 2, (0.05 + 0.0081312) / 2], atol=1e-5)
    np.testing.assert_allclose(values[[2, 3, 5]], 0, atol=1e-6)
    assert values[4] < 0.003


def test_chroma_counts_a_tinted_rim():
    truth = tf.fill((1, 128, 128, 3), 0.5)
    occlusion = np.zeros((1, 128, 128, 1), np.float32)
    occlusion[:, 60:, 20:100] = 1
    image = truth.numpy()
    image[:, 60:63, 20:100, 0] += 0.2
    whole = image.copy()
    whole[..., 0] = 0.7
    rim, all_over = (float(_call("chroma", truth, tf.constant(each), occlusion)[0]) for each in (image, whole))
    assert rim == pytest.approx(all_over * 3 / 68, rel=0.5)


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


def test_hole_ssim_counts_only_windows_with_a_hidden_centre():
    rng = np.random.default_rng(4)
    truth, image = (tf.constant(rng.random((2, 48, 48, 3), np.float32)) for _ in range(2))
    everywhere = tf.ones((2, 48, 48, 1))
    np.testing.assert_allclose(_call("hole_ssim", truth, image, everywhere), _call("ssim", truth, image), atol=1e-5)
    np.testing.assert_array_equal(_call("hole_ssim", truth, image, 0 * everywhere), [0, 0])
    below = np.zeros((2, 48, 48, 1), np.float32)
    below[:, 24:] = 1
    # A window reaches 5 pixels above the first hidden row; rows above these do not count.
    changed = tf.concat([1 - image[:, :19], image[:, 19:]], axis=1)
    first, second = (_call("hole_ssim", truth, picture, tf.constant(below)) for picture in (image, changed))
    np.testing.assert_allclose(first, second, atol=1e-4)
    assert (
        np.abs(
            _call("hole_ssim", truth, tf.concat([image[:, :40], truth[:, 40:]], 1), tf.constant(below)) - first
        ).min()
        > 0.01
    )
