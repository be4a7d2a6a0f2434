"""The numbering of a list is determined from all its labels; ambiguous lists are refused."""

import pytest

from data_prep.sources.numbering import choose_numbering, read_label
from tests.refusals import refused

RAFDB = ("rafdb", "zero_based")


@pytest.mark.parametrize(
    ("labels", "candidates", "numbering"),
    [
        ("1234567", RAFDB, "rafdb"),
        ("2347", RAFDB, "rafdb"),
        ("12345678", RAFDB, "rafdb"),
        ("0123456", RAFDB, "zero_based"),
        ("03", RAFDB, "zero_based"),
        (["1.0", "7.0"], RAFDB, "rafdb"),
        ("01234567", ("affectnet",), "affectnet"),
        (["0", "10"], ("affectnet",), "affectnet"),
        ("0123456", ("fer2013",), "fer2013"),
        ("01234567", ("fer2013",), "fer2013"),
        (["fear", "joy", ""], RAFDB, None),
    ],
)
def test_a_whole_list_determines_the_numbering(labels, candidates, numbering):
    assert choose_numbering(labels, candidates, None, "list.txt") == numbering


@pytest.mark.parametrize(
    ("labels", "candidates", "options"),
    [
        ("1123456", RAFDB, ["rafdb (1 surprise", "zero_based (0 surprise", "1 (2 x)"]),
        ("01234567", RAFDB, ["0 (1 x)", "7 (1 x)", "--numbering"]),
        ("1234567", ("affectnet",), ["affectnet", "rafdb"]),
        ("123456", ("affectnet",), ["affectnet", "rafdb"]),
        ("2345678", RAFDB, ["8 (1 x)"]),
        ("12345678", ("affectnet",), ["8 (1 x)"]),
        ("1234567", ("fer2013",), ["7 (1 x)"]),
        ("0123456", ("fer2013", "alphabetical"), ["fer2013", "alphabetical"]),
        ("34", (), ["rafdb", "zero_based", "affectnet", "fer2013", "alphabetical"]),
    ],
)
def test_the_refusal_of_an_ambiguous_list_gives_the_options(labels, candidates, options):
    with refused("ambiguous", "list.txt", *options):
        choose_numbering(labels, candidates, None, "list.txt")
    assert choose_numbering(labels, candidates, "rafdb", "list.txt") == "rafdb"


def test_labels_are_numbers_of_a_numbering_or_names():
    assert read_label(" 4.0 ", "rafdb") == "happiness" and read_label("4", "fer2013") == "sadness"
    assert read_label("Happy", "rafdb") == read_label("happy", None) == "happiness"
    for text, numbering in (("0", "rafdb"), ("4", None), ("4.5", "rafdb"), ("", "rafdb"), ("joy", "rafdb")):
        with refused("unknown_emotion", repr(text)):
            read_label(text, numbering)
    with refused("unknown_emotion", "contempt"):
        read_label("7", "affectnet")
