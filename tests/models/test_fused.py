"""Fused batch norms: the same numbers as the stock layers, and weights that copy both ways."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from rac_unet.models import build, build_configured
from rac_unet.models.fused import BatchNormalization, fuse_batch_norms


@pytest.fixture
def pair():
    x = keras.Input((6, 6, 5))
    y = keras.layers.BatchNormalization(name="bn", epsilon=1e-5, momentum=0.9)(keras.layers.Conv2D(4, 3, name="c")(x))
    stock = keras.Model(x, keras.layers.ReLU(name="r")(y))
    return stock, fuse_batch_norms(stock)


def _train(model, picture):
    with tf.GradientTape() as tape:
        output = model(picture, training=True)
        total = tf.reduce_sum(output * tf.reshape(tf.range(tf.size(output), dtype=tf.float32), tf.shape(output)))
    return output, tape.gradient(total, model.trainable_variables)


def test_training_equals_the_stock_layers(pair):
    stock, fused = pair
    picture = np.random.default_rng(0).normal(3, 2, (3, 6, 6, 5)).astype(np.float32)
    for _ in range(3):
        (wanted, slopes), (found, fused_slopes) = _train(stock, picture), _train(fused, picture)
        np.testing.assert_allclose(found, wanted, atol=1e-4)
        # The gradient of a bias before a batch norm is only rounding, hence one scale for all.
        scale = max(float(tf.reduce_max(tf.abs(slope))) for slope in slopes)
        for a, b in zip(fused_slopes, slopes, strict=True):
            np.testing.assert_allclose(a, b, atol=1e-4 * scale)
    # Moving mean and variance, the variance without the kernel's n / (n - 1).
    for a, b in zip(fused.weights, stock.weights, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-5)
    np.testing.assert_allclose(fused(picture), stock(picture), atol=1e-4)


def test_one_pixel_gives_numbers():
    layer = BatchNormalization()
    output = layer(np.full((1, 1, 1, 2), 3.0, np.float32), training=True)
    assert np.isfinite(output).all() and np.isfinite(layer.moving_variance.numpy()).all()


def test_weights_copy_both_ways(tmp_path):
    stock = build("rac_unet", filters=2, image_size=32)
    fused = fuse_batch_norms(stock)
    assert [w.path for w in fused.weights] == [w.path for w in stock.weights]
    changed = [w + 0.25 for w in stock.get_weights()]
    fused.set_weights(changed)
    fused.save_weights(tmp_path / "fused.weights.h5")
    stock.load_weights(tmp_path / "fused.weights.h5")
    for a, b in zip(stock.get_weights(), changed, strict=True):
        np.testing.assert_array_equal(a, b)
    fused.set_weights([w - 1 for w in changed])
    stock.save_weights(tmp_path / "stock.weights.h5")
    fused.load_weights(tmp_path / "stock.weights.h5")
    for a, b in zip(fused.get_weights(), changed, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.usefixtures("half_precision")
@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_mixed_precision(policy):
    from rac_unet.core.config import ModelConfig

    model = fuse_batch_norms(build_configured(ModelConfig(filters=2, image_size=32), policy))
    inputs = {"masked_image": np.full((2, 32, 32, 3), 0.5, np.float32), "emotion": np.eye(7, dtype=np.float32)[:2]}
    output = model(inputs, training=True)["inpainted_image"]
    assert output.dtype == tf.float32 and np.isfinite(output).all()
    fused = [layer for layer in model.layers if type(layer) is BatchNormalization]
    assert fused and all(layer.moving_variance.dtype == "float32" for layer in fused)
    assert any(np.abs(layer.moving_mean.numpy()).max() > 0 for layer in fused)
