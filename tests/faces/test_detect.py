"""The face detector on real photographs (where available), drawn faces, and pictures without faces."""

import dataclasses

import cv2
import numpy as np
import pandas as pd
import pytest

from rac_unet.faces.align import FITTED, TEMPLATE, align_face
from rac_unet.faces.detect import MESH_TO_IBUG, Face, FaceDetector, central_face
from rac_unet.faces.search import ImagePyramid, distinct_boxes, search_turned
from rac_unet.photos.reading import read_photo
from tests.drawn_masks import drawn_photo


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
def test_no_faces_in_flat_or_tiny_pictures(detector, shape):
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


def centres(faces):
    return np.array([(face.box[0] + face.box[2], face.box[1] + face.box[3]) for face in faces]) / 2


def all_distinct(faces):
    return all(np.hypot(*(a - b)) > 10 for i, a in enumerate(centres(faces)) for b in centres(faces)[:i])


def test_all_faces_of_a_group_are_found_masked_or_not_and_of_any_size(detector):
    rows = [
        cv2.resize(drawn_photo(4, masked), None, fx=size, fy=size, interpolation=cv2.INTER_AREA)
        for masked, size in ((True, 1.0), (False, 0.5), (True, 0.35))
    ]
    photo = np.full((sum(len(row) for row in rows), rows[0].shape[1], 3), 128, np.uint8)
    top = 0
    for row in rows:
        photo[top : top + len(row), : row.shape[1]] = row
        top += len(row)
    faces = detector.detect_all(photo)
    assert len(faces) == 12 and all_distinct(faces)
    # The largest first, each row from its own third of the picture.
    expected = [np.array([(160 + 200 * person, 170) for person in range(4)]) * size for size in (1.0, 0.5, 0.35)]
    expected = np.concatenate([each + (0, top) for each, top in zip(expected, (0, 320, 480), strict=True)])
    distances = np.hypot(*(centres(faces)[:, None] - expected).transpose(2, 0, 1))
    assert (distances.min(0) < 30).all() and (distances[:4].argmin(1) < 4).all()


def test_a_hundred_faces(detector):
    row = np.hstack([cv2.resize(drawn_photo(5, edge=20), (520, 120), interpolation=cv2.INTER_AREA)] * 2)
    faces = detector.detect_all(np.vstack([row] * 10))
    assert 95 <= len(faces) <= 100 and all_distinct(faces)


@pytest.mark.parametrize("turns", [1, 3])
def test_a_lying_face_is_found_with_its_orientation(detector, turns):
    upright = drawn_photo(masked=False)
    photo = np.ascontiguousarray(np.rot90(upright, turns))
    (face,), (lying,) = detector.detect_all(upright), detector.detect_all(photo)
    turned = face.points[36:48]
    for _ in range(turns):
        turned = np.c_[turned[:, 1], len(upright) - 1 - turned[:, 0]]
    assert np.abs(lying.points[36:48] - turned).max() < 10


@pytest.mark.parametrize("turns", [1, 2, 3])
def test_detect_lying_returns_faces_with_more_trust_than_the_upright_ones(detector, turns):
    upright = drawn_photo(masked=False)
    photo = np.ascontiguousarray(np.rot90(upright, turns))
    (face,) = detector.detect_all(upright)
    assert 0.4 < face.trust <= 1 and detector.detect_lying(photo, [dataclasses.replace(face, trust=0.2)]) == []
    (lying,) = detector.detect_lying(photo, [dataclasses.replace(face, trust=0.41)])
    across = lying.points[42:48].mean(0) - lying.points[36:42].mean(0)
    off = np.degrees(np.arctan2(across[1], across[0])) + 90 * turns
    assert abs((off + 180) % 360 - 180) < 15
    assert detector.detect_lying(photo, [dataclasses.replace(face, trust=1.0)]) == []
    assert detector.detect_lying(upright, [face]) == []


@pytest.mark.parametrize("shape", [(1024, 768), (1023, 333), (2, 5000), (1, 3000), (7, 5)])
def test_levels_of_the_pyramid_show_the_same_as_the_photo(shape):
    coarse = np.random.default_rng(1).integers(0, 255, (8, 8, 3), np.uint8)
    rows = cv2.resize(coarse, shape[::-1])
    pyramid = ImagePyramid(rows)
    for side in (100, 384, 600):
        image, factor = pyramid.at_least(side)
        assert max(image.shape[:2]) >= min(side, max(shape)) and min(image.shape[:2]) >= 1
        assert max(shape) // factor == max(image.shape[:2])
        scale = min(1.0, side / max(shape))
        small = pyramid.fitted(scale)
        directly = cv2.resize(rows, [max(1, round(each * scale)) for each in shape[::-1]], interpolation=cv2.INTER_AREA)
        height, width = small.shape[:2]
        assert 0 <= directly.shape[0] - height <= 1 and 0 <= directly.shape[1] - width <= 1
        assert np.abs(small.astype(int) - directly[:height, :width]).mean() < 5


def test_no_faces_in_noise_or_in_black_pictures(detector):
    noise = np.random.default_rng(0).integers(0, 255, (700, 500, 3), np.uint8)
    for photo in (
        noise,
        cv2.GaussianBlur(noise, (0, 0), 8),
        np.zeros((1, 1, 3), np.uint8),
        np.zeros((3, 900, 3), np.uint8),
    ):
        assert detector.detect_all(photo) == []


def test_detect_all_places_a_portrait_as_detect_does(detector, photos):
    for photo in photos[:6]:
        single = central_face(detector.detect(photo), photo.shape[1], photo.shape[0])
        steady = central_face(detector.detect_all(photo), photo.shape[1], photo.shape[0])
        assert np.abs(single.points - steady.points).mean() < 0.04 * (single.box[2] - single.box[0])


@pytest.mark.slow
def test_real_masks_are_found(detector, shared):
    paths = sorted((shared / "real_masks").glob("*.jpg"))[::3]
    found = [bool(detector.detect_all(read_photo(path))) for path in paths]
    assert np.mean(found) >= 0.85


def test_boxes_of_one_face_are_reduced_to_one():
    def row(x, side, score=0.9):
        return [score, x, 0, x + side, side, x, 0, x + side, 0]

    rows = np.array([row(0, 100), row(10, 90), row(200, 100), row(60, 100), row(30, 30)], np.float32)
    assert distinct_boxes(rows)[:, 1].tolist() == [0, 200, 60, 30]
    assert distinct_boxes(np.zeros((0, 9), np.float32)).shape == (0, 9)


def test_boxes_found_in_a_rotated_photo_are_mapped_back():
    photo = np.zeros((100, 300, 3), np.uint8)
    photo[20:40, 250:270] = 255

    def detect(image):
        where = np.argwhere(image[..., 0] > 128)
        (y0, x0), (y1, x1) = where.min(0), where.max(0) + 1
        return np.array([[0.9, x0, y0, x1, y1, x0, y0, x1, y0]], np.float32)

    for row in search_turned(photo, detect):
        assert np.abs((row[1:3] + row[3:5]) / 2 - (260, 30)).max() < 1.5
