"""Feature extractors from names and files, their precision, and the files that are refused."""

import hashlib
import json
import os
import zipfile
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from rac_unet.objectives import download, extractor_files
from rac_unet.objectives.extractor_files import find_extractor_file
from rac_unet.objectives.features import feature_distance, load_extractor
from rac_unet.scoring.metric_table import FEATURES, GroundTruth, score_images
from tests.refusals import refused

ROOT = Path(__file__).resolve().parents[2]


def save_extractor(file, side=None, policy="float32", classify=False):
    """Two small convolutions with random weights, saved as a model file."""
    keras.utils.set_random_seed(0)
    image = keras.Input((side, side, 3))
    first = keras.layers.Conv2D(4, 3, activation="relu", dtype=policy)(image)
    second = keras.layers.Conv2D(8, 3, strides=2, activation="relu", dtype=policy)(first)
    outputs = keras.layers.GlobalAveragePooling2D()(second) if classify else [first, second]
    keras.Model(image, outputs).save(file)
    return str(file)


def pictures(count=2, size=32):
    return np.random.default_rng(4).random((2, count, size, size, 3), np.float32)


def test_a_model_file_is_opened_and_described(tmp_path):
    extractor = load_extractor(save_extractor(tmp_path / "small.keras"), image_size=32)
    assert [m.shape for m in extractor.maps(pictures()[0])] == [(2, 30, 30, 4), (2, 14, 14, 8)]
    facts = extractor.facts()
    assert facts["name"] == facts["weights"] == "small.keras" and facts["trained"]
    assert facts["sha256"] == hashlib.sha256((tmp_path / "small.keras").read_bytes()).hexdigest()
    assert str(tmp_path) not in str(facts)


def test_distance_is_per_picture_and_equals_the_score(tmp_path):
    extractor = load_extractor(save_extractor(tmp_path / "small.keras"), image_size=32)
    truth, image = pictures()
    image[1] = truth[1]
    distance = feature_distance(truth, image, extractor).numpy()
    assert distance[0] > 0.01 and distance[1] == 0
    scores = score_images(GroundTruth(truth, np.ones((2, 32, 32, 1)), extractor), image, given=[FEATURES])
    np.testing.assert_allclose(scores["feature_distance_raw"], distance, rtol=1e-4)


def test_float32_whatever_the_policy(tmp_path):
    truth, image = pictures()
    full = load_extractor(save_extractor(tmp_path / "full.keras"), image_size=32)
    expected = feature_distance(truth, image, full).numpy()
    half = save_extractor(tmp_path / "half.keras", policy="mixed_bfloat16")
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        for file in (half, str(tmp_path / "full.keras")):
            extractor = load_extractor(file, image_size=32)
            assert {m.dtype for m in extractor.maps(truth)} == {tf.float32}
            np.testing.assert_allclose(feature_distance(truth, image, extractor), expected, rtol=1e-4)
    finally:
        keras.config.set_dtype_policy(before)


def test_a_model_of_one_size_gets_pictures_resized(tmp_path):
    extractor = load_extractor(save_extractor(tmp_path / "fixed.keras", side=48), image_size=32)
    assert extractor.side == 48 and "48 px" in extractor.description
    assert extractor.maps(pictures()[0])[0].shape == (2, 46, 46, 4)


def test_untrained_says_so_and_repeats():
    extractor = load_extractor("vgg16", "none")
    assert not extractor.trained and "UNTRAINED" in extractor.description and extractor.sha256 is None
    first = extractor.model.get_layer("block1_conv1").get_weights()[0]
    again = load_extractor("vgg16", "none").model.get_layer("block1_conv1").get_weights()[0]
    np.testing.assert_array_equal(first, again)
    # The variance is kept from layer to layer, so that every depth counts.
    spread = [float(tf.math.reduce_std(one)) for one in extractor.maps(pictures(1)[0])]
    assert max(spread) < 5 * min(spread)


def test_the_trained_extractor_of_the_development_files():
    folder = Path(os.environ.get("RAC_UNET_SHARED") or ROOT.parent / "shared") / "weights"
    file = folder / "squeezenet11_features.keras"
    if not file.is_file():
        pytest.skip(f"no {file}; RAC_UNET_SHARED names the folder above weights/")
    with zipfile.ZipFile(file) as archive:
        made_by = json.loads(archive.read("metadata.json"))["keras_version"]
    if [int(n) for n in made_by.split(".")[:2]] > [int(n) for n in keras.__version__.split(".")[:2]]:
        pytest.skip(f"{file.name} was made by Keras {made_by}, which Keras {keras.__version__} cannot read")
    extractor = load_extractor(str(file), image_size=64)
    truth, image = pictures(size=64)
    near = truth + 0.02 * (image - truth)
    assert (feature_distance(truth, near, extractor) < feature_distance(truth, image, extractor)).numpy().all()


def test_files_that_are_no_extractors_are_refused(tmp_path):
    with refused("wrong_type", "classifier.keras"):
        load_extractor(save_extractor(tmp_path / "classifier.keras", classify=True))
    two = [keras.Input((8, 8, 3)), keras.Input((8, 8, 3))]
    keras.Model(two, keras.layers.Add()(two)).save(tmp_path / "two.keras")
    with refused("wrong_type", "two.keras", "(?, 8, 8, 3), (?, 8, 8, 3)"):
        load_extractor(str(tmp_path / "two.keras"))
    (tmp_path / "text.keras").write_text("no model")
    with refused("unreadable", "text.keras"):
        load_extractor(str(tmp_path / "text.keras"))
    deep = keras.Sequential([keras.Input((None, None, 3)), keras.layers.Conv2D(2, 9, strides=4)])
    deep.save(tmp_path / "deep.keras")
    assert load_extractor(str(tmp_path / "deep.keras"), image_size=32).maps(pictures()[0])[0].shape == (2, 6, 6, 2)
    with refused("mismatch", "deep.keras", "4 px") as error:
        load_extractor(str(tmp_path / "deep.keras"), image_size=4)
    assert not set("\n\x1b") & set(str(error.value))


@pytest.mark.parametrize(
    ("features", "weights", "kind", "named"),
    [
        ("absent.keras", "imagenet", "missing", ["--loss.features:", "absent.keras"]),
        ("absent.keras", "none", "usage", ["--loss.feature_weights", "absent.keras"]),
        ("vgg19", "absent.h5", "missing", ["--loss.feature_weights:", "absent.h5"]),
        ("vgg19", ".", "wrong_type", ["--loss.feature_weights:"]),
    ],
)
def test_missing_files_name_their_option(features, weights, kind, named):
    with refused(kind, *named):
        find_extractor_file(features, weights, "loss.")


def test_imagenet_weights_are_read_from_kerass_cache_if_intact(tmp_path, monkeypatch):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    monkeypatch.setitem(extractor_files.KERAS_FILES, "vgg16", ("v.h5", hashlib.md5(b"whole").hexdigest()))
    file = tmp_path / "models" / "v.h5"
    file.parent.mkdir()
    file.write_bytes(b"whole")
    assert find_extractor_file("vgg16", "imagenet") == file

    def no_connection(*_):
        raise download.DownloadError("no route")

    monkeypatch.setattr(extractor_files, "fetch", no_connection)
    file.write_bytes(b"who")
    with refused("download", file, "damaged", "no route"):
        find_extractor_file("vgg16", "imagenet")
    file.unlink()
    named = ("v.h5", file.parent, "Kaggle", "--loss.feature_weights FILE", "--loss.features FILE.keras")
    with refused("download", *named):
        find_extractor_file("vgg16", "imagenet", "loss.")
