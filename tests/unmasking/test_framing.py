"""The wider crop for masks that extend below the usual crop, and crops for display."""

import cv2
import numpy as np
import pytest

from rac_unet.faces.align import TEMPLATE, VISIBLE, align_face
from rac_unet.unmasking.framing import grey_outside, runs_out, wider_frame
from rac_unet.unmasking.pasting import face_map

SIZE = 128


def map_of(top, bottom, left, right):
    occlusion = np.zeros((SIZE, SIZE), np.float32)
    occlusion[top:bottom, left:right] = 1
    return face_map(occlusion)


def test_a_map_runs_out_below_and_nowhere_else():
    middle = np.float64([[1, 0, -100], [0, 1, -100]])
    photo = (400, 400, 3)
    assert not runs_out(map_of(60, 110, 30, 100), middle, photo)
    assert runs_out(map_of(60, 128, 30, 100), middle, photo)
    assert not runs_out(map_of(0, 110, 0, 80), middle, photo) and not runs_out(map_of(60, 110, 40, 128), middle, photo)
    # A few pixels are not enough.
    tip = np.zeros((SIZE, SIZE), np.float32)
    tip[60:110, 30:100] = tip[110:, 62:66] = 1
    assert not runs_out(face_map(tip), middle, photo)


def test_a_map_at_the_photos_border_does_not_run_out():
    below = map_of(60, 128, 30, 100)
    matrix = np.float64([[0.5, 0, 0], [0, 0.5, 0]])
    assert not runs_out(below, matrix, (2 * SIZE - 20, 400, 3)) and runs_out(below, matrix, (2 * SIZE, 400, 3))


@pytest.mark.parametrize("angle", [0, 35, 180])
def test_the_wider_crop_shows_more_below_and_on_both_sides(angle):
    matrix = cv2.getRotationMatrix2D((150, 120), angle, 0.6)
    points = np.zeros((68, 2), np.float32)
    points[np.r_[0:17, 27:48]] = TEMPLATE * 200 + 60
    points = points @ matrix[:, :2].T.astype(np.float32) + matrix[:, 2].astype(np.float32)
    usual = align_face(np.zeros((300, 300, 3), np.uint8), points, SIZE).matrix
    wide = align_face(np.zeros((300, 300, 3), np.uint8), wider_frame(points, usual, SIZE), SIZE).matrix
    # Where the corners of the usual crop are in the wider one.
    corners = np.float64([(0, 0), (SIZE, 0), (0, SIZE), (SIZE, SIZE)])
    back = cv2.invertAffineTransform(usual)
    seen = (corners @ back[:, :2].T + back[:, 2]) @ wide[:, :2].T + wide[:, 2]
    expected = [(7.68, 3.07), (120.32, 3.07), (7.68, 115.71), (120.32, 115.71)]
    assert np.abs(seen - expected).max() < 0.1 and VISIBLE.size == 18


def test_pixels_outside_the_photo_are_grey_for_display():
    crop = np.full((8, 8, 3), 50, np.uint8)
    shown = grey_outside(crop, np.float64([[1, 0, 2], [0, 1, -1]]), (6, 100, 3))
    assert (shown[:5, 2:] == 50).all() and (shown[:, :2] == 224).all() and (shown[5:] == 224).all()
    assert (grey_outside(crop, np.eye(2, 3), crop.shape) == crop).all()
