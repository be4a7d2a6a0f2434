"""Properties of every network: sizes, layers, precision, with and without a label."""

import dataclasses

import keras
import numpy as np
import pytest
import tensorflow as tf

from rac_unet.benchmarks.overfit import every_network
from rac_unet.core.config import ModelConfig
from rac_unet.core.registry import LOSSES, MODELS
from rac_unet.models import build, build_configured
from rac_unet.objectives.losses import make_loss
from tests.refusals import refused

ALL = every_network(filters=4, image_size=32)
# The networks of the comparison, built from the same blocks; the mask-aware one has a test file of its own.
NETWORKS = {name: model for name, model in ALL.items() if not MODELS[model.name].finds_mask}
LABELLED = {name for name, row in MODELS.items() if row.takes_label and not row.enlarges}
every = pytest.mark.parametrize("name", NETWORKS)
# Every network in one of the two number formats, and the blocks they share in both.
MIXED = [
    ("rac_unet", "mixed_float16"),
    ("rac_unet", "mixed_bfloat16"),
    ("rac_unet_unlabelled", "mixed_float16"),
    ("ra_unet", "mixed_float16"),
    ("a_unet", "mixed_bfloat16"),
]


@pytest.fixture(scope="module", params=NETWORKS)
def network(request):
    # At this width, an unlucky initialisation leaves a gate with dead units only.
    keras.utils.set_random_seed(0)
    return build_configured(NETWORKS[request.param])


def make_inputs(model, batch=2, size=32):
    image = np.random.default_rng(0).random((batch, size, size, 3)).astype(np.float32)
    inputs = {"masked_image": image, "emotion": np.eye(7, dtype=np.float32)[np.arange(batch) % 7]}
    return {name: inputs[name] for name in model.input}


def test_every_model_is_tested_with_and_without_the_label_it_takes():
    alone = {name for name, row in MODELS.items() if not row.enlarges}
    assert {model.name for model in ALL.values()} == alone
    assert sorted(m.name for m in ALL.values() if m.conditioned) == sorted(LABELLED)
    assert sorted(m.name for m in ALL.values() if not m.conditioned) == sorted(alone)
    assert {name for name, _ in MIXED} == set(NETWORKS)


def test_inputs_and_outputs_by_name(network):
    assert network.name in MODELS
    assert set(network.input) in ({"masked_image"}, {"masked_image", "emotion"})
    assert set(network.output) == set(MODELS[network.name].outputs)
    assert {name: (t.shape, t.dtype) for name, t in network.output.items()} == {
        "inpainted_image": ((None, 32, 32, 3), "float32")
    }


@every
def test_any_multiple_of_16(name):
    size = 80
    model = build_configured(dataclasses.replace(NETWORKS[name], image_size=size))
    assert model(make_inputs(model, 1, size))["inpainted_image"].shape == (1, size, size, 3)


def test_only_stock_layers(network):
    for layer in network.layers:
        assert type(layer).__module__.startswith("keras.src.layers"), layer
        assert not isinstance(layer, keras.layers.Lambda)


def test_layer_names_begin_with_their_place(network):
    places = ("stem_", "labelled_image", "emotion_", "down", "bottleneck", "up", "head_")
    for layer in network.layers:
        assert layer.name.startswith(places) or layer.name in ("masked_image", "emotion", "inpainted_image"), layer.name
    names = {layer.name for layer in network.layers}
    assert {"stem_conv2" if network.name != "ra_unet" else "stem_shortcut"} <= names
    for level in (1, 2, 3, 4):
        assert {f"down{level}_conv1", f"up{level}_upsample", f"up{level}_gate_psi", f"up{level}_concat"} <= names
    # Low numbers are nearest to the image.
    assert network.get_layer("up1_concat").output.shape[1] == 32 > network.get_layer("down4_conv2").output.shape[1] == 2


def test_every_skip_passes_only_its_gate(network):
    """Half of every merge comes from the decoder and half from the gate, nothing else."""
    for level in (1, 2, 3, 4):
        decoder, gated = network.get_layer(f"up{level}_concat").input
        assert decoder.shape[:3] == gated.shape[:3]
        # Where each comes from: the layer that made it.
        assert gated._keras_history.operation.name.startswith(f"up{level}_gate_")
        assert decoder._keras_history.operation.name.startswith(f"up{level}_")
        # The encoder's part that the gate scales.
        skip, _ = network.get_layer(f"up{level}_gate_scale").input
        place = "stem" if level == 1 else f"down{level - 1}"
        assert skip._keras_history.operation.name.startswith(f"{place}_")
        assert skip.shape[1] == gated.shape[1]


def test_coefficients_lie_between_0_and_1_and_differ_by_place(network):
    psi = keras.Model(network.input, {f"up{i}": network.get_layer(f"up{i}_gate_psi").output for i in (1, 2, 3, 4)})
    for level, values in psi(make_inputs(network)).items():
        assert values.shape[-1] == 1
        assert (values.numpy() > 0).all() and (values.numpy() < 1).all(), level
        assert np.ptp(values) > 0


def test_the_last_pixel_depends_on_every_weight_and_on_the_first_pixel(network):
    """Two opposite corners are connected only through the deepest level."""
    inputs = {name: tf.constant(value) for name, value in make_inputs(network).items()}
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        total = tf.reduce_sum(network(inputs, training=True)["inpainted_image"][:, -1, -1] ** 2)
    slopes, pixels = tape.gradient(total, (network.trainable_variables, inputs["masked_image"]))
    assert pixels[0, 0, 0].numpy().any()
    for weight, slope in zip(network.trainable_variables, slopes, strict=True):
        assert slope is not None, weight.path


@pytest.mark.usefixtures("half_precision")
@pytest.mark.parametrize(("name", "policy"), MIXED)
def test_mixed_precision_gives_float32_pictures_and_finite_losses(name, policy):
    model = build_configured(NETWORKS[name], policy)
    assert model.get_layer("down1_conv2").compute_dtype == policy.removeprefix("mixed_")
    assert {w.dtype for w in model.weights} == {"float32"}
    # Losses with a feature extractor use a float32 extractor under every policy; tests/objectives covers them.
    loss = make_loss(
        {term: 1.0 for term, row in LOSSES.items() if not row.needs_features and row.output == "inpainted_image"}
    )
    truth = np.random.default_rng(1).random((2, 32, 32, 3)).astype(np.float32)
    targets = {"unmasked_image": truth, "occlusion": np.ones((2, 32, 32, 1), np.float32)}
    with tf.GradientTape() as tape:
        outputs = model(make_inputs(model), training=True)
        total, terms = loss(targets, outputs)
    assert outputs["inpainted_image"].dtype == tf.float32
    for term, values in terms.items():
        assert np.isfinite(values).all(), term
    slopes = tape.gradient(total, model.trainable_variables)
    assert all(np.isfinite(slope).all() for slope in slopes)
    assert sum(float(tf.reduce_sum(tf.abs(slope))) for slope in slopes) > 0


def test_an_unknown_network_is_refused_with_the_known_names():
    with refused("unknown_name", "rac_unet, ra_unet, a_unet"):
        build("unet")


@pytest.mark.parametrize("name", sorted(name for name, row in MODELS.items() if not row.takes_label))
def test_conditioning_an_unlabelled_network_is_refused(name):
    refusal = ("mismatch", "model.conditioned", name, "rac_unet_lite")
    with refused(*refusal):
        ModelConfig(name=name)
    with refused(*refusal):
        build(name, filters=2, image_size=32, conditioned=True)
    for options in ({}, {"conditioned": False}):
        assert set(build(name, filters=2, image_size=32, **options).input) == {"masked_image"}
