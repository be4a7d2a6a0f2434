"""Which network paints a face: by its size in the photo, by its name, and never the second one without need."""

import dataclasses
import functools
import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from rac_unet import predict
from rac_unet.core.emotions import EMOTIONS
from rac_unet.unmasking import networks
from rac_unet.unmasking.finding import FaceFinder
from rac_unet.unmasking.framing import wider_frame
from rac_unet.unmasking.networks import NetworkFiles
from rac_unet.unmasking.painting.painter import FacePainter, combined_map
from rac_unet.unmasking.painting.sizes import ONLY_LARGE, ONLY_SMALL, face_side, large_share
from rac_unet.unmasking.photo import Unmasker
from tests.drawn_masks import drawn_photo, green_network, green_runner, is_green
from tests.refusals import refused


def blue_portrait(size=256, **changes):
    """Return a network for large faces that is told from the green one by the colour that it paints."""
    runner = green_runner(size=size, name=str(networks.PUBLISHED_PORTRAIT), **changes)

    def call(inputs):
        outputs = green_network(inputs)
        outputs["painted_image"][..., 2] += 0.2
        return outputs

    return dataclasses.replace(runner, call=call)


@pytest.fixture
def published(tmp_path, monkeypatch):
    """Both published networks, drawn; `opened` lists the files as they are opened."""
    holder = {"lite": green_runner(), "portrait": None, "opened": []}
    for name, place in (("PUBLISHED_NETWORK", "lite.tflite"), ("PUBLISHED_PORTRAIT", "portrait.tflite")):
        (tmp_path / place).write_bytes(b"")
        monkeypatch.setattr(networks, name, tmp_path / place)
    monkeypatch.setattr(networks, "PUBLISHED_READER", tmp_path / "none.tflite")
    holder["lite"] = dataclasses.replace(holder["lite"], name=str(tmp_path / "lite.tflite"))
    holder["portrait"] = blue_portrait()

    def load(path, threads=None):
        holder["opened"].append(Path(path).stem)
        return holder[Path(path).stem] if Path(path).stem in holder else green_runner()

    monkeypatch.setattr(networks, "load_runner", load)
    return holder


@functools.cache
def large_photo():
    """Return a drawn photo, and the side of its face crop."""
    photo = drawn_photo(side=300, edge=60)
    (face,) = FaceFinder(green_runner()).find(photo)
    return photo, face_side(face.matrix, 128)


def photo_of(side):
    """Return a drawn photo whose face crop has about this side in photo pixels."""
    photo, found = large_photo()
    return cv2.resize(photo, None, fx=side / found, fy=side / found, interpolation=cv2.INTER_AREA)


def bluer(before, result):
    """Return how much bluer the middle of the painting is than the first network paints it, 0 to about 1."""
    region = cv2.erode(result.occlusion.astype(np.uint8), np.ones((9, 9), np.uint8)).astype(bool)
    return float((result.image[region].astype(float) - before.image[region])[:, 2].mean())


def test_the_size_of_a_face_is_its_crops_side_in_photo_pixels():
    for degrees in (0, 37, 180):
        matrix = cv2.getRotationMatrix2D((50, 60), degrees, 0.5)
        assert face_side(matrix, 128) == pytest.approx(256)
        assert face_side(matrix, 256) == pytest.approx(512)


def test_the_share_rises_without_a_step_and_ends_exactly_at_the_limits():
    sides = np.arange(ONLY_SMALL - 20, ONLY_LARGE + 20, 0.5)
    shares = np.array([large_share(side) for side in sides])
    assert (shares[sides <= ONLY_SMALL] == 0).all() and (shares[sides >= ONLY_LARGE] == 1).all()
    between = (sides >= ONLY_SMALL) & (sides <= ONLY_LARGE)
    assert (np.diff(shares[between]) > 0).all() and np.diff(shares).max() < 0.02


@pytest.mark.parametrize(("side", "network"), [(90, "lite"), (150, "lite+portrait"), (260, "portrait")])
def test_auto_chooses_by_size(published, side, network):
    photo = photo_of(side)
    result = Unmasker().unmask(photo, "surprise")
    (face,) = result.faces
    assert face.network == network and face.emotion == "surprise"
    assert not is_green(result.image).any() and not ((result.image != photo).any(-1) & ~result.occlusion).any()
    # The second network is opened only for a face that it paints.
    assert published["opened"] == ["lite"] + ["portrait"] * (network != "lite")


def test_between_the_limits_the_painting_is_a_mix(published, monkeypatch):
    """The light of the photo would hide the blue colour."""
    from rac_unet.unmasking.choice import repasting
    from rac_unet.unmasking.painting import painter

    for module in (painter, repasting):
        monkeypatch.setattr(module, "matched_to_photo", lambda painted, crop, ring: painted)
    blue = {}
    for side in (112, 145, 178):
        photo, unmasker = photo_of(side), Unmasker()
        faces = unmasker.find_faces(photo)
        monkeypatch.setattr(unmasker.finder, "find", lambda photo, faces=faces: faces)
        after = unmasker.unmask(photo, "none")
        unmasker.painter = FacePainter(NetworkFiles(Path("lite")), unmasker.runner)
        before = unmasker.unmask(photo, "none")
        blue[side] = bluer(before, after), large_share(face_side(faces[0].matrix, 128))
    assert [difference for difference, _ in blue.values()] == sorted(difference for difference, _ in blue.values())
    for difference, share in blue.values():
        assert difference == pytest.approx(0.2 * 255 * share, abs=6)


def test_a_name_forces_one_network(published):
    small, large = photo_of(90), photo_of(200)
    lite, portrait = Unmasker("lite"), Unmasker("portrait")
    assert lite.unmask(large, "none").faces[0].network == "lite" and published["opened"] == ["lite", "lite"]
    assert portrait.unmask(small, "none").faces[0].network == "portrait"
    assert portrait.runner.image_size == 128, "masks are found by the small network"


def test_without_the_second_network_auto_is_the_first_one(published):
    networks.PUBLISHED_PORTRAIT.unlink()
    result = Unmasker().unmask(photo_of(200), "none")
    assert result.faces[0].network == "lite" and published["opened"] == ["lite"]
    with refused("missing", "portrait.tflite", "--model"):
        Unmasker("portrait")


@pytest.mark.parametrize("wrong", [{"size": 128}, {"conditioned": False}])
def test_a_second_network_that_does_not_fit_is_refused(published, wrong):
    published["portrait"] = blue_portrait(**{"size": 256} | wrong)
    photo = photo_of(200)
    with refused("mismatch", "portrait.tflite", "128"):
        Unmasker().unmask(photo, "none")


def test_a_file_paints_all_faces_itself(published, monkeypatch):
    photo = photo_of(200)
    published["own"] = green_runner(size=256, name="models/own.tflite")
    result = Unmasker("models/own.tflite").unmask(photo, "fear")
    assert result.faces[0].network == "own.tflite" and not is_green(result.image).any()


def test_all_seven_emotions_of_a_large_face(published):
    photo = photo_of(200)
    (seven,), (face,) = Unmasker().unmask_all(photo)
    assert face.network == "portrait" and seven.crop.shape == (256, 256, 3)
    assert len({seven.painted[name].tobytes() for name in EMOTIONS}) == 7
    assert not any(is_green(picture).any() for picture in seven.painted.values())


def test_a_large_face_beyond_the_border_and_in_a_wider_crop(published):
    photo, unmasker = photo_of(300), Unmasker()
    cut = np.ascontiguousarray(photo[:, len(photo) // 3 :])
    for image in (cut, cut[: -len(cut) // 4]):
        result = unmasker.unmask(np.ascontiguousarray(image), "none")
        assert result.faces[0].network == "portrait"
        assert not ((result.image != image).any(-1) & ~result.occlusion).any()
        assert is_green(result.image).sum() < 0.02 * is_green(image).sum()
    (face,) = unmasker.find_faces(photo)
    wide = dataclasses.replace(face, points=wider_frame(face.points, face.matrix, 128))
    (usual, wider) = (unmasker.painter.paint(photo, [each], [None])[0].face for each in (face, wide))
    assert np.hypot(*wider.matrix[0, :2]) == pytest.approx(0.88 * np.hypot(*usual.matrix[0, :2]), rel=0.02)
    assert usual.crop.shape == (256, 256, 3)
    corners = np.array([(0, 0, 1), (127, 0, 1), (0, 127, 1)], float).T
    small = cv2.invertAffineTransform(face.matrix) @ corners
    np.testing.assert_allclose(usual.matrix @ np.vstack([small, np.ones(3)]), 2 * corners[:2] + 0.5, atol=0.01)


def disc(size, x, y, radius):
    down, across = np.mgrid[:size, :size]
    return (np.hypot(across - size * x, down - size * y) < size * radius).astype(np.float32)


def test_the_second_map_sharpens_the_first_and_adds_no_other_mask():
    first, second = disc(128, 0.5, 0.6, 0.25), disc(256, 0.5, 0.6, 0.26)
    elsewhere = disc(256, 0.1, 0.1, 0.05)
    both = combined_map(first, np.maximum(second, elsewhere), 1.0)
    assert ((both > 0.5) == (second > 0.5)).all() and not both[elsewhere > 0].any()
    half = combined_map(first, second, 0.5)
    ring = (second > 0) & (cv2.resize(first, (256, 256)) == 0)
    assert ring.any() and (half[ring] == 0.5).all()


def test_maps_that_disagree_leave_the_first_one():
    first = disc(128, 0.5, 0.6, 0.25)
    for second in (disc(256, 0.5, 0.6, 0.15), disc(256, 0.8, 0.3, 0.25), np.zeros((256, 256), np.float32)):
        np.testing.assert_array_equal(combined_map(first, second, 1.0), cv2.resize(first, (256, 256)))


def test_the_report_says_the_network_and_the_settings_name_both(published, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    cv2.imwrite("photo.png", photo_of(200)[..., ::-1])
    assert predict.main(["photo.png", "--output", "auto"]) == 0
    assert predict.main(["photo.png", "--output", "lite", "--model", "lite"]) == 0
    auto, lite = (json.loads(Path(name, "photo.json").read_text(encoding="utf-8")) for name in ("auto", "lite"))
    assert [face["network"] for report in (auto, lite) for face in report["faces"]] == ["portrait", "lite"]
    assert "lite.tflite@" in auto["settings"]["model"] and "+portrait.tflite@" in auto["settings"]["model"]
    assert "portrait" not in lite["settings"]["model"]
