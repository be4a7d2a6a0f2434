"""RAC-UNET-portrait: its outputs, its size, and that it starts as the compact network, enlarged."""

import cv2
import keras
import numpy as np
import pytest

from rac_unet.core.config import ModelConfig
from rac_unet.core.registry import MODELS
from rac_unet.models import build
from rac_unet.models.cost import forward_flops
from rac_unet.models.importing.enlarging import compact_config, enlarge
from tests.lite_networks import randomised
from tests.refusals import refused


@pytest.fixture(scope="module")
def compact():
    keras.utils.set_random_seed(0)
    return randomised(build("rac_unet_lite", filters=4, image_size=32))


@pytest.fixture(scope="module")
def large(compact):
    keras.utils.set_random_seed(1)
    model = build("rac_unet_portrait", filters=4, image_size=64)
    enlarge(compact, model)
    return model


def inputs(side, batch=2):
    image = np.random.default_rng(0).random((batch, side, side, 3)).astype(np.float32)
    return {"masked_image": image, "emotion": np.eye(7, dtype=np.float32)[:batch]}


def test_outputs_by_name_and_range(large):
    outputs = {name: value.numpy() for name, value in large(inputs(64)).items()}
    assert {name: value.shape[1:] for name, value in outputs.items()} == {
        "inpainted_image": (64, 64, 3),
        "occlusion": (64, 64, 1),
        "painted_image": (64, 64, 3),
        "visible_emotion": (7,),
    }
    assert set(outputs) == set(MODELS["rac_unet_portrait"].outputs)
    for value in outputs.values():
        assert value.dtype == np.float32 and value.min() >= 0 and value.max() <= 1


def test_size_and_stock_layers():
    model = build("rac_unet_portrait", filters=32)
    assert model.input["masked_image"].shape == (None, 256, 256, 3)
    assert 1.35e6 < model.count_params() < 1.45e6 and 2.6e9 < forward_flops(model) < 3.0e9
    assert all(type(layer).__module__.startswith("keras.src.layers") for layer in model.layers)


def test_untrained_it_paints_what_the_compact_network_paints_enlarged(compact, large):
    small = inputs(32)
    # The compact network sees the mean of 2 x 2 pixels.
    blocks = np.random.default_rng(1).uniform(-0.2, 0.2, (2, 32, 2, 32, 2, 3)).astype(np.float32)
    blocks -= blocks.mean((2, 4), keepdims=True)
    image = small["masked_image"] * 0.6 + 0.2
    whole = (image[:, :, None, :, None] + blocks).reshape(2, 64, 64, 3)
    small["masked_image"] = image
    expected = {name: value.numpy() for name, value in compact(small).items()}
    found = {name: value.numpy() for name, value in large({**small, "masked_image": whole}).items()}
    np.testing.assert_allclose(found["visible_emotion"], expected["visible_emotion"], atol=1e-4)
    for name in ("painted_image", "occlusion"):
        logits = np.log(expected[name]) - np.log1p(-expected[name])
        for i in range(2):
            doubled = cv2.resize(logits[i], (64, 64), interpolation=cv2.INTER_LINEAR).reshape(64, 64, -1)
            np.testing.assert_allclose(found[name][i], 1 / (1 + np.exp(-doubled)), atol=1e-3)


def test_the_detail_sees_single_pixels(compact):
    keras.utils.set_random_seed(2)
    model = build("rac_unet_portrait", filters=4, image_size=64)
    enlarge(compact, model)
    given = inputs(64)
    before = model(given)["painted_image"].numpy()
    kernel = model.get_layer("detail_painted_image_conv").kernel
    kernel.assign(np.random.default_rng(0).normal(size=kernel.shape))
    # Two pixels of one block change places, which an average over blocks does not see.
    other = {**given, "masked_image": given["masked_image"].copy()}
    other["masked_image"][:, 40, [40, 41]] = other["masked_image"][:, 40, [41, 40]]
    assert np.abs(model(given)["painted_image"].numpy() - before).max() > 1e-3
    assert np.abs(model(given)["painted_image"].numpy() - model(other)["painted_image"].numpy()).max() > 1e-3


def test_other_filters_are_refused():
    with refused("mismatch", "stem_conv", "model.filters"):
        enlarge(build("rac_unet_lite", filters=2, image_size=32), build("rac_unet_portrait", filters=4, image_size=64))


def test_which_compact_network_it_starts_from():
    wanted = ModelConfig("rac_unet_portrait", 8, 96, True)
    assert compact_config(wanted) == ModelConfig("rac_unet_lite", 8, 48, True)
    assert compact_config(ModelConfig("rac_unet_lite", 8, 96, True)) is None
    with refused("bad_value", "model.image_size", "80"):
        ModelConfig("rac_unet_portrait", 8, 80)
