"""The evaluate command, with a network of a few layers."""

import json
import shutil
from argparse import Namespace
from dataclasses import replace

import cv2
import keras
import numpy as np
import pandas as pd
import pytest

from rac_unet.core import rundir
from rac_unet.core.emotions import EMOTIONS
from rac_unet.core.errors import UserError
from rac_unet.core.files.whole import write_text
from rac_unet.data import pairs
from rac_unet.evaluate import _default_folder, main
from rac_unet.runtime.classifier import ClassifierConfig, build_classifier, write_classifier
from rac_unet.runtime.runners import load_network
from rac_unet.scoring.emotions import plausibility
from rac_unet.scoring.evaluation import summarise_scores
from rac_unet.train import main as train
from tests.refusals import refused

pytestmark = pytest.mark.usefixtures("tiny_networks")


@pytest.fixture(scope="module")
def run(toy_pairs, tmp_path_factory):
    runs = tmp_path_factory.mktemp("runs")
    train(["--preset", "smoke", "--training.epochs", "1", "--data.path", str(toy_pairs), "--runs", str(runs)])
    return rundir.RunDir(next(runs.iterdir()))


def test_scores_metrics_and_pictures(run, toy_pairs, capsys):
    assert main([str(run.path)]) == 0
    printed = capsys.readouterr().out
    folder = run.evaluation("test")
    scores = pd.read_csv(folder / "scores.csv")
    expected = pd.read_csv(toy_pairs / "pairs.csv").query("split == 'test'")
    assert scores["key"].tolist() == expected["key"].tolist()
    metrics = json.loads((folder / "metrics.json").read_text())
    for system in ("network", "masked_input", "mean_face", "telea"):
        for figure in ("psnr_hole", "psnr_composite", "psnr_raw", "ms_ssim_raw"):
            mean = metrics["overall"][system][figure]
            assert mean["mean"] == pytest.approx(scores[f"{system}_{figure}"].mean(), rel=1e-4)
            assert mean["low"] <= mean["mean"] <= mean["high"] and mean["n"] == len(scores)
    assert sum(group["n"] for group in metrics["by_emotion"].values()) == len(scores)
    cost = metrics["cost"]
    assert cost["parameters"] == load_network(run).count_params() and cost["gflop_per_picture"] > 0
    assert cost["megabytes"] == pytest.approx(run.best_weights.stat().st_size / 1e6)
    for name, size in (("one", 1), ("batch", 16)):
        taken = cost["milliseconds_per_picture"][name]
        assert taken["batch_size"] == size and 0 < taken["median"] <= taken["p95"] and taken["repeats"] >= 5
    assert f"{cost['parameters']:,} parameters" in printed
    assert f"trained on {run.history()[-1]['images']:,.0f} pictures, repeats counted\n" in printed
    command = json.loads((folder / "provenance.json").read_text())["command"]
    assert command == f"python -m rac_unet.evaluate {run.path.name}"
    # Outside the mask the masked input is the ground truth, so it equals its composite.
    assert (scores["masked_input_psnr_composite"] - scores["masked_input_psnr_raw"]).abs().max() < 1e-3
    assert (scores["network_psnr_composite"] > scores["network_psnr_hole"]).all()
    for name in ("samples.png", "emotions.jpg"):
        assert str(folder / name) in printed and cv2.imread(str(folder / name)).std() > 20
    # The sheet has a row for each of the seven test faces, with masked, ground truth and seven emotions.
    height, width = cv2.imread(str(folder / "emotions.jpg")).shape[:2]
    assert len(scores) == 7 and 1.2 < width / height < 1.5


def test_real_masks_and_faces_without_a_mask_are_not_in_the_metrics(run, toy_pairs, tmp_path, capsys):
    """Real masks have no ground truth; the composite of a face without a mask is the ground truth itself."""
    found = pairs.read(toy_pairs)
    rows = [replace(row, **{c: f"{toy_pairs.name}/{getattr(row, c)}" for c in pairs.IMAGE_COLUMNS}) for row in found]
    real = [
        replace(row, key=f"real {row.key}", unmasked="", occlusion="", mask_style=pairs.REAL_MASK)
        for row in rows
        if row.split == "test"
    ]
    cv2.imwrite(str(toy_pairs.parent / "nothing.png"), np.zeros((64, 64), np.uint8))
    bare = [
        replace(row, key=f"bare {row.key}", masked=row.unmasked, occlusion="nothing.png", mask_style="none")
        for row in rows
        if row.split == "test"
    ]
    pairs.write(toy_pairs.parent / "mixed.csv", [*rows, *real[:3], *bare[:5]])
    config = ClassifierConfig(EMOTIONS, image_size=32, filters=4)
    judge = write_classifier(tmp_path / "judge", build_classifier(config), config, {})
    # Its input is another part of the crop, of another size, in grey.
    small = ClassifierConfig(EMOTIONS, "small_reader", 2, 48, "grey", frame=(0.75, 0.5, 0.4))
    second = write_classifier(tmp_path / "second", build_classifier(small), small, {})
    judges = f"{judge.path},{second.path}"
    options = ["--data", str(toy_pairs.parent / "mixed.csv"), "--output", str(tmp_path), "--classifier", judges]
    assert main([str(run.path), *options, "--control"]) == 0
    metrics = json.loads((tmp_path / "metrics.json").read_text())
    emotion, count = metrics["emotion"], sum(row.split == "test" for row in rows)
    assert {emotion[who]["n"] for who in ("truth", "network", "no_label", "masked_input")} == {count}
    assert metrics["overall"]["n"] == count and metrics["control"]["obeyed"]["n"] == 7 * count
    assert all(figure["n"] == count for figure in metrics["overall"]["network"].values())
    assert metrics["bare_faces"] == {"n": 5} and metrics["overall"]["hidden_share"] > 0.2
    (other,) = metrics["other_judges"]
    for section in (emotion, other["emotion"]):
        assert {who: group["n"] for who, group in section["real_masks"].items()} == dict.fromkeys(
            ("masked_input", "network", "no_label"), 3
        )
    scores = pd.read_csv(tmp_path / "scores.csv")
    for section, ending in ((metrics, ""), (other, "_2")):
        accuracy = (scores[f"network_reads{ending}"] == scores["emotion"]).mean()
        assert section["emotion"]["network"]["accuracy"]["mean"] == pytest.approx(accuracy)
        control = section["control"]["obeyed"]["mean"]
        assert control == pytest.approx(scores[f"network_obeyed{ending}"].mean(), rel=1e-4)
        assert control == pytest.approx(np.mean(list(section["control"]["by_asked"].values())))
    assert [section["emotion"]["classifier"]["name"] for section in (metrics, other)] == ["judge", "second"]
    lines = capsys.readouterr().out.splitlines()
    assert any(line.startswith("3 ") and "real masks" in line for line in lines)
    assert any(line.startswith("5 faces without a mask") for line in lines)
    tables = [line for line in lines if "judged by" in line]
    assert len(scores) == count and ["judge" in tables[0], "second" in tables[1]] == [True, True]
    for section in (metrics, other):
        assert any(f"{100 * section['control']['obeyed']['mean']:.1f} %" in line for line in lines)
    sheet = cv2.imread(str(tmp_path / "real_masks.png"))
    assert sheet.std() > 20 and sheet.shape[1] > 2 * sheet.shape[0]  # three rows of nine
    for unscored in (real, bare):
        pairs.write(toy_pairs.parent / "mixed.csv", [row for row in rows if row.split != "test"] + unscored)
        with refused("empty", "'test'", toy_pairs.parent):
            main([str(run.path), "--data", str(toy_pairs.parent / "mixed.csv"), "--output", str(tmp_path)])


def test_an_exported_network_has_the_scores_of_its_run(run, toy_pairs, tmp_path, capsys):
    model = load_network(run)
    model.save(tmp_path / "net.keras")
    with refused("usage", "net.keras", "--data"):
        main([str(tmp_path / "net.keras")])
    assert main([str(tmp_path / "net.keras"), "--data", str(toy_pairs)]) == 0
    folder = tmp_path / "net.keras-eval/test"
    assert str(folder / "scores.csv") in capsys.readouterr().out and not (folder / "history.csv").exists()
    mine, other = pd.read_csv(folder / "scores.csv"), pd.read_csv(run.evaluation("test") / "scores.csv")
    pd.testing.assert_frame_equal(mine, other, atol=1e-3)
    cost = json.loads((folder / "metrics.json").read_text())["cost"]
    assert cost["parameters"] == model.count_params() and cost["gflop_per_picture"] == pytest.approx(
        json.loads((run.evaluation("test") / "metrics.json").read_text())["cost"]["gflop_per_picture"]
    )
    assert "config" not in json.loads((folder / "provenance.json").read_text())


def test_the_error_of_an_empty_split_names_the_splits_that_have_pairs(run, toy_pairs, tmp_path):
    frame = pd.read_csv(toy_pairs / "pairs.csv")
    for column in pairs.IMAGE_COLUMNS:
        frame[column] = f"{toy_pairs.name}/" + frame[column]
    counts = frame["split"].value_counts()
    frame[frame["split"] != "test"].to_csv(toy_pairs.parent / "no_test.csv", index=False)
    frame[frame["split"] == "train"].to_csv(toy_pairs.parent / "train.csv", index=False)
    for name, split, named in (
        ("no_test", "test", (f"{counts['train']} in train", f"{counts['val']} in val", "--split val")),
        ("train", "val", (f"{counts['train']} in train", "--split train")),
    ):
        with refused("empty", f"'{split}'", *named):
            main([str(run.path), "--data", str(toy_pairs.parent / f"{name}.csv"), "--split", split])


def test_held_out_masks_and_sources_have_metrics_of_their_own(run, toy_pairs, tmp_path, capsys):
    found = pairs.read(toy_pairs)
    rows = [replace(row, **{c: f"{toy_pairs.name}/{getattr(row, c)}" for c in pairs.IMAGE_COLUMNS}) for row in found]
    rows = [replace(row, mask_style="paper") if row.split == "test" and row.emotion == "fear" else row for row in rows]
    rows = [replace(row, source="album") if row.emotion == "anger" else row for row in rows]
    pairs.write(toy_pairs.parent / "held.csv", rows)
    assert main([str(run.path), "--data", str(toy_pairs.parent / "held.csv"), "--output", str(tmp_path)]) == 0
    metrics, scores = json.loads((tmp_path / "metrics.json").read_text()), pd.read_csv(tmp_path / "scores.csv")
    held, seen = (metrics["by_mask"][name] for name in ("held out of training", "seen in training"))
    fear = scores[scores["emotion"] == "fear"]
    assert held["n"] >= len(fear) and held["n"] + seen["n"] == len(scores)
    assert metrics["by_source"]["album"]["n"] == (scores["source"] == "album").sum()
    assert metrics["by_source"]["album"]["network"]["psnr_hole"]["mean"] == pytest.approx(
        scores["network_psnr_hole"][scores["source"] == "album"].mean(), rel=1e-4
    )
    assert "held out of training" in capsys.readouterr().out and "by_mask" not in summarise_scores(scores, 64)


def test_feature_distances_and_plausibility_are_measured_on_request(run, tmp_path, capsys, monkeypatch):
    output = tmp_path / "scores"
    image = keras.Input((None, None, 3))
    keras.Model(image, keras.layers.Conv2D(4, 3)(image)).save(tmp_path / "tiny.keras")
    options = ["--features", str(tmp_path / "tiny.keras"), "--output", str(output), "--plausibility"]
    with refused("mismatch", "--plausibility", "256"):
        main([str(run.path), "--split", "val", *options])
    monkeypatch.setattr(plausibility, "FEWEST", 2)
    assert main([str(run.path), "--split", "val", *options]) == 0
    printed = capsys.readouterr().out
    assert "raw feature distance ↓" in printed and "↓ lower is better" in printed
    assert "tiny.keras" in printed
    scores, metrics = pd.read_csv(output / "scores.csv"), json.loads((output / "metrics.json").read_text())
    for system in ("network", "masked_input", "mean_face", "telea"):
        mean = metrics["overall"][system]["feature_distance_raw"]["mean"]
        assert 0 < mean == pytest.approx(scores[f"{system}_feature_distance_raw"].mean(), rel=1e-4)
    # Outside the hole the composite is the ground truth, so its distance is smaller.
    assert (scores["mean_face_feature_distance_composite"] < scores["mean_face_feature_distance_raw"]).all()
    found = metrics["plausibility"]
    assert found["n"] == len(scores) and list(found["by_asked"]) == list(EMOTIONS) and found["right_label"] > 0
    assert f"{found['right_label']:.1f}" in printed and "network_obeyed" not in scores
    settings = metrics["settings"]
    assert settings["features"]["weights"] == "tiny.keras" and "lower for feature_distance" in settings["better"]
    assert str(tmp_path) not in (output / "metrics.json").read_text() + (output / "provenance.json").read_text()


def test_another_split_has_its_own_folder_and_no_feature_distances_by_default(run):
    assert main([str(run.path), "--split", "val"]) == 0
    folder = run.evaluation("val")
    assert folder.parent == run.evaluation("test").parent and folder.name == "val"
    assert "feature" not in (folder / "scores.csv").read_text() + (folder / "metrics.json").read_text()


@pytest.mark.parametrize(
    ("argv", "kind", "named"),
    [
        (["nowhere"], "missing", ["nowhere"]),
        (["{run}", "--split", "testing"], "usage", ["--split", "'testing'"]),
        (["{run}", "--batch_size", "0"], "bad_value", ["--batch_size", "0"]),
        (["{run}", "--control"], "usage", ["--control", "--classifier"]),
        (["{run}", "--plausibility"], "usage", ["--plausibility", "--features"]),
        (["{run}", "--feature_weights", "none"], "usage", ["--feature_weights", "--features"]),
        ([], "usage", ["RUN"]),
    ],
)
def test_mistakes(run, argv, kind, named):
    with refused(kind, *named):
        main([word.format(run=run.path) for word in argv])


@pytest.mark.parametrize(
    "argv",
    [
        ["--data", "nowhere"],
        ["--features", "vgg20"],
        ["--features", "absent.keras"],
        ["--features", "vgg16", "--feature_weights", "absent.h5"],
    ],
)
def test_a_missing_file_or_folder_is_named(run, argv):
    with pytest.raises(UserError) as error:
        main([str(run.path), *argv])
    assert argv[-1] in str(error.value)


def test_the_error_of_an_unsupported_file_names_the_supported_kinds(run, tmp_path):
    (tmp_path / "x.h5").touch()
    for path in (tmp_path / "x.h5", run.best_weights):
        with refused("wrong_type", path, "run directory", "SavedModel", ".keras", ".tflite", ".onnx") as error:
            main([str(path)])
    assert f"the run {run.path}" in str(error.value)
    with refused("wrong_type", run.path.parent, "run directory"):
        main([str(run.path.parent)])


def test_scores_on_another_data_set_do_not_replace_the_runs_own(run, toy_pairs, tmp_path):
    def default(data, fingerprint):
        data = data and tmp_path / data
        return _default_folder(
            Namespace(run=run.path, output=None, data=data, split="test"), run, Namespace(fingerprint=fingerprint)
        )

    own = run.provenance()["data_fingerprint"]
    assert default(None, "changed since") == default("copied", own) == run.evaluation("test")
    assert default("faces.csv", "of faces") == run.evaluation("test-faces")
    before = {path: path.read_bytes() for path in run.path.rglob("*") if path.is_file()}
    write_text(run.evaluation("test-faces") / "provenance.json", '{"data_fingerprint": "of others"}')
    with refused("exists", run.evaluation("test-faces"), "--output"):
        default("faces.csv", "of faces")
    assert default("faces.csv", "of others") == run.evaluation("test-faces")
    # The command checks the folder before it scores.
    write_text(run.evaluation("test-other") / "provenance.json", '{"data_fingerprint": "of others"}')
    shutil.copytree(toy_pairs, tmp_path / "other")
    (tmp_path / "other/pairs.csv").write_text((tmp_path / "other/pairs.csv").read_text() + "\n")
    with refused("exists", run.evaluation("test-other"), "--output"):
        main([str(run.path), "--data", str(tmp_path / "other")])
    assert all(path.read_bytes() == content for path, content in before.items())


def test_rare_and_missing_emotions_are_reported(run, toy_pairs, tmp_path, capsys):
    """The tiny test split has one image for each emotion, all of one person; fear is removed."""
    frame = pd.read_csv(toy_pairs / "pairs.csv")
    for column in pairs.IMAGE_COLUMNS:
        frame[column] = f"{toy_pairs.name}/" + frame[column]
    frame = frame[(frame["split"] != "test") | (frame["emotion"] != "fear")]
    frame.to_csv(toy_pairs.parent / "no_fear.csv", index=False)
    words = [str(run.path), "--data", str(toy_pairs.parent / "no_fear.csv"), "--output", str(tmp_path)]
    assert main(words) == 0
    printed = capsys.readouterr().out
    notes = [line for line in printed.splitlines() if line.startswith("note:")]
    assert any("fear" in line and "surprise" not in line for line in notes)
    assert any("surprise (1)" in line and "fear" not in line for line in notes)
    assert "by emotion" not in printed and any("one person" in line for line in notes)
    assert "nan" not in (tmp_path / "metrics.json").read_text().lower()


def test_brisque_is_measured_on_request(run, tmp_path, capsys):
    pytest.importorskip("brisque", reason="BRISQUE is the extra brisque, whose libsvm a C compiler builds")
    assert main([str(run.path), "--split", "val", "--brisque", "--output", str(tmp_path)]) == 0
    printed, scores = capsys.readouterr().out, pd.read_csv(tmp_path / "scores.csv")
    assert "composite BRISQUE ↓" in printed and "BRISQUE of the truth" in printed
    metrics = json.loads((tmp_path / "metrics.json").read_text())
    assert "lower for brisque" in metrics["settings"]["better"] and "not stretched" in metrics["settings"]["brisque"]
    for name in ("network_brisque_raw", "masked_input_brisque_composite", "truth_brisque"):
        assert scores[name].notna().all() and scores[name].nunique() > 1
