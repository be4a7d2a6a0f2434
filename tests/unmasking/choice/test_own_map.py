"""A user's map: every kind of file and array it comes in, and what is refused."""

import numpy as np
import pytest
from PIL import Image

from rac_unet.unmasking.choice.own_map import make_own_map
from tests.refusals import refused

SHAPE = (30, 40, 3)
WHERE = np.zeros((30, 40), bool)
WHERE[10:20, 5:25] = True
WHITE = WHERE.astype(np.uint8) * 255


def rgba(colour, alpha=WHITE):
    return np.dstack([np.broadcast_to(np.uint8(colour), (*WHERE.shape, 3)), alpha])


def file(folder, name, picture):
    Image.fromarray(picture).save(folder / name)
    return folder / name


@pytest.mark.parametrize(
    ("name", "picture"),
    [
        ("grey.png", WHITE),
        ("one_bit.png", WHERE),
        ("deep.png", WHERE.astype(np.uint16) * 65_535),
        ("rgb.bmp", np.dstack([WHITE] * 3)),
        ("red.png", np.dstack([WHITE, 0 * WHITE, 0 * WHITE])),
        ("red_strokes.png", rgba((255, 0, 0))),
        ("opaque.png", np.dstack([WHITE, WHITE, WHITE, np.full_like(WHITE, 255)])),
        ("grey.jpg", WHITE),
    ],
)
def test_files_of_every_kind(tmp_path, name, picture):
    own = make_own_map(file(tmp_path, name, picture), None, SHAPE)
    assert (own.hidden == WHERE).all() and own.mode == "replace"
    assert [word for note in own.notes for word in ("colours", "transparent") if word in note] == (
        {"red.png": ["colours"], "red_strokes.png": ["colours", "transparent"]}.get(name, [])
    )


def test_black_strokes_on_a_transparent_ground_are_empty(tmp_path):
    own = make_own_map(file(tmp_path, "black.png", rgba((0, 0, 0))), "add", SHAPE)
    assert not own.hidden.any() and any("empty" in note for note in own.notes)


@pytest.mark.parametrize("array", [WHERE, WHITE, WHITE[..., None], WHERE.astype(np.float32), rgba((255, 255, 255))])
def test_arrays(array):
    before = array.copy()
    assert (make_own_map(array, "remove", SHAPE).hidden == WHERE).all() and (array == before).all()


def test_a_soft_map_is_split_in_the_middle():
    soft = np.zeros(SHAPE[:2], np.float32)
    soft[:, 10], soft[:, 11], soft[:, 12:20] = 0.45, 0.55, 1
    assert np.flatnonzero(make_own_map(soft, None, SHAPE).hidden[0]).tolist() == list(range(11, 20))


@pytest.mark.parametrize("times", [0.5, 2, 3])
def test_a_map_of_another_size_is_resized_and_reported(times):
    picture = np.asarray(
        Image.fromarray(WHITE).resize((round(40 * times), round(30 * times)), Image.Resampling.NEAREST)
    )
    own = make_own_map(picture, None, SHAPE)
    assert own.hidden.shape == SHAPE[:2] and (own.hidden != WHERE).mean() < 0.03
    (note,) = own.notes
    assert f"{picture.shape[1]} x {picture.shape[0]}" in note and "40 x 30" in note


def test_rounding_of_the_aspect_ratio_fits():
    """A photo of 4032 x 3024 pixels at a width of 500 or 85 pixels."""
    for size in ((375, 500), (64, 85)):
        assert make_own_map(np.zeros(size, bool), None, (3024, 4032, 3)).hidden.shape == (3024, 4032)


@pytest.mark.parametrize("size", [(40, 30), (30, 42), (30, 30), (1, 2), (60, 83)])
def test_a_map_of_another_aspect_ratio_is_refused(size):
    with refused("mismatch", f"{size[1]} x {size[0]}", "40 x 30", "upright"):
        make_own_map(np.zeros(size, bool), None, SHAPE)


def test_an_empty_map_says_how_bright_it_is():
    """A label map with classes 0 and 1 looks black."""
    own = make_own_map(WHERE.astype(np.uint8), None, SHAPE)
    assert not own.hidden.any() and "brightest pixel is 1 of 255" in own.notes[0]


def test_a_photo_given_as_a_map_is_refused(tmp_path):
    photo = np.random.default_rng(0).integers(40, 200, SHAPE).astype(np.uint8)
    path = file(tmp_path, "photo.png", photo)
    with refused("wrong_type", "--map", path):
        make_own_map(path, None, SHAPE, "--map")


def test_files_and_arrays_that_are_no_map_are_refused(tmp_path):
    (tmp_path / "notes.png").write_text("not a picture")
    for path in (tmp_path / "notes.png", tmp_path / "gone.png"):
        with refused("unreadable", path):
            make_own_map(path, None, SHAPE)
    for array in (
        np.zeros((3, 4, 2), np.uint8),
        np.zeros((30, 40), int),
        WHERE * 2.0,
        WHITE[:0],
        np.full((30, 40), np.nan),
    ):
        with refused("wrong_type", "map", array.dtype, array.shape):
            make_own_map(array, None, SHAPE)
    with refused("wrong_type", "map", "list"):
        make_own_map([[0, 1], [1, 0]], None, SHAPE)
    with refused("unknown_name", "map_mode", "subtract", "remove"):
        make_own_map(WHITE, "subtract", SHAPE)
