"""Toy faces: deterministic, landmarks on the drawn features, the expression only where the mode allows it."""

import subprocess
import sys

import cv2
import numpy as np
import pytest

from rac_unet.core.emotions import EMOTIONS
from rac_unet.synthesis.toys.expression import EMOTION_ACTION_UNITS, apply_action_units
from rac_unet.synthesis.toys.face import MODES, draw_face
from rac_unet.synthesis.toys.identity import make_identity
from tests.refusals import refused

PEOPLE = [(0, 0), (5, 36), (11, 78), (13, 2), (-3, 9), (26, 4)]


@pytest.fixture(scope="module")
def faces():
    return {
        (mode, who, emotion): draw_face(*(who[0], emotion, who[1]), size=128, mode=mode)
        for mode in MODES
        for who in PEOPLE
        for emotion in EMOTIONS
    }


def mouth_region(points: np.ndarray, size: int) -> np.ndarray:
    """Return the pixels whose centres are strictly inside the jaw 1..15 and below the nose tip."""
    y, x = np.mgrid[:size, :size]
    polygon = points[1:16].astype(np.float32)
    inside = [
        cv2.pointPolygonTest(polygon, (float(a), float(b)), False) > 0 for a, b in zip(x.flat, y.flat, strict=True)
    ]
    return np.reshape(inside, (size, size)) & (y > points[30, 1])


def test_shapes_and_names(faces):
    for (_, who, emotion), face in faces.items():
        assert face.image.shape == (128, 128, 3) and face.image.dtype == np.uint8
        assert face.points.shape == (68, 2) and face.points.dtype == np.float32
        assert (face.emotion, face.identity) == (emotion, who[0])


def test_same_arguments_same_bytes_and_each_argument_matters(faces):
    first = draw_face(7, "fear", 3)
    again = draw_face(7, "fear", 3)
    assert first.image.tobytes() == again.image.tobytes() and first.points.tobytes() == again.points.tobytes()
    for other in (
        draw_face(8, "fear", 3),
        draw_face(7, "anger", 3),
        draw_face(7, "fear", 4),
        draw_face(-7, "fear", 3),
    ):
        assert (other.image != first.image).mean() > 0.02


def test_same_face_in_another_process():
    code = (
        "import zlib; from rac_unet.synthesis.toys.face import draw_face; f = draw_face(3, 'anger', 5, 64);"
        "print(zlib.crc32(f.image.tobytes() + f.points.tobytes()))"
    )
    runs = {
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout for _ in "ab"
    }
    assert len(runs) == 1


def test_framed_as_an_aligned_crop_and_within_the_picture(faces):
    for face in faces.values():
        p = (face.points + 0.5) / 128
        assert p.min() > 0.005 and p.max() < 0.995
        outer = p[[36, 45]]
        assert abs(outer[:, 1].mean() - 0.364) < 0.03
        assert 0.18 < outer[0, 0] < 0.38 and 0.62 < outer[1, 0] < 0.82
        assert 0.86 < p[8, 1] < 0.99
        assert p[8, 1] - p[17:27, 1].min() > 0.6  # chin to brow
        assert np.all(np.diff(p[3:14, 0]) > 0)


def test_landmarks_are_on_the_drawn_features():
    """Each group of landmarks is found in the picture by its colour."""
    for identity, seed in PEOPLE:
        face = draw_face(identity, "surprise", seed, 256)
        neutral = draw_face(identity, "neutral", seed, 256)
        grey = cv2.cvtColor(face.image, cv2.COLOR_RGB2GRAY).astype(float)
        at = lambda xy, g=grey: g[int(round(float(xy[1]))), int(round(float(xy[0])))]  # noqa: E731
        p = face.points
        for eye in (p[36:42], p[42:48]):
            middle = eye.mean(axis=0)
            patch = grey[int(middle[1]) - 12 : int(middle[1]) + 12, int(middle[0]) - 24 : int(middle[0]) + 24]
            assert patch.max() - patch.min() > 100  # white, or its reflection, next to the pupil
        hole = (p[62] + p[66]) / 2
        assert at(hole) < 70  # an open mouth is dark
        lips = neutral.image[[int(round(float(y))) for _, y in neutral.points[[57]] - (0, 3)]][0]
        x = int(round(float(neutral.points[57, 0])))
        chin = neutral.image[int(neutral.points[57, 1]) + 14, x].astype(float)
        lip = lips[x].astype(float)
        assert np.abs(lip / lip.sum() - chin / chin.sum()).max() > 0.008  # lips have their own colour
        shifted = draw_face(identity, "surprise", seed, 256).points[8, 1] - neutral.points[8, 1]
        assert shifted > 5  # the jaw drops
    bald = draw_face(11, "neutral", 78, 256)
    for k in (4, 8, 12):  # a landmark of the jaw is between skin and background
        centre = np.array([bald.points[8, 0], bald.points[30, 1]])
        away = bald.points[k] - centre
        away /= np.linalg.norm(away)
        (xi, yi), (xo, yo) = (
            (bald.points[k] - 4 * away).round().astype(int),
            (bald.points[k] + 4 * away).round().astype(int),
        )
        assert np.abs(bald.image[yi, xi].astype(int) - bald.image[yo, xo].astype(int)).max() > 12


def test_ambiguous_faces_differ_only_around_the_mouth(faces):
    for who in PEOPLE:
        shots = [faces["ambiguous", who, emotion] for emotion in EMOTIONS]
        region = mouth_region(shots[0].points, 128)
        stack = np.stack([s.image.astype(int) for s in shots])
        assert not np.ptp(stack, axis=0).max(axis=-1)[~region].any()
        others = np.stack([np.concatenate([s.points[:48]]) for s in shots])
        assert np.ptp(others, axis=0).max() == 0
        for i in range(7):
            for j in range(i):
                difference = np.abs(stack[i] - stack[j]).max(axis=-1)
                assert (difference > 25).sum() > 60, (EMOTIONS[i], EMOTIONS[j])


@pytest.mark.parametrize("size", [48, 100])
def test_ambiguous_faces_differ_only_around_the_mouth_at_other_sizes(size):
    for identity in range(100, 106):
        shots = [
            draw_face(identity, emotion, identity, size, "ambiguous")
            for emotion in ("neutral", "surprise", "happiness", "fear")
        ]
        spread = np.ptp(np.stack([s.image.astype(int) for s in shots]), axis=0).max(axis=-1)
        assert spread.any() and not spread[~mouth_region(shots[0].points, size)].any()


def test_ambiguous_mouths_stay_inside_the_jaw(faces):
    for (mode, _, _), face in faces.items():
        if mode == "ambiguous":
            jaw = face.points[:17].astype(np.float32)
            assert all(cv2.pointPolygonTest(jaw, (float(x), float(y)), True) > 4 for x, y in face.points[48:60])


def test_natural_faces_show_the_expression_above_the_mouth_too(faces):
    for who in PEOPLE:
        calm = faces["natural", who, "neutral"]
        above = np.arange(128) < calm.points[30, 1] - 8
        for emotion in EMOTIONS[:-1]:
            shown = faces["natural", who, emotion]
            difference = np.abs(shown.image[above].astype(int) - calm.image[above]).max(axis=-1)
            assert (difference > 20).sum() > 40, emotion


def test_expression_strength_and_noise_do_not_depend_on_the_emotion():
    """A far corner of the background is the same for all seven emotions, including noise."""
    corners = {draw_face(11, emotion, 78).image[:20, -8:].tobytes() for emotion in EMOTIONS}
    assert len(corners) == 1


def test_same_picture_at_each_size():
    reference = draw_face(3, "happiness", 22, 512)
    for size in (48, 100, 128, 300):
        face = draw_face(3, "happiness", 22, size)
        small = cv2.resize(reference.image, (size, size), interpolation=cv2.INTER_AREA).astype(float)
        assert np.abs(small - face.image).mean() < 3.0
        assert np.allclose((face.points + 0.5) / size, (reference.points + 0.5) / 512, atol=1e-4)


def test_action_units_move_their_landmarks():
    calm = make_identity(2).points
    moved = {emotion: apply_action_units(calm, units) for emotion, units in EMOTION_ACTION_UNITS.items()}
    assert np.array_equal(moved["neutral"], calm)
    corner, brow_inner, width = 48, 21, lambda p: p[54, 0] - p[48, 0]
    assert moved["happiness"][corner, 1] < calm[corner, 1] < moved["sadness"][corner, 1]
    assert moved["sadness"][brow_inner, 1] < calm[brow_inner, 1] < moved["anger"][brow_inner, 1]
    assert width(moved["surprise"]) < width(calm) < width(moved["fear"])
    gap = {emotion: p[66, 1] - p[62, 1] for emotion, p in moved.items()}
    assert gap["surprise"] > 1.3 * gap["fear"] > 3 * gap["neutral"] and gap["sadness"] < 0.01
    for p in moved.values():
        assert np.allclose(p[:17, 0] + p[16::-1, 0], 1)  # symmetric unless a stronger side is given
    sneer = apply_action_units(calm, EMOTION_ACTION_UNITS["disgust"], 1.0)
    assert sneer[52, 1] < sneer[50, 1] - 0.005


def test_people_vary():
    people = [make_identity(i) for i in range(300)]
    brightness = [p.skin.mean() for p in people]
    assert min(brightness) < 90 and max(brightness) > 205
    assert len({p.hair_style for p in people}) >= 9
    assert 0.12 < np.mean([p.glasses != "none" for p in people]) < 0.28
    men = [p for p in people if p.masculine]
    assert 0.18 < np.mean([p.beard != "none" for p in men]) < 0.40
    assert all(p.beard == "none" for p in people if not p.masculine)


def test_refusals_of_unknown_names_and_sizes_list_the_valid_ones():
    with refused("unknown_emotion", "joy", "happiness"):
        draw_face(0, "joy", 0)
    with refused("unknown_name", "hidden", "natural", "ambiguous"):
        draw_face(0, "fear", 0, mode="hidden")
    with refused("bad_value", "20", "48..512"):
        draw_face(0, "fear", 0, size=20)
