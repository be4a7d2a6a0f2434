"""Texture of a pasted face: noise at the levels where the photo has it, and edges as sharp as the photo's."""

import cv2
import numpy as np
import pytest

from rac_unet.scoring.portraits.detail import detail_ratio
from rac_unet.unmasking import pasting
from rac_unet.unmasking.painting import texture
from rac_unet.unmasking.pasting import face_map, paste_painting

SIZE = 128
SKIN = np.float32([180, 140, 120])


def disc(radius=40):
    down, across = np.mgrid[:SIZE, :SIZE]
    return np.hypot(across - 64, down - 64) <= radius


WHERE = face_map(disc().astype(np.float32))


def rough(blob, deviation=4.0, side=512, base=SKIN, seed=0):
    """Return (side, side, 3) uint8, skin with noise of blobs of about this many pixels."""
    noise = np.random.default_rng(seed).normal(0, 1, (side, side)).astype(np.float32)
    noise = cv2.GaussianBlur(noise, (0, 0), blob / 2) if blob > 1 else noise
    return np.clip(np.rint(base + deviation * (noise / noise.std())[..., None]), 0, 255).astype(np.uint8)


def pasted(photo, painted=None):
    """Paste a flat painting, or another one, into a square photo; returns the result and the painted pixels."""
    side = len(photo)
    scale = SIZE / side
    matrix = np.float64([[scale, 0, scale / 2 - 0.5], [0, scale, scale / 2 - 0.5]])
    crop = cv2.resize(photo, (SIZE, SIZE), interpolation=cv2.INTER_AREA).astype(np.float32) / 255
    painted = np.full((SIZE, SIZE, 3), SKIN / 255, np.float32) if painted is None else painted
    result, region = photo.copy(), np.zeros(photo.shape[:2], bool)
    paste_painting(result, region, painted, crop, WHERE, matrix)
    assert (result[~region] == photo[~region]).all()
    return result, region


@pytest.mark.parametrize("blob", [1, 2, 3])
def test_a_large_face_gets_the_texture_of_the_skin_around(blob):
    photo = rough(blob, 2.5)
    assert 0.8 <= detail_ratio(photo, *pasted(photo)) <= 1.2


@pytest.mark.parametrize("box", [(10, 20, 1310, 1120), (0, 0, 600, 800), (5, 5, 205, 205)])
def test_a_sample_of_the_photo_misses_no_band_of_rows_or_columns(box):
    """Known skin may be a narrow band between eyes and mask."""
    x0, y0, x1, y1 = box
    count = np.zeros((y1, x1), int)
    for left, top, right, bottom in pasting._sample(box):
        count[top:bottom, left:right] += 1
    inside = count[y0:, x0:]
    assert count.max() == 1 and count.sum() == inside.sum()
    for axis in (0, 1):
        there = np.flatnonzero(inside.any(axis))
        assert np.diff(np.r_[-1, there, inside.shape[1 - axis]]).max() <= 100
    assert count.sum() == inside.size if inside.size < 80_000 else 50_000 < count.sum() < 150_000


def test_texture_is_added_only_where_the_photo_has_it():
    flat = rough(1, 0)
    assert np.ptp(pasted(flat)[0][200:300, 200:300, 0]) <= 1
    fine, coarse = (pasted(rough(blob))[0][156:356, 156:356, 0].astype(float) for blob in (1, 4))
    # Neighbours of fine noise are independent, those of coarse texture are alike.
    alike = [np.corrcoef(each[:, :-1].ravel(), each[:, 1:].ravel())[0, 1] for each in (fine, coarse)]
    assert alike[0] < 0.3 and alike[1] > 0.6


def test_a_small_face_gets_camera_noise_alone():
    photo = rough(3, side=SIZE)
    assert texture.level_shares(1.0, 128).tolist() == [0] == texture.level_shares(0.5, 256).tolist()
    result, region = pasted(photo)
    assert result[region].std() < photo[region].std(), "no coarse texture"


def test_the_shares_of_the_levels_rise_without_a_step():
    zooms = np.arange(0.5, 12, 0.01)
    shares = np.array([np.pad(each := texture.level_shares(zoom, 128), (0, 4 - len(each))) for zoom in zooms])
    assert (
        (shares[zooms >= 8] == 1).all() and not shares[zooms < 1].any() and np.abs(np.diff(shares, axis=0)).max() < 0.03
    )


def test_the_levels_depend_on_the_size_of_the_face_and_not_on_the_network():
    """A larger network's painting is softer than a photo of its size, too."""
    for side in (100, 128, 200, 256, 400, 1500):
        np.testing.assert_array_equal(texture.level_shares(side / 128, 128), texture.level_shares(side / 256, 256))
    assert texture.level_shares(1.0, 256).tolist() == [1, 1]


def test_a_face_of_the_larger_crops_size_has_texture_of_two_pixels_matched():
    photo = rough(2, 2.0, side=2 * SIZE)
    matrix = np.eye(2, 3)
    where = face_map(cv2.resize(disc().astype(np.float32), (2 * SIZE, 2 * SIZE), interpolation=cv2.INTER_NEAREST))
    result, region = photo.copy(), np.zeros(photo.shape[:2], bool)
    painted = np.full((2 * SIZE, 2 * SIZE, 3), SKIN / 255, np.float32)
    paste_painting(result, region, painted, photo.astype(np.float32) / 255, where, matrix)
    assert 0.9 <= detail_ratio(photo, result, region) <= 1.1


def test_edges_without_camera_noise_are_not_taken_for_texture():
    """Hair and lids in the ring have strong detail; skin of a camera with this noise has not."""
    rng = np.random.default_rng(3)
    flat, noise = [np.zeros(5000)] * 3, rng.normal(0, 0.3, 5000)
    few, many = (texture.missing_grain([noise, edges * noise, edges * noise], flat, np.ones(2)) for edges in (6, 30))
    np.testing.assert_allclose(few, many)
    assert (many < texture._MOST_GRAIN[:2]).all()


def test_what_a_level_may_not_add_the_others_do():
    """Strong texture of two pixels: the share of it that is finest is not lost with the coarser one."""
    rng = np.random.default_rng(2)
    flat, count = [np.zeros(5000)] * 3, 2
    few, much = ([rng.normal(0, spread, 5000) for spread in (4, 4, second)] for second in (2.5, 12))
    alone, capped = (texture.missing_grain(wanted, flat, np.ones(count)) for wanted in (few, much))
    assert 0 < alone[1] < capped[1] == texture._MOST_GRAIN[1]
    finest = np.hypot(capped[0], texture._RESPONSE[0, 1] * capped[1])
    assert finest == pytest.approx(texture.texture_deviation(much[1]), rel=0.05)


def test_bright_parts_keep_their_white():
    """The camera cuts off its noise at white."""
    photo = rough(1, 6, base=np.float32([250, 250, 250]))
    white = np.full((SIZE, SIZE, 3), 1, np.float32)
    result, region = pasted(photo, white)
    assert (result[cv2.erode(region.astype(np.uint8), np.ones((31, 31), np.uint8)) > 0] == 255).all()


def test_the_responses_are_those_of_the_noise_at_any_offset():
    """The blobs of the noise and the blocks in which it is measured are not in step."""
    offsets = [(0, 0), (1, 5), (2, 2), (3, 7), (4, 4), (5, 1), (6, 6), (7, 3)]
    for level, noise in enumerate(texture.grain_levels()):
        squares = []
        for offset in offsets:
            image = np.repeat(np.roll(noise, offset, (0, 1))[..., None], 3, axis=-1)
            details = texture.measured_detail(image, np.ones(noise.shape, bool), texture.LEVELS)[1:]
            squares.append(np.square([texture.texture_deviation(each) for each in details]))
        np.testing.assert_allclose(texture._RESPONSE[:, level], np.mean(squares, axis=0) ** 0.5, rtol=0.06, atol=0.01)


def test_grain_repeats_without_a_seam():
    for level, noise in enumerate(texture.grain_levels()):
        step = np.abs(np.diff(noise, axis=0)).mean()
        assert np.abs(noise[0] - noise[-1]).mean() < 2 * step, level


def portrait(blur):
    """Return (SIZE, SIZE, 3) float32, a picture with edges, blurred by this many pixels."""
    image = np.full((4 * SIZE, 4 * SIZE, 3), 0.7, np.float32)
    rng = np.random.default_rng(5)
    for x, y in rng.integers(0, 4 * SIZE, (60, 2)):
        cv2.circle(
            image, (int(x), int(y)), int(rng.integers(8, 40)), rng.uniform(0.2, 0.9, 3).tolist(), -1, cv2.LINE_AA
        )
    image = cv2.resize(image, (SIZE, SIZE), interpolation=cv2.INTER_AREA)
    return cv2.GaussianBlur(image, (0, 0), blur) if blur else image


def test_edge_sharpness_is_about_blur_and_not_about_contrast():
    everywhere = np.ones((SIZE, SIZE), bool)
    sharp, soft, softer = (texture.edge_sharpness(portrait(blur), everywhere) for blur in (0, 1, 2))
    assert sharp > 1.2 * soft and soft > 1.1 * softer
    assert texture.edge_sharpness(0.3 * portrait(1), everywhere) == pytest.approx(soft, rel=1e-3)
    assert np.isnan(texture.edge_sharpness(portrait(0), np.zeros((SIZE, SIZE), bool)))


def test_a_painting_gets_the_sharpness_of_the_photo_within_limits():
    inside = WHERE.weight == 1
    for crop, painted, left in ((portrait(1.5), portrait(0), 0.7), (portrait(0.5), portrait(1), 0.9)):
        wanted = texture.edge_sharpness(crop, WHERE.weight == 0)
        found = texture.matched_sharpness(painted, crop, WHERE.weight, 3.0)
        before, after = (abs(texture.edge_sharpness(each, inside) - wanted) for each in (painted, found))
        assert after < left * before
    # A photo that is far sharper gives no halo.
    assert np.abs(found - painted).max() < 0.12
    assert texture.matched_sharpness(portrait(0), portrait(2), WHERE.weight, 1.0) == pytest.approx(portrait(0))
    flat = np.full((SIZE, SIZE, 3), 0.5, np.float32)
    np.testing.assert_array_equal(texture.matched_sharpness(flat, portrait(0), WHERE.weight, 3.0), flat)


def test_skin_is_what_looks_like_the_painting():
    painted = np.full((SIZE, SIZE, 3), SKIN / 255, np.float32)
    crop = painted.copy()
    crop[:, :50] = 0.1
    skin = texture.skin_around(painted, crop, WHERE.weight, WHERE.ring)
    assert not skin[:, :50].any() and (skin[:, 50:] == WHERE.ring[:, 50:]).all()
    np.testing.assert_array_equal(texture.skin_around(painted, 0 * crop, WHERE.weight, WHERE.ring), WHERE.ring)
