"""Alignment places the landmarks of a face at those of the template."""

import numpy as np

from rac_unet.faces.align import FITTED, TEMPLATE, align_face, fit_similarity, transform_points


def _points(size=128.0):
    points = np.full((68, 2), size / 2)
    points[FITTED] = TEMPLATE * size - 0.5
    return points


def _photo(size=128):
    y, x = np.mgrid[:size, :size] / size
    return (255 * np.stack([x, y, (x + y) / 2], -1)).astype(np.uint8)


def test_template_is_symmetric_and_upright():
    flipped = TEMPLATE[:17][::-1] * [-1, 1] + [1, 0]
    np.testing.assert_allclose(flipped, TEMPLATE[:17], atol=1e-9)
    eyes, chin = TEMPLATE[26:38].mean(0), TEMPLATE[8]
    assert abs(eyes[0] - 0.5) < 1e-9 and chin[1] - eyes[1] > 0.5


def test_an_aligned_face_is_unchanged():
    face = align_face(_photo(), _points(), 128)
    np.testing.assert_allclose(face.matrix, [[1, 0, 0], [0, 1, 0]], atol=1e-9)
    np.testing.assert_array_equal(face.image, _photo())


def test_similarity_recovers_a_known_one():
    angle, scale, shift = 0.4, 1.7, np.array([5.0, -3.0])
    turn = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    source = np.random.default_rng(0).normal(size=(9, 2))
    np.testing.assert_allclose(fit_similarity(source, source @ turn.T + shift), np.c_[turn, shift], atol=1e-9)


def test_rotated_and_enlarged_photo_gives_the_same_crop():
    import cv2

    # Rotated by 25 degrees and three times as large: at this scale the photo is averaged down first.
    turn = cv2.getRotationMatrix2D((64, 64), 25, 3.0) + [[0, 0, 150], [0, 0, 150]]
    big = cv2.warpAffine(_photo(), turn, (428, 428), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    face = align_face(big, transform_points(turn, _points()), 128)
    inner = (slice(20, 108), slice(20, 108))
    assert np.abs(face.image[inner].astype(int) - _photo()[inner]).mean() < 2
    np.testing.assert_allclose(face.points[8], _points()[8], atol=1e-3)


def test_edge_pixels_are_repeated_beyond_the_border():
    """With a mirrored border, a chin at the border would appear a second time, upside down."""
    photo = _photo()[:96]
    crop = align_face(photo, _points(), 128).image
    np.testing.assert_array_equal(crop[:96], photo)
    np.testing.assert_array_equal(crop[96:], np.broadcast_to(photo[-1], (32, 128, 3)))
