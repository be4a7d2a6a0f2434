"""Made clips whose truth is known, and what is measured on them."""

import cv2
import numpy as np
import pytest

from rac_unet.benchmarks.clips.made_clips import PATHS, drawn_still, make_clip
from rac_unet.benchmarks.clips.steadiness import (
    flicker,
    likeness,
    region_in_view,
    sharpness,
    slow_flicker,
    stabilised,
    still_view,
)


@pytest.fixture(scope="module")
def still():
    return drawn_still(side=160)


def seen(still, path, **settings):
    clip = list(make_clip(still, path, (200, 160), count=4, **settings))
    return stabilised([each.truth for each in clip], [each.matrix for each in clip], still_view(still.face)), clip


@pytest.mark.parametrize("path", PATHS)
def test_a_made_clip_moves_as_it_says(still, path):
    """Seen as standing still it hardly changes, without noise; in the frames it does."""
    view, region = still_view(still.face), region_in_view(still.hidden, still_view(still.face))
    steady, clip = seen(still, path, noise=0, quality=0)
    light = PATHS[path]["light"]
    assert region.sum() > 3000 and slow_flicker(steady, region) < 0.3 + 10 * light
    moved = stabilised([each.truth for each in clip], [clip[0].matrix] * 4, view)
    assert PATHS[path]["sway"] < 0.02 or flicker(moved, region) > flicker(steady, region)
    noisy, _ = seen(still, path, noise=6, quality=60)
    assert flicker(noisy, region) > flicker(steady, region) + 1
    again, _ = seen(still, path, noise=6, quality=60)
    assert (again == noisy).all()


def test_the_mask_hides_what_the_still_says(still):
    (frame,) = make_clip(still, "still", (200, 160), count=1, noise=0, quality=0)
    hidden = cv2.warpPerspective(still.hidden.astype(np.uint8), frame.matrix, (200, 160)) > 0
    changed = np.abs(frame.source.astype(int) - frame.truth).max(-1) > 12
    assert (changed & hidden).sum() > 0.7 * hidden.sum() and (changed & ~hidden).sum() < 0.2 * hidden.sum()


def test_figures_say_what_they_are_for():
    rng, region = np.random.default_rng(0), np.zeros((64, 64), bool)
    region[16:48, 16:48] = True
    picture = cv2.GaussianBlur(rng.uniform(0, 255, (64, 64)).astype(np.float32), (0, 0), 1.5)
    still_clip = np.stack([picture] * 5)
    assert flicker(still_clip, region) == 0 and likeness(still_clip, still_clip, region) > 100
    wandering = np.stack([np.roll(picture, i % 2, 1) for i in range(5)])
    noisy = still_clip + rng.normal(0, 3, still_clip.shape).astype(np.float32)
    assert flicker(noisy, region) == pytest.approx(3 * 2 / np.pi**0.5, rel=0.05)
    assert slow_flicker(noisy, region) < 0.2 * flicker(noisy, region)
    assert slow_flicker(wandering, region) > 2 * slow_flicker(noisy, region)
    outside = still_clip.copy()
    outside[::2, :8] = 255
    assert flicker(outside, region) == 0
    soft = np.stack([cv2.GaussianBlur(picture, (0, 0), 1.0)] * 5)
    assert sharpness(soft, region) < 0.85 * sharpness(still_clip, region)
    assert sharpness(noisy, region) == pytest.approx(sharpness(still_clip, region), rel=0.05)
    assert likeness(noisy, still_clip, region) == pytest.approx(20 * np.log10(255 / 3), abs=0.3)
