"""Emotion accuracy and confusion matrices, against values counted by hand."""

import math

import numpy as np
import pytest

from rac_unet.core.emotions import EMOTIONS
from rac_unet.scoring.emotions.accuracy import (
    confusion_matrix,
    describe_confusion,
    describe_rare,
    mean_class_accuracy,
    summarise_emotions,
)

TRUE = ["fear", "fear", "fear", "anger", "neutral", "neutral"]
READ = ["fear", "anger", "fear", "anger", "fear", "neutral"]


def test_confusion_is_counted_by_name():
    counts = confusion_matrix(TRUE, READ)
    place = EMOTIONS.index
    assert counts.sum() == 6 and counts[place("fear"), place("fear")] == 2
    assert counts[place("fear"), place("anger")] == counts[place("neutral"), place("fear")] == 1
    with pytest.raises(ValueError, match="unknown emotion 'joy'"):
        confusion_matrix(["joy"], ["fear"])


def test_summary_against_values_counted_by_hand():
    found = summarise_emotions(TRUE, READ, list("aabcde"))
    assert found["n"] == 6 and found["accuracy"]["mean"] == pytest.approx(4 / 6)
    assert found["mean_class_accuracy"] == pytest.approx((2 / 3 + 1 + 1 / 2) / 3)
    assert found["by_emotion"] == {
        "fear": {"accuracy": pytest.approx(2 / 3), "n": 3},
        "anger": {"accuracy": 1.0, "n": 1},
        "neutral": {"accuracy": 0.5, "n": 2},
    }
    assert found["confusion"]["fear"]["anger"] == 1 and sum(found["confusion"]["surprise"].values()) == 0
    assert found["accuracy"]["low"] <= 4 / 6 <= found["accuracy"]["high"]
    lines = describe_confusion(found).splitlines()
    assert len(lines) == 4 and lines[1].split()[0] == "fear" and "%" not in lines[1]
    often = summarise_emotions(TRUE * 4, READ * 4, list("abcdef") * 4)
    assert "66.7 %" in describe_confusion(often).splitlines()[1]  # twelve images instead of three


def test_missing_and_rare_emotions_are_noted():
    missing, rare = describe_rare({"fear": 3, "anger": 10, "happiness": 12, "neutral": 0})
    assert "surprise, disgust, sadness, neutral" in missing and "fear" not in missing and "anger" not in missing
    assert "10" in rare and "fear (3)" in rare and "anger" not in rare and "happiness" not in missing + rare
    assert describe_rare(dict.fromkeys(EMOTIONS, 10)) == []


def test_the_accuracy_of_no_images_is_nan():
    assert math.isnan(mean_class_accuracy(np.zeros((7, 7), int)))


def test_the_class_order_bug_of_the_original_is_detected():
    """With classes in alphabetical order instead of that of the folders, a perfect classifier has chance accuracy."""
    alphabetical = sorted(EMOTIONS)
    shifted = [EMOTIONS[alphabetical.index(name)] for name in EMOTIONS]
    assert summarise_emotions(EMOTIONS, EMOTIONS, EMOTIONS)["accuracy"]["mean"] == 1
    assert summarise_emotions(EMOTIONS, shifted, EMOTIONS)["accuracy"]["mean"] < 0.3
