"""A-UNET: its parameter count, computed by hand, and its blocks."""

import keras
import numpy as np
import pytest

from rac_unet.models import blocks, build
from rac_unet.models.cost import forward_flops


def test_size_by_hand():
    """Level by level: a convolution has k*k*in*out + out parameters, a batch norm 4 per channel, 2 of them trained."""
    widths = [64, 128, 256, 512, 1024]
    convolutions, norms, multiply_adds = 0, 0, 0

    def add(kernel, before, after, side, normed=True):
        nonlocal convolutions, norms, multiply_adds
        convolutions += kernel**2 * before * after + after
        norms += after * normed
        multiply_adds += kernel**2 * before * after * side**2

    for level, (before, width) in enumerate(zip([3, *widths], widths, strict=False)):
        add(3, before, width, 128 >> level)
        add(3, width, width, 128 >> level)
    for level in (3, 2, 1, 0):
        width, coarse, side = widths[level], widths[level + 1], 128 >> level
        add(1, coarse, width // 2, side)
        add(1, width, width // 2, side)
        add(1, width // 2, 1, side)
        add(3, coarse + width, width, side)
        add(3, width, width, side)
    add(1, 64, 3, 128, normed=False)

    model = build("a_unet")
    assert sum(int(np.prod(w.shape)) for w in model.trainable_weights) == convolutions + 2 * norms == 31_916_463
    assert model.count_params() == convolutions + 4 * norms == 31_930_167
    assert forward_flops(model) == 2 * multiply_adds
    assert round(forward_flops(model) / 1e9, 1) == 28.7


def test_it_has_no_residuals():
    model = build("a_unet", filters=2, image_size=32)
    sums = [layer.name for layer in model.layers if isinstance(layer, keras.layers.Add)]
    assert sorted(sums) == [f"up{level}_gate_sum" for level in (1, 2, 3, 4)]


def test_double_convolution_is_two_of_convolution_norm_and_relu():
    """With kernels that copy one channel, the block scales twice and clips at 0 each time."""
    x = keras.Input((4, 4, 1))
    model = keras.Model(x, blocks.double_convolution(x, 1, "b"))
    copy = np.zeros((3, 3, 1, 1))
    copy[1, 1] = 1
    model.get_layer("b_conv1").set_weights([copy, np.array([0.5])])
    model.get_layer("b_conv2").set_weights([copy, np.zeros(1)])
    # gamma, beta, mean, variance
    model.get_layer("b_bn1").set_weights([np.array([2.0]), np.zeros(1), np.array([0.5]), np.ones(1) - 1e-5])
    model.get_layer("b_bn2").set_weights([np.ones(1), np.array([-1.0]), np.zeros(1), np.ones(1) - 1e-5])
    picture = np.linspace(-2, 2, 16).reshape(1, 4, 4, 1).astype(np.float32)
    expected = np.maximum(np.maximum(2 * (picture + 0.5 - 0.5), 0) - 1, 0)
    np.testing.assert_allclose(model(picture), expected, atol=1e-4)
    assert (expected > 0).any() and (expected == 0).any()


def test_pooling_keeps_the_largest_and_upsampling_repeats():
    x = keras.Input((4, 4, 1))
    model = keras.Model(x, [blocks.max_pool(x, "p"), blocks.upsample(x, "u")])
    picture = np.random.default_rng(0).permutation(16).reshape(4, 4).astype(np.float32)
    pooled, doubled = model(picture[None, :, :, None])
    np.testing.assert_array_equal(pooled[0, :, :, 0], picture.reshape(2, 2, 2, 2).max(axis=(1, 3)))
    np.testing.assert_array_equal(doubled[0, :, :, 0], np.kron(picture, np.ones((2, 2))))


@pytest.mark.parametrize("level", [1, 2, 3, 4])
def test_the_gate_sees_the_decoder_at_the_skips_size(level):
    model = build("a_unet", filters=4, image_size=32)
    width = 4 * 2 ** (level - 1)
    assert model.get_layer(f"up{level}_gate_gating_conv").input is model.get_layer(f"up{level}_upsample").output
    assert model.get_layer(f"up{level}_gate_gating_conv").filters == width // 2
    assert [t.shape[-1] for t in model.get_layer(f"up{level}_concat").input] == [2 * width, width]
