"""The real_masks command, with a network that detects green as mask: faces found, mask left, pixels changed."""

import json

import cv2
import numpy as np
import pandas as pd
import pytest

from rac_unet import predict, real_masks
from rac_unet.core.errors import UserError
from rac_unet.scoring.mask_removal import JudgedFace, JudgedPhoto, choose_faces, summarise_real_masks
from rac_unet.unmasking import networks
from tests.drawn_masks import drawn_photo, green_runner
from tests.refusals import refused


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(networks, "load_runner", lambda path, threads=None: green_runner())
    (tmp_path / "photos").mkdir()
    cv2.imwrite("photos/two.png", drawn_photo(people=2)[..., ::-1])
    cv2.imwrite("photos/bare.png", drawn_photo(masked=False)[..., ::-1])
    cv2.imwrite("photos/wall.png", np.full((50, 70, 3), 128, np.uint8))
    (tmp_path / "photos/text.jpg").write_text("no photo")
    return tmp_path


def judge(*words):
    return real_masks.main(["photos", "--output", "out", "--model", "green.tflite", *words])


def test_metrics_and_sheet(folder, capsys):
    assert judge() == 0
    metrics = json.loads((folder / "out/metrics.json").read_text())
    assert (metrics["photos"], metrics["skipped"], metrics["faces"], metrics["masked_faces"]) == (3, 1, 3, 2)
    assert metrics["photos_with_a_face"]["mean"] == pytest.approx(2 / 3)
    assert metrics["photos_with_a_mask_seen"]["mean"] == pytest.approx(1 / 3)
    # The network finds all green, so no mask is left and no other pixel is changed.
    assert metrics["mask_left"]["mean"] == 0 and metrics["pixels_changed_outside_the_map"] == 0
    faces = pd.read_csv(folder / "out/faces.csv")
    assert sorted(faces.photo) == ["bare", "two", "two"] and faces.set_index("photo")["map"]["bare"] == 0
    assert pd.read_csv(folder / "out/photos.csv").set_index("photo").skipped.notna().to_dict()["text"]
    assert cv2.imread("out/real_masks.jpg").shape[0] == 164
    printed = capsys.readouterr().out
    assert "3 read, 1 skipped" in printed and "66.7 %" in printed and "33.3 %" in printed
    provenance = (folder / "out/provenance.json").read_text()
    assert str(folder) not in provenance
    assert "rac_unet.real_masks photos --output out --model green.tflite" in json.loads(provenance)["command"]


def test_the_remaining_part_of_a_mask_is_measured(folder, monkeypatch):
    runner = green_runner()

    def paint_green_chins(inputs):
        """Find the whole mask, but inpaint the lower part with green."""
        outputs = runner.call(inputs)
        outputs["painted_image"][:, 85:] = (0, 1, 0)
        return outputs

    from dataclasses import replace

    monkeypatch.setattr(networks, "load_runner", lambda path, threads=None: replace(runner, call=paint_green_chins))
    judge("--emotion", "none", "--shown", "0")
    metrics = json.loads((folder / "out/metrics.json").read_text())
    assert 0.1 < metrics["mask_left"]["mean"] < 0.9 and metrics["faces_with_over_a_tenth_left"] == 1
    assert not (folder / "out/real_masks.jpg").exists()


def test_mistakes(folder):
    with refused("usage", "--emotion all"):
        judge("--emotion", "all")
    (folder / "empty").mkdir()
    (folder / "empty/notes.txt").touch()
    with refused("empty", "empty", "1 other files", "JPEG"):
        real_masks.main(["empty", "--output", "out"])
    with refused("missing", "nowhere.jpg"):
        real_masks.main(["nowhere.jpg", "--output", "out"])
    with refused("unreadable", "text: file is not an image"):
        real_masks.main(["photos/text.jpg", "--output", "out", "--model", "green.tflite"])
    with pytest.raises(UserError, match="--output photos/wall.png"):
        real_masks.main(["photos", "--output", "photos/wall.png", "--model", "green.tflite"])
    assert not (folder / "out").exists()
    cv2.imwrite("photos/real_masks.jpg", drawn_photo()[..., ::-1])
    with refused("exists", "photos/real_masks.jpg", "--output"):
        real_masks.main(["photos", "--output", "photos", "--model", "green.tflite"])


@pytest.mark.parametrize("place", ["photos", "photos/out", "out"])
def test_results_are_not_scored(folder, place, capsys):
    """Neither the sheet of an earlier call nor results of predict are read as photos."""
    words = ["--model", "green.tflite"]
    assert real_masks.main(["photos", "--output", place, *words]) == 0
    predict.main(["photos/two.png", "--output", "photos/painted", *words])
    capsys.readouterr()
    assert real_masks.main(["photos", "--output", place, *words]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert any("3 read, 1 skipped" in line and f"{place}/photos.csv" in line for line in lines)
    assert any(f" {1 if place == 'out' else 2} results" in line for line in lines)
    # A result that is given by name is scored.
    assert real_masks.main(["photos/painted/two.png", "--output", "named", *words]) == 0


def test_without_a_face_the_tables_are_readable_and_the_old_sheet_is_removed(folder):
    judge()
    assert real_masks.main(["photos/wall.png", "--output", "out", "--model", "green.tflite"]) == 0
    assert list(pd.read_csv(folder / "out/faces.csv").columns[:3]) == ["photo", "masked", "emotion"]
    assert not (folder / "out/real_masks.jpg").exists()


def test_the_faces_of_the_sheet_are_evenly_spaced():
    empty = np.zeros((1, 1, 3), np.uint8)
    faces = [JudgedFace(f"{i:02d}", i % 2 == 0, None, None, 0.3, i / 20, empty, empty) for i in range(20)]
    assert [face.photo for face in choose_faces(faces[::-1], 4)] == ["00", "06", "12", "18"]
    assert choose_faces([faces[1]], 4) == [] and len(choose_faces(faces, 100)) == 10


def test_summary_by_hand():
    empty = np.zeros((1, 1, 3), np.uint8)
    faces = [JudgedFace("a", True, None, None, 0.2, left, empty, empty) for left in (0.05, 0.25)]
    photos = [JudgedPhoto("a", 2, 0), JudgedPhoto("b", 0, 3), JudgedPhoto("c", 0, 0, "cut off")]
    metrics = summarise_real_masks(photos, faces)
    assert metrics["mask_left"]["mean"] == pytest.approx(0.15) and metrics["faces_with_over_a_tenth_left"] == 0.5
    assert metrics["pixels_changed_outside_the_map"] == 3 and metrics["photos"] == 2
