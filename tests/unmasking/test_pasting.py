"""Pasting a painted face: cleaning the map, matching the light, and no change outside the map."""

import cv2
import numpy as np
import pytest

from rac_unet.unmasking.painting.texture import median
from rac_unet.unmasking.pasting import face_map, matched_to_photo, paste_face

SIZE = 128


def disc(centre, radius, size=SIZE):
    y, x = np.mgrid[:size, :size]
    return np.hypot(x - centre[0], y - centre[1]) <= radius


def photo(height=300, width=260, seed=0):
    noise = np.random.default_rng(seed).integers(0, 255, (height, width, 3), np.uint8)
    return cv2.GaussianBlur(noise, (0, 0), 2)


def placing(scale, angle, x, y):
    """Matrix photo pixel -> crop pixel of a crop at (x, y), turned, with `scale` crop pixels per photo pixel."""
    return cv2.getRotationMatrix2D((x, y), angle, scale) + [[0, 0, SIZE / 2 - x], [0, 0, SIZE / 2 - y]]


def test_the_map_covers_hidden_pixels_and_grows_a_little():
    hidden = disc((64, 80), 30)
    where = face_map(hidden.astype(np.float32))
    assert (where.weight[hidden] > 0.9).all()
    assert (where.weight[~disc((64, 80), 36)] == 0).all() and 0 < where.area - hidden.mean() < 0.08
    # It rises from the edge inwards, so that there is no visible seam.
    assert 0 < where.weight[80, 64 + 33] < where.weight[80, 64 + 32] <= where.weight[80, 64 + 31] <= 1
    assert not (where.ring * where.weight).any() and where.ring.sum() > 500


def test_specks_and_holes_are_removed_but_a_hand_is_kept():
    hidden = disc((64, 80), 40)
    hidden[disc((64, 75), 4)] = False
    hidden[disc((64, 98), 12)] = False
    hidden |= disc((10, 10), 2)
    where = face_map(hidden.astype(np.float32))
    assert where.weight[75, 64] == 1 and where.weight[98, 64] == 0 and where.weight[10, 10] == 0


def test_only_this_faces_mask_is_painted_over():
    """A neighbour's mask or a collar is not; pieces of a strap are."""
    hidden = disc((64, 80), 30)
    neighbour, collar, strap = disc((4, 80), 12), np.zeros_like(hidden), np.zeros_like(hidden)
    collar[122:, 40:90] = True
    strap[52:56, 100:112] = True
    weight = face_map((hidden | neighbour | collar | strap).astype(np.float32)).weight
    assert not weight[neighbour].any() and not weight[collar].any() and (weight[strap] == 1).all()


def test_the_rim_is_opaque_and_the_map_fades_where_the_mask_leaves_the_crop():
    hidden = np.zeros((SIZE, SIZE), bool)
    hidden[60:126, 40:90] = True
    weight = face_map(hidden.astype(np.float32)).weight
    assert (weight[hidden] == 1).all() and weight[59, 60] == 1 and 0 < weight[58, 60] < 1 and weight[127, 60] > 0
    hidden[60:, 40:90] = True
    rows = face_map(hidden.astype(np.float32)).weight[:, 60]
    assert 0 < rows[127] < rows[126] < rows[125] < 1 and rows[120] == 1


def test_the_map_does_not_grow_into_an_eye_but_covers_its_hidden_part():
    hidden = np.zeros((SIZE, SIZE), bool)
    hidden[52:110, 20:108] = True
    # One eye ends a pixel above the mask, the other is half below it.
    eyes = np.float32([[(30, 46), (42, 42), (54, 46), (42, 51)], [(74, 52), (86, 46), (98, 52), (86, 58)]])
    usual, spared = (face_map(hidden.astype(np.float32), each).weight for each in (None, eyes))
    assert (
        usual[50, 42] > 0.5 and usual[51, 86] > 0.9 and max(spared[46:51, 42].max(), spared[48:52, 86].max()) < 1 / 255
    )
    # Far from the eyes nothing changes, and hidden parts of an eye are painted.
    assert (spared[:, 60:68] == usual[:, 60:68]).all() and (spared[62:, 20:108] == usual[62:, 20:108]).all()
    assert spared[52, 86] > 0.8 and spared[53:58, 86].min() > 0.99


def test_a_region_without_surely_hidden_pixels_is_no_mask():
    assert face_map(np.full((SIZE, SIZE), 0.4, np.float32)).area == 0
    assert face_map(np.zeros((SIZE, SIZE), np.float32)).area == 0
    doubtful = np.where(disc((64, 80), 30), 0.35, 0).astype(np.float32)
    doubtful[disc((64, 80), 20)] = 0.9
    assert face_map(doubtful).weight[80, 64 + 28] > 0.9, "pixels connected to the sure part belong to it"
    assert face_map(np.ones((64, 64), np.float32)).area == 1


def test_the_painting_is_matched_to_the_light_of_the_photo():
    truth = cv2.GaussianBlur(np.random.default_rng(1).random((SIZE, SIZE, 3), np.float32), (0, 0), 6)
    slope = np.linspace(-0.08, 0.08, SIZE, dtype=np.float32)[None, :, None]
    painted = np.clip(truth * 0.5 + 0.2 + slope + (0.05, 0, -0.05), 0, 1).astype(np.float32)
    truth = truth * 0.5 + 0.2
    where = face_map(disc((64, 75), 35).astype(np.float32))
    inside = where.weight > 0
    found = matched_to_photo(painted, truth, where.ring)
    before, after = (np.abs(each - truth)[inside].mean() for each in (painted, found))
    assert before > 0.035 and after < 0.015


def test_hair_and_background_do_not_mislead_the_light():
    painted = np.full((SIZE, SIZE, 3), 0.5, np.float32)
    crop = painted + np.float32(0.1)
    crop[:, 100:] = 0.0
    where = face_map(disc((64, 75), 35).astype(np.float32))
    found = matched_to_photo(painted, crop, where.ring)
    assert np.abs(found[where.weight > 0] - 0.6).max() < 0.02


def test_a_black_and_white_photo_stays_without_colour():
    grey = np.repeat(np.random.default_rng(2).random((SIZE, SIZE, 1), np.float32), 3, axis=-1)
    painted = np.random.default_rng(4).random((SIZE, SIZE, 3), np.float32)
    where = face_map(disc((64, 75), 35).astype(np.float32))
    assert np.ptp(matched_to_photo(painted, grey, where.ring), axis=-1).max() < 1e-3
    assert np.ptp(matched_to_photo(painted, grey * (1, 0.8, 0.6), where.ring), axis=-1).max() > 0.3


def test_without_known_pixels_the_painting_is_unchanged():
    painted = np.full((SIZE, SIZE, 3), 0.5, np.float32)
    assert matched_to_photo(painted, painted * 0, np.zeros((SIZE, SIZE), np.float32)) is painted


@pytest.mark.parametrize("scale", [3.0, 1.0, 0.55, 0.2])
@pytest.mark.parametrize(
    ("angle", "x", "y"), [(0, 130, 150), (25, 130, 150), (-170, 60, 250), (0, 5, 290), (10, 400, 900)]
)
def test_pixels_outside_the_map_are_unchanged_and_inside_are_painted(scale, angle, x, y):
    before = photo()
    image, region = before.copy(), np.zeros(before.shape[:2], bool)
    where = face_map(disc((64, 70), 30).astype(np.float32))
    paste_face(image, region, np.full((SIZE, SIZE, 3), (1, 0, 0), np.float32), where, placing(scale, angle, x, y))
    assert (image[~region] == before[~region]).all()
    # The painting is opaque where the middle of the map is in the photo.
    back = cv2.invertAffineTransform(placing(scale, angle, x, y))
    column, row = np.rint(back @ (64, 70, 1)).astype(int)
    if 0 <= row < 300 and 0 <= column < 260:
        assert region[row, column] and image[row, column, 0] > 200 and image[row, column, 1:].max() < 40
        expected = where.area * SIZE**2 / scale**2
        if (angle, x) == (0, 130) and scale > 0.5:
            assert region.sum() == pytest.approx(expected, rel=0.2)
    if x == 400:
        assert not region.any()


@pytest.mark.parametrize("scale", [1.0, 0.4, 0.13])
def test_strips_leave_no_seams_and_a_large_face_is_smooth(scale):
    slope = np.mgrid[:SIZE, :SIZE].sum(0).astype(np.float32) / (2 * SIZE)
    side = round(1.2 * SIZE / scale)
    image = np.zeros((side, side, 3), np.uint8)
    where = face_map(disc((64, 64), 40).astype(np.float32))
    matrix = placing(scale, 0, side / 2, side / 2)
    paste_face(image, np.zeros((side, side), bool), np.repeat(slope[..., None], 3, 2), where, matrix)
    half = int(25 / scale)
    middle = image[side // 2 - half : side // 2 + half, side // 2 - half : side // 2 + half, 0].astype(float)
    rows, columns = np.mgrid[: 2 * half, : 2 * half] - half
    assert np.abs(middle - 255 * (64 + (rows + columns) * scale / 2) / SIZE).max() < 2.5


def test_the_grain_of_the_photo_is_matched():
    rng = np.random.default_rng(3)
    before = np.clip(128 + 5 * rng.standard_normal((SIZE, SIZE, 3)).mean(-1, keepdims=True) * 3**0.5, 0, 255)
    before = np.repeat(before, 3, 2).astype(np.uint8)
    where = face_map(disc((64, 64), 40).astype(np.float32))
    inside = where.weight == 1
    for photo, low, high in ((before, 4, 6), (np.full_like(before, 128), 0, 0)):
        image = photo.copy()
        paste_face(image, np.zeros((SIZE, SIZE), bool), np.full((SIZE, SIZE, 3), 0.5, np.float32), where, np.eye(2, 3))
        assert low <= image[inside].std() <= high


def test_grain_stays_at_its_place_when_the_map_gets_another_row():
    rng = np.random.default_rng(3)
    before = np.repeat(np.clip(128 + 5 * rng.standard_normal((SIZE, SIZE, 1)), 0, 255), 3, 2).astype(np.uint8)
    pasted = []
    for upper in (40, 39):
        hidden = disc((64, 70), 30) | disc((64, upper), 10)
        image, where = before.copy(), face_map(hidden.astype(np.float32))
        paste_face(image, np.zeros((SIZE, SIZE), bool), np.full((SIZE, SIZE, 3), 0.5, np.float32), where, np.eye(2, 3))
        pasted.append(image[60:80, 50:80, 0].astype(float) - 127.5)
    assert np.corrcoef(pasted[0].ravel(), pasted[1].ravel())[0, 1] > 0.9


@pytest.mark.parametrize("shape", [(1,), (2,), (7,), (8, 3), (9, 3)])
def test_the_median_equals_numpys(shape):
    values = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
    assert (median(values) == np.median(values, axis=0)).all()
