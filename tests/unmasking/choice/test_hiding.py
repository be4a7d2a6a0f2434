"""The network inpaints a user's map also where it sees no mask."""

from types import SimpleNamespace

import numpy as np
import pytest

import rac_unet
from rac_unet.runtime.published import PUBLISHED_NETWORK
from rac_unet.runtime.runners import Runner
from rac_unet.unmasking.choice import hiding
from rac_unet.unmasking.choice.crop_maps import CropMap
from rac_unet.unmasking.choice.hiding import crops_to_paint
from rac_unet.unmasking.pasting import grown_map
from tests.drawn_masks import drawn_photo

SIZE = 64
EYES = np.array([[(18, 20), (22, 18), (26, 20)], [(38, 20), (42, 18), (46, 20)]], np.float32)
# Blue above, brown below, and landmarks whose lower face is from row 30 to 60.
CROP = np.full((SIZE, SIZE, 3), (0.5, 0.4, 0.3), np.float32)
CROP[:16] = (0.2, 0.3, 0.9)
POINTS = np.zeros((68, 2), np.float32)
POINTS[2:15] = [(32 - 24 * np.cos(turn), 36 + 24 * np.sin(turn)) for turn in np.linspace(0, np.pi, 13)]
POINTS[28] = (32, 30)
FACE = SimpleNamespace(crop=CROP, matrix=np.eye(2, 3), face=SimpleNamespace(points=POINTS))


def box(rows, columns):
    where = np.zeros((SIZE, SIZE), bool)
    where[slice(*rows), slice(*columns)] = True
    return where


def prepared(hidden, seen, least):
    """Return the crop for a network that takes at least so many pixels of the drawn colour for a mask, and its runs."""
    runs = []

    def call(inputs):
        drawn = np.abs(inputs["masked_image"] - hiding._CLOTH).max(-1) < 0.01
        runs.append(drawn[0])
        occlusion = drawn & (drawn.sum((1, 2), keepdims=True) >= least)
        return {"inpainted_image": inputs["masked_image"], "occlusion": occlusion[..., None].astype(np.float32)}

    runner = Runner("net", "litert", SIZE, True, call, outputs=("inpainted_image", "occlusion"))
    crop = CropMap(np.eye(2, 3), EYES, seen, hidden, grown_map(hidden, EYES))
    before = CROP.copy()
    (after,) = crops_to_paint(runner, [FACE], [crop])
    assert (before == CROP).all()
    return after, runs


def test_what_the_network_sees_hidden_stays_as_it_is():
    """The edge of a map that was given back may be a pixel away from the network's."""
    after, runs = prepared(box((35, 56), (15, 51)), box((36, 55), (16, 50)), 0)
    assert after is CROP and runs == []


def test_a_mask_is_drawn_on_the_map_and_on_the_real_mask():
    hidden, seen = box((40, 56), (16, 48)), box((36, 46), (10, 40))
    after, runs = prepared(hidden, seen, 100)
    assert len(runs) == 1 and (after[hidden | seen] == hiding._CLOTH).all()
    assert (after[~(hidden | seen)] == CROP[~(hidden | seen)]).all()


def test_for_a_small_piece_the_whole_lower_face_is_covered():
    hidden = box((44, 50), (28, 36))
    after, runs = prepared(hidden, box((0, 0), (0, 0)), 500)
    drawn = (after == hiding._CLOTH).all(-1)
    assert len(runs) == 2 and 500 < drawn.sum() < 1500 and drawn[hidden].all() and not drawn[:28].any()


def test_a_piece_elsewhere_is_filled_from_its_surroundings():
    hidden = box((2, 8), (24, 40))
    hidden[44:50, 28:36] = True
    after, _ = prepared(hidden, box((0, 0), (0, 0)), 10**6)
    assert np.abs(after[2:8, 24:40] - CROP[0, 0]).max() < 0.02, "not the colour of the drawn mask"
    assert np.abs(after[44:50, 28:36] - CROP[40, 0]).max() < 0.02


@pytest.mark.skipif(not PUBLISHED_NETWORK.is_file(), reason="the published network is not in this checkout")
def test_the_published_network_paints_the_requested_emotion_on_a_face_without_a_mask():
    photo = drawn_photo(masked=False)
    (face,) = rac_unet.unmask(photo, "none").faces
    x0, y0, x1, y1 = map(int, face.box)
    mouth = np.zeros(photo.shape[:2], bool)
    mouth[y0 + 80 : y1 - 10, x0 + 30 : x1 - 30] = True
    happy, angry = (rac_unet.unmask(photo, name, map=mouth).image[mouth].astype(int) for name in ("happiness", "anger"))
    assert not face.masked and np.abs(happy - angry).mean() > 4
