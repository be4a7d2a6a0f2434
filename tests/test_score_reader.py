"""The commands that write and score the emotion reader of `auto`."""

import csv
import json

import numpy as np
import pytest

from rac_unet import calibrate_reader, score_reader
from rac_unet.core.emotions import EMOTIONS
from rac_unet.core.rundir import create_from_text
from rac_unet.data import pairs
from rac_unet.runtime.classifier import (
    ClassifierConfig,
    build_classifier,
    classifier_yaml,
    load_classifier,
    write_classifier_weights,
)
from rac_unet.runtime.emotion_reader import load_emotion_reader
from rac_unet.scoring.emotions import masked_reading
from rac_unet.scoring.emotions.calibration import fit_prior
from tests.refusals import refused


@pytest.fixture(scope="module")
def run(toy_pairs, tmp_path_factory):
    """A run of train_classifier --view masked with random weights."""
    import keras
    import yaml

    keras.utils.set_random_seed(0)
    config = ClassifierConfig(EMOTIONS, "small_reader", 4, 32, "grey")
    text = classifier_yaml(config) + yaml.safe_dump({"data": str(toy_pairs), "training": {"view": "masked"}})
    found = create_from_text(tmp_path_factory.mktemp("runs"), "classifier-masked", text, {})
    write_classifier_weights(found.best_weights, build_classifier(config), config)
    return found


@pytest.fixture(scope="module")
def reader(run):
    path = run.path / "reader.tflite"
    assert calibrate_reader.main([str(run.path), "--output", str(path)]) == 0
    return path


def test_a_reader_is_calibrated_on_validation_and_written(run, reader, toy_pairs):
    record = json.loads((run.evaluation("val") / "calibration.json").read_text())
    assert record["before"]["n"] == record["after"]["n"] == len(pairs.read(toy_pairs).split("val"))
    assert record["fitted"] and record["temperature"] != 1
    assert record["before"]["accuracy"] <= record["after"]["accuracy"]
    assert record["before"]["mean_class_accuracy"] <= record["after"]["mean_class_accuracy"]
    assert sum(group["n"] for group in record["after"]["by_emotion"].values()) == record["after"]["n"]
    with refused("exists", "--overwrite", reader.name):
        calibrate_reader.main([str(run.path), "--output", str(reader)])


def test_a_given_temperature_is_used(run, toy_pairs, tmp_path):
    for temperature in ("1", "0.5"):
        words = [str(run.path), "--output", str(tmp_path / f"{temperature}.tflite"), "--temperature", temperature]
        assert calibrate_reader.main([*words, "--data", str(toy_pairs)]) == 0
    (crops,) = masked_reading.masked_crops(pairs.read(toy_pairs).split("val"), 128)
    plain, sure = (np.log(load_emotion_reader(tmp_path / f"{t}.tflite")(crops)) for t in ("1", "0.5"))
    centred = [logits - logits.mean(axis=1, keepdims=True) for logits in (plain, sure)]
    np.testing.assert_allclose(2 * centred[0], centred[1], atol=0.02)


def test_a_given_part_of_the_prior_is_corrected(run, toy_pairs, tmp_path):
    file, val = tmp_path / "reader.tflite", pairs.read(toy_pairs).split("val")
    words = ["--data", str(toy_pairs), "--temperature", "1", "--prior", "0.5", "--output", str(file)]
    assert calibrate_reader.main([str(run.path), *words]) == 0
    logits = masked_reading.classifier_logits(load_classifier(run.path), val)
    bias = 0.5 * fit_prior(logits, val.emotion_ids)
    (crops,) = masked_reading.masked_crops(val, 128)
    moved = np.log(load_emotion_reader(file)(crops)) - logits
    np.testing.assert_allclose(moved - moved.mean(1, keepdims=True), np.tile(bias, (len(crops), 1)), atol=0.02)
    assert np.ptp(bias) > 0.1
    record = json.loads((run.evaluation("val") / "calibration.json").read_text())
    assert record["prior_strength"] == 0.5 and list(record["bias"].values()) == pytest.approx(bias)


def test_a_mean_class_accuracy_out_of_reach_is_refused(run, toy_pairs, tmp_path):
    words = [str(run.path), "--data", str(toy_pairs), "--output", str(tmp_path / "r.tflite")]
    with refused("bad_value", "--least_mean_class", "0.99", "val"):
        calibrate_reader.main([*words, "--least_mean_class", "0.99"])
    with refused("usage", "--least_mean_class", "--prior"):
        calibrate_reader.main([*words, "--least_mean_class", "0.1", "--prior", "1"])
    assert not list(tmp_path.iterdir())


def test_readings_are_scored(reader, toy_pairs, tmp_path, capsys):
    assert score_reader.main([str(reader), "--data", str(toy_pairs), "--output", str(tmp_path / "o")]) == 0
    test = pairs.read(toy_pairs).split("test")
    rows = list(csv.DictReader((tmp_path / "o/readings.csv").open()))
    assert [row["key"] for row in rows] == test.keys.tolist()
    (crops,) = masked_reading.masked_crops(test, 128)
    read = load_emotion_reader(reader)(crops)
    assert [row["read"] for row in rows] == [EMOTIONS[i] for i in read.argmax(1)]
    (summary,) = json.loads((tmp_path / "o/metrics.json").read_text())["reader"].values()
    right = [row["read"] == row["emotion"] for row in rows]
    assert summary["n"] == len(test) and summary["accuracy"]["mean"] == pytest.approx(np.mean(right))
    assert 0 <= summary["expected_calibration_error"] <= 1
    assert (tmp_path / "o/reliability.png").stat().st_size and "toy-natural" in (tmp_path / "o/table.md").read_text()
    provenance = json.loads((tmp_path / "o/provenance.json").read_text())
    assert provenance["split"] == "test" and str(tmp_path) not in provenance["command"]
    assert f"{len(test)}" in capsys.readouterr().out


def test_sources_are_scored_together_and_separately(toy_pairs):
    test = pairs.read(toy_pairs).split("test")
    frame = test.frame.assign(source=["a", "b"] * (len(test) // 2) + ["a"] * (len(test) % 2))
    certain = np.eye(7, dtype=np.float32)[test.emotion_ids]
    given = iter([certain])
    table = masked_reading.readings(lambda crops: next(given), test, 64, None).assign(source=frame["source"])
    found = masked_reading.summarise_readings(table)
    assert list(found) == ["all", "a", "b"] and found["a"]["n"] + found["b"]["n"] == found["all"]["n"] == len(test)
    assert found["all"]["mean_class_accuracy"] == 1 and found["b"]["expected_calibration_error"] == 0


def test_runs_that_cannot_be_calibrated_are_refused(run, toy_pairs, tmp_path):
    with refused("bad_value", "reader.onnx", ".tflite"):
        calibrate_reader.main([str(run.path), "--output", str(tmp_path / "reader.onnx")])
    text = run.config_file.read_text().replace("masked", "unmasked")
    other = create_from_text(tmp_path, "classifier", text, {})
    other.best_weights.parent.mkdir()
    other.best_weights.write_bytes(run.best_weights.read_bytes())
    with refused("wrong_type", other.path, "--view masked"):
        calibrate_reader.main([str(other.path), "--output", str(tmp_path / "reader.tflite")])


def test_models_that_cannot_be_scored_are_refused(reader, toy_pairs, tmp_path, monkeypatch):
    words = ["--data", str(toy_pairs), "--output", str(tmp_path / "o")]
    with refused("usage", "reader"):
        score_reader.main([str(reader), str(reader), *words])
    with refused("bad_value", "--frame"):
        score_reader.main([str(reader), "--frame", "2,0.5,0.5", *words])
    with refused("missing", "none.tflite"):
        score_reader.main([str(tmp_path / "none.tflite"), *words])
    from rac_unet.runtime.published import PUBLISHED_NETWORK

    with refused("usage", PUBLISHED_NETWORK.name, "--frame"):
        score_reader.main([str(PUBLISHED_NETWORK), "--frame", "0.764,0.5,0.43", *words])
    assert not (tmp_path / "o").exists()
