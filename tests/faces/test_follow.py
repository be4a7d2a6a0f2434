"""A face is followed without the detector."""

import numpy as np
import pytest

from rac_unet.faces.detect import FaceDetector, box_in_mesh
from tests.drawn_masks import drawn_photo


@pytest.fixture(scope="module")
def detector():
    return FaceDetector()


@pytest.mark.parametrize("person", [0, 3])
def test_following_does_not_drift(detector, person):
    """With another box than the detector's, the face would become larger or smaller from frame to frame."""
    photo = drawn_photo(person + 1, side=160)[:, -280:]
    (first, *_) = detector.detect_all(photo)
    face = first
    for _ in range(10):
        face = detector.follow(photo, face.mesh, box_in_mesh(first), first.score)
    eyes, eyes_first = (each.points[36:48].reshape(2, 6, 2).mean(1) for each in (face, first))
    apart = float(np.hypot(*(eyes_first[1] - eyes_first[0])))
    assert np.abs(eyes - eyes_first).max() < 0.06 * apart and face.trust > 0.5
    assert np.hypot(*(eyes[1] - eyes[0])) == pytest.approx(apart, rel=0.06)
    assert np.abs(np.subtract(face.box, first.box)).max() < 0.1 * (first.box[2] - first.box[0])


def test_a_moved_face_is_trusted_and_a_wall_is_not(detector):
    photo = drawn_photo(side=160)
    (face,) = detector.detect_all(photo)
    moved = detector.follow(np.roll(photo, 9, axis=1), face.mesh, box_in_mesh(face), face.score)
    assert moved.trust > 0.7 and np.abs(moved.points - face.points - [9, 0])[36:48].max() < 3
    wall = np.full_like(photo, 128)
    assert detector.follow(wall, face.mesh, box_in_mesh(face)).trust < 0
    assert detector.follow(photo, face.mesh / 40, box_in_mesh(face)).trust < 0
