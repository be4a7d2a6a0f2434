"""Results edited and pasted again, chosen faces and users' maps, with drawn people and the green network."""

import dataclasses

import cv2
import numpy as np
import pytest

import rac_unet
from rac_unet.unmasking import networks
from rac_unet.unmasking import photo as photo_module
from rac_unet.unmasking.photo import Unmasker
from tests.drawn_masks import drawn_photo, green_runner, is_green
from tests.refusals import refused


@pytest.fixture(scope="module")
def counted():
    """Unmasker with the green network, and a list that grows with each of its runs."""
    runs, runner = [], green_runner()

    def call(inputs):
        runs.append(1)
        return runner.call(inputs)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(networks, "load_runner", lambda path, threads=None: dataclasses.replace(runner, call=call))
        photo_module._unmasker.cache_clear()
        yield Unmasker("green.tflite"), runs
        photo_module._unmasker.cache_clear()


@pytest.fixture(scope="module")
def couple(counted):
    """A photo of two people with masks, the left one smaller, and its result."""
    small = cv2.resize(drawn_photo(), None, fx=0.7, fy=0.7, interpolation=cv2.INTER_AREA)
    small = cv2.copyMakeBorder(small, 0, 320 - len(small), 0, 0, cv2.BORDER_REPLICATE)
    photo = np.hstack([small, drawn_photo()])
    return photo, counted[0].unmask(photo, "surprise")


def test_an_untouched_result_is_pasted_as_it_was_without_the_network(counted, couple):
    photo, result = couple
    before = len(counted[1])
    again = result.repaste()
    assert len(counted[1]) == before
    assert (again.image == result.image).all() and (again.occlusion == result.occlusion).all()
    assert again.faces == result.faces and again.painted == 2
    assert (result.map >= 128).sum() > 0.95 * is_green(photo).sum()
    # The map without the soft edge is inside what may have changed.
    assert result.occlusion[result.map >= 128].all() and result.occlusion.sum() > (result.map >= 128).sum()
    back = result.repaste(result.map)
    assert np.abs(back.image.astype(int) - result.image).mean() < 0.2 and back.unpainted < 0.01


def test_an_edited_map_paints_what_it_says(couple):
    photo, result = couple
    right = result.map.copy()
    right[:, : photo.shape[1] - 320] = 0
    one = result.repaste(right)
    assert [face.painted for face in one.faces] == [True, False] and one.painted == 1
    assert (one.image[:, :224] == photo[:, :224]).all() and not is_green(one.image[:, 224:]).any()
    # Cheeks and forehead of the larger face, which no network would call a mask.
    x0, y0, x1, _ = map(int, result.faces[0].box)
    forehead = np.zeros(photo.shape[:2], bool)
    forehead[y0 : y0 + 20, x0 + 30 : x1 - 30] = True
    more = result.repaste(forehead, "add")
    changed = (more.image != result.image).any(-1)
    assert changed[forehead].mean() > 0.9 and more.occlusion[forehead].all() and more.painted == 2
    assert not is_green(more.image).any()
    less = more.repaste(forehead, "remove")
    assert (less.image[forehead] == photo[forehead]).all() and not less.occlusion[forehead].any()
    assert not is_green(less.image).any()


def test_removed_pixels_are_the_photos_until_they_are_added_again(couple):
    photo, result = couple
    hole = np.zeros(photo.shape[:2], bool)
    x0, _, x1, y1 = map(int, result.faces[0].box)
    hole[y1 - 50 : y1 - 20, (x0 + x1) // 2 - 15 : (x0 + x1) // 2 + 15] = True
    less = result.repaste(hole, "remove")
    for each in (less, less.repaste(), less.repaste(np.roll(hole, -150, 1), "remove")):
        assert (each.image[hole] == photo[hole]).all() and not each.occlusion[hole].any()
    assert is_green(less.image[hole]).all()
    assert not is_green(less.repaste(hole, "add").image).any() and less.repaste(hole, "add").kept.sum() == 0


def test_other_faces_and_changed_paintings(couple):
    photo, result = couple
    large = result.repaste(faces="largest")
    assert [(face.chosen, face.painted) for face in large.faces] == [(True, True), (False, False)]
    assert is_green(large.image).any() and not is_green(large.repaste().image).any()
    x0, y0, x1, y1 = result.faces[1].box
    small = result.repaste(box=(x0 + 5, y0 + 5, x1 - 5, y1 - 5))
    assert [face.painted for face in small.faces] == [False, True]
    blue = dataclasses.replace(result.paintings[0], painted=np.full((128, 128, 3), (0, 0, 0.9), np.float32))
    shown = dataclasses.replace(result, paintings=[blue, *result.paintings[1:]]).repaste()
    assert (np.abs(shown.image.astype(int) - result.image)[:, 224:].max() > 100) and shown.painted == 2


def test_what_cannot_be_painted_is_reported(couple):
    photo, result = couple
    corner = np.zeros(photo.shape[:2], bool)
    corner[:20, :20] = True
    nothing = result.repaste(corner)
    assert nothing.painted == 0 and (nothing.image == photo).all() and nothing.unpainted == 1
    assert any("all of the map" in note for note in nothing.notes)
    both = result.repaste((result.map >= 128) | corner)
    assert both.unpainted == pytest.approx(400 / (400 + (result.map >= 128).sum()), rel=0.05)
    assert any("% of the map" in note for note in both.notes) and both.painted == 2
    assert result.unpainted is None and result.repaste(corner, "remove").unpainted is None and result.notes == ()
    empty = result.repaste(np.zeros(photo.shape[:2], bool))
    assert empty.painted == 0 and any("empty" in note for note in empty.notes)
    with refused("mismatch", "20 x 20"):
        result.repaste(corner[:20, :20])


def test_a_users_map_needs_no_mask_found_by_the_network(counted):
    """Neither the share of the crop nor the evidence for a mask matter."""
    photo, (unmasker, _) = drawn_photo(masked=False), counted
    small = np.zeros(photo.shape[:2], bool)
    small[200:206, 150:162] = True
    result = unmasker.unmask(photo, "none", map=small)
    (face,) = result.faces
    assert not face.masked and face.painted and 0 < face.occlusion_area < 0.05
    assert (result.image != photo).any(-1)[small].mean() > 0.9 and result.unpainted == 0
    assert not ((result.image != photo).any(-1) & ~result.occlusion).any() and result.occlusion.sum() < 600
    for mode in ("add", "remove"):
        changed = unmasker.unmask(photo, "none", map=small, map_mode=mode)
        assert changed.painted == (mode == "add")


def test_a_map_that_goes_on_below_the_crop_is_painted_in_a_wider_one(counted):
    """A mask that the network does not see runs down to the neck."""
    photo, (unmasker, _) = drawn_photo(masked=False, edge=120), counted
    (usual,) = unmasker.find_faces(photo)
    back = cv2.invertAffineTransform(usual.matrix)
    corners = [np.rint(back @ (x, y, 1)).astype(int).tolist() for x, y in ((40, 90), (88, 90), (76, 133), (52, 133))]
    mine = cv2.fillPoly(np.zeros(photo.shape[:2], np.uint8), [np.array(corners)], 255)
    result = unmasker.unmask(photo, "none", map=mine)
    (face,) = result.faces
    assert not face.masked and face.painted and result.unpainted < 0.01 and result.notes == ()
    scale = np.hypot(*result.paintings[0].map.matrix[0, :2]) / np.hypot(*usual.matrix[0, :2])
    assert scale == pytest.approx(0.88, rel=0.02)
    assert result.repaste(mine).unpainted < 0.01
    # Where the photo ends there is nothing to paint below.
    cut = np.ascontiguousarray(photo[: corners[2][1] - 24])
    result = unmasker.unmask(cut, "none", map=mine[: len(cut)])
    assert result.paintings[0].map.matrix[0, 0] == pytest.approx(usual.matrix[0, 0], rel=0.05)


def test_faces_and_boxes_of_a_photo(counted, couple):
    photo, (unmasker, runs) = couple[0], counted
    result = unmasker.unmask(photo, faces="largest")
    assert [(face.masked, face.chosen, face.painted) for face in result.faces] == [
        (True, True, True),
        (True, False, False),
    ]
    assert result.faces[0].emotion == "happiness" and result.faces[1].emotion is None
    assert result.paintings[1] is None and (result.image[:, :200] == photo[:, :200]).all()
    nothing = unmasker.unmask(photo, box=(0, 0, 20, 20))
    assert not any(face.chosen for face in nothing.faces) and (nothing.image == photo).all()
    sevens, faces = unmasker.unmask_all(photo, box=couple[1].faces[1].box)
    assert len(sevens) == 1 and [face.painted for face in faces] == [False, True]
    before = len(runs)
    for work in (unmasker.unmask, unmasker.unmask_all):
        with refused("bad_value", "5000,0,5001,9"):
            work(photo, box=(5000, 0, 5001, 9))
    with refused("bad_value", "faces", "none"):
        unmasker.unmask(photo, faces="none")
    assert len(runs) == before, "before any work"


def test_python_arguments(counted, tmp_path):
    photo = drawn_photo()
    cv2.imwrite(str(tmp_path / "map.png"), np.where(is_green(photo), 255, 0).astype(np.uint8))
    result = rac_unet.unmask(photo, "none", "green.tflite", map=tmp_path / "map.png", faces="largest")
    assert result.painted == 1 and not is_green(result.image).any()
    left = rac_unet.unmask(photo, "none", "green.tflite", map=tmp_path / "map.png", map_mode="remove")
    assert left.painted == 0 and (left.image == photo).all()
    with refused("usage", "map_mode", "add"):
        rac_unet.unmask(photo, "none", "green.tflite", map_mode="add")
    with refused("unreadable", "gone.png"):
        rac_unet.unmask(photo, "none", "green.tflite", map="gone.png")
    with refused("bad_value", "box"):
        rac_unet.unmask(photo, "none", "green.tflite", box=(1, 2, 3))
