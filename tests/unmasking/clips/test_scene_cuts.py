"""Which frames start a new scene."""

import cv2
import numpy as np
import pytest

from rac_unet.unmasking.clips.scene_cuts import SceneCuts
from tests.unmasking.clips.moving import LEFT, SIDE, TOP, scene, shifted, wall


def is_cut(before, now):
    cuts = SceneCuts()
    return (cuts.is_cut(before), cuts.is_cut(now)) == (False, True)


@pytest.mark.parametrize("width", [64, 400, 1900])
def test_another_picture_is_a_cut(width):
    scenes = [scene(((seed, 20 + 80 * seed, 90 - 30 * seed),), seed=seed) for seed in range(3)]
    pictures = [cv2.resize(each, (width, 7 * width // 10)) for each in scenes]
    assert is_cut(pictures[0], pictures[1]) and is_cut(pictures[1], pictures[2])


def test_motion_light_and_noise_are_not():
    picture = scene()
    noise = np.random.default_rng(0).normal(0, 20, picture.shape)
    hand = picture.copy()
    hand[120:, 150:290] = (180, 140, 120)
    face_hidden = picture.copy()
    face_hidden[TOP : TOP + SIDE, LEFT : LEFT + SIDE] = (110, 120, 130)
    for now in (shifted(picture, 60, 0), shifted(picture, -20, 30), picture // 2, picture + noise, hand, face_hidden):
        assert not is_cut(picture, np.clip(now, 0, 255).astype(np.uint8))
    larger = cv2.warpAffine(picture, np.float32([[1.1, 0, -20], [0, 1.1, -14]]), picture.shape[1::-1])
    assert not is_cut(picture, larger)


def test_plain_frames():
    black, grey = np.zeros((90, 120, 3), np.uint8), np.full((90, 120, 3), 90, np.uint8)
    picture = cv2.resize(wall(), (120, 90))
    assert is_cut(black, picture) and is_cut(picture, black) and not is_cut(black, black) and not is_cut(black, grey)
