"""The motion of a face between two frames."""

import cv2
import numpy as np

from rac_unet.faces.align import transform_points
from rac_unet.synthesis.toys.face import draw_face
from rac_unet.unmasking.clips.motion import as_matrices, as_numbers, inverted, measure_move, moved
from tests.unmasking.clips.moving import wall

FACE = draw_face(12, "neutral", 12, 200)
MIDDLE = (FACE.points.min(0) + FACE.points.max(0)) / 2


def before_a_wall(x, y, angle):
    """The face, cut out softly, in front of a wall that stands still; and the matrix of its place."""
    matte = np.zeros((200, 200), np.float32)
    cv2.ellipse(matte, (MIDDLE - [0, 8]).astype(int).tolist(), (62, 84), 0, 0, 360, 1.0, -1)
    matte = cv2.GaussianBlur(matte, (0, 0), 2)
    cos, sin = np.cos(angle), np.sin(angle)
    turn = np.array([[cos, -sin], [sin, cos]])
    matrix = np.c_[turn, np.array([200 + x, 140 + y]) - turn @ MIDDLE]
    picture, share = (cv2.warpAffine(each, matrix, (400, 280), flags=cv2.INTER_CUBIC) for each in (FACE.image, matte))
    share = np.clip(share, 0, 1)[..., None]
    return np.rint(picture * share + wall() * (1 - share)).clip(0, 255).astype(np.uint8), matrix


def test_the_face_is_measured_and_not_what_is_behind_it():
    poses = [(25 * np.sin(i / 4), 14 * np.cos(i / 3), 0.08 * np.sin(i / 5)) for i in range(10)]
    shots = [before_a_wall(*pose) for pose in poses]
    errors = []
    for (before, place), (now, place_now) in zip(shots, shots[1:], strict=False):
        points = transform_points(place, FACE.points)
        found = transform_points(measure_move(before, now, points), points)
        errors.append(np.hypot(*(found - transform_points(place_now, FACE.points))[36:48].T).mean())
    assert np.mean(errors) < 0.15 and np.max(errors) < 0.4


def test_what_cannot_be_followed_is_unknown():
    picture, place = before_a_wall(0, 0, 0)
    points = transform_points(place, FACE.points)
    plain = np.full_like(picture, 90)
    for before, now in ((plain, plain), (picture, plain), (picture, wall(seed=4))):
        assert np.isnan(measure_move(before, now, points)).all()
    assert np.isnan(measure_move(picture, picture, points + 1000)).all()
    assert np.isnan(measure_move(picture, picture, points / 50)).all()


def test_moves_as_numbers():
    move = np.array([[1.02, -0.03, 5.5], [0.03, 1.02, -7.25]])
    numbers = as_numbers(move)
    assert np.allclose(as_matrices(numbers[None])[0], np.r_[move, [[0, 0, 1]]], atol=1e-6)
    mesh = np.random.default_rng(0).uniform(0, 100, (468, 3)).astype(np.float32)
    assert np.allclose(moved(moved(mesh, move), inverted(move)), mesh, atol=1e-3)
    unknown = np.full((2, 3), np.nan)
    assert moved(mesh, unknown) is mesh and np.isnan(as_numbers(unknown)).all() and np.isnan(inverted(unknown)).all()
