"""A study from its plan to its report, and what happens when it is run again."""

import importlib
import json
import shutil
import signal

import cv2
import pandas as pd
import pytest
import yaml

from rac_unet.core.errors import UserError
from rac_unet.studies.steps import Steps, Terminated
from rac_unet.study import main
from tests.refusals import refused

# All tests share one study, which takes half a minute.
pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("tiny_networks")]

PLAN = {
    "title": "Two small systems",
    "toys": {"count": 70, "size": 64, "seed": 1},
    "classifier": {"filters": 4, "image_size": 32, "epochs": 1, "toys": {"count": 70, "size": 64, "seed": 2}},
    "settings": {"model": {"filters": 2, "image_size": 32}, "loss": {"terms": {"l1": 1.0}}, "training": {"epochs": 1}},
    "systems": {"A-UNET": {"model": {"name": "a_unet", "conditioned": False}}, "RAC-UNET": {}},
}


# Commands that import TensorFlow, which takes longer than their work here.
HEAVY = ("rac_unet.train", "rac_unet.train_classifier", "rac_unet.evaluate")


def run_here(self, module, *words, start=Steps.run, **options):
    """Replaces `Steps.run`, which tests/studies/test_steps.py tests, and runs heavy commands in this process."""
    if module not in HEAVY:
        return start(self, module, *words, **options)
    return importlib.import_module(module).main([str(word) for word in words])


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A finished study and its feature extractor."""
    import keras

    root = tmp_path_factory.mktemp("study")
    image = keras.Input((None, None, 3))
    keras.Model(image, keras.layers.Conv2D(4, 3)(image)).save(root / "tiny.keras")
    (root / "plan.yaml").write_text(yaml.safe_dump(PLAN))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Steps, "run", run_here)
        assert main(arguments(root)) == 0
    return root


def arguments(root, *more):
    words = [str(root / "plan.yaml"), "--output", str(root / "report"), "--runs", str(root / "runs")]
    return [*words, "--features", str(root / "tiny.keras"), *more]


def test_everything_is_made_and_compared(folder):
    report = folder / "report"
    table = pd.read_csv(report / "table.csv").set_index("system")
    assert table.loc[["A-UNET", "RAC-UNET"], "training_pictures"].tolist() == [56, 56]
    assert table.loc["RAC-UNET", "obeyed"] >= 0 and pd.isna(table.loc["A-UNET", "obeyed"])
    assert {"reads", "feature_distance_composite"} <= set(table)
    assert json.loads((report / "classifier-unmasked/emotions.json").read_text())["n"] == 7
    assert cv2.imread(str(report / "a-unet/samples.jpg")).std() > 20
    assert "Two small systems" in (report / "index.html").read_text()


def test_finished_systems_are_not_made_again(folder, capfd):
    before = {path: path.stat().st_mtime_ns for path in (folder / "runs").rglob("*") if path.is_file()}
    assert main(arguments(folder)) == 0
    said = capfd.readouterr().out
    assert "2 of 2 systems" in said and "rac_unet.train" not in said and "rac_unet.compare" in said
    assert before == {path: path.stat().st_mtime_ns for path in (folder / "runs").rglob("*") if path.is_file()}


def test_a_system_with_other_settings_than_the_plans_is_refused(folder, tmp_path):
    other = {**PLAN, "settings": {**PLAN["settings"], "training": {"epochs": 2}}}
    (tmp_path / "plan.yaml").write_text(yaml.safe_dump(other))
    with refused("changed", folder / "report/a-unet", "A-UNET", "training.epochs: 1.0 before, 2.0 now"):
        main([str(tmp_path / "plan.yaml"), *arguments(folder)[1:]])


def test_another_judge_is_refused_before_anything_is_trained(folder, tmp_path):
    shutil.copytree(folder / "report", tmp_path / "report")
    shutil.copytree(folder / "runs", tmp_path / "runs")
    shutil.rmtree(tmp_path / "report/rac-unet")
    metrics = tmp_path / "report/a-unet/metrics.json"
    found = json.loads(metrics.read_text())
    found["emotion"]["classifier"]["weights_sha256"] = "another"
    metrics.write_text(json.dumps(found))
    words = [str(folder / "plan.yaml"), "--output", str(tmp_path / "report"), "--runs", str(tmp_path / "runs")]
    with refused("mismatch", tmp_path / "report/a-unet", tmp_path / "runs"):
        main([*words, *arguments(folder)[-2:]])


def test_time_limit_reached_before_the_first_step(folder, tmp_path, capsys):
    words = [str(folder / "plan.yaml"), "--output", str(tmp_path / "out"), "--runs", str(tmp_path / "runs")]
    assert main([*words, *arguments(folder)[-2:], "--max_minutes", "1e-6"]) == 3
    assert "1e-06 minutes" in capsys.readouterr().out and not (tmp_path / "out").exists()


def test_a_signal_ends_it_with_the_exit_code_of_train(folder, monkeypatch, capsys):
    def terminated(*_, **__):
        raise Terminated(signal.SIGTERM)

    monkeypatch.setattr(Steps, "run", terminated)
    assert main(arguments(folder)) == 130
    assert "SIGTERM" in capsys.readouterr().out


def test_mistakes_are_reported_before_the_first_step(folder, tmp_path):
    with refused("usage", folder / "plan.yaml", "toys", "--data"):
        main(arguments(folder, "--data", "pairs"))
    (tmp_path / "plan.yaml").write_text(yaml.safe_dump({k: v for k, v in PLAN.items() if k != "toys"}))
    with refused("usage", tmp_path / "plan.yaml", "--data"):
        main([str(tmp_path / "plan.yaml"), "--output", str(tmp_path / "out")])
    with pytest.raises(UserError, match="nowhere"):
        main([str(tmp_path / "plan.yaml"), "--output", str(tmp_path / "out"), "--data", "nowhere"])
    with refused("missing", "nowhere.yaml"):
        main(["nowhere.yaml", "--output", str(tmp_path / "out")])
