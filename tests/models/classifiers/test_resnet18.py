"""ResNet-18: torchvision's size, PyTorch's padding, its preprocessing inside."""

import keras
import numpy as np
import pytest

from rac_unet.core.errors import UserError
from rac_unet.models.classifiers.resnet18 import build_resnet18
from tests.refusals import refused


@pytest.fixture(scope="module")
def small():
    return build_resnet18(image_size=32, filters=4)


def test_size_of_the_standard_network():
    model = build_resnet18()
    # torchvision's 11,689,512 with another head: 512 x 1000 + 1000 numbers become 512 x 7 + 7.
    trainable = sum(int(np.prod(w.shape)) for w in model.trainable_weights)
    assert trainable == 11_689_512 - (512 * 1000 + 1000) + (512 * 7 + 7)
    assert model.input["image"].shape == (None, 128, 128, 3)
    assert model.output["logits"].shape == (None, 7) and model.output["logits"].dtype == "float32"
    # 128 px: halved by the stem, its pool and three stages.
    assert model.get_layer("stage4_block2_act2").output.shape == (None, 4, 4, 512)


def test_only_stock_layers(small):
    for layer in small.layers:
        assert type(layer).__module__.startswith("keras.src.layers"), layer
        assert not isinstance(layer, keras.layers.Lambda)


def tap(model, layer):
    return keras.Model(model.input, model.get_layer(layer).output)


def test_stem_is_centred_as_in_pytorch(small):
    """A 7x7 kernel with a single 1 at its centre: output (i, j) must be input (2i, 2j)."""
    kernel = np.zeros((7, 7, 3, 4))
    kernel[3, 3, 0] = 1
    model = keras.models.clone_model(small)
    model.get_layer("stem_conv").set_weights([kernel])
    picture = np.random.default_rng(0).random((1, 32, 32, 3), np.float32)
    np.testing.assert_array_equal(tap(model, "stem_conv")({"image": picture})[0, :, :, 0], picture[0, ::2, ::2, 0])


def test_pool_is_that_of_windows_padded_with_minus_infinity(small):
    picture = np.random.default_rng(1).random((2, 32, 32, 3), np.float32)
    before = tap(small, "stem_act")({"image": picture}).numpy()
    assert (before == 0).any(), "some windows must hold zeros"
    padded = np.pad(before, ((0, 0), (1, 1), (1, 1), (0, 0)), constant_values=-np.inf)
    shifted = [padded[:, y : y + 15 : 2, x : x + 15 : 2] for y in range(3) for x in range(3)]
    np.testing.assert_array_equal(tap(small, "stem_pool")({"image": picture}), np.max(shifted, axis=0))


def test_preprocessing_is_inside():
    picture = np.broadcast_to(np.array([0.485, 0.5, 1.0], np.float32), (1, 32, 32, 3))
    model = build_resnet18(image_size=32, filters=4, preprocessing="torchvision")
    prepared = tap(model, "preprocess")({"image": picture})[0, 7, 9]
    np.testing.assert_allclose(prepared, [0, (0.5 - 0.456) / 0.224, (1 - 0.406) / 0.225], atol=1e-6)
    plain = build_resnet18(image_size=32, filters=4)
    plain.set_weights(model.get_weights())
    outside = (picture - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]
    expected = plain({"image": outside.astype(np.float32)})["logits"]
    np.testing.assert_allclose(model({"image": picture})["logits"], expected, atol=1e-3 * np.abs(expected).max())


def test_a_strided_block_has_a_projected_shortcut_and_no_other(small):
    names = {layer.name for layer in small.layers if layer.name.endswith("shortcut_conv")}
    assert names == {f"stage{stage}_block1_shortcut_conv" for stage in (2, 3, 4)}
    assert not any(layer.use_bias for layer in small.layers if isinstance(layer, keras.layers.Conv2D))


@pytest.mark.parametrize(("size", "last"), [(33, 2), (48, 2), (100, 4)])
def test_any_size_gives_pytorchs_number_of_pixels(size, last):
    model = build_resnet18(image_size=size, filters=2)
    assert model.get_layer("stage4_block2_act2").output.shape[1] == last


def test_mistakes_name_the_valid():
    with pytest.raises(UserError, match="none, torchvision"):
        build_resnet18(preprocessing="imagenet")
    with refused("bad_value", "image_size", "32", "16"):
        build_resnet18(image_size=16)
