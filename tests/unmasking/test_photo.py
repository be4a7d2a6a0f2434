"""From a photo to an unmasked one, with drawn people and a network that takes green for a mask."""

import dataclasses

import cv2
import numpy as np
import pytest
from PIL import Image

import rac_unet
from rac_unet.core.emotions import EMOTIONS
from rac_unet.core.errors import UserError
from rac_unet.photos.metadata import SOURCE_TYPE, read_metadata
from rac_unet.photos.pixels import on_white
from rac_unet.photos.reading import read_photo
from rac_unet.unmasking import networks
from rac_unet.unmasking import photo as photo_module
from rac_unet.unmasking.emotion_request import parse_request
from rac_unet.unmasking.emotion_sheet import FACES_PER_PAGE, draw_emotion_sheets, draw_mark
from rac_unet.unmasking.finding import FaceFinder
from rac_unet.unmasking.pasting import FaceMap
from rac_unet.unmasking.photo import Unmasker
from rac_unet.unmasking.result import SevenFaces
from tests.drawn_masks import drawn_photo, green_runner, is_green
from tests.refusals import refused


@pytest.fixture
def network(monkeypatch):
    """Lets a test say which network `load_runner` gives; the green one at first."""
    holder = {"runner": green_runner()}
    monkeypatch.setattr(networks, "load_runner", lambda path, threads=None: holder["runner"])
    photo_module._unmasker.cache_clear()
    yield holder
    photo_module._unmasker.cache_clear()


def test_the_mask_goes_and_nothing_else_changes(network):
    photo = drawn_photo()
    given = photo.copy()
    result = Unmasker("green.tflite").unmask(photo)
    assert (photo == given).all() and (result.original == given).all()
    assert is_green(photo).sum() > 5000 and is_green(result.image).sum() == 0
    changed = (result.image != photo).any(-1)
    assert not (changed & ~result.occlusion).any()
    assert result.occlusion[is_green(photo)].all() and result.occlusion.sum() < 1.4 * is_green(photo).sum()
    (face,) = result.faces
    assert face.masked and face.emotion == "happiness" and face.confidence == pytest.approx(0.7)
    assert 0.15 < face.occlusion_area < 0.6
    x0, y0, x1, y1 = face.box
    assert 60 < x0 < 160 < x1 < 260 and 60 < y0 < 160 < y1 < 270


def test_the_emotion_asked_for_is_painted(network):
    photo, unmasker = drawn_photo(), Unmasker("green.tflite")
    results = {name: unmasker.unmask(photo, name) for name in ("none", "surprise", "neutral")}
    assert [result.faces[0].emotion for result in results.values()] == [None, "surprise", "neutral"]
    assert all(result.faces[0].confidence is None for result in results.values())
    # The green network draws a dark line at a height of its own for each label.
    dark = {name: (result.image[result.occlusion].max(-1) < 90).sum() for name, result in results.items()}
    assert dark["none"] < 50 < min(dark["surprise"], dark["neutral"])
    rows = {
        name: np.argwhere(results[name].image.max(-1) != results["none"].image.max(-1))[:, 0].mean()
        for name in ("surprise", "neutral")
    }
    assert rows["neutral"] > rows["surprise"] + 10


def test_a_face_without_a_mask_is_left_alone(network):
    photo = drawn_photo(masked=False)
    result = Unmasker("green.tflite").unmask(photo)
    assert (result.image == photo).all() and not result.occlusion.any() and result.painted == 0
    assert [(face.masked, face.emotion) for face in result.faces] == [(False, None)]


def test_no_face(network):
    wall = np.full((40, 30, 3), 128, np.uint8)
    result = Unmasker("green.tflite").unmask(wall)
    assert result.faces == [] and (result.image == wall).all()


def test_every_face_of_a_group_is_painted_at_its_own_size(network):
    group = np.vstack([drawn_photo(4), np.hstack([cv2.resize(drawn_photo(4), None, fx=0.5, fy=0.5)] * 2)])
    result = Unmasker("green.tflite").unmask(group)
    assert result.painted == len(result.faces) == 12 and is_green(result.image).sum() < 2e-4 * is_green(group).sum()
    sides = [face.box[2] - face.box[0] for face in result.faces]
    assert sides == sorted(sides, reverse=True) and sides[0] > 1.6 * sides[-1]


@pytest.mark.parametrize("cut", [(100, 0, 0, 0), (0, 60, 0, 0), (0, 0, 90, 0), (60, 60, 60, 60)])
def test_a_face_at_the_border(network, cut):
    top, bottom, left, right = cut
    photo = drawn_photo()
    photo = np.ascontiguousarray(photo[top : len(photo) - bottom, left : photo.shape[1] - right])
    result = Unmasker("green.tflite").unmask(photo)
    assert result.painted == 1 and is_green(result.image).sum() < 0.02 * is_green(photo).sum()
    assert not ((result.image != photo).any(-1) & ~result.occlusion).any()


def test_a_face_in_a_very_long_photo(network, monkeypatch):
    """OpenCV turns no picture with a side of more than 32,767 pixels."""
    photo = np.full((360, 33_000, 3), 128, np.uint8)
    photo[20:340, 32_100:32_420] = drawn_photo()
    unmasker = Unmasker("green.tflite")
    detector = unmasker.finder.detector
    (face,) = detector.detect_all(np.ascontiguousarray(photo[:, 32_000:]))
    eyes = np.array([face.points[36:42].mean(0), face.points[42:48].mean(0)]) + (32_000, 0)
    mouth = face.points[48:60].mean(0) + (32_000, 0)
    # Looking through all of it would take seconds.
    monkeypatch.setattr(detector, "detect_all", lambda image: [detector.face_at(image, eyes, mouth)])
    result = unmasker.unmask(photo)
    assert result.painted == 1 and not is_green(result.image).any()
    assert np.abs(result.faces[0].box[0] - 32_000 - face.box[0]) < 30


@pytest.mark.parametrize("turns", [1, 2, 3])
def test_a_mask_on_its_head_is_painted_where_the_face_was_taken_for_upright(network, monkeypatch, turns):
    photo = np.ascontiguousarray(np.rot90(drawn_photo(), turns))
    unmasker = Unmasker("green.tflite")
    detector = unmasker.finder.detector
    (bare,) = detector.detect_all(drawn_photo(masked=False))
    # As the mesh sometimes has them, upright and not very sure.
    wrong = dataclasses.replace(bare, trust=0.41)
    monkeypatch.setattr(detector, "detect_all", lambda image: [wrong])
    monkeypatch.setattr(FaceFinder, "_cut", _seen_only_where_turned(FaceFinder._cut, wrong))
    result = unmasker.unmask(photo)
    assert [face.masked for face in result.faces] == [True]
    assert is_green(result.image).sum() < 0.02 * is_green(photo).sum()
    assert not ((result.image != photo).any(-1) & ~result.occlusion).any()


def _seen_only_where_turned(cut, wrong):
    """`FaceFinder._cut` that finds no mask on the face `wrong`."""

    def without(self, photo, faces, points):
        cuts = cut(self, photo, faces, points)
        bare = FaceMap(np.zeros((128, 128), np.float32), np.zeros((128, 128), np.float32))
        return [dataclasses.replace(each, where=bare) if each.face is wrong else each for each in cuts]

    return without


def test_all_seven_emotions_of_each_face(network):
    sevens, faces = Unmasker("green.tflite").unmask_all(np.hstack([drawn_photo(2), drawn_photo(masked=False)]))
    assert len(faces) == 3 and len(sevens) == 2
    for seven in sevens:
        assert tuple(seven.painted) == EMOTIONS and seven.crop.shape == (128, 128, 3)
        pictures = [seven.painted[name].tobytes() for name in EMOTIONS]
        assert len(set(pictures)) == 7 and not any(is_green(picture).any() for picture in seven.painted.values())
    (page,) = draw_emotion_sheets(sevens)
    assert page.shape == (2 * 188, 8 * 160, 3) and page.dtype == np.uint8
    assert (page[28:188, 160:320] != page[28:188, 320:480]).any() and (page[:28, :160] < 99).any()


def test_a_mask_that_goes_on_below_the_crop_is_painted_in_a_wider_one(network):
    photo, unmasker = drawn_photo(edge=120), Unmasker("green.tflite")
    (usual,) = unmasker.find_faces(photo)
    tip = cv2.invertAffineTransform(usual.matrix) @ (64, 129, 1)
    low = cv2.invertAffineTransform(usual.matrix) @ (64, 70, 1)
    cv2.line(photo, np.rint(low).astype(int).tolist(), np.rint(tip).astype(int).tolist(), (0, 255, 0), 24)
    (cut,) = unmasker.find_faces(photo)
    assert np.hypot(*cut.matrix[0, :2]) == pytest.approx(0.88 * np.hypot(*usual.matrix[0, :2]), rel=0.02)
    assert (cut.visible == usual.visible).all()
    result = unmasker.unmask(photo)
    assert not is_green(result.image).any() and result.painted == 1
    assert not ((result.image != photo).any(-1) & ~result.occlusion).any()


def test_the_mark_on_a_sheet_is_in_every_painted_picture_and_in_no_photo():
    grey = np.full((160, 160, 3), 99, np.uint8)
    face = SevenFaces(grey, dict.fromkeys(EMOTIONS, grey), None)
    (page,) = draw_emotion_sheets([face], mark=True)
    cells = np.split(page[28:], 8, axis=1)
    assert (cells[0] == 99).all() and all((cell > 200).any() for cell in cells[1:])
    assert (draw_emotion_sheets([face])[0][28:] == 99).all()


def test_many_faces_fill_several_pages():
    face = SevenFaces(np.zeros((64, 64, 3), np.uint8), dict.fromkeys(EMOTIONS, np.zeros((64, 64, 3), np.uint8)), None)
    assert [len(page) // 188 for page in draw_emotion_sheets([face] * (2 * FACES_PER_PAGE + 1))] == [8, 8, 1]
    assert draw_emotion_sheets([]) == []


@pytest.mark.parametrize("shape", [(400, 300), (20, 20), (1, 1)])
def test_the_visible_mark_fits_any_picture(shape):
    image = np.full((*shape, 3), 200, np.uint8)
    draw_mark(image)
    assert (image != 200).any() and (shape[0] < 100 or (image[: shape[0] // 2] == 200).all())


def test_words_for_an_emotion():
    assert [parse_request(word) for word in ("AUTO", " none ", "all", "Happy", "fear")] == [
        "auto",
        "none",
        "all",
        "happiness",
        "fear",
    ]
    with pytest.raises(UserError, match="--emotion.*'hapiness'.*'happiness'"):
        parse_request("hapiness", "--emotion")
    with pytest.raises(UserError, match="surprise, fear"):
        parse_request("3")


def test_networks_that_cannot_do_it_are_refused(network, tmp_path):
    network["runner"] = green_runner(without=("occlusion", "painted_image", "visible_emotion"))
    with refused("wrong_type", "rac_unet_lite"):
        Unmasker("old.tflite")
    network["runner"] = green_runner(without=("visible_emotion",))
    with refused("unsupported", "--emotion"):
        Unmasker("blind.tflite").check_request("auto")
    assert Unmasker("blind.tflite").check_request("none") is None
    network["runner"] = green_runner(conditioned=False)
    unmasker = Unmasker("plain.tflite")
    assert "takes no emotion" in unmasker.check_request("auto")
    with refused("unsupported", "'anger'", "--emotion none"):
        unmasker.check_request("anger")
    assert unmasker.unmask(drawn_photo()).faces[0].emotion is None


def test_a_missing_published_network_is_reported(monkeypatch, tmp_path):
    monkeypatch.setattr(networks, "PUBLISHED_NETWORK", tmp_path / "rac_unet_lite.tflite")
    with refused("missing", "--model"):
        Unmasker()


def test_five_lines_of_python(network, tmp_path):
    path = tmp_path / "photo.png"
    cv2.imwrite(str(path), drawn_photo()[..., ::-1])
    result = rac_unet.unmask(path, emotion="sad", model="green.tflite")
    assert result.faces[0].emotion == "sadness"
    again = rac_unet.unmask(drawn_photo(), "sadness", "green.tflite")
    assert (again.image == result.image).all()
    for name in ("out.png", "out.jpg", "out.webp"):
        result.save(tmp_path / name)
        assert SOURCE_TYPE.encode() in read_metadata(Image.open(tmp_path / name)).xmp
    assert (read_photo(tmp_path / "out.png") == result.image).all()


def test_transparency_comes_through(network, tmp_path):
    """The face is opaque but for its lower edge, which is half transparent; the background is fully transparent."""
    photo = drawn_photo()
    alpha = np.full((*photo.shape[:2], 1), 255, np.uint8)
    alpha[:40], alpha[200:210] = 0, 128
    rgba = np.concatenate([photo, alpha], axis=2)
    Image.fromarray(rgba).save(tmp_path / "photo.png")
    result = rac_unet.unmask(tmp_path / "photo.png", "sadness", "green.tflite")
    assert result.painted == 1 and result.image.shape == photo.shape and (result.image[:40] == 255).all()
    for name in ("out.png", "out.webp"):
        result.save(tmp_path / name)
        found = np.asarray(Image.open(tmp_path / name).convert("RGBA"))
        assert (found[..., 3:] == alpha).all()
    found = np.asarray(Image.open(tmp_path / "out.png"))
    assert (found[~result.occlusion] == rgba[~result.occlusion]).all(), "also the colour of transparent pixels"
    laid = np.abs(on_white(found).astype(int) - result.image)[alpha[..., 0] == 255]
    assert laid.max() == 0, "laid on white it is what was painted"
    result.save(tmp_path / "out.jpg")
    assert np.abs(read_photo(tmp_path / "out.jpg").astype(int) - result.image).mean() < 2


def test_python_mistakes(network, tmp_path):
    with refused("unreadable", "nowhere.jpg"):
        rac_unet.unmask("nowhere.jpg", model="green.tflite")
    (tmp_path / "clip.mp4").write_bytes(b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom")
    with refused("unreadable", "clip.mp4", "video"):
        rac_unet.unmask(tmp_path / "clip.mp4", model="green.tflite")
    with pytest.raises(UserError, match="joy"):
        rac_unet.unmask(drawn_photo(), "joy", "green.tflite")
    with refused("usage", "unmask_all"):
        rac_unet.unmask(drawn_photo(), "all", "green.tflite")
    with refused("wrong_type", "float64"):
        rac_unet.unmask(drawn_photo() / 255, model="green.tflite")
    with pytest.raises(UserError, match="tif"):
        rac_unet.unmask(drawn_photo(), model="green.tflite").save(tmp_path / "out.tif")
