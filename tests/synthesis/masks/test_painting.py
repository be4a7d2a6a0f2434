"""Painted masks hide the mouth, change nothing else, and are reproducible by seed."""

import cv2
import numpy as np
import pytest

from rac_unet.synthesis.masks.geometry import HEAD, USED
from rac_unet.synthesis.masks.painting import STYLES, MaskedFace, paint_mask
from tests.refusals import refused

LIPS = np.r_[48:68]
JAW_DROP = 0.22


def synthetic_face(yaw=0.0, roll=0.0, open_mouth=False, size=128, centre=(64.0, 46.0), scale=41.0):
    """A shaded skin-coloured oval and the 68 points of a generic head turned by `yaw` and `roll` degrees."""
    head = np.zeros((68, 3))
    head[USED] = HEAD
    head[17:27] = np.column_stack([np.linspace(-0.7, 0.7, 10), np.full(10, -0.28), np.full(10, 0.5)])
    around = np.linspace(0, 2 * np.pi, 12, endpoint=False)
    lips = np.column_stack([-0.36 * np.cos(around), 0.97 - 0.13 * np.sin(around), 0.8 - 0.2 * np.cos(around) ** 2])
    head[48:60], head[60:68] = lips, lips[[0, 2, 3, 4, 6, 8, 9, 10]] * [0.8, 1, 1]
    if open_mouth:
        head[5:12, 1] += JAW_DROP
        head[[55, 56, 57, 58, 59, 65, 66, 67], 1] += JAW_DROP
    turn, lean = np.radians(yaw), np.radians(roll)
    x = head[:, 0] * np.cos(turn) + head[:, 2] * np.sin(turn)
    flat = np.column_stack([x, head[:, 1]]) @ np.array([[np.cos(lean), np.sin(lean)], [-np.sin(lean), np.cos(lean)]])
    points = (flat * scale + centre).astype(np.float32)
    image = np.full((size, size, 3), (40, 60, 90), np.uint8)
    cv2.fillConvexPoly(image, cv2.convexHull(np.rint(points).astype(np.int32)), (205, 160, 135), cv2.LINE_AA)
    light = np.linspace(1.1, 0.7, size)[None, :, None]
    noise = np.random.default_rng(5).normal(0, 2, image.shape)
    return np.clip(image * light + noise, 0, 255).astype(np.uint8), points


def mouth_region(points, size):
    """Return the pixels inside the outer lips, (size, size) bool."""
    region = np.zeros((size, size), np.uint8)
    cv2.fillConvexPoly(region, cv2.convexHull(np.rint(points[48:60]).astype(np.int32)), 1)
    return region > 0


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("yaw", [-50, -25, 0, 30, 50])
@pytest.mark.parametrize("open_mouth", [False, True])
def test_nothing_of_the_mouth_is_visible(style, yaw, open_mouth):
    image, points = synthetic_face(yaw=yaw, open_mouth=open_mouth)
    mouth = mouth_region(points, 128)
    for seed in range(6):
        masked = paint_mask(image, points, style, seed)
        assert masked.occlusion[mouth].min() == 255, f"seed {seed}"
        x, y = np.rint(points[8]).astype(int)
        assert masked.occlusion[y, x] == 255, f"chin, seed {seed}"


@pytest.mark.parametrize("style", STYLES)
def test_only_hidden_pixels_change(style):
    image, points = synthetic_face(yaw=15)
    original = image.copy()
    masked = paint_mask(image, points, style, 3)
    assert isinstance(masked, MaskedFace)
    assert masked.image.shape == image.shape and masked.image.dtype == np.uint8
    assert masked.occlusion.shape == image.shape[:2] and masked.occlusion.dtype == np.uint8
    np.testing.assert_array_equal(image, original)
    seen = masked.occlusion == 0
    np.testing.assert_array_equal(masked.image[seen], image[seen])
    assert 0.15 < (masked.occlusion > 0).mean() < 0.6
    eyes = np.rint(points[36:48]).astype(int)
    assert (masked.occlusion[eyes[:, 1], eyes[:, 0]] == 0).all()


def test_fully_hidden_pixels_do_not_depend_on_the_mouth():
    image, points = synthetic_face()
    other = image.copy()
    mouth = mouth_region(points, 128)
    other[mouth] = 255
    for style in STYLES:
        first, second = paint_mask(image, points, style, 1), paint_mask(other, points, style, 1)
        np.testing.assert_array_equal(first.occlusion, second.occlusion)
        np.testing.assert_array_equal(first.image[mouth], second.image[mouth])


def test_edge_is_soft_and_narrow():
    image, points = synthetic_face()
    occlusion = paint_mask(image, points, "surgical", 2).occlusion
    partial = ((occlusion > 0) & (occlusion < 255)).sum()
    outline = cv2.morphologyEx((occlusion > 127).astype(np.uint8), cv2.MORPH_GRADIENT, np.ones((3, 3))).sum()
    assert 0.5 * outline < partial < 4 * outline


def test_edge_of_a_white_mask_is_never_darker_than_both_sides():
    # Pixel noise makes the photo look very sharp, and so the edge of the mask.
    image = np.random.default_rng(0).integers(190, 211, (128, 128, 3), np.uint8)
    _, points = synthetic_face()
    masked = paint_mask(image, points, "kn95", 0)
    top = masked.occlusion.copy()
    top[int(points[31, 1]) :] = 0  # above the nostrils no shadow falls
    edge = (top > 100) & (top < 255)
    cloth = masked.image[masked.occlusion == 255].mean()
    assert edge.sum() > 20
    assert masked.image[edge].mean(1).min() > 0.6 * min(cloth, 200)


@pytest.mark.parametrize("style", STYLES)
def test_same_seed_same_bytes_and_other_seed_other_mask(style):
    image, points = synthetic_face()
    first, again, other = (paint_mask(image, points, style, seed) for seed in (7, 7, 8))
    np.testing.assert_array_equal(first.image, again.image)
    np.testing.assert_array_equal(first.occlusion, again.occlusion)
    assert (first.image != other.image).any()


def test_expression_does_not_shape_the_mask():
    image, points = synthetic_face()
    moved = points.copy()
    moved[LIPS] += [6, 9]
    moved[17:27] -= [0, 8]
    for style in STYLES:
        first, second = paint_mask(image, points, style, 4), paint_mask(image, moved, style, 4)
        np.testing.assert_array_equal(first.image, second.image)
        np.testing.assert_array_equal(first.occlusion, second.occlusion)


def test_the_mask_is_lit_as_the_photo_is():
    image, points = synthetic_face()
    dark = (image * 0.45).astype(np.uint8)
    bright_mask, dark_mask = (paint_mask(photo, points, "kn95", 0) for photo in (image, dark))
    inside = bright_mask.occlusion == 255
    assert dark_mask.image[inside].mean() < 0.75 * bright_mask.image[inside].mean()
    # The synthetic light comes from the left.
    mirrored = paint_mask(image[:, ::-1].copy(), points, "kn95", 0)
    left = (points[30, 0] + points[2, 0]) / 2
    column, row = int(left), int(points[33, 1] + 8)
    patch = np.s_[row - 3 : row + 4, column - 3 : column + 4]
    assert bright_mask.image[patch].mean() > mirrored.image[patch].mean() + 5


def test_black_and_white_photo_gets_a_grey_mask():
    image, points = synthetic_face()
    grey = np.repeat(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)[..., None], 3, 2)
    painted = paint_mask(grey, points, "cloth_patterned", 0).image.astype(int)
    assert np.ptp(painted, axis=2).max() <= 2


@pytest.mark.parametrize("size", [48, 200, 512])
def test_any_frame_size(size):
    image, points = synthetic_face(size=size, centre=(size / 2, size * 0.36), scale=size * 0.32)
    for style in STYLES:
        masked = paint_mask(image, points, style, 1)
        assert masked.occlusion[mouth_region(points, size)].min() == 255


def test_points_outside_the_frame():
    image, points = synthetic_face()
    for style in STYLES:
        half = paint_mask(image, points + [70, 20], style, 0)
        assert half.occlusion.any()
        gone = paint_mask(image, points + [5000, 5000], style, 0)
        assert not gone.occlusion.any()
        np.testing.assert_array_equal(gone.image, image)


def test_any_finite_points_are_accepted():
    image, points = synthetic_face()
    rng = np.random.default_rng(0)
    odd = [
        np.zeros((68, 2)),
        np.full((68, 2), 64.0),
        points * [1, 0],
        points[::-1],
        points * [1, -1] + [0, 128],
        rng.uniform(-500, 500, (68, 2)),
        rng.uniform(-1e6, 1e6, (68, 2)),
        points * 1e-6,
        points * 1e4 - 5e5,
    ]
    for number, strange in enumerate(odd):
        for style in STYLES:
            masked = paint_mask(image, strange, style, number)
            seen = masked.occlusion == 0
            np.testing.assert_array_equal(masked.image[seen], image[seen])


def test_some_masks_are_worn_below_the_nose_and_most_are_not():
    image, points = synthetic_face()
    x, y = np.rint(points[30]).astype(int)
    bare = sum(paint_mask(image, points, "surgical", seed).occlusion[y, x] == 0 for seed in range(120))
    assert 2 <= bare <= 24


def test_masks_are_worn_narrow_and_wide_and_some_hang_far_below_the_chin():
    image, points = synthetic_face(size=160, centre=(80.0, 46.0))
    chin, face = points[8, 1], np.ptp(points[:17, 0])
    below, wide = [], []
    for seed in range(150):
        hidden = paint_mask(image, points, "cloth_black", seed).occlusion > 127
        below.append((np.flatnonzero(hidden.any(axis=1)).max() - chin) / face)
        wide.append(hidden.sum(axis=1).max() / face)
    # Shares of the face's width, from 5 % to 95 % of the masks.
    assert np.ptp(np.percentile(below, [5, 95])) > 0.08 and np.percentile(below, 95) > 0.18
    assert np.ptp(np.percentile(wide, [5, 95])) > 0.12 and max(wide) < 1.35


def test_the_refusal_of_an_unknown_style_lists_the_known_ones():
    image, points = synthetic_face()
    with refused("unknown_name", "scarf", *STYLES):
        paint_mask(image, points, "scarf", 0)


@pytest.mark.parametrize(
    ("image", "points", "name"),
    [
        (np.zeros((64, 64), np.uint8), np.zeros((68, 2)), "(64, 64)"),
        (np.zeros((64, 64, 3), np.float32), np.zeros((68, 2)), "float32"),
        (np.zeros((64, 64, 3), np.uint8), np.zeros((67, 2)), "(67, 2)"),
        (np.zeros((64, 64, 3), np.uint8), np.full((68, 2), np.nan), "points"),
    ],
)
def test_the_refusal_of_wrong_input_names_it(image, points, name):
    with refused("bad_value", name):
        paint_mask(image, points, "surgical", 0)
