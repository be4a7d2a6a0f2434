"""RA-UNET: its known parameter count, its residual block and its gate."""

import keras
import numpy as np

from rac_unet.models import blocks, build
from rac_unet.models.cost import forward_flops


def test_known_size():
    model = build("ra_unet")
    assert model.count_params() == 39_051_347
    # Batch norms only behind the four gates and the head: two statistics a channel.
    statistics = sum(int(np.prod(w.shape)) for w in model.non_trainable_weights)
    assert statistics == 2 * (64 + 128 + 256 + 512 + 3)
    assert round(forward_flops(model) / 1e9, 1) == 32.4


def test_pictures_lie_between_0_and_1():
    keras.utils.set_random_seed(0)
    model = build("ra_unet", filters=4, image_size=32)
    norm = model.get_layer("head_bn")
    norm.set_weights([np.full(3, 50.0), np.zeros(3), *norm.get_weights()[2:]])
    inputs = {"masked_image": np.random.default_rng(0).random((2, 32, 32, 3)).astype(np.float32)}
    picture = model(inputs)["inpainted_image"].numpy()
    assert picture.min() >= 0 and picture.max() <= 1 and np.ptp(picture) > 0.2


def test_residual_block_without_its_branch_is_its_rectified_shortcut():
    x = keras.Input((6, 6, 3))
    model = keras.Model(x, blocks.residual_convolution(x, 4, "b"))
    model.get_layer("b_conv2").set_weights([np.zeros((3, 3, 4, 4)), np.zeros(4)])
    picture = np.random.default_rng(0).normal(size=(1, 6, 6, 3)).astype(np.float32)
    kernel, bias = model.get_layer("b_shortcut").get_weights()
    np.testing.assert_allclose(model(picture), np.maximum(picture @ kernel[0, 0] + bias, 0), atol=1e-5)
    assert not [layer for layer in model.layers if isinstance(layer, keras.layers.BatchNormalization)]


def test_residual_block_rectifies_between_its_convolutions():
    """Without a shortcut, if the first convolution negates and the second copies, the result is max(-x, 0)."""
    x = keras.Input((4, 4, 1))
    model = keras.Model(x, blocks.residual_convolution(x, 1, "b"))
    copy = np.zeros((3, 3, 1, 1))
    copy[1, 1] = 1
    model.get_layer("b_shortcut").set_weights([np.zeros((1, 1, 1, 1)), np.zeros(1)])
    model.get_layer("b_conv1").set_weights([-copy, np.zeros(1)])
    model.get_layer("b_conv2").set_weights([copy, np.zeros(1)])
    picture = np.linspace(-1, 1, 16).reshape(1, 4, 4, 1).astype(np.float32)
    np.testing.assert_allclose(model(picture), np.maximum(-picture, 0), atol=1e-5)


def test_gate_against_its_definition():
    """The gate written in NumPy: 1 x 1 convolutions as products, the others as sums over their taps."""
    rng = np.random.default_rng(0)
    skip, coarse = keras.Input((6, 6, 4)), keras.Input((3, 3, 5))
    model = keras.Model([skip, coarse], blocks.coarse_attention_gate(skip, coarse, "g"))
    for weight in model.weights:
        weight.assign(rng.uniform(0.2, 1.2, weight.shape) if "bn" in weight.path else rng.normal(0, 0.5, weight.shape))
    weights = {layer.name: layer.get_weights() for layer in model.layers}
    x, c = rng.normal(size=(2, 6, 6, 4)).astype(np.float32), rng.normal(size=(2, 3, 3, 5)).astype(np.float32)

    def pointwise(values, name):
        kernel, bias = weights[name]
        return values @ kernel[0, 0] + bias

    gating = np.maximum(pointwise(c, "g_gating_conv"), 0)
    kernel, bias = weights["g_skip_conv"]
    theta = sum(x[:, i::2, j::2] @ kernel[i, j] for i in (0, 1) for j in (0, 1)) + bias
    # A transposed convolution spreads each pixel over its neighbours; its kernel is (tap, tap, out, in).
    projected = pointwise(gating, "g_gating_project")
    kernel, bias = weights["g_gating_transpose"]
    spread = np.zeros((2, 5, 5, 4))
    for i in range(3):
        for j in range(3):
            spread[:, i : i + 3, j : j + 3] += projected @ kernel[i, j].T
    psi = pointwise(np.maximum(theta + spread[:, 1:4, 1:4] + bias, 0), "g_psi_conv")
    psi = 1 / (1 + np.exp(-psi))
    scaled = pointwise(x * psi.repeat(2, axis=1).repeat(2, axis=2), "g_conv")
    gamma, beta, mean, variance = weights["g_bn"]
    expected = (scaled - mean) / np.sqrt(variance + 1e-5) * gamma + beta
    assert np.ptp(psi) > 0.1
    np.testing.assert_allclose(model([x, c]), expected, atol=1e-4)


def test_the_gate_sees_the_decoder_before_upsampling():
    model = build("ra_unet", filters=4, image_size=32)
    for level in (1, 2, 3, 4):
        width = 4 * 2 ** (level - 1)
        upsampling, gating = model.get_layer(f"up{level}_upsample"), model.get_layer(f"up{level}_gate_gating_conv")
        assert gating.input is upsampling.input
        # No weights: the picture of the coarser level, each pixel twice.
        assert upsampling.interpolation == "nearest" and not upsampling.weights
        assert [t.shape[-1] for t in model.get_layer(f"up{level}_concat").input] == [2 * width, width]
