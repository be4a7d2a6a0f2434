"""The VGG feature extractors against Keras's own VGG, and weights from every kind of file."""

import h5py
import keras
import numpy as np
import pytest
from keras.applications import vgg16, vgg19

from rac_unet.core.errors import UserError
from rac_unet.models.importing.vgg_weights import draw_vgg_weights, load_vgg_weights
from rac_unet.models.vgg import build_vgg_features, normalisation
from tests.refusals import refused

REFERENCES = {"vgg16": (vgg16.VGG16, vgg16.preprocess_input), "vgg19": (vgg19.VGG19, vgg19.preprocess_input)}
TAPS = {
    "vgg16": ["block1_conv2", "block2_conv2", "block3_conv3", "block4_conv3"],
    "vgg19": ["block1_conv2", "block2_conv2", "block3_conv4", "block4_conv4"],
}


@pytest.fixture(scope="module", params=["vgg16", "vgg19"])
def reference(request, tmp_path_factory):
    """Return a name, Keras's own network with random weights, and a file of them in Keras's published layout."""
    build, preprocess = REFERENCES[request.param]
    keras.utils.set_random_seed(3)
    model = build(weights=None, include_top=False, input_shape=(32, 32, 3))
    rng = np.random.default_rng(3)
    folder = tmp_path_factory.mktemp(request.param)
    file = folder / "notop.h5"
    with h5py.File(file, "w") as root:
        root.attrs["layer_names"] = [layer.name.encode() for layer in model.layers]
        for layer in model.layers:
            group = root.create_group(layer.name)
            names = [f"{layer.name}_W_1:0", f"{layer.name}_b_1:0"] if layer.weights else []
            group.attrs["weight_names"] = [name.encode() for name in names]
            if names:
                layer.set_weights([layer.get_weights()[0], rng.normal(0, 1, layer.bias.shape)])
            for name, value in zip(names, layer.get_weights(), strict=True):
                group[name] = value
    return request.param, model, preprocess, file


def _pictures():
    return np.random.default_rng(0).random((2, 32, 32, 3), np.float32)


def test_equals_kerass_own_on_its_preprocessed_pictures(reference):
    name, theirs, preprocess, file = reference
    ours = build_vgg_features(name, "keras", 32)
    load_vgg_weights(ours, file)
    taps = keras.Model(theirs.input, [theirs.get_layer(tap).output for tap in TAPS[name]])
    expected = taps(preprocess(255 * _pictures()))
    found = ours(_pictures())
    assert [key.replace("relu", "block").replace("_", "_conv") for key in found] == TAPS[name]
    for mine, reference_map in zip(found.values(), expected, strict=True):
        scale = np.abs(reference_map).max()
        assert scale > 0
        np.testing.assert_allclose(mine, reference_map, atol=1e-4 * scale)
    assert ours.trainable_weights == []


def test_our_own_files_contain_their_preprocessing(reference, tmp_path):
    name, _, _, file = reference
    if name != "vgg16":
        pytest.skip("once is enough")
    saved = build_vgg_features(name, "torchvision", 32)
    load_vgg_weights(saved, file)
    expected = saved(_pictures())["relu2_2"]
    for ending in (".weights.h5", ".keras"):
        path = tmp_path / f"ours{ending}"
        (saved.save if ending == ".keras" else saved.save_weights)(path)
        again = build_vgg_features(name, "keras", 32)
        load_vgg_weights(again, path)
        np.testing.assert_allclose(again(_pictures())["relu2_2"], expected, atol=1e-4 * np.abs(expected).max())


def test_files_of_another_network_or_damaged_are_refused(reference, tmp_path):
    name, _, _, file = reference
    if name != "vgg16":
        pytest.skip("once is enough")
    with refused("unreadable", file, "block3_conv4"):
        load_vgg_weights(build_vgg_features("vgg19", "keras", 32), file)
    model = build_vgg_features("vgg16", "keras", 32)
    damaged = tmp_path / "damaged.h5"
    damaged.write_bytes(file.read_bytes()[: 1 << 20])
    with refused("unreadable", damaged, "vgg16"):
        load_vgg_weights(model, damaged)
    with h5py.File(file, "r+") as root:
        kernel = root["block1_conv1/block1_conv1_W_1:0"]
        kept = kernel[()]
        kernel[0, 0, 0, 0] = np.nan
    with refused("diverged", file, "block1_conv1"):
        load_vgg_weights(model, file)
    with h5py.File(file, "r+") as root:
        del root["block1_conv1/block1_conv1_W_1:0"]
        root["block1_conv1/block1_conv1_W_1:0"] = kept.transpose(3, 2, 0, 1)
    with refused("unreadable", file, "block1_conv1"):
        load_vgg_weights(model, file)


def test_normalisation_by_hand():
    rgb = np.array([1.0, 0.5, 0.2])
    kernel, bias = normalisation("keras")
    blue, green, red = rgb @ kernel[0, 0] + bias
    assert (blue, green, red) == pytest.approx((51 - 103.939, 127.5 - 116.779, 255 - 123.68), abs=1e-4)
    kernel, bias = normalisation("torchvision")
    expected = [(1 - 0.485) / 0.229, (0.5 - 0.456) / 0.224, (0.2 - 0.406) / 0.225]
    np.testing.assert_allclose(rgb @ kernel[0, 0] + bias, expected, rtol=1e-5)


def test_pictures_of_any_size_are_resized_and_random_weights_repeat():
    model = build_vgg_features("vgg16", "keras", 32)
    draw_vgg_weights(model)
    image = np.random.default_rng(1).random((1, 16, 24, 3), np.float32)
    first = model(image)
    assert [tuple(m.shape) for m in first.values()] == [
        (1, 32, 32, 64),
        (1, 16, 16, 128),
        (1, 8, 8, 256),
        (1, 4, 4, 512),
    ]
    again = build_vgg_features("vgg16", "keras", 32)
    draw_vgg_weights(again)
    np.testing.assert_array_equal(again(image)["relu4_3"], first["relu4_3"])


@pytest.mark.parametrize(("name", "preprocessing"), [("vgg18", "keras"), ("vgg16", "caffe")])
def test_unknown_names(name, preprocessing):
    with pytest.raises(UserError, match="vgg18|caffe"):
        build_vgg_features(name, preprocessing)
