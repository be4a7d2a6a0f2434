"""RAC-UNET-lite: its outputs, the composite by the map, and what depends on the label."""

import keras
import numpy as np
import pytest

from rac_unet.core.registry import MODELS
from rac_unet.models import build
from rac_unet.models.cost import graph_flops


@pytest.fixture(scope="module")
def small():
    keras.utils.set_random_seed(0)
    return build("rac_unet_lite", filters=4, image_size=32)


def inputs(label=0, batch=2):
    image = np.random.default_rng(0).random((batch, 32, 32, 3)).astype(np.float32)
    emotion = np.zeros((batch, 7), np.float32)
    if label is not None:
        emotion[:, label] = 1
    return {"masked_image": image, "emotion": emotion}


def test_outputs_by_name_and_range(small):
    outputs = {name: value.numpy() for name, value in small(inputs()).items()}
    assert {name: value.shape[1:] for name, value in outputs.items()} == {
        "inpainted_image": (32, 32, 3),
        "occlusion": (32, 32, 1),
        "painted_image": (32, 32, 3),
        "visible_emotion": (7,),
    }
    assert set(outputs) == set(MODELS["rac_unet_lite"].outputs) and MODELS["rac_unet_lite"].finds_mask
    for value in outputs.values():
        assert value.dtype == np.float32 and value.min() >= 0 and value.max() <= 1
    np.testing.assert_allclose(outputs["visible_emotion"].sum(1), 1, atol=1e-5)


@pytest.mark.parametrize("conditioned", [True, False])
def test_size_on_a_phone(conditioned):
    import tensorflow as tf

    model = build("rac_unet_lite", filters=32, conditioned=conditioned)
    # With 8-bit weights and their scales, under 1.5 MB.
    assert 1.3e6 < model.count_params() < 1.4e6
    specs = {name: tf.TensorSpec((1, *tensor.shape[1:])) for name, tensor in model.input.items()}
    graph = tf.function(lambda named: model(named, training=False), input_signature=[specs])
    assert 1.3e9 < graph_flops(graph.get_concrete_function()) < 1.5e9
    assert ("emotion" in model.input) == conditioned


def test_only_stock_layers(small):
    for layer in small.layers:
        assert type(layer).__module__.startswith("keras.src.layers"), layer
        assert not isinstance(layer, keras.layers.Lambda)


def test_composed_by_the_map(small):
    """The output equals the input bit for bit where the map is 0, the painting where it is 1, and blends between."""
    given = inputs()
    head = small.get_layer("occlusion_conv")
    kernel, bias = head.get_weights()
    outputs = {}
    try:
        unsure = np.log(0.114 / 0.886)
        for value in (-30, unsure, 0, 30):
            head.set_weights([np.zeros_like(kernel), np.full_like(bias, value)])
            outputs[value] = {name: array.numpy() for name, array in small(given).items()}
    finally:
        head.set_weights([kernel, bias])
    for value in (-30, unsure):
        assert (outputs[value]["inpainted_image"] == given["masked_image"]).all()
    np.testing.assert_allclose(outputs[30]["inpainted_image"], outputs[30]["painted_image"], atol=1e-5)
    half = (given["masked_image"] + outputs[0]["painted_image"]) / 2
    np.testing.assert_allclose(outputs[0]["inpainted_image"], half, atol=1e-5)
    assert (outputs[0]["occlusion"] == 0.5).all()


def test_the_label_changes_the_painting_and_not_the_reading(small):
    happy, angry, none = (small(inputs(label)) for label in (3, 5, None))
    assert np.abs(happy["painted_image"] - angry["painted_image"]).max() > 1e-4
    assert np.abs(happy["painted_image"] - none["painted_image"]).max() > 1e-4
    np.testing.assert_array_equal(happy["visible_emotion"], angry["visible_emotion"])


def test_skips_go_through_their_gates(small):
    for level in (1, 2, 3):
        decoder, gated = small.get_layer(f"up{level}_sum").input
        assert gated._keras_history.operation.name == f"up{level}_gate_scale"
        assert decoder._keras_history.operation.name == f"up{level}_labelled"
    psi = keras.Model(small.input, small.get_layer("up1_gate_psi").output)(inputs()).numpy()
    assert 0 < psi.min() < psi.max() < 1


def test_trained_in_half_precision_its_pictures_are_float32(half_precision):
    import tensorflow as tf

    from rac_unet.core.config import ModelConfig
    from rac_unet.models import build_configured

    model = build_configured(ModelConfig("rac_unet_lite", 4, 32), "mixed_bfloat16")
    assert model.get_layer("down1_conv").compute_dtype == "bfloat16"
    assert {value.dtype for value in model(inputs()).values()} == {tf.float32}
