"""Weights read from a .tflite file, including batch norms that the converter folded."""

import keras
import numpy as np
import pytest
from keras import layers

from rac_unet.exporting.lite_writing import write_lite_float32, write_lite_int8
from rac_unet.models import build
from rac_unet.models.importing.lite_weights import assign_weights, read_lite
from tests.lite_networks import inputs, randomised
from tests.refusals import refused

pytestmark = pytest.mark.usefixtures("tiny_networks")


@pytest.fixture(scope="module")
def network(tiny_networks):
    return randomised(build("rac_unet_lite", filters=4, image_size=32))


@pytest.fixture(scope="module")
def files(network, tmp_path_factory):
    folder = tmp_path_factory.mktemp("lite")
    write_lite_float32(network, folder / "float32.tflite")
    write_lite_int8(network, folder / "int8.tflite", inputs())
    return folder


@pytest.mark.parametrize(("kind", "least"), [("float32", 90), ("int8", 30)])
def test_a_network_is_rebuilt_from_its_file(network, files, kind, least):
    lite = read_lite(files / f"{kind}.tflite")
    assert (lite.network, lite.filters) == ("rac_unet_lite", 4)
    model = build(lite.network, filters=lite.filters, image_size=32)
    assign_weights(model, lite)
    given = inputs(seed=3)
    found, expected = model(given, training=False), network(given, training=False)
    for name, value in expected.items():
        error = np.mean((found[name].numpy() - value.numpy()) ** 2)
        assert -10 * np.log10(error + 1e-12) > least, name


def test_a_batch_norm_that_could_not_be_folded_is_restored(tmp_path):
    image = keras.Input((8, 8, 3), name="masked_image")
    x = layers.Conv2D(4, 3, padding="same", name="shared_conv")(image)
    # As in a residual block whose shortcut is the convolution itself.
    x = layers.Add(name="sum")([x, layers.ReLU(name="act")(layers.BatchNormalization(name="norm")(x))])
    model = keras.Model({"masked_image": image}, {"inpainted_image": x}, name="net")
    copy = keras.models.clone_model(randomised(model))
    write_lite_float32(model, tmp_path / "net.tflite")
    assign_weights(copy, read_lite(tmp_path / "net.tflite"))
    given = {"masked_image": np.random.default_rng(0).random((2, 8, 8, 3), np.float32)}
    found, expected = (each(given, training=False)["inpainted_image"].numpy() for each in (copy, model))
    np.testing.assert_allclose(found, expected, atol=1e-4)


def test_another_network_is_refused_with_the_layers(files, tmp_path):
    lite = read_lite(files / "float32.tflite")
    with refused("mismatch", lite.path, "emotion_shift"):
        assign_weights(build("rac_unet_lite", filters=8, image_size=32), lite)
    with refused("mismatch", lite.path, "emotion_shift"):
        assign_weights(build("rac_unet_lite", filters=4, image_size=32, conditioned=False), lite)
    image = keras.Input((32, 32, 3), name="masked_image")
    other = keras.Model(image, layers.Conv2D(4, 3, padding="same", name="elsewhere")(image))
    with refused("mismatch", lite.path, "emotion_shift"):
        assign_weights(other, lite)
    for broken in (b"half", lite.path.read_bytes()[:100]):
        (tmp_path / "broken.tflite").write_bytes(broken)
        with refused("unreadable", tmp_path / "broken.tflite"):
            read_lite(tmp_path / "broken.tflite")
