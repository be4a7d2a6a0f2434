"""The soft_labels command: a table next to the pairs, with distributions from classifiers."""

import json

import numpy as np
import pandas as pd

from rac_unet.core.emotions import EMOTIONS
from rac_unet.data import pairs
from rac_unet.runtime.classifier import load_classifier
from rac_unet.soft_labels import main
from tests.refusals import refused


def test_training_labels_mix_own_labels_and_the_classifiers_probabilities(copied_pairs, random_reader):
    assert main([str(copied_pairs), "--classifier", str(random_reader), "--own", "0.25"]) == 0
    before, after = pairs.read(copied_pairs), pairs.read(copied_pairs / "soft.csv")
    is_train = (before.frame["split"] == "train").to_numpy()
    own = np.eye(7)[before.emotion_ids]
    np.testing.assert_array_equal(after.emotion_shares[~is_train], own[~is_train])
    read = (after.emotion_shares - 0.25 * own)[is_train] / 0.75
    picture = after.paths("unmasked")[np.flatnonzero(is_train)[0]]
    expected = probabilities(random_reader, picture)
    np.testing.assert_allclose(read[0], expected, atol=0.02)
    strongest = [EMOTIONS[i] for i in after.emotion_shares.argmax(axis=1)]
    assert after.frame["emotion"].astype(str).tolist() == strongest
    assert after.has_shares and not before.has_shares
    facts = json.loads((copied_pairs / "soft.json").read_text())
    assert facts["data_fingerprint"] == before.fingerprint and len(facts["classifiers"]) == 1


def test_faces_without_labels_are_read_in_all_splits(copied_pairs, random_reader):
    assert main([str(copied_pairs), "--classifier", str(random_reader), "--own", "0", "--all_splits"]) == 0
    after = pairs.read(copied_pairs / "soft.csv")
    for split in ("train", "val", "test"):
        part = after.split(split)
        expected = probabilities(random_reader, part.paths("unmasked")[0])
        np.testing.assert_allclose(part.emotion_shares[0], expected, atol=0.02)
    assert json.loads((copied_pairs / "soft.json").read_text())["all_splits"] is True


def test_two_readers_that_agree_equal_one(copied_pairs, random_reader):
    main([str(copied_pairs), "--classifier", str(random_reader), "--name", "one.csv"])
    main([str(copied_pairs), "--classifier", f"{random_reader},{random_reader}", "--name", "two.csv"])
    columns = ["key", "emotion", "emotion_shares"]
    one, two = (pd.read_csv(copied_pairs / name)[columns] for name in ("one.csv", "two.csv"))
    assert one.equals(two)


def test_mistakes(copied_pairs, random_reader, tmp_path):
    with refused("exists", "pairs.csv", "--name"):
        main([str(copied_pairs), "--classifier", str(random_reader), "--name", "pairs.csv"])
    # The provenance of the table would replace the settings of the data set.
    settings = (copied_pairs / "prep.json").read_bytes()
    with refused("exists", "prep.json", "--name"):
        main([str(copied_pairs), "--classifier", str(random_reader), "--name", "prep.csv"])
    assert (copied_pairs / "prep.json").read_bytes() == settings
    with refused("usage", "--classifier"):
        main([str(copied_pairs), "--classifier", f"{random_reader},"])
    with refused("usage", "--name", "../soft.csv"):
        main([str(copied_pairs), "--classifier", str(random_reader), "--name", "../soft.csv"])
    with refused("missing", tmp_path / "none"):
        main([str(copied_pairs), "--classifier", str(tmp_path / "none")])
    assert not list(copied_pairs.glob("soft*"))


def probabilities(random_reader, picture):
    import cv2

    image = cv2.cvtColor(cv2.imread(picture), cv2.COLOR_BGR2RGB).astype(np.float32) / 255
    small = cv2.resize(image, (32, 32), interpolation=cv2.INTER_AREA)
    return load_classifier(random_reader).probabilities(small[None])[0]
