"""The soft_labels command: distributions from classifiers' readings, beside the pairs they are of."""

import json
import shutil

import numpy as np
import pandas as pd
import pytest

from rac_unet.core.emotions import EMOTIONS
from rac_unet.data import pairs
from rac_unet.runtime.classifier import ClassifierConfig, build_classifier, load_classifier, write_classifier
from rac_unet.soft_labels import main
from tests.refusals import refused


@pytest.fixture(scope="module")
def reader(tmp_path_factory):
    """A reader of random weights whose logits are in another order than the product's."""
    config = ClassifierConfig(tuple(sorted(EMOTIONS)), "small_reader", 2, 32, "grey")
    path = tmp_path_factory.mktemp("reader") / "reader"
    write_classifier(path, build_classifier(config), config, {})
    return path


@pytest.fixture
def data(toy_pairs, tmp_path):
    return shutil.copytree(toy_pairs, tmp_path / "pairs")


def test_training_labels_are_the_mean_of_their_own_and_of_what_is_read(data, reader):
    assert main([str(data), "--classifier", str(reader), "--own", "0.25"]) == 0
    before, after = pairs.read(data), pairs.read(data / "soft.csv")
    is_train = (before.frame["split"] == "train").to_numpy()
    own = np.eye(7)[before.emotion_ids]
    np.testing.assert_array_equal(after.emotion_shares[~is_train], own[~is_train])
    read = (after.emotion_shares - 0.25 * own)[is_train] / 0.75
    picture = after.paths("unmasked")[np.flatnonzero(is_train)[0]]
    expected = probabilities(reader, picture)
    np.testing.assert_allclose(read[0], expected, atol=0.02)
    strongest = [EMOTIONS[i] for i in after.emotion_shares.argmax(axis=1)]
    assert after.frame["emotion"].astype(str).tolist() == strongest
    assert after.has_shares and not before.has_shares
    facts = json.loads((data / "soft.json").read_text())
    assert facts["data_fingerprint"] == before.fingerprint and len(facts["classifiers"]) == 1


def test_two_readers_that_agree_are_one(data, reader):
    main([str(data), "--classifier", str(reader), "--name", "one.csv"])
    main([str(data), "--classifier", f"{reader},{reader}", "--name", "two.csv"])
    columns = ["key", "emotion", "emotion_shares"]
    one, two = (pd.read_csv(data / name)[columns] for name in ("one.csv", "two.csv"))
    assert one.equals(two)


def test_mistakes(data, reader, tmp_path):
    with refused("exists", "pairs.csv", "--name"):
        main([str(data), "--classifier", str(reader), "--name", "pairs.csv"])
    # Its provenance would take the place of the data set's own settings.
    settings = (data / "prep.json").read_bytes()
    with refused("exists", "prep.json", "--name"):
        main([str(data), "--classifier", str(reader), "--name", "prep.csv"])
    assert (data / "prep.json").read_bytes() == settings
    with refused("usage", "--classifier"):
        main([str(data), "--classifier", f"{reader},"])
    with refused("usage", "--name", "../soft.csv"):
        main([str(data), "--classifier", str(reader), "--name", "../soft.csv"])
    with refused("missing", tmp_path / "none"):
        main([str(data), "--classifier", str(tmp_path / "none")])
    assert not list(data.glob("soft*"))


def probabilities(reader, picture):
    import cv2

    image = cv2.cvtColor(cv2.imread(picture), cv2.COLOR_BGR2RGB).astype(np.float32) / 255
    small = cv2.resize(image, (32, 32), interpolation=cv2.INTER_AREA)
    return load_classifier(reader).probabilities(small[None])[0]
