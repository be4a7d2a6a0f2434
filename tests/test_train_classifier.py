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
from tests.refusals import refused

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


def test_it_learns_and_reports_its_ceiling(trained, toy_pairs):
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


def test_stopped_and_resumed_it_ends_where_it_would_have(toy_pairs, trained, tmp_path, monkeypatch, capsys):
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


def test_killed_between_an_epochs_backup_and_its_row_the_rest_is_written(trained, toy_pairs, tmp_path):
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


def test_a_run_without_its_backup_does_not_start_again_over_its_results(trained, tmp_path):
    copy = RunDir(shutil.copytree(trained.path, tmp_path / "run"))
    shutil.rmtree(copy.backup)
    with refused("missing", copy.path, "backup"):
        main(["--resume", str(copy.path)])


def test_behind_masks_no_bare_face_is_learned_or_validated_on(toy_pairs):
    found = pairs.read(toy_pairs)
    bare = np.arange(len(found)) % 3 == 0
    mixed = replace(found, frame=found.frame.assign(mask_style=np.where(bare, "none", "kn95")))
    assert readable_pairs(mixed, "masked").keys.tolist() == found.keys[~bare].tolist()
    assert len(readable_pairs(mixed, "unmasked")) == len(found)


class Killed(BaseException):
    pass


@pytest.mark.parametrize("warm", [False, True])
def test_killed_before_its_first_backup_it_starts_again_with_the_same_weights(
    trained, toy_pairs, tmp_path, monkeypatch, warm
):
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
    """Not this command line's defaults: another toy set would be refused as changed, or trained on."""
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


def test_pictures_are_moved_a_little_and_the_same_for_one_seed():
    image = tf.random.stateless_uniform([4, 32, 32, 3], [0, 1])
    image = tf.image.resize(image[:, ::8, ::8], [32, 32])
    moved, again, other = (move_pictures(image, tf.constant([0, step])).numpy() for step in (1, 1, 2))
    assert (moved == again).all() and not (moved == other).all()
    assert 0.005 < np.abs(moved - image).mean() < 0.15 and moved.min() >= 0
    middle = tf.ones([1, 32, 32, 3])
    assert (move_pictures(middle, tf.constant([0, 1])).numpy() > 0.999).all()


@pytest.fixture(scope="module")
def painted(toy_pairs, tmp_path_factory):
    """A network's run, as it was before its first step."""
    config = from_dict(read_yaml(preset_path("smoke")))
    config = replace(config, data=replace(config.data, path=str(toy_pairs)))
    run = create(tmp_path_factory.mktemp("networks"), "smoke", config, {})
    run.best_weights.parent.mkdir()
    build_configured(config.model).save_weights(run.best_weights)
    return run


def test_evaluate_reads_what_is_painted_and_asks_for_every_emotion(painted, trained, toy_pairs, capsys):
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
    assert "the truth (ceiling)" in said and "requested | read" in said and "chance 14.3 %" in said


def test_a_perfect_reader_is_believed_whatever_the_order_of_its_classes(toy_pairs, tmp_path):
    """The original's bug, planted: classes in another order than ours must not change what is read."""
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
        from rac_unet.scoring.emotions.reading import read_names

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
