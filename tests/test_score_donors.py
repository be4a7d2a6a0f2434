"""The score_donors command: what a judge reads in faces with real lower faces pasted behind their masks."""

import json

import keras
import numpy as np
import pandas as pd
import pytest
from PIL import Image

from rac_unet.core.emotions import EMOTIONS
from rac_unet.data import pairs
from rac_unet.runtime.classifier import ClassifierConfig, build_classifier, load_classifier, write_classifier
from rac_unet.score_donors import main
from rac_unet.scoring.emotions.donor_choice import different_people
from rac_unet.scoring.emotions.donor_control import DonorControl
from rac_unet.scoring.emotions.face_reading import mean_probabilities
from tests.refusals import refused


@pytest.fixture(scope="module")
def judge(tmp_path_factory):
    """A judge of random weights, other than the reader's."""
    keras.utils.set_random_seed(5)
    config = ClassifierConfig(EMOTIONS, "small_reader", 2, 32, "grey")
    path = tmp_path_factory.mktemp("judge") / "judge"
    write_classifier(path, build_classifier(config), config, {})
    return path


@pytest.fixture
def donors(copied_pairs):
    """Two training faces of each emotion."""
    frame = pd.read_csv(copied_pairs / "pairs.csv", keep_default_na=False)
    frame = frame[frame["split"] == "train"].groupby("emotion").head(2)
    frame.to_csv(copied_pairs / "donors.csv", index=False)
    return copied_pairs / "donors.csv"


def test_scores_of_random_and_best_donors(donors, copied_pairs, random_reader, judge, tmp_path, capsys):
    words = [
        "--data",
        str(copied_pairs),
        "--classifier",
        str(random_reader),
        "--judge",
        str(judge),
        "--faces",
        "3",
        "--split",
        "train",
    ]
    assert main([str(donors), *words, "--tries", "2,1", "--output", str(tmp_path / "o")]) == 0
    readings = pd.read_csv(tmp_path / "o" / "readings.csv")
    assert len(readings) == 3 * 7 * 2 and set(readings["tries"]) == {1, 2} and readings["identity"].nunique() == 3
    metrics = json.loads((tmp_path / "o" / "metrics.json").read_text())
    for count in (1, 2):
        mine = readings[readings["tries"] == count]
        expected = np.mean(mine["read"] == mine["requested"])
        assert metrics["tries"][str(count)]["control_accuracy"]["mean"] == pytest.approx(expected)
    facts = json.loads((tmp_path / "o" / "provenance.json").read_text())
    assert facts["data_fingerprint"] == pairs.read(copied_pairs).fingerprint
    assert Image.open(tmp_path / "o" / "donors.jpg").size[0] > 300
    assert "the best of 2 donors" in capsys.readouterr().out


def test_the_readers_choose_among_all_donors_tried(donors, copied_pairs, random_reader, judge):
    found, reader = pairs.read(donors), load_classifier(random_reader)
    train = pairs.read(copied_pairs).split("train").with_truth()
    faces = train.take(different_people(train, 2))
    scores = DonorControl(found, found.image_size, [reader], load_classifier(judge), [1, 2])
    better = 0
    for _, emotion, _, (first, best) in scores.score(faces, found.image_size, lambda count: None):
        seen = mean_probabilities([reader], np.stack([first, best]))[:, EMOTIONS.index(emotion)]
        assert seen[1] >= seen[0] and ((first == best).all() or seen[1] > seen[0])
        better += seen[1] > seen[0]
    assert better


def test_mistakes(donors, copied_pairs, random_reader, judge, tmp_path):
    words = [
        str(donors),
        "--data",
        str(copied_pairs),
        "--classifier",
        str(random_reader),
        "--output",
        str(tmp_path / "o"),
    ]
    with refused("mismatch", str(random_reader)):
        main([*words, "--judge", str(random_reader)])
    with refused("usage", "--tries", "0"):
        main([*words, "--judge", str(judge), "--tries", "0,4"])
    frame = pd.read_csv(donors, keep_default_na=False)
    frame[frame["emotion"] != "fear"].to_csv(donors, index=False)
    with refused("mismatch", "fear"):
        main([*words, "--judge", str(judge)])
    assert not (tmp_path / "o").exists()
