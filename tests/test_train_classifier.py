"""The classifier's training command, and what evaluate does with a classifier."""

import json
import shutil
from dataclasses import replace

import cv2
import keras
import numpy as np
import pandas as pd
import pytest
import tensorflow as tf

from rac_unet.core.config import from_dict, preset_path, read_yaml
from rac_unet.core.emotions import EMOTIONS
from rac_unet.core.errors import UserError
from rac_unet.core.rundir import RunDir, create
from rac_unet.data import pairs
from rac_unet.evaluate import main as evaluate
from rac_unet.models import build_configured
from rac_unet.runtime.classifier import (
    ClassifierConfig,
    build_classifier,
    load_classifier,
    read_classifier_config,
    write_classifier,
)
from rac_unet.train_classifier import _report, main
from rac_unet.training.classifying import (
    ClassifierTrainer,
    ClassifierTraining,
    class_weights,
    move_pictures,
    readable_pairs,
)
from rac_unet.training.reporting import StopSignal
from rac_unet.training.state import save_state
from tests.refusals import refused

pytestmark = pytest.mark.usefixtures("tiny_networks")

SMALL = ["--image_size", "32", "--filters", "4", "--batch_size", "8", "--learning_rate", "0.003"]


def run(toy_pairs, runs, *more):
    before = set(runs.glob("*"))
    code = main([*SMALL, "--data.path", str(toy_pairs), "--runs", str(runs), *more])
    (path,) = set(runs.glob("*")) - before
    return code, RunDir(path)


@pytest.fixture(scope="module")
def trained(toy_pairs, tmp_path_factory):
    code, found = run(toy_pairs, tmp_path_factory.mktemp("runs"), "--epochs", "3")
    assert code == 0
    return found


def test_the_loss_falls_and_the_test_split_is_reported(trained, toy_pairs):
    history = trained.history()
    assert [row["epoch"] for row in history] == [1, 2, 3] and history[-1]["loss"] < history[0]["loss"]
    classifier = load_classifier(trained.path)
    assert classifier.classes == EMOTIONS and classifier.image_size == 32
    report = json.loads((trained.evaluation("test") / "emotions.json").read_text())
    test = pairs.read(toy_pairs).split("test")
    assert report["n"] == len(test) and report["view"] == "unmasked" and set(report["by_emotion"]) == set(EMOTIONS)
    right = sum(report["confusion"][name][name] for name in EMOTIONS)
    assert report["accuracy"]["mean"] == pytest.approx(right / len(test))
    provenance = trained.provenance()
    assert provenance["data_fingerprint"] == pairs.read(toy_pairs).fingerprint
    assert "rac_unet.train_classifier --image_size 32" in provenance["command"]
    assert str(toy_pairs) not in provenance["command"]


def test_a_resumed_run_equals_an_uninterrupted_one(toy_pairs, trained, tmp_path, monkeypatch, capsys):
    with monkeypatch.context() as patch:
        saved = RunDir.write_history

        def stop_after_one(self, rows):
            saved(self, rows)
            if len(rows) == 1:
                asked[0].is_set = True

        asked = []
        enter = StopSignal.__enter__
        patch.setattr(StopSignal, "__enter__", lambda self: asked.append(self) or enter(self))
        patch.setattr(RunDir, "write_history", stop_after_one)
        code, stopped = run(toy_pairs, tmp_path, "--epochs", "3")
    assert code == 130 and f"--resume {stopped.path}" in capsys.readouterr().out
    assert main(["--resume", str(stopped.path)]) == 0
    for mine, other in zip(stopped.history(), trained.history(), strict=True):
        assert mine["loss"] == pytest.approx(other["loss"], rel=2e-2)
    with refused("usage", "--resume", "--data.path"):
        main(["--resume", str(stopped.path), "--data.path", str(toy_pairs)])


def test_resuming_writes_what_a_kill_after_the_backup_left_out(trained, toy_pairs, tmp_path):
    copy = RunDir(shutil.copytree(trained.path, tmp_path / "run"))
    copy.write_history(copy.history()[:-1])
    shutil.copy(trained.config_file, copy.last_weights)
    config = read_classifier_config(copy)
    training = ClassifierTraining(**read_yaml(copy.config_file)["training"])
    trainer = ClassifierTrainer(copy, build_classifier(config), config, training, pairs.read(toy_pairs), print)
    trainer.resume()
    assert trainer.epoch == 3 and copy.history() == trained.history()
    models = [build_classifier(config), build_classifier(config)]
    for model, run in zip(models, (copy, trained), strict=True):
        model.load_weights(run.last_weights)
    for mine, its in zip(*(model.get_weights() for model in models), strict=True):
        np.testing.assert_array_equal(mine, its)


@pytest.fixture
def small_reader(toy_pairs, tmp_path):
    """Make trainers of a network with dropout in one run directory; options are those of ClassifierTraining."""
    config = ClassifierConfig(EMOTIONS, "small_reader", 2, 32)

    def make(seed=0, name="run", pairs_=None, **training):
        run = RunDir(tmp_path / name)
        run.path.mkdir(exist_ok=True)
        training = ClassifierTraining(batch_size=8, seed=seed, **training)
        found = pairs.read(toy_pairs) if pairs_ is None else pairs_
        return ClassifierTrainer(run, build_classifier(config), config, training, found, print)

    return make


def state_of(trainer):
    return [v.numpy() for group in trainer._backed_up_variables().values() for v in group]


def test_a_backup_has_weights_optimizer_and_the_state_of_dropout(small_reader):
    first, second = small_reader(), small_reader(seed=1)
    rng = np.random.default_rng(0)
    for group in first._backed_up_variables().values():
        for variable in group:
            variable.assign(tf.cast(rng.integers(1, 99, variable.shape), variable.dtype))
    assert len(first._backed_up_variables()["seeds"]) == 3
    save_state(first.run.backup, first._backed_up_variables(), {"step": 2, "best": 0.5, "seconds": 7})
    second.resume()
    assert (second.epoch, second.best, second.seconds) == (2, 0.5, 7)
    for mine, its in zip(state_of(second), state_of(first), strict=True):
        np.testing.assert_array_equal(mine, its)


def test_validation_loss_is_of_the_shares_and_accuracy_of_the_emotion(small_reader, toy_pairs):
    found = pairs.read(toy_pairs)
    shares = ["happiness:1"] * len(found)
    soft = small_reader(pairs_=replace(found, frame=found.frame.assign(emotion_shares=shares)))
    happy = [[1e3 * (name == "happiness") for name in EMOTIONS]]
    soft.model.get_layer("logits").set_weights([np.zeros((16, 7), np.float32), np.float32(happy[0])])
    loss, counts = soft.validate()
    emotion = found.split("val").frame["emotion"].astype(str)
    assert loss < 1e-6 and np.trace(counts) == (emotion == "happiness").sum() < counts.sum() == len(emotion)


def test_training_labels_are_smoothed_in_the_order_of_the_logits_and_weighted(toy_pairs, tmp_path):
    order = tuple(sorted(EMOTIONS))
    config = ClassifierConfig(order, "small_reader", 2, 32)
    training = ClassifierTraining(batch_size=8, class_weights=1.0)
    found = pairs.read(toy_pairs)
    trainer = ClassifierTrainer(RunDir(tmp_path), build_classifier(config), config, training, found, print)
    data, weights = list(trainer._training_data().take(2)), class_weights(found.split("train"), 1.0)
    for image, labels, given in data:
        assert image.shape == (8, 32, 32, 3) and labels.numpy().max() == pytest.approx(0.9 + 0.1 / 7)
        names = [order[place] for place in labels.numpy().argmax(axis=1)]
        np.testing.assert_allclose(given, [weights[EMOTIONS.index(name)] for name in names], rtol=1e-5)
    # A later epoch starts where a training from the start would be.
    steps, trainer.epoch = trainer._steps, 1
    whole = ClassifierTrainer(RunDir(tmp_path), build_classifier(config), config, training, found, print)
    (resumed,), (same,) = trainer._training_data().take(1), whole._training_data().skip(steps).take(1)
    np.testing.assert_array_equal(resumed[0], same[0])


@pytest.mark.parametrize(("precision", "scaled"), [("float32", False), ("mixed_float16", True)])
def test_adamw_decays_kernels_only_and_scales_the_loss_in_float16(small_reader, precision, scaled):
    trainer = small_reader(precision=precision)
    optimizer = trainer._fitted.optimizer
    assert isinstance(optimizer, keras.optimizers.LossScaleOptimizer) == scaled
    inner = optimizer.inner_optimizer if scaled else optimizer
    decayed = {v.path for v in trainer.model.trainable_variables if inner._use_weight_decay(v)}
    assert decayed == {v.path for v in trainer.model.trainable_variables if v.path.endswith("kernel")}


@pytest.mark.parametrize(("cause", "epochs"), [("signal", 0), ("time", 1)])
def test_a_signal_stops_within_an_epoch_and_the_time_limit_at_its_end(small_reader, monkeypatch, cause, epochs):
    trainer, ended = small_reader(epochs=3, max_hours=0.0 if cause == "signal" else 1e-9), []
    trainer._steps = 1
    monkeypatch.setattr(trainer, "end_epoch", ended.append)
    stop = StopSignal()
    stop.is_set = cause == "signal"
    assert trainer.train(stop) == cause and len(ended) == epochs


def test_a_loss_that_is_not_a_number_is_refused_and_nothing_is_written(small_reader, monkeypatch):
    trainer = small_reader()
    monkeypatch.setattr(trainer, "validate", lambda: (1.0, np.eye(7)))
    with refused("diverged", "--learning_rate", "0.0003"):
        trainer.end_epoch(float("nan"))
    assert not list(trainer.run.path.iterdir())


def test_a_run_without_its_backup_does_not_start_again_over_its_results(trained, tmp_path):
    copy = RunDir(shutil.copytree(trained.path, tmp_path / "run"))
    shutil.rmtree(copy.backup)
    with refused("missing", copy.path, "backup"):
        main(["--resume", str(copy.path)])


def test_the_masked_view_has_no_faces_without_a_mask(toy_pairs):
    found = pairs.read(toy_pairs)
    bare = np.arange(len(found)) % 3 == 0
    mixed = replace(found, frame=found.frame.assign(mask_style=np.where(bare, "none", "kn95")))
    assert readable_pairs(mixed, "masked").keys.tolist() == found.keys[~bare].tolist()
    assert len(readable_pairs(mixed, "unmasked")) == len(found)


class Killed(BaseException):
    pass


@pytest.mark.parametrize("warm", [False, True])
def test_a_run_without_a_backup_starts_again_with_the_same_weights(trained, toy_pairs, tmp_path, monkeypatch, warm):
    source, started = RunDir(shutil.copytree(trained.path, tmp_path / "source")), []

    def train(trainer, stop):
        started.append(trainer.model.get_weights())
        raise Killed

    monkeypatch.setattr(ClassifierTrainer, "train", train)
    words = [*SMALL, "--data.path", str(toy_pairs), "--runs", str(tmp_path / "runs"), "--seed", "5"]
    with pytest.raises(Killed):
        main([*words, *(["--start", str(source.path)] if warm else [])])
    (path,) = (tmp_path / "runs").iterdir()
    keras.utils.set_random_seed(1)
    with pytest.raises(Killed):
        main(["--resume", str(path)])
    for mine, its in zip(*started, strict=True):
        np.testing.assert_array_equal(mine, its)
    if warm:
        shutil.copy(source.last_weights, source.best_weights)
        with source.best_weights.open("ab") as file:
            file.write(b"trained further")
        with refused("changed", path, source.path, "SHA-256"):
            main(["--resume", str(path)])


def test_masked_pictures_and_a_start(toy_pairs, trained, tmp_path):
    code, found = run(toy_pairs, tmp_path, "--epochs", "1", "--view", "masked", "--start", str(trained.path))
    assert code == 0 and "classifier-masked" in found.path.name
    assert json.loads((found.evaluation("test") / "emotions.json").read_text())["view"] == "masked"


def test_faces_without_a_mask_are_not_read_behind_one(toy_pairs, tmp_path):
    config = ClassifierConfig(EMOTIONS, image_size=32, filters=4)
    judge = write_classifier(tmp_path / "judge", build_classifier(config), config, {})
    (tmp_path / "pairs").symlink_to(toy_pairs)
    cv2.imwrite(str(tmp_path / "nothing.png"), np.zeros((64, 64), np.uint8))
    rows = []
    for number, pair in enumerate(pairs.read(toy_pairs).split("test")):
        row = replace(pair, **{column: f"pairs/{getattr(pair, column)}" for column in pairs.IMAGE_COLUMNS})
        rows.append(row if number % 2 else replace(row, masked=row.unmasked, occlusion="nothing.png"))
    pairs.write(tmp_path, rows)
    for view, count in (("masked", len(rows) // 2), ("unmasked", len(rows))):
        _report(judge, pairs.read(tmp_path), view, lambda line: None)
        assert json.loads((judge.evaluation("test") / "emotions.json").read_text())["n"] == count


def test_a_resumed_run_keeps_its_own_data_options(tmp_path, monkeypatch):
    """With the defaults of the command line it would have another toy set."""
    config = ClassifierConfig(EMOTIONS, image_size=64, filters=4)
    run = write_classifier(tmp_path / "run", build_classifier(config), config, {})
    stored = "data: null\ntoy_mode: ambiguous\ntoy_count: 140\ntraining: {}\n"
    run.config_file.write_text(run.config_file.read_text() + stored)
    asked = []

    def open_pairs(config):
        asked.append((config.data.path, config.data.toy_mode, config.data.toy_count, config.model.image_size))
        raise UserError("enough", "usage")

    monkeypatch.setattr("rac_unet.pairing.opening.open_pairs", open_pairs)
    with pytest.raises(UserError, match="enough"):
        main(["--resume", str(run.path)])
    assert asked == [(None, "ambiguous", 140, 64)]


def test_class_weights_are_known_and_average_to_one(toy_pairs):
    train = pairs.read(toy_pairs).split("train")
    few = train.take(
        [*np.flatnonzero(train.frame["emotion"] == "fear")[:2], *np.flatnonzero(train.frame["emotion"] == "anger")]
    )
    counts = np.array(list(few.emotion_counts().values()))
    for power in (0, 0.5, 1):
        weights = class_weights(few, power)
        assert (weights * counts).sum() == pytest.approx(counts.sum())
        fear, anger = (weights[EMOTIONS.index(name)] for name in ("fear", "anger"))
        assert fear / anger == pytest.approx((8 / 2) ** power)


def test_pictures_are_moved_a_little_and_alike_for_equal_seeds():
    image = tf.random.stateless_uniform([4, 32, 32, 3], [0, 1])
    image = tf.image.resize(image[:, ::8, ::8], [32, 32])
    moved, again, other = (move_pictures(image, tf.constant([0, step])).numpy() for step in (1, 1, 2))
    assert (moved == again).all() and not (moved == other).all()
    assert 0.005 < np.abs(moved - image).mean() < 0.15 and moved.min() >= 0
    middle = tf.ones([1, 32, 32, 3])
    assert (move_pictures(middle, tf.constant([0, 1])).numpy() > 0.999).all()


@pytest.fixture(scope="module")
def painted(toy_pairs, tmp_path_factory):
    """A run of a network with random weights."""
    config = from_dict(read_yaml(preset_path("smoke")))
    config = replace(config, data=replace(config.data, path=str(toy_pairs)))
    run = create(tmp_path_factory.mktemp("networks"), "smoke", config, {})
    run.best_weights.parent.mkdir()
    build_configured(config.model).save_weights(run.best_weights)
    return run


def test_evaluate_reports_emotion_and_control_accuracy(painted, trained, toy_pairs, capsys):
    assert evaluate([str(painted.path), "--classifier", str(trained.path), "--control"]) == 0
    said = capsys.readouterr().out
    scores = pd.read_csv(painted.evaluation("test") / "scores.csv")
    metrics = json.loads((painted.evaluation("test") / "metrics.json").read_text())
    emotion, ceiling = metrics["emotion"], json.loads((trained.evaluation("test") / "emotions.json").read_text())
    # The same pictures as train_classifier reported on, at the network's size.
    assert emotion["truth"]["n"] == ceiling["n"] and emotion["classifier"]["classes"] == list(EMOTIONS)
    for who in ("truth", "network", "no_label", "masked_input"):
        assert emotion[who]["accuracy"]["mean"] == pytest.approx((scores[f"{who}_reads"] == scores["emotion"]).mean())
    if emotion["truth"]["accuracy"]["mean"]:
        assert emotion["network"]["share_of_ceiling"] == pytest.approx(
            emotion["network"]["accuracy"]["mean"] / emotion["truth"]["accuracy"]["mean"]
        )
    control = metrics["control"]
    assert control["obeyed"]["n"] == 7 * len(scores) and control["known_pixels_changed"]["composite"] == 0
    assert control["known_pixels_changed"]["raw"] > 0.5
    assert sum(sum(row.values()) for row in control["asked_read"].values()) == 7 * len(scores)
    diagonal = sum(control["asked_read"][name][name] for name in EMOTIONS)
    assert control["obeyed"]["mean"] == pytest.approx(diagonal / (7 * len(scores)))
    assert "ground truth (ceiling)" in said and "requested | read" in said and "chance 14.3 %" in said


def test_the_order_of_a_classifiers_classes_does_not_change_what_it_reads(toy_pairs, tmp_path):
    """The original mixed up two class orders."""
    keras.utils.set_random_seed(1)
    names = {}
    for order in (EMOTIONS, tuple(sorted(EMOTIONS))):
        config = ClassifierConfig(order, image_size=32, filters=4)
        model = build_classifier(config)
        head = model.get_layer("logits")
        kernel = np.random.default_rng(0).normal(size=head.kernel.shape)
        columns = [EMOTIONS.index(name) for name in order]
        head.set_weights([kernel[:, columns], np.linspace(0, 1, 7)[columns]])
        if names:
            model.set_weights([*names["body"], *head.get_weights()])
        names.setdefault("body", model.get_weights()[:-2])
        run = write_classifier(tmp_path / str(len(order[0])), model, config, {})
        from rac_unet.scoring.emotions.face_reading import read_names

        image = np.random.default_rng(2).random((20, 32, 32, 3))
        names[order] = read_names(load_classifier(run.path), image)
    assert names[EMOTIONS] == names[tuple(sorted(EMOTIONS))] and len(set(names[EMOTIONS])) > 0


def test_mistakes(painted, trained, toy_pairs, tmp_path):
    with refused("usage", "--control", "--classifier"):
        evaluate([str(painted.path), "--control"])
    with refused("wrong_type", painted.path):
        evaluate([str(painted.path), "--classifier", str(painted.path)])
    with refused("missing", tmp_path / "none"):
        main(["--resume", str(tmp_path / "none")])
    with pytest.raises(UserError, match=str(tmp_path / "none")):
        main([*SMALL, "--data.path", str(tmp_path / "none"), "--runs", str(tmp_path / "runs")])
    with refused("usage", "--epochs", "1 or more"):
        main(["--epochs", "0"])
    with refused("usage", "--class_weights", "0..1"):
        main(["--class_weights", "2"])
    assert not (tmp_path / "runs").exists()
