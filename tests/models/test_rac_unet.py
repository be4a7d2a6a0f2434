"""RAC-UNET: the original's size and structure, from stock layers."""

import keras
import numpy as np
import pytest

from rac_unet.models import blocks, build
from rac_unet.models.cost import forward_flops


@pytest.fixture(scope="module")
def small():
    keras.utils.set_random_seed(0)
    return build("rac_unet", filters=4, image_size=32)


def _inputs(batch=2, size=32, label=0):
    rng = np.random.default_rng(0)
    image = rng.random((batch, size, size, 3)).astype(np.float32)
    return {"masked_image": image, "emotion": np.tile(np.eye(7, dtype=np.float32)[label], (batch, 1))}


def test_original_size():
    model = build("rac_unet")
    trainable = sum(int(np.prod(w.shape)) for w in model.trainable_weights)
    assert trainable == 65_897_611
    # The original counts 51.9: it computes each shortcut convolution (0.604 GFLOP at every level) twice.
    assert forward_flops(model) / 1e9 == pytest.approx(51.9 - 4 * 0.604, rel=0.002)


def test_unlabelled_has_no_label(small):
    model = build("rac_unet", filters=4, image_size=32, conditioned=False)
    assert set(model.input) == {"masked_image"} and set(small.input) == {"masked_image", "emotion"}
    # The stem loses the four planes' 3 x 3 kernels, the table its 7 x 4 numbers.
    assert small.count_params() - model.count_params() == 4 * 9 * 2 + 28


def test_the_label_changes_the_picture(small):
    outputs = [small(_inputs(label=label))["inpainted_image"].numpy() for label in (0, 3)]
    assert np.abs(outputs[0] - outputs[1]).max() > 1e-4


def test_emotion_planes_repeat_the_embedding_row():
    label = keras.Input((7,))
    model = keras.Model(label, blocks.emotion_planes(label, 8))
    table = model.layers[1].get_weights()[0]
    planes = model(np.eye(7, dtype=np.float32)[[5]]).numpy()
    np.testing.assert_array_equal(planes, np.broadcast_to(table[5], (1, 8, 8, 4)))
    assert (model(np.zeros((1, 7), np.float32)).numpy() == 0).all()


def test_strided_convolution_pads_as_pytorch_does():
    """With a kernel of a single 1 at its centre, output (i, j) is input (2i, 2j), not (2i+1, 2j+1)."""
    image = keras.Input((8, 8, 1))
    model = keras.Model(image, blocks.convolution(image, 1, "c", strides=2))
    kernel = np.zeros((3, 3, 1, 1))
    kernel[1, 1] = 1
    model.get_layer("c").set_weights([kernel, np.zeros(1)])
    picture = np.arange(64, dtype=np.float32).reshape(1, 8, 8, 1)
    np.testing.assert_array_equal(model(picture)[0, :, :, 0], picture[0, ::2, ::2, 0])


def test_gate_scales_the_skip_between_0_and_1():
    skip, gating = keras.Input((4, 4, 6)), keras.Input((4, 4, 5))
    model = keras.Model([skip, gating], blocks.attention_gate(skip, gating, 3, "g"))
    rng = np.random.default_rng(0)
    s, g = rng.normal(size=(2, 4, 4, 6)).astype(np.float32), rng.normal(size=(2, 4, 4, 5)).astype(np.float32)
    ratio = model([s, g]).numpy() / s
    assert (ratio > 0).all() and (ratio < 1).all()
    np.testing.assert_allclose(ratio, np.broadcast_to(ratio[..., :1], ratio.shape), rtol=1e-4)


def test_residual_down_without_its_branch_is_its_shortcut():
    x = keras.Input((8, 8, 3))
    model = keras.Model(x, blocks.residual_down(x, 4, "d"))
    model.get_layer("d_bn3").set_weights([np.zeros(4), np.zeros(4), np.zeros(4), np.ones(4)])
    shortcut = keras.Model(x, model.get_layer("d_conv1").output)
    picture = np.random.default_rng(0).normal(size=(1, 8, 8, 3)).astype(np.float32)
    np.testing.assert_allclose(model(picture), shortcut(picture), atol=1e-6)
    assert (model(picture).numpy() < 0).any()  # no activation after the sum
