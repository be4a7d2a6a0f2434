"""FER+ votes become distributions; pictures without a majority for the seven emotions are left out."""

import cv2
import numpy as np
import pytest

from data_prep import fer2013
from data_prep.sources.fer_plus import shares_of
from rac_unet.core.emotions import EMOTIONS
from rac_unet.data import pairs
from tests.refusals import refused

COLUMNS = ("neutral", "happiness", "surprise", "sadness", "anger", "disgust", "fear", "contempt", "unknown", "NF")


def row(**votes):
    return {name: votes.get(name, 0) for name in COLUMNS}


@pytest.mark.parametrize(
    ("votes", "expected"),
    [
        (row(neutral=4, anger=3, disgust=2, sadness=1), {"neutral": 4 / 9, "anger": 3 / 9, "disgust": 2 / 9}),
        (row(fear=10), {"fear": 1.0}),
        # One vote for something else than an emotion is dropped, too.
        (row(happiness=9, unknown=1), {"happiness": 1.0}),
    ],
)
def test_single_votes_are_dropped_and_the_rest_sums_to_one(votes, expected):
    assert shares_of(votes) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("votes", "word"),
    [
        (row(NF=6, neutral=4), "face"),
        (row(contempt=5, neutral=5), "contempt"),
        (row(unknown=4, sadness=3, anger=3), "unknown"),
        (row(neutral=2, anger=2, sadness=1, fear=1, surprise=1, happiness=1, disgust=1, unknown=1), "agree"),
    ],
)
def test_pictures_of_other_classes_are_left_out(votes, word):
    assert word in shares_of(votes)


def write_folder(root, trees, count=14, test=False):
    """Microsoft's layout: every fifth picture for validation; every third has two more votes, for anger."""
    lines, own = ["Usage,Image name," + ",".join(COLUMNS)], ["Image name,emotion"]
    for number in range(count):
        emotion, name = trees.FER2013[number % 7], f"fer{number:07d}.png"
        folder = "FER2013Valid" if number % 5 == 4 else "FER2013Test" if test and number == 0 else "FER2013Train"
        grey = cv2.cvtColor(trees.face(number, emotion, 96), cv2.COLOR_RGB2GRAY)
        (root / folder).mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(root / folder / name), cv2.resize(grey, (48, 48), interpolation=cv2.INTER_AREA))
        votes = row(**{emotion: 10}) if number % 3 or emotion == "anger" else row(**{emotion: 8, "anger": 2})
        lines.append(",".join(["Training", name, *map(str, votes.values())]))
        own.append(f"{name},{'fear' if emotion == 'surprise' else emotion}")
    (root / "fer2013new.csv").write_text("\n".join(lines) + "\n")
    (root / "fer2013_labels.csv").write_text("\n".join(own) + "\n")
    return root


def prepared(source, output, *more):
    arguments = ["--source", str(source), "--output", str(output), "--size", "48", "--workers", "1", *more]
    assert fer2013.main(arguments) == 0
    return pairs.read(output)


def test_folders_with_votes(trees, tmp_path):
    found = prepared(write_folder(tmp_path / "fer", trees), tmp_path / "set")
    numbers = [int(key.split("-")[0].removeprefix("fer")) for key in found.keys]
    for number, emotion, shares in zip(numbers, found.frame["emotion"], found.emotion_shares, strict=True):
        assert emotion == trees.FER2013[number % 7] and shares.sum() == pytest.approx(1)
        expected = 1.0 if number % 3 or emotion == "anger" else 0.8
        assert shares[EMOTIONS.index(emotion)] == pytest.approx(expected)
    splits = dict(zip(numbers, found.frame["split"].astype(str), strict=True))
    # Without a test folder, half of the validation pictures become the test split.
    assert {number for number, split in splits.items() if split != "train"} == {4, 9}


def test_own_labels_or_both_are_used_only_in_training_and_validation(trees, tmp_path):
    source = write_folder(tmp_path / "fer", trees, test=True)
    own = prepared(source, tmp_path / "own", "--labels", "own").frame.astype(str).set_index("key")
    assert set(own.loc[[key for key in own.index if key.startswith("fer0000005")], "emotion"]) == {"fear"}
    both = prepared(source, tmp_path / "both", "--labels", "both")
    shares = dict(zip(both.keys, both.emotion_shares, strict=True))
    surprised = next(key for key in shares if key.startswith("fer0000005"))
    np.testing.assert_allclose(shares[surprised][[0, 1]], 0.5)
    tested = next(key for key in shares if key.startswith("fer0000000"))
    assert shares[tested].max() == 1 and both.frame.set_index("key").loc[tested, "split"] == "test"


def test_votes_for_the_table(trees, tmp_path):
    table = trees.fer2013_table(tmp_path / "fer2013.csv", 7)
    lines = ["Usage,Image name," + ",".join(COLUMNS)]
    lines += ["Training,," + ",".join(map(str, row(sadness=7, fear=3).values()))] * 6
    lines += ["Training,," + ",".join(map(str, row(NF=10).values()))]
    (tmp_path / "votes.csv").write_text("\n".join(lines) + "\n")
    found = prepared(table, tmp_path / "set", "--votes", str(tmp_path / "votes.csv"))
    assert len(found) == 6 and set(found.frame["emotion"]) == {"sadness"}
    np.testing.assert_allclose(found.emotion_shares[:, EMOTIONS.index("fear")], 0.3)


def test_refusals(trees, tmp_path):
    source = write_folder(tmp_path / "fer", trees, 2)
    command = ["--source", str(source), "--output", str(tmp_path / "set"), "--size", "48"]
    with refused("missing", "other.csv"):
        fer2013.main([*command, "--votes", str(tmp_path / "other.csv")])
    (source / "fer2013_labels.csv").write_text("Image name,emotion\nfer0000000.png,contempt\n")
    with refused("unknown_emotion", "fer2013_labels.csv", "line 2", "contempt"):
        fer2013.main([*command, "--labels", "both"])
    (source / "fer2013new.csv").write_text("Image name,neutral\n")
    with refused("bad_layout", "fer2013new.csv", "happiness"):
        fer2013.main(command)
    with refused("usage", "--labels"):
        fer2013.main(["--source", str(tmp_path), "--output", str(tmp_path / "set"), "--labels", "votes"])
    assert not (tmp_path / "set").exists()
