"""The portraits command: two networks on the same pairs, in a series of sizes, and on photos."""

import dataclasses
import json
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest

from rac_unet import portraits
from rac_unet.scoring.portraits.pairs import averaged, enlarged, paint_at
from rac_unet.scoring.portraits.photos import Portrait, choose_evenly
from rac_unet.scoring.portraits.series import measure_series
from rac_unet.unmasking import networks
from rac_unet.unmasking.painting.sizes import ONLY_LARGE, ONLY_SMALL
from tests.drawn_masks import drawn_photo, green_runner
from tests.refusals import refused


def blurring(size, blur, grey=0.0):
    """Return a network that paints what it sees, blurred by shares of the side and darker by a grey level."""

    def call(inputs):
        image = inputs["masked_image"]
        painted = np.stack([cv2.GaussianBlur(each, (0, 0), blur * size) for each in image]) if blur else image
        return {"inpainted_image": np.clip(painted - np.float32(grey), 0, 1)}

    return dataclasses.replace(green_runner(size=size, name=f"{size}.tflite"), call=call)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Working folder with two networks that find green masks, and photos of a large, a small and a bare face."""
    monkeypatch.chdir(tmp_path)
    # A quarter of the published networks' sides, for the pairs of 64 px.
    sizes = {"small": 32, "large": 64, "wrong": 48, "huge": 128}
    for name in sizes:
        Path(f"{name}.tflite").write_bytes(b"")
    monkeypatch.setattr(
        networks,
        "load_runner",
        lambda path, threads=None: green_runner(size=sizes[Path(path).stem], name=str(path)),
    )
    Path("photos").mkdir()
    cv2.imwrite("photos/large.png", drawn_photo(side=300)[..., ::-1])
    cv2.imwrite("photos/bare.png", drawn_photo(side=300, masked=False)[..., ::-1])
    cv2.imwrite("photos/small.png", drawn_photo(side=90, edge=40)[..., ::-1])
    Path("photos/text.jpg").write_text("no photo")
    return tmp_path


def compare(*words, data):
    given = ["--small", "small.tflite", "--large", "large.tflite", *map(str, words)]
    return portraits.main([str(data), "--output", "out", *given])


def test_the_whole_report(folder, toy_pairs, random_reader, capsys):
    assert compare("--photos", "photos", "--least_side", 200, "--classifier", random_reader, data=toy_pairs) == 0
    metrics = json.loads(Path("out/metrics.json").read_text())
    scores = pd.read_csv("out/scores.csv")
    assert list(metrics["systems"]) == ["32 px", "64 px"] and metrics["n"] == len(scores) > 0
    for name, facts in metrics["systems"].items():
        assert facts["psnr_hole"]["mean"] == pytest.approx(scores[f"{name}_psnr_hole"].mean(), rel=1e-4)
        assert facts["psnr_composite"]["mean"] > facts["psnr_hole"]["mean"]
        right = (scores[f"{name}_reads"] == scores["emotion"]).mean()
        assert facts["emotion_accuracy"][0]["mean"] == pytest.approx(right)
        assert facts["control"][0]["obeyed"]["n"] == 7 * len(scores)
        assert facts["control"][0]["known_pixels_changed"]["composite"] == 0
        assert facts["cost"]["milliseconds_per_picture"]["one"]["median"] > 0
    assert metrics["difference"]["psnr_hole"]["n"] == len(scores)
    assert [row["side"] for row in metrics["series"]] == pd.read_csv("out/series.csv")["side"].tolist()
    # Only the large masked face is painted.
    faces = pd.read_csv("out/faces.csv")
    assert faces["photo"].tolist() == ["large"] and faces["side"][0] >= 200
    assert (metrics["photos"]["faces"], metrics["photos"]["skipped"]) == (1, 1)
    before_and_after, both = (cv2.imread(f"out/{name}.jpg") for name in ("portraits", "networks"))
    assert before_and_after.shape == both.shape and before_and_after.shape[1] > 1.8 * 200
    assert cv2.imread("out/pairs.jpg").shape[1] > 4 * 64
    table = Path("out/table.md").read_text()
    for heading in ("32 px", "64 px", "hole PSNR", "detail ratio", "control accuracy", "time per face", "size MB"):
        assert heading in table
    said = capsys.readouterr().out
    assert "readers guided" in said and "text: " in said
    provenance = Path("out/provenance.json").read_text()
    assert str(folder) not in json.loads(provenance)["command"] and "64 px" not in provenance


def test_pairs_alone_leave_no_older_sheet_of_photos(folder, toy_pairs):
    Path("out").mkdir()
    Path("out/portraits.jpg").write_bytes(b"old")
    assert compare("--split", "val", data=toy_pairs) == 0
    assert not Path("out/portraits.jpg").exists() and not Path("out/faces.csv").exists()
    metrics = json.loads(Path("out/metrics.json").read_text())
    assert "photos" not in metrics and "emotion_accuracy" not in metrics["systems"]["64 px"]


def test_mistakes(folder, toy_pairs):
    with refused("missing", "--large", "gone.tflite"):
        portraits.main([str(toy_pairs), "--output", "out", "--small", "small.tflite", "--large", "gone.tflite"])
    for small, large in (("large", "small"), ("small", "small"), ("small", "wrong")):
        with refused("mismatch", f"{small}.tflite", f"{large}.tflite"):
            words = ["--small", f"{small}.tflite", "--large", f"{large}.tflite"]
            portraits.main([str(toy_pairs), "--output", "out", *words])
    with refused("mismatch", "64 px", "128 px", "--size"):
        compare("--large", "huge.tflite", data=toy_pairs)
    with refused("usage", "--emotion all"):
        compare("--photos", "photos", "--emotion", "all", data=toy_pairs)
    with refused("missing", "nowhere.jpg"):
        compare("--photos", "nowhere.jpg", data=toy_pairs)
    with refused("usage", "--feature_weights"):
        compare("--feature_weights", "none", data=toy_pairs)
    assert not Path("out").exists()


def test_a_smaller_network_gets_means_and_its_painting_is_enlarged():
    masked = np.random.default_rng(0).random((2, 256, 256, 3), np.float32)
    assert averaged(masked, 128)[1, 3, 5] == pytest.approx(masked[1, 6:8, 10:12].mean((0, 1)), abs=1e-6)
    painted, found = paint_at(blurring(128, 0), masked, np.zeros((2, 7), np.float32), 256)
    np.testing.assert_array_equal(painted, enlarged(averaged(masked, 128), 256))
    assert found is None and painted.min() >= 0 and painted.max() <= 1
    assert paint_at(blurring(256, 0), masked, np.zeros((2, 7), np.float32), 256)[0] == pytest.approx(masked)


def test_the_series_has_small_steps_where_the_networks_are_mixed():
    masked = np.random.default_rng(0).random((2, 64, 64, 3), np.float32)
    masked = np.stack([cv2.resize(each, (256, 256), interpolation=cv2.INTER_CUBIC).clip(0.2, 0.8) for each in masked])
    hidden = np.zeros((2, 256, 256, 1), np.float32)
    hidden[:, 100:220, 60:200] = 1
    sides = (100, ONLY_SMALL, 145, ONLY_LARGE, 200)
    given = masked, np.zeros((2, 7), np.float32), hidden, sides
    # The second network paints darker by 25 grey levels.
    found = measure_series(blurring(128, 0), blurring(256, 0, 25 / 255), *given).set_index("side")
    assert found["share"].tolist() == [0, 0, 0.5, 1, 1]
    assert (found["colour_difference"] - 25).abs().max() < 3
    assert (
        np.isnan(found["colour_step"][100]) and found["colour_step"][ONLY_SMALL] < 1 and found["colour_step"][200] < 1
    )
    for side in (145, ONLY_LARGE):
        assert found["colour_step"][side] == pytest.approx(12.5, abs=2)
    assert found["small_colour_step"].max() < 1
    # A softer second network has less detail.
    soft = measure_series(blurring(128, 0), blurring(256, 0.02), *given).set_index("side")
    assert (soft["detail_ratio"] < 0.7).all() and soft["detail_step"][ONLY_LARGE] < 1


def test_the_sheet_shows_evenly_chosen_faces():
    empty = np.zeros((1, 1, 3), np.uint8)
    found = [Portrait(f"{i:02d}", 300, None, {}, empty, {}) for i in range(19)]
    assert [each.photo for each in choose_evenly(found[::-1], 4)] == ["00", "06", "12", "18"]
    assert choose_evenly([], 24) == [] and len(choose_evenly(found, 24)) == 19
