"""The train command: its files, stopping, and resuming."""

from dataclasses import replace

import cv2
import keras
import numpy as np
import pytest

from rac_unet.core import rundir
from rac_unet.core.errors import UserError
from rac_unet.data import pairs
from rac_unet.evaluate import main as evaluate
from rac_unet.objectives import extractor_files
from rac_unet.train import main
from rac_unet.training import loop, meter
from rac_unet.training.meter import Meter
from rac_unet.training.reporting import StopSignal
from rac_unet.training.state import load_state, save_state
from tests.refusals import refused

pytestmark = pytest.mark.usefixtures("tiny_networks")

COMMON = ["--preset", "smoke", "--training.epochs", "2", "--optimizer.warmup_steps", "0"]


def _train(toy_pairs, runs, *more):
    before = set(runs.glob("*"))
    code = main([*COMMON, "--data.path", str(toy_pairs), "--runs", str(runs), *more])
    (run,) = set(runs.glob("*")) - before
    return code, rundir.RunDir(run)


@pytest.fixture(scope="module")
def finished(toy_pairs, tmp_path_factory):
    code, run = _train(toy_pairs, tmp_path_factory.mktemp("runs"), "--optimizer.ema", "0.9")
    assert code == 0
    return run


def test_a_run_directory_has_everything(finished):
    history = finished.history()
    assert [row["epoch"] for row in history] == [1, 2]
    assert history[1]["images"] == 112 and {"val_psnr_hole", "val_ms_ssim_l1", "learning_rate"} <= set(history[0])
    assert finished.best_weights.is_file() and finished.last_weights.is_file()
    assert finished.provenance()["versions"]["tensorflow"] and finished.provenance()["data_fingerprint"]
    assert finished.provenance()["command"].startswith("python -m rac_unet.train --preset smoke --training.epochs 2 ")
    assert str(finished.best_weights) in finished.log_file.read_text()
    sheet = cv2.imread(str(finished.sample_sheet(2)))
    assert sheet.shape[0] > 300 and sheet.std() > 20
    leftovers = [p for p in finished.path.rglob("*") if ".tmp" in p.name]
    assert leftovers == []


def test_validation_loss_falls(finished):
    first, last = finished.history()[0], finished.history()[-1]
    assert last["val_loss"] < first["val_loss"] and last["loss"] < first["loss"]


def test_resuming_a_finished_run_says_so(finished, capsys):
    before = finished.last_weights.read_bytes()
    assert main(["--resume", str(finished.path)]) == 0
    assert "is finished" in capsys.readouterr().out and finished.last_weights.read_bytes() == before


def test_interrupted_and_resumed_equals_uninterrupted(toy_pairs, finished, tmp_path, monkeypatch, capsys):
    stop_after, steps = 9, []
    original = Meter.end_call

    def end_call(self, *values):
        original(self, *values)
        steps.append(1)
        if len(steps) == stop_after:
            stop[0].is_set = True

    stop = []
    enter = StopSignal.__enter__
    monkeypatch.setattr(StopSignal, "__enter__", lambda self: stop.append(self) or enter(self))
    monkeypatch.setattr(Meter, "end_call", end_call)
    code, run = _train(toy_pairs, tmp_path, "--optimizer.ema", "0.9")
    assert code == 130 and f"--resume {run.path}" in capsys.readouterr().out
    monkeypatch.undo()
    # Several steps per call are the same steps; the last call has five.
    assert main(["--resume", str(run.path), "--training.steps_per_call", "5"]) == 0
    for mine, reference in zip(run.history(), finished.history(), strict=True):
        for key in ("step", "loss", "val_loss", "learning_rate"):
            # Threads add in any order, so equal only up to rounding; a lost optimizer state changes the first digit.
            assert mine[key] == pytest.approx(reference[key], rel=1e-2), key


@pytest.fixture(scope="module")
def merged(toy_pairs, tmp_path_factory):
    """Two merged sets as TFRecord shards, with weights that raise the rarer emotion."""
    from data_prep import merge, to_tfds
    from rac_unet.pairing.toy_pairs import write_toy_pairs

    pytest.importorskip("tensorflow_datasets")
    root = tmp_path_factory.mktemp("merged")
    write_toy_pairs(root / "few", 21, 64, seed=1, progress=False)
    pairs.write(root / "few", [row for row in pairs.read(root / "few") if row.emotion != "fear"])
    merge.main([str(toy_pairs), str(root / "few"), "--output", str(root / "all"), "--balance", "full"])
    to_tfds.main([str(root / "all"), "--output", str(root / "tfds")])
    return root / "tfds"


@pytest.mark.parametrize(
    "options",
    [
        ["--model.name", "a_unet", "--model.conditioned", "false", "--optimizer.schedule", "constant"]
        + ["--training.jit_compile", "true", "--training.steps_per_call", "3"],
        ["--training.precision", "mixed_float16", "--data.label_dropout", "0.3", "--data.cache", "off"]
        + ["--optimizer.clip_norm", "1"],
    ],
)
def test_every_option_trains_and_resumes(toy_pairs, merged, tmp_path, options, request):
    if "mixed_float16" in options:
        request.getfixturevalue("half_precision")
    # The merged set, for the run that reads it again in every epoch.
    data = merged if "off" in options else toy_pairs
    code, run = _train(data, tmp_path, "--training.max_hours", "1e-7", "--model.image_size", "32", *options)
    assert code == 0
    assert run.best_weights.is_file()
    if data == merged:
        # Its time limit is the run's, so each session takes a step.
        assert main(["--resume", str(run.path)]) == 0
    assert [row["step"] for row in run.history()] == ([1, 2] if data == merged else [3])
    assert all(np.isfinite(row["val_loss"]) for row in run.history())


@pytest.fixture
def extractor(tmp_path):
    """A model file of two random feature maps, for the perceptual loss."""
    keras.utils.set_random_seed(0)
    image = keras.Input((None, None, 3))
    first = keras.layers.Conv2D(4, 3, activation="relu")(image)
    file = tmp_path / "maps.keras"
    keras.Model(image, [first, keras.layers.Conv2D(4, 3, strides=2)(first)]).save(file)
    return file


@pytest.mark.slow
def test_perceptual_loss_trains_resumes_elsewhere_and_is_scored(toy_pairs, tmp_path, extractor, monkeypatch, capsys):
    monkeypatch.chdir(extractor.parent)
    options = ["--loss.terms", "{perceptual: 1, ssim: 0.5}", "--loss.features", "maps.keras"]
    options += ["--model.image_size", "32"]
    code, run = _train(toy_pairs, tmp_path / "runs", "--training.max_hours", "1e-7", *options)
    assert code == 0 and "features maps.keras, 2 maps" in capsys.readouterr().out
    facts = run.provenance()["features"]
    assert facts["weights"] == "maps.keras" and facts["trained"] and len(facts["sha256"]) == 64
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    assert main(["--resume", str(run.path)]) == 0
    history = run.history()
    assert len(history) == 2 and all(row["perceptual"] > 0 and row["val_ssim"] > 0 for row in history)
    assert evaluate([str(run.path), "--split", "val"]) == 0
    assert "network_feature_distance_raw" in (run.evaluation("val") / "scores.csv").read_text()
    assert str(tmp_path) not in (run.evaluation("val") / "provenance.json").read_text()
    image = keras.Input((None, None, 3))
    keras.Model(image, keras.layers.Conv2D(2, 3)(image)).save(extractor)
    with refused("changed", run.path, "maps.keras", "--loss.features"):
        main(["--resume", str(run.path)])
    extractor.unlink()
    with pytest.raises(UserError, match="maps.keras.*--loss.features"):
        main(["--resume", str(run.path)])
    with pytest.raises(UserError, match="--features off"):
        evaluate([str(run.path), "--split", "val"])
    assert evaluate([str(run.path), "--split", "val", "--features", "off"]) == 0


def test_a_wrong_feature_extractor_is_refused_before_anything_is_written(toy_pairs, tmp_path, monkeypatch):
    options = ["--loss.terms", "{perceptual: 1}", "--data.path", str(tmp_path / "not_even_read")]
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))

    def no_connection(*_):
        raise extractor_files.DownloadError("no route")

    monkeypatch.setattr(extractor_files, "fetch", no_connection)
    with refused("download", "no route", "--loss.feature_weights"):
        main([*COMMON, *options, "--runs", str(tmp_path)])
    assert list(tmp_path.iterdir()) == []


def test_untrained_features_are_reported(toy_pairs, tmp_path, capsys, monkeypatch):
    def enough(*_):
        raise UserError("enough", "usage")

    monkeypatch.setattr(loop, "Trainer", enough)
    options = ["--loss.terms", "{perceptual: 1}", "--loss.features", "vgg16", "--loss.feature_weights", "none"]
    with pytest.raises(UserError, match="enough"):
        _train(toy_pairs, tmp_path, *options, "--model.image_size", "32")
    assert "extractor is untrained" in capsys.readouterr().out
    (run,) = tmp_path.iterdir()
    assert rundir.RunDir(run).provenance()["features"]["trained"] is False


def test_nan_stops_with_advice_and_keeps_no_bad_weights(toy_pairs, tmp_path, monkeypatch):
    monkeypatch.setattr(meter, "READ_EVERY", 1)
    with refused("diverged", "--optimizer.learning_rate"):
        _train(toy_pairs, tmp_path, "--optimizer.learning_rate", "1e30")
    (run,) = tmp_path.glob("*")
    assert not rundir.RunDir(run).best_weights.exists()


def test_changed_data_set_is_refused(toy_pairs, finished, tmp_path):
    import json

    copy = tmp_path / "run"
    copy.mkdir()
    for file in (finished.config_file, finished.provenance_file):
        (copy / file.name).write_bytes(file.read_bytes())
    facts = json.loads((copy / "provenance.json").read_text()) | {"data_fingerprint": "0" * 64}
    (copy / "provenance.json").write_text(json.dumps(facts))
    with refused("changed", toy_pairs, copy, "000000000000"):
        main(["--resume", str(copy)])


def test_missing_data_set(tmp_path):
    with pytest.raises(UserError, match=str(tmp_path / "absent")):
        main([*COMMON, "--data.path", str(tmp_path / "absent"), "--runs", str(tmp_path)])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("missing", ["train", "val"])
def test_a_missing_split_is_refused_before_anything_is_written(toy_pairs, tmp_path, missing):
    rows = [
        replace(row, **{c: f"{toy_pairs.name}/{getattr(row, c)}" for c in pairs.IMAGE_COLUMNS})
        for row in pairs.read(toy_pairs)
        if row.split != missing
    ]
    table = toy_pairs.parent / f"without_{missing}.csv"
    pairs.write(table, rows)
    with refused("empty", table.parent, f"split {missing}"):
        main([*COMMON, "--data.path", str(table), "--runs", str(tmp_path)])
    assert list(tmp_path.iterdir()) == []


def test_damaged_backup_falls_back_to_the_one_before(tmp_path):
    for step in (1, 2, 3):
        save_state(tmp_path, {"model": [keras.Variable(np.full(3, step))]}, {"step": step})
    assert [p.name for p in sorted(tmp_path.iterdir())] == ["step_00000002.npz", "step_00000003.npz"]
    newest = tmp_path / "step_00000003.npz"
    newest.write_bytes(newest.read_bytes()[:-80])
    lines = []
    arrays, numbers = load_state(tmp_path, lines.append)
    assert numbers["step"] == 2 and (arrays["model/0000"] == 2).all() and "damaged" in lines[0]
    # The damaged backup is removed, so that it cannot replace the intact one.
    assert [p.name for p in tmp_path.iterdir()] == ["step_00000002.npz"]
    (tmp_path / "step_00000002.npz").write_bytes(b"")
    with refused("unreadable", tmp_path):
        load_state(tmp_path, lines.append)
    assert load_state(tmp_path / "none", lines.append) is None
