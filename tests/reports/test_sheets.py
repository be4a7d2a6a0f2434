"""Sample sheets: the choice of faces, and the image file."""

import cv2
import numpy as np

from rac_unet.core.emotions import EMOTIONS
from rac_unet.data import pairs as pairs_module
from rac_unet.reports.sheets import write_sheet
from rac_unet.scoring.shown_faces import evenly_chosen, faces_to_show


def test_one_face_of_each_emotion_of_different_people(toy_pairs):
    pairs = pairs_module.read(toy_pairs).split("train")
    rows = faces_to_show(pairs)
    assert pairs.frame["emotion"].iloc[rows].tolist() == list(EMOTIONS)
    assert pairs.frame["identity"].iloc[rows].nunique() == 7
    assert faces_to_show(pairs) == rows


def test_small_splits_show_all_their_faces(toy_pairs):
    val = pairs_module.read(toy_pairs).split("val")
    assert sorted(faces_to_show(val, 20)) == list(range(7))


def test_evenly_chosen_faces_are_distinct_and_span_the_split():
    assert evenly_chosen(7, 24) == list(range(7)) and evenly_chosen(1, 24) == [0]
    rows = evenly_chosen(1000, 24)
    gaps = np.diff(rows)
    assert len(rows) == 24 and rows[0] == 0 and rows[-1] == 999 and gaps.max() - gaps.min() <= 1


def test_a_large_sheet_is_a_small_file(tmp_path):
    faces = np.random.default_rng(0).random((24, 16, 16, 3)).repeat(16, axis=1).repeat(16, axis=2)
    write_sheet(tmp_path / "s.jpg", {"a": faces, "b": faces}, [f"is {n}" for n in range(24)])
    height, width = cv2.imread(str(tmp_path / "s.jpg")).shape[:2]
    assert 24 * 120 < height < 24 * 180 and width < 3 * 180
    assert (tmp_path / "s.jpg").read_bytes()[:2] == b"\xff\xd8"


def test_sheet_contains_every_picture(tmp_path):
    red, blue = np.zeros((3, 32, 32, 3), np.float32), np.zeros((3, 32, 32, 3), np.uint8)
    red[..., 0], blue[..., 2] = 2.0, 255  # beyond 1 is clipped
    write_sheet(tmp_path / "s.png", {"a": red, "b": blue}, ["x", "y", "z"])
    sheet = cv2.imread(str(tmp_path / "s.png"))[:, :, ::-1].astype(int)
    reds = (sheet[..., 0] > 240) & (sheet[..., 1] < 15) & (sheet[..., 2] < 15)
    blues = (sheet[..., 2] > 240) & (sheet[..., 0] < 15) & (sheet[..., 1] < 15)
    assert abs(reds.sum() / blues.sum() - 1) < 0.02 and reds.mean() > 0.2
    assert np.flatnonzero(reds.any(0)).max() < np.flatnonzero(blues.any(0)).min()
