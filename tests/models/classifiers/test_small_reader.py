"""The small emotion reader: its input, what it ignores, and its frame in a crop."""

import keras
import numpy as np
import pytest

from rac_unet.core.emotions import EMOTIONS
from rac_unet.models.classifiers.resnet18 import build_resnet18
from rac_unet.models.classifiers.small_reader import build_small_reader
from rac_unet.runtime.classifier import (
    Classifier,
    ClassifierConfig,
    build_classifier,
    load_classifier,
    write_classifier,
)
from rac_unet.scoring.emotions.face_reading import read_names
from tests.refusals import refused


@pytest.mark.parametrize("build", [build_small_reader, build_resnet18])
def test_grey_reads_neither_colour_nor_exposure(build):
    keras.utils.set_random_seed(0)
    model = build(32, preprocessing="grey", filters=2)
    picture = np.random.default_rng(0).random((2, 32, 32, 3), np.float32) * 0.5
    luminance = (picture @ np.float32([0.299, 0.587, 0.114]))[..., None].repeat(3, -1)
    expected = model({"image": picture}, training=False)["logits"]
    for same in (luminance, 1.5 * picture + 0.1):
        np.testing.assert_allclose(model({"image": same}, training=False)["logits"], expected, atol=1e-2)
    other = model({"image": picture[:, ::-1]}, training=False)["logits"]
    assert np.abs(other - expected).max() > 1e-3


def test_it_costs_a_fraction_of_the_judge():
    small, judge = (build_classifier(ClassifierConfig(EMOTIONS, name, 32)) for name in ("small_reader", "resnet18"))
    assert small.count_params() < judge.count_params() / 2


def test_a_frame_is_cut_out_of_upright_crops_and_kept_in_its_file(tmp_path):
    config = ClassifierConfig(EMOTIONS, "small_reader", 2, 32, "grey", frame=(0.5, 0.5, 0.25))
    write_classifier(tmp_path / "reader", build_classifier(config), config, {})
    assert load_classifier(tmp_path / "reader").frame == (0.5, 0.5, 0.25)
    seen = []

    def look(image):
        seen.append(image)
        return np.eye(7, dtype=np.float32)[:1]

    crop = np.zeros((1, 64, 64, 3), np.float32)
    crop[:, :32, 16:48] = 1
    assert read_names(Classifier("x", EMOTIONS, 32, look, config.frame), crop) == [EMOTIONS[0]]
    assert seen[0].min() == 1 and seen[0].shape == (1, 32, 32, 3)
    # Its own data set's pictures show nothing else.
    read_names(Classifier("x", EMOTIONS, 64, look, config.frame), crop, framed=True)
    np.testing.assert_array_equal(seen[1], crop)


@pytest.mark.parametrize("frame", [(0.5, 0.9, 0.5), (0, 0.5, 0.5), (1.2, 0.5, 0.5), "0.5,0.5", (0.5, 0.5)])
def test_a_frame_outside_the_crop_is_refused(frame):
    with refused("bad_value", "classifier.frame"):
        ClassifierConfig(EMOTIONS, frame=frame)


def test_too_small_a_picture_is_refused():
    with refused("bad_value", "16"):
        build_small_reader(16)
