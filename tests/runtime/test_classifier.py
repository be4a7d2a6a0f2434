"""Classifiers on disk: their classes are read by name, and weights files of other classifiers are refused."""

import json
import re
import shutil

import h5py
import numpy as np
import pytest
import yaml

from rac_unet.core.config import RunConfig
from rac_unet.core.emotions import EMOTIONS
from rac_unet.core.errors import UserError
from rac_unet.core.rundir import RunDir, create, open_run
from rac_unet.runtime.classifier import (
    Classifier,
    ClassifierConfig,
    build_classifier,
    load_classifier,
    read_classifier,
    write_classifier,
    write_classifier_weights,
)
from tests.refusals import refused

ALPHABETICAL = tuple(sorted(EMOTIONS))


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A classifier's run directory and the network in it."""
    config = ClassifierConfig(ALPHABETICAL, image_size=32, filters=4)
    model = build_classifier(config)
    return write_classifier(tmp_path_factory.mktemp("runs") / "judge", model, config, {"commit": "abc"}), model


@pytest.fixture
def run(made, tmp_path):
    """A copy of the run that a test may damage."""
    shutil.copytree(made[0].path, tmp_path / "judge")
    return RunDir(tmp_path / "judge")


def test_round_trip(made):
    run, model = made
    classifier = load_classifier(run.path)
    assert classifier.classes == ALPHABETICAL and classifier.image_size == 32
    pictures = np.random.default_rng(0).random((3, 32, 32, 3), np.float32)
    expected = model({"image": pictures}, training=False)["logits"].numpy()
    np.testing.assert_allclose(classifier.call(pictures), expected, atol=1e-4 * np.abs(expected).max())
    assert run.provenance() == {"commit": "abc"} and run.last_weights.is_file()
    assert [path.name for path in run.path.parent.iterdir()] == ["judge"]


def test_probabilities_are_reordered_by_name():
    logits = np.log(np.array([[1, 2, 3, 4, 5, 6, 7]], np.float32))
    judged = Classifier("x", ALPHABETICAL, 4, lambda image: logits).probabilities(np.zeros((1, 4, 4, 3), np.float32))
    # surprise is the last of the alphabet, fear the third, …
    np.testing.assert_allclose(judged[0] * 28, [7, 3, 2, 4, 6, 1, 5], rtol=1e-5)


def test_large_logits_do_not_overflow():
    logits = np.array([[1e4, 0, 0, 0, 0, 0, -1e4]], np.float32)
    judged = Classifier("x", EMOTIONS, 4, lambda image: logits).probabilities(np.zeros((1, 4, 4, 3), np.float32))
    np.testing.assert_array_equal(judged, [[1, 0, 0, 0, 0, 0, 0]])


@pytest.mark.parametrize(
    ("picture", "named"),
    [
        (np.zeros((1, 64, 64, 3), np.float32), ["32 x 32", "(1, 64, 64, 3)"]),
        (np.zeros((32, 32, 3), np.float32), ["(32, 32, 3)"]),
        (np.zeros((1, 32, 32, 3), np.uint8), ["uint8"]),
        (np.full((1, 32, 32, 3), 255.0), ["[0, 1]"]),
        (np.full((1, 32, 32, 3), np.nan), ["[0, 1]"]),
    ],
)
def test_wrong_pictures(picture, named):
    with refused("bad_value", *named):
        Classifier("x", EMOTIONS, 32, lambda image: image).call(picture)


@pytest.mark.parametrize(
    ("classes", "words"),
    [
        (("joy", *EMOTIONS[1:]), ["unknown 'joy'", "'surprise' missing"]),
        ((*EMOTIONS[:6], "fear"), ["'fear' repeated", "'neutral' missing"]),
        (EMOTIONS[:5], ["'anger' missing", "'neutral' missing", "Received 5"]),
        ((*EMOTIONS, "contempt"), ["unknown 'contempt'", "Received 8"]),
        ("surprise", ["list", "'surprise'"]),
        (None, ["list", "None"]),
    ],
)
def test_classes_are_the_seven_once_each(classes, words):
    with refused("bad_value", "classifier.classes", *words):
        ClassifierConfig(classes)


def edit(run, **values):
    content = yaml.safe_load(run.config_file.read_text())
    content["classifier"].update(values)
    run.config_file.write_text(yaml.safe_dump(content))


def test_weights_with_another_class_order_are_refused(run):
    edit(run, classes=list(EMOTIONS))
    with refused("mismatch", run.best_weights, run.config_file, ", ".join(ALPHABETICAL), ", ".join(EMOTIONS)):
        load_classifier(run.path)


def test_weights_without_class_names_are_refused(run, made):
    made[1].save_weights(run.best_weights)
    with refused("wrong_type", run.best_weights):
        load_classifier(run.path)


def test_weights_with_wrong_class_names_are_refused(run):
    with h5py.File(run.best_weights, "r+") as archive:
        archive.attrs["classes"] = json.dumps(["anger"] * 7)
    with refused("bad_value", run.best_weights, "'anger' repeated", "'fear' missing"):
        load_classifier(run.path)


def test_editing_head_in_the_config_is_refused(made, run):
    config = ClassifierConfig(ALPHABETICAL, image_size=32, filters=4, head="untrained")
    write_classifier_weights(run.best_weights, made[1], config)
    with refused("mismatch", run.best_weights, "head untrained", "trained in the config"):
        load_classifier(run.path)
    edit(run, head="untrained")
    with refused("wrong_type", run.path, "untrained"):
        load_classifier(run.path)
    model, read = read_classifier(run.path)  # what training starts from
    assert read == config
    np.testing.assert_array_equal(model.get_weights()[0], made[1].get_weights()[0])


def test_damaged_weights(run, made):
    whole = run.best_weights.read_bytes()
    run.best_weights.write_bytes(whole[:1000])
    with refused("unreadable", run.best_weights):
        load_classifier(run.path)
    run.best_weights.unlink()
    with pytest.raises(UserError, match=re.escape(str(run.best_weights.name))):
        load_classifier(run.path)


def test_non_finite_weights_are_refused(run, made):
    kernel = made[1].get_layer("logits").kernel
    before = kernel.numpy()
    kernel.assign(np.full(before.shape, np.nan))
    try:
        write_classifier_weights(run.best_weights, made[1], ClassifierConfig(ALPHABETICAL, image_size=32, filters=4))
    finally:
        kernel.assign(before)
    with refused("diverged", run.best_weights, "logits"):
        load_classifier(run.path)


@pytest.mark.parametrize(
    ("key", "value", "refusal"),
    [
        ("name", "resnet50", ("unknown_name", "resnet50", "resnet18")),
        ("name", ["resnet18"], ("bad_value", "classifier.name")),
        ("preprocessing", "caffe", ("unknown_name", "caffe", "none, torchvision")),
        ("head", "half", ("unknown_name", "half", "trained, untrained")),
        ("image_size", "128", ("bad_value", "image_size", "'128'")),
        ("image_size", 8, ("bad_value", "image_size", "32", "8")),
        ("filters", 0, ("bad_value", "filters", "0")),
        ("filters", 8, ("unreadable", "best.weights.h5")),
        ("clases", list(EMOTIONS), ("unknown_name", "clases", "classes")),
    ],
)
def test_faults_of_the_config_name_the_file(run, key, value, refusal):
    edit(run, **{key: value})
    with refused(*refusal, run.config_file):
        load_classifier(run.path)


def test_an_existing_run_is_not_overwritten(made):
    before = sorted(path.stat().st_mtime_ns for path in made[0].path.rglob("*"))
    with pytest.raises(UserError, match=re.escape(str(made[0].path))):
        write_classifier(made[0].path, made[1], ClassifierConfig(EMOTIONS, image_size=32, filters=4), {})
    assert sorted(path.stat().st_mtime_ns for path in made[0].path.rglob("*")) == before


def test_networks_and_classifiers_refuse_each_others_runs(made, tmp_path):
    painter = create(tmp_path, "painter", RunConfig(), {})
    with refused("wrong_type", painter.path):
        load_classifier(painter.path)
    with refused("wrong_type", made[0].path):
        open_run(made[0].path)
    with refused("wrong_type", made[0].path):
        made[0].config()
