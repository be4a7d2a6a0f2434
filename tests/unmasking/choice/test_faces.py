"""Which faces are chosen by number and by place."""

import numpy as np
import pytest

from rac_unet.unmasking.choice.faces import parse_choice
from tests.refusals import refused

# Left, middle and right, largest first.
FACES = [(0, 0, 40, 40), (100, 0, 130, 30), (60, 0, 80, 20)]
SHAPE = (50, 140, 3)


def chosen(**words):
    return parse_choice(**words).among(FACES)


def test_the_largest_faces():
    assert chosen() == chosen(faces="ALL") == chosen(faces=9) == [True, True, True]
    assert chosen(faces="largest") == chosen(faces="1") == chosen(faces=np.int64(1)) == [True, False, False]
    assert chosen(faces=2) == [True, True, False]
    assert parse_choice("1") == parse_choice("largest") and parse_choice("1").faces == "largest"


def test_faces_at_a_place():
    assert chosen(box="50,0,140,50") == [False, True, True], "centres are inside"
    assert chosen(box=(50, 0, 140, 50), faces=1) == [False, True, False], "the largest of those there"
    assert chosen(box=[41, 0, 59, 20]) == [False, False, False]
    assert chosen(box=(15, 15, 35, 30)) == [True, False, False]
    assert chosen(box=(14, 14, 19, 30)) == [True, False, False], "a box on a part of a face"
    assert chosen(box=(-50, -50, 50, 50)) == [True, False, False], "partly outside the photo"
    assert chosen(box=(40, 30, 60, 50)) == [False, False, False]
    assert parse_choice(box="1,2.5,30,40").place == "1,2.5,30,40" and parse_choice().place is None


def test_a_box_outside_the_photo_is_refused():
    for box in ("140,0,150,9", "0,50,9,60", "-9,0,0,9"):
        with refused("bad_value", box, "140 x 50"):
            parse_choice(box=box).check(SHAPE)


@pytest.mark.parametrize("faces", ["0", "-1", "two", "1.5", "", True, 0, "²"])
def test_wrong_numbers_of_faces_are_refused(faces):
    with refused("bad_value", "--faces", faces):
        parse_choice(faces, None, ("--faces", "--box"))


@pytest.mark.parametrize(
    "box", ["1,2,3", "1,2,3,4,5", "a,b,c,d", "", "9,0,9,5", "0,9,5,9", "0,0,inf,5", "0,nan,1,2", 5]
)
def test_malformed_boxes_are_refused(box):
    with refused("bad_value", "--box", box):
        parse_choice("all", box, ("--faces", "--box"))
