"""Painted pixels are stored in the planes of a frame, and all others stay as they were decoded."""

import numpy as np
import pytest

from rac_unet.clips.colours import RGB, STEPS, Colours, changed_boxes, painted_planes

WEIGHTS = {1: (0.2126, 0.0722), 6: (0.299, 0.114), 9: (0.2627, 0.0593)}


def to_yuv(rgb, matrix, full):
    """The formulas of ITU-R BT.601, BT.709 and BT.2020, in floating point; (H, W, 3)."""
    red, blue = WEIGHTS[matrix]
    r, g, b = np.moveaxis(rgb / 255, -1, 0)
    y = red * r + (1 - red - blue) * g + blue * b
    u, v = (b - y) / (2 - 2 * blue), (r - y) / (2 - 2 * red)
    if full:
        return np.stack([255 * y, 255 * u + 128, 255 * v + 128], -1)
    return np.stack([219 * y + 16, 224 * u + 128, 224 * v + 128], -1)


@pytest.mark.parametrize("matrix", WEIGHTS)
@pytest.mark.parametrize("full", [False, True])
def test_painted_pixels_are_converted_with_the_matrix_and_range_of_the_clip(matrix, full):
    before, after = np.full((2, 8, 12, 3), 90, np.uint8)
    after[2:6, 4:8] = (200, 120, 40)
    planes = tuple(np.rint(plane).astype(np.uint8) for plane in np.moveaxis(to_yuv(before, matrix, full), -1, 0))
    colours = Colours("yuv444p", matrix, 2 if full else 1, 1, 1, 8)
    found = np.stack(painted_planes(planes, before, after, colours), -1)
    assert np.abs(found - to_yuv(after, matrix, full)).max() <= 1.01


@pytest.mark.parametrize("form", STEPS)
@pytest.mark.parametrize("size", [(64, 96), (45, 51)])
def test_nothing_changes_outside_the_painted_pixels(form, size):
    rng = np.random.default_rng(1)
    across, down = STEPS[form]
    height, width = size
    small = -(-height // down), -(-width // across)
    planes = tuple(rng.integers(20, 230, shape).astype(np.uint8) for shape in ((height, width), small, small))
    before = rng.integers(0, 256, (height, width, 3)).astype(np.uint8)
    after = before.copy()
    after[8:20, 12:21] = 255 - after[8:20, 12:21]
    after[-3:, -5:] = 7
    colours = Colours(form, 1, 1, 1, 1, height)
    painted = painted_planes(planes, before, after, colours)
    changed = (before != after).any(-1)
    assert (painted[0] != planes[0])[changed].mean() > 0.5
    assert (painted[0] == planes[0])[~changed].all()
    padded = np.pad(changed, ((0, -height % down), (0, -width % across)))
    near = padded.reshape(small[0], down, small[1], across).any((1, 3))
    for old, new in zip(planes[1:], painted[1:], strict=True):
        assert (old == new)[~near].all() and (old != new)[near].any()
    assert painted_planes(planes, before, before.copy(), colours) is planes


def test_rgb_is_stored_as_it_is():
    before, after = np.zeros((2, 4, 4, 3), np.uint8)
    after[1, 1] = 9
    assert painted_planes((before,), before, after, Colours(RGB, 0, 2, 2, 2, 4))[0] is after


def test_boxes_cover_all_changes_and_do_not_overlap():
    rng = np.random.default_rng(2)
    for _ in range(20):
        before = np.zeros((100, 130, 3), np.uint8)
        after = before.copy()
        for y, x, h, w in rng.integers(0, 60, (4, 4)):
            after[y : y + h, x : x + w, 1] = 5
        counted = np.zeros((100, 130), int)
        for x0, y0, x1, y1 in changed_boxes(before, after, (4, 4)):
            counted[y0:y1, x0:x1] += 1
            assert x0 % 4 == 0 and y0 % 4 == 0
        assert counted.max() <= 1 and counted[(before != after).any(-1)].all()


def test_an_unspecified_matrix_is_that_of_television_of_this_height():
    assert [Colours("yuv420p", 2, 0, 2, 2, height).used_matrix for height in (576, 720)] == [6, 1]
