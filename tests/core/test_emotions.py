"""Label numbers of every source become the right names; a wrong order made the original's main figure wrong."""

import pytest

from rac_unet.core.emotions import EMOTIONS, SOURCE_LABELS, emotion_from_source, emotion_id, parse_emotion
from rac_unet.core.errors import UserError
from tests.refusals import refused


@pytest.mark.parametrize(
    ("source", "label", "name"),
    [
        ("rafdb", 1, "surprise"),
        ("rafdb", 4, "happiness"),
        ("rafdb", 7, "neutral"),
        ("original_folders", 0, "surprise"),
        ("original_folders", 6, "neutral"),
        ("affectnet", 0, "neutral"),
        ("affectnet", 3, "surprise"),
        ("affectnet", 6, "anger"),
        ("affectnet", 7, None),
        ("fer2013", 0, "anger"),
        ("fer2013", 3, "happiness"),
        ("fer2013", 6, "neutral"),
        ("original_classifier", 0, "anger"),
        ("original_classifier", 4, "neutral"),
        ("original_classifier", 6, "surprise"),
    ],
)
def test_source_labels(source, label, name):
    assert emotion_from_source(source, label) == name


def test_every_source_has_each_of_the_seven_once():
    for table in SOURCE_LABELS.values():
        assert sorted(name for name in table.values() if name) == sorted(EMOTIONS)


def test_one_hot_order_is_rafdbs():
    assert [emotion_id(emotion_from_source("rafdb", n)) for n in range(1, 8)] == list(range(7))


@pytest.mark.parametrize(("text", "name"), [("Happy", "happiness"), (" anger ", "anger"), ("SURPRISED", "surprise")])
def test_spellings(text, name):
    assert parse_emotion(text) == name


@pytest.mark.parametrize("text", ["3", "joyful", "", "contempt"])
def test_the_refusal_of_an_unknown_spelling_lists_the_seven(text):
    with pytest.raises(UserError) as error:
        parse_emotion(text)
    assert all(name in str(error.value) for name in EMOTIONS)


def test_a_number_that_a_source_does_not_use_is_refused():
    with refused("unknown_emotion", "rafdb", "0", "1..7"):
        emotion_from_source("rafdb", 0)
