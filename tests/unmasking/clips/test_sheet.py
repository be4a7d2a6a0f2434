"""The contact sheet of a clip: which moments, and their times."""

import numpy as np

from rac_unet.unmasking.clips.sheet import MOMENTS, clock, draw_moment, draw_sheet, moments


def test_moments_are_spread_over_the_painted_frames():
    painted = np.zeros(500, bool)
    painted[100:460] = True
    found = moments(painted)
    assert len(found) == MOMENTS and painted[found].all() and set(np.diff(found)) == {30}
    assert moments(painted[90:105]) == [10, 11, 12, 13, 14] and moments(painted[:9]) == []


def test_times_of_neighbouring_frames_differ():
    assert [clock(index / 25) for index in (0, 1, 2)] == ["0:00.00", "0:00.04", "0:00.08"]
    assert [clock(seconds) for seconds in (0.29, 59.999, 75.25, 3600)] == ["0:00.29", "1:00.00", "1:15.25", "60:00.00"]


def test_a_sheet_has_rows_of_four():
    dark, bright = np.zeros((90, 160, 3), np.uint8), np.full((90, 160, 3), 200, np.uint8)
    cell = draw_moment(dark, bright, 1.5)
    assert (cell[:90] == dark).all() and (cell[90:180] == bright).all() and cell[180:].min() < 100
    sheet = draw_sheet([cell] * 6)
    assert sheet.shape == (2 * len(cell), 4 * 160, 3)
    assert (sheet[len(cell) :, 320:] == 255).all() and (sheet[: len(cell), -160:] == cell).all()
