"""The commands of a study and the files it keeps, with commands that only write what the next one reads."""

import json
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import yaml

from rac_unet.core.config import from_dict, read_yaml, to_dict, write_yaml
from rac_unet.core.rundir import RunDir
from rac_unet.studies import running
from rac_unet.studies.plan import read_plan
from rac_unet.studies.running import Study
from rac_unet.studies.steps import Steps, TimeIsUp
from tests.refusals import refused

PLAN = {
    "title": "Two",
    "brisque": True,
    "classifier": {"epochs": 1},
    "settings": {"model": {"filters": 2, "image_size": 32}, "loss": {"terms": {"l1": 1}}, "training": {"epochs": 2}},
    "systems": {"A-UNET": {"model": {"name": "a_unet", "conditioned": False}}, "RAC-UNET": {}},
}


@pytest.fixture
def study(tmp_path, monkeypatch):
    """A study of given pairs with fake commands; `study.commands` has their words, `study.epochs` what they train."""
    plan = tmp_path / "plan.yaml"
    plan.write_text(yaml.safe_dump(PLAN))
    made = Study(read_plan(plan), tmp_path / "pairs", tmp_path / "report", tmp_path / "runs", 0)
    made.commands, made.epochs, made.judge = [], 2, "a"

    def run(_, module, *words, timed=True):
        words = [str(word) for word in words]
        made.commands.append([module, *words])
        options = dict(zip(words, words[1:], strict=False))
        if module == "rac_unet.train_classifier":
            evaluation = Path(options["--runs"]) / "1/eval/test"
            evaluation.mkdir(parents=True)
            (evaluation / "emotions.json").write_text("{}")
            (evaluation.parents[1] / "config.yaml").touch()
        elif module == "rac_unet.train":
            folder = Path(options["--resume"] if "--resume" in options else options["--runs"] + "/1")
            folder.mkdir(parents=True, exist_ok=True)
            if "--config" in options:
                (folder / "config.yaml").write_text(Path(options["--config"]).read_text())
            (folder / "history.csv").write_text(f"epoch,images\n{made.epochs},8\n")
            if made.epochs < 2:
                raise TimeIsUp
        elif module == "rac_unet.evaluate":
            evaluation = Path(words[0]) / "eval/test"
            evaluation.mkdir(parents=True)
            config = to_dict(from_dict(read_yaml(Path(words[0]) / "config.yaml"), "config"))
            (evaluation / "metrics.json").write_text(
                json.dumps({"emotion": {"classifier": {"weights_sha256": made.judge}}})
            )
            (evaluation / "provenance.json").write_text(json.dumps({"config": config}))
            for name in ("history.csv", "faces.jpg", "scores.csv", "emotions.jpg"):
                (evaluation / name).write_text(name)
            cv2.imwrite(str(evaluation / "samples.png"), np.zeros((8, 8, 3), np.uint8))

    monkeypatch.setattr(Steps, "run", run)
    monkeypatch.setattr(running, "open_run", lambda path, kind: RunDir(path))
    monkeypatch.setattr(running, "classifier_facts", lambda path: {"weights_sha256": made.judge})
    return made


def test_systems_are_trained_scored_and_kept_once(study, tmp_path):
    study.make_missing()
    assert [words[0] for words in study.commands] == [
        "rac_unet.train_classifier",
        *["rac_unet.train", "rac_unet.evaluate"] * 2,
    ]
    evaluations = [words for words in study.commands if words[0] == "rac_unet.evaluate"]
    assert ["--control" in words for words in evaluations] == [False, True]
    assert all({"--brisque", "--feature_weights", "imagenet"} <= set(words) for words in evaluations)
    kept = {path.name for path in (tmp_path / "report/rac-unet").iterdir()}
    assert kept == {*running.KEPT, "samples.jpg", "emotions.jpg"}
    trained = from_dict(read_yaml(tmp_path / "runs/plans/a-unet.yaml"), "plan")
    assert trained.model.name == "a_unet" and trained.data.path == str(tmp_path / "pairs")
    study.commands.clear()
    study.make_missing()
    assert not study.commands
    study.compare()
    ((module, first, *_),) = study.commands
    assert module == "rac_unet.compare" and first == f"{tmp_path / 'report/a-unet'}=A-UNET"


def test_a_stopped_training_is_resumed(study, tmp_path):
    study.epochs = 1
    with pytest.raises(TimeIsUp):
        study.make_missing()
    assert not (tmp_path / "report/a-unet").exists()
    study.commands.clear()
    study.epochs = 2
    study.make_missing()
    assert study.commands[0] == ["rac_unet.train", "--resume", str(tmp_path / "runs/a-unet/1")]


def test_runs_with_other_settings_and_another_judge_are_refused(study, tmp_path):
    study.make_missing()
    study.check_settings()
    run = RunDir(tmp_path / "runs/rac-unet/1")
    config = run.config()
    (run.path / "config.yaml").write_text(write_yaml(replace(config, training=replace(config.training, epochs=5))))
    # The evaluation of a finished system counts, not its run.
    study.check_settings()
    (tmp_path / "report/rac-unet/scores.csv").unlink()
    with refused("changed", run.path, "RAC-UNET", "training.epochs"):
        study.check_settings()
    study.judge = "b"
    with refused("mismatch", tmp_path / "report/a-unet", tmp_path / "runs"):
        study.make_missing()
