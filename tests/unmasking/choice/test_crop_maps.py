"""The user's map in face crops and back in the photo, without any network."""

import numpy as np
import pytest

from rac_unet.unmasking.choice.crop_maps import CropMap, whole_map, with_own_map
from rac_unet.unmasking.choice.own_map import OwnMap
from rac_unet.unmasking.pasting import grown_map

SIZE = 64
EYES = np.array([[(18, 20), (22, 18), (26, 20), (22, 22)], [(38, 20), (42, 18), (46, 20), (42, 22)]], np.float32)


def crop(x=0, y=0, scale=1.0, rows=(36, 60)):
    """The map of a crop whose upper left corner is at x, y of the photo; `scale` photo pixels are one of the crop."""
    hidden = np.zeros((SIZE, SIZE), bool)
    hidden[slice(*rows), 16:48] = True
    matrix = np.array([[1 / scale, 0, (0.5 - x) / scale - 0.5], [0, 1 / scale, (0.5 - y) / scale - 0.5]])
    return CropMap(matrix, EYES, hidden, hidden, grown_map(hidden, EYES))


def own(shape, mode="replace", **where):
    hidden = np.zeros(shape, bool)
    for rows, columns in where.values():
        hidden[slice(*rows), slice(*columns)] = True
    return OwnMap(hidden, mode)


@pytest.mark.parametrize("scale", [1, 3, 7.5, 0.5])
def test_a_written_map_given_back_changes_nothing(scale):
    side = round(100 * scale)
    before = crop(round(20 * scale), round(10 * scale), scale)
    written = whole_map([before], (side, side, 3))
    (after,) = with_own_map([before], OwnMap(written >= 128, "replace"))
    assert (after.hidden != before.hidden).mean() < (0.01 if scale >= 1 else 0.03)
    (again,) = with_own_map([after], OwnMap(whole_map([after], (side, side, 3)) >= 128, "replace"))
    assert (again.hidden != after.hidden).mean() <= 0.005, "nor does it grow each time"


def test_a_users_map_is_not_cleaned():
    """Specks, holes and places far from the face's middle are dropped from a network's map only."""
    mine = own((64, 64), a=((2, 5), (2, 5)), b=((40, 50), (20, 40)))
    mine.hidden[44:46, 28:30] = False
    (after,) = with_own_map([crop()], mine)
    assert (after.hidden == mine.hidden).all() and (after.where.weight[after.hidden] > 0.5).all()


def test_replace_add_and_remove():
    before = crop()
    mine = {"a": ((30, 40), (16, 48))}
    hidden = {}
    for mode in ("replace", "add", "remove"):
        (after,) = with_own_map([before], own((64, 64), mode, **mine))
        hidden[mode] = {row for row in range(SIZE) if after.hidden[row].any()}
    assert hidden == {"replace": {*range(30, 40)}, "add": {*range(30, 60)}, "remove": {*range(40, 60)}}


def test_no_slivers_are_left_where_a_map_is_removed():
    """The user's map of the mask is a pixel smaller on each side."""
    (after,) = with_own_map([crop()], own((64, 64), "remove", a=((37, 59), (17, 47))))
    assert not after.hidden.any()
    (after,) = with_own_map([crop()], own((64, 64), "remove", a=((37, 55), (17, 47))))
    assert after.hidden[56:60, 16:48].all()


def test_add_and_remove_elsewhere_leave_a_face_as_it_was():
    before = crop()
    for mode in ("add", "remove"):
        assert with_own_map([before], own((64, 200), mode, a=((0, 9), (150, 190)))) == [before]
    (after,) = with_own_map([before], own((64, 200), "replace", a=((0, 9), (150, 190))))
    assert not after.hidden.any() and after.where.area == 0


def test_each_face_takes_its_part():
    """Two crops overlap by half; between them each pixel belongs to the nearer face, and none is lost."""
    faces = [crop(0), crop(32)]
    mine = own((64, 96), a=((30, 44), (8, 88)))
    parts = [whole_map([each], (64, 96)) >= 128 for each in with_own_map(faces, mine)]
    assert not (parts[0] & parts[1])[:, :46].any() and not (parts[0] & parts[1])[:, 50:].any()
    assert (parts[0] | parts[1])[31:43, 10:62].all() and (parts[0] | parts[1])[31:43, 34:86].all()
    assert not parts[0][:, 50:].any() and not parts[1][:, :46].any()


def test_a_mask_that_stays_visible_gives_no_colour():
    """Of a map that covers half of the mask, the ring of known pixels leaves out the other half."""
    before = crop()
    (after,) = with_own_map([before], own((64, 64), a=((36, 60), (16, 32))))
    assert after.where.ring.any() and not after.where.ring[before.hidden].any()
    assert grown_map(after.hidden, EYES).ring[before.hidden].any(), "which it would have"


def test_removed_pixels_stay_free_and_their_edge_is_soft():
    mine = own((64, 64), "remove", a=((36, 60), (16, 32)))
    (after,) = with_own_map([crop()], mine, mine.hidden)
    assert (after.where.weight[mine.hidden] == 0).all()
    assert 0 < after.where.weight[48, 32] < 1 and after.where.weight[48, 40] == 1


def test_beyond_the_photos_border_its_edge_pixels_repeat():
    """The crop's lower third is outside the photo; the mask reaches the border."""
    (after,) = with_own_map([crop()], own((44, 64), a=((30, 44), (20, 40))))
    assert after.hidden[44:, 20:40].all() and not after.hidden[44:, 42:].any()


def test_a_crop_outside_the_photo():
    far = crop(500, 500)
    (after,) = with_own_map([far], own((64, 64), a=((0, 64), (0, 64))))
    assert not after.hidden.any() and not whole_map([far], (64, 64)).any()
