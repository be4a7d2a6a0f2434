"""Landmarks smoothed over time: less noise, no lag, and real motion as it is."""

import dataclasses

import numpy as np

from rac_unet.unmasking.clips import smoothing
from rac_unet.unmasking.clips.smoothing import smooth_points
from tests.unmasking.clips.moving import known_track, landmarks

COUNT = 40
TIMES = np.arange(COUNT) / 25
# A slow sway, a shake from frame to frame, and a jump.
SHAKY = np.c_[20 * np.sin(TIMES * 4) + 3 * (-1.0) ** np.arange(COUNT), 40.0 * (TIMES > 0.8)]
NOISE = np.random.default_rng(0).normal(0, 1, (COUNT, 68, 2))


def off(points, places):
    return float(np.sqrt(((points - landmarks() - np.float32(places)[:, None]) ** 2).mean()))


def test_noise_goes_and_motion_stays():
    (track,) = known_track(SHAKY).tracks
    assert off(smooth_points(track, TIMES), SHAKY) < 0.01
    noisy = dataclasses.replace(track, points=track.points + NOISE.astype(np.float32))
    assert off(noisy.points, SHAKY) > 0.9 and off(smooth_points(noisy, TIMES), SHAKY) < 0.45


def test_the_head_turning_steadily_is_not_delayed():
    """The landmarks change in a way that the similarity of the upper half does not show."""
    (track,) = known_track(np.zeros((COUNT, 2))).tracks
    turned = track.points + np.linspace(0, 30, COUNT, dtype=np.float32)[:, None, None] * np.float32([1, 0])
    smooth = smooth_points(dataclasses.replace(track, points=turned), TIMES)
    assert np.abs(smooth - turned)[10:-10].max() < 0.01


def test_without_measured_motion_a_jump_stays_a_jump():
    (track,) = known_track(np.c_[40.0 * (TIMES > 0.8), 0 * TIMES]).tracks
    unknown = np.full_like(track.moves, np.nan)
    noisy = dataclasses.replace(track, points=track.points + 0.3 * NOISE.astype(np.float32), moves=unknown)
    smooth = smooth_points(noisy, TIMES)
    places = np.c_[40.0 * (TIMES > 0.8), 0 * TIMES]
    assert off(smooth, places) < 0.6 * off(noisy.points, places)
    assert np.abs(smooth - track.points).max() < 3


def test_places_that_were_only_interpolated_count_little():
    (track,) = known_track(np.zeros((COUNT, 2))).tracks
    points, trust = track.points.copy(), track.trust.copy()
    points[20], trust[20] = points[20] + 30, np.nan
    smooth = smooth_points(dataclasses.replace(track, points=points, trust=trust), TIMES)
    assert np.abs(smooth - track.points).max() < 0.5


def test_long_tracks_are_smoothed_in_parts_with_the_same_result(monkeypatch):
    (track,) = known_track(SHAKY).tracks
    noisy = dataclasses.replace(track, points=track.points + NOISE.astype(np.float32))
    whole = smooth_points(noisy, TIMES)
    monkeypatch.setattr(smoothing, "_PART", 7)
    assert (smooth_points(noisy, TIMES) == whole).all()


def test_a_track_of_one_frame():
    (track,) = known_track([(0, 0)]).tracks
    assert np.allclose(smooth_points(track, TIMES[:1]), track.points)
