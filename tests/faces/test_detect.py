"""The detector on real photographs (where there are any), and on pictures with nothing to find."""

import cv2
import numpy as np
import pandas as pd
import pytest

from rac_unet.faces.align import FITTED, TEMPLATE, align_face
from rac_unet.faces.detect import MESH_TO_IBUG, Face, FaceDetector, central_face


@pytest.fixture(scope="module")
def detector():
    return FaceDetector()


@pytest.fixture(scope="module")
def photos(shared):
    labels = pd.read_csv(shared / "faces/labels.csv")
    paths = labels[labels["split"] == "val"]["path"].iloc[:12]
    return [cv2.cvtColor(cv2.imread(str(shared / "faces" / path)), cv2.COLOR_BGR2RGB) for path in paths]


def test_mapping_has_68_different_vertices():
    assert len(MESH_TO_IBUG) == 68 == len(set(MESH_TO_IBUG.tolist()))


@pytest.mark.parametrize("shape", [(64, 64, 3), (300, 40, 3), (5, 7, 3)])
def test_nothing_in_flat_or_tiny_pictures(detector, shape):
    assert detector.detect(np.full(shape, 128, np.uint8)) == []


def test_finds_every_face_and_aligns_it(detector, photos):
    for photo in photos:
        face = central_face(detector.detect(photo), photo.shape[1], photo.shape[0])
        assert face.mesh.shape == (468, 3) and face.points.dtype == np.float32
        aligned = align_face(photo, face.points, 128)
        # A turned head differs from the frontal template, but never by more than a fifth of the crop.
        assert np.abs(aligned.points[FITTED] / 128 - TEMPLATE).max() < 0.2
        left_eye, right_eye = aligned.points[36:42].mean(0), aligned.points[42:48].mean(0)
        assert left_eye[0] < right_eye[0] and abs(left_eye[1] - right_eye[1]) < 8


def test_finds_a_face_that_fills_a_tight_crop(detector, photos):
    for photo in photos[:4]:
        face = central_face(detector.detect(photo), photo.shape[1], photo.shape[0])
        x0, y0, x1, y1 = (round(value) for value in face.box)
        tight = np.ascontiguousarray(photo[max(y0, 0) : y1, max(x0, 0) : x1])
        found = detector.detect(tight)
        assert found
        moved = found[0].points + [max(x0, 0), max(y0, 0)]
        assert np.abs(moved - face.points).mean() < 0.06 * (x1 - x0)


def test_landmarks_follow_a_turned_photo(detector, photos):
    photo = photos[0]
    face = detector.detect(photo)[0]
    turn = cv2.getRotationMatrix2D((125, 125), 20, 1.0)
    turned = detector.detect(cv2.warpAffine(photo, turn, (250, 250), borderMode=cv2.BORDER_REFLECT_101))[0]
    expected = face.points @ turn[:, :2].T + turn[:, 2]
    assert np.abs(turned.points - expected).mean() < 4


def test_central_face():
    faces = [Face((x, 40, x + 20, 60), 0.9, np.zeros((468, 3), np.float32)) for x in (0, 42, 80)]
    assert central_face(faces, 100, 100) is faces[1]
