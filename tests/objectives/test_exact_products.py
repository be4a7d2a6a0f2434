"""Structural losses on an emulated GPU that rounds the factors of products to 10 bits of mantissa."""

import numpy as np
import pytest
import tensorflow as tf

from rac_unet.objectives import exact_products, losses


def _rounded(x):
    """Round to 10 bits of mantissa; gradients pass unchanged."""
    bits = tf.bitcast(x, tf.int32) + (1 << 12)
    near = tf.bitcast(tf.bitwise.bitwise_and(bits, np.int32(-(1 << 13))), tf.float32)
    return x + tf.stop_gradient(near - x)


@pytest.fixture
def pictures():
    """Two similar faces of low contrast, whose variances are small differences of large means."""
    rng = np.random.default_rng(0)
    truth = 0.7 + 0.01 * rng.random((2, 32, 32, 3))
    return tf.constant(truth, tf.float32), tf.constant(truth + 0.002 * rng.normal(size=truth.shape), tf.float32)


def _loss_and_gradient(name, pictures):
    truth, image = pictures
    targets = {"unmasked_image": truth, "occlusion": tf.ones((2, 32, 32, 1))}
    with tf.GradientTape() as tape:
        tape.watch(image)
        loss = losses.make_loss({name: 1.0})(targets, {"inpainted_image": image})[0]
    return loss.numpy(), tape.gradient(loss, image).numpy()


@pytest.mark.parametrize("name", ["ms_ssim_l1", "ms_ssim"])
def test_losses_keep_their_precision_where_products_are_rounded(name, pictures, monkeypatch):
    exact = _loss_and_gradient(name, pictures)
    monkeypatch.setattr(exact_products, "_multiply", lambda a, b: tf.matmul(_rounded(a), _rounded(b)))

    def errors(uses_tf32):
        monkeypatch.setattr(exact_products, "uses_tf32", lambda: uses_tf32)
        found = _loss_and_gradient(name, pictures)
        return [np.abs(a - b).max() / np.abs(b).max() for a, b in zip(found, exact, strict=True)]

    plain, split = errors(False), errors(True)
    # Of the loss, then of its gradient.
    for rounded, full in zip(plain, split, strict=True):
        assert rounded > 20 * full and full < 1e-3


def test_left_and_right_products_and_gradients_equal_those_of_matmul(monkeypatch):
    monkeypatch.setattr(exact_products, "uses_tf32", lambda: True)
    rng = np.random.default_rng(0)
    matrix, x = rng.normal(size=(5, 4)).astype(np.float32), tf.constant(rng.normal(size=(2, 3, 5)), tf.float32)
    for ours, plain in [
        (lambda x: exact_products.times_matrix(x, matrix), lambda x: tf.matmul(x, matrix)),
        (lambda x: exact_products.matrix_times(matrix[:, :3], x), lambda x: tf.matmul(matrix[:, :3], x)),
    ]:
        with tf.GradientTape(persistent=True) as tape:
            tape.watch(x)
            a, b = ours(x), plain(x)
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5)
        np.testing.assert_allclose(tape.gradient(a, x), tape.gradient(b, x), rtol=1e-5, atol=1e-5)
