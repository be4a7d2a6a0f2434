"""Resuming a run that was killed, copied in part, is read-only, or has changed settings or data."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import h5py
import numpy as np
import pytest

from rac_unet.core import registry
from rac_unet.core.config import RunConfig
from rac_unet.core.files import unfinished
from rac_unet.core.rundir import RunDir, create
from rac_unet.objectives.features import Extractor
from rac_unet.train import main
from rac_unet.training import loop, resuming, state
from rac_unet.training.arguments import parse
from tests.forked import Training
from tests.refusals import refused

pytestmark = pytest.mark.usefixtures("tiny_networks")

COMMON = ["--preset", "smoke", "--model.image_size", "32", "--optimizer.ema", "0.9", "--data.label_dropout", "0.2"]
# The losses that are fastest to trace.
COMMON += ["--loss.terms", "{l1: 1, hole_l1: 100}"]
EPOCHS = 4
ROOT = Path(__file__).resolve().parents[2]


def _arrays(file):
    found = {}
    with h5py.File(file) as opened:
        opened.visititems(lambda name, item: found.update({name: item[()]} if isinstance(item, h5py.Dataset) else {}))
    return found


def _curve(run):
    return [{key: value for key, value in row.items() if key != "train_seconds"} for row in run.history()]


@pytest.mark.slow
def test_a_killed_and_resumed_run_ends_bit_for_bit_the_same(toy_pairs, tmp_path):
    options = [
        *(*COMMON, "--data.path", toy_pairs, "--training.epochs", EPOCHS, "--training.validate_steps", 12),
        *("--training.sample_every", 5, "--training.deterministic", "true", "--training.backup_seconds", 0),
        *("--training.steps_per_call", 1),
    ]
    Training([*options, "--runs", tmp_path / "whole"], tmp_path / "said").finish()
    (whole,) = (RunDir(path) for path in (tmp_path / "whole").iterdir())
    words, kills = [*options, "--runs", tmp_path / "killed"], []
    # Killed first between a step and its backup; then, resumed, between the first validation's backup and its row.
    for dies in (("rac_unet.training.meter:Meter.end_call", 8), ("rac_unet.core.rundir:RunDir.write_history", 2)):
        Training(words, tmp_path / "said", dies).await_death()
        kills.append(_newest_step(tmp_path / "killed"))
        (run,) = (RunDir(path) for path in (tmp_path / "killed").iterdir())
        assert run.history() == []
        words = ["--resume", run.path]
    assert kills == [7, 12]
    # The last part runs in a process that shares nothing with the others, not even the order of sets.
    code = f"""
from rac_unet.core import registry
from rac_unet.core.registry import Network
from rac_unet.train import main
registry.MODELS.update({registry.MODELS})
main({list(map(str, words))})
"""
    subprocess.run([sys.executable, "-c", code], check=True, stdout=subprocess.DEVNULL, cwd=ROOT)
    assert _curve(run) == _curve(whole)
    for mine, reference in ((run.last_weights, whole.last_weights), (run.best_weights, whole.best_weights)):
        assert _same(mine, reference), mine.name


def _same(mine, reference):
    mine, reference = _arrays(mine), _arrays(reference)
    return mine.keys() == reference.keys() and all((mine[name] == reference[name]).all() for name in mine)


def _newest_step(runs):
    return max((int(path.stem.split("_")[1]) for path in runs.glob("*/backup/step_*.npz")), default=0)


@pytest.fixture(scope="module")
def stopped(toy_pairs, tmp_path_factory):
    """A run that its time limit stopped after its first step."""
    runs = tmp_path_factory.mktemp("runs")
    assert main([*COMMON, "--data.path", str(toy_pairs), "--runs", str(runs), "--training.max_hours", "1e-7"]) == 0
    stopped = RunDir(next(runs.iterdir()))
    assert [row["step"] for row in stopped.history()] == [1] and stopped.best_weights.is_file()
    return stopped.path


class Killed(BaseException):
    pass


@pytest.fixture(scope="module")
def moments(toy_pairs, tmp_path_factory):
    """A trainer, and copies of its run's folder after each write of two validations, of which the second is better."""
    folder, runs = tmp_path_factory.mktemp("moments"), tmp_path_factory.mktemp("runs")
    trainers = []
    with pytest.MonkeyPatch.context() as patch:

        def keep(self, stop):
            trainers.append(self)
            raise Killed

        patch.setattr(loop.Trainer, "train", keep)
        with pytest.raises(Killed):
            main([*COMMON, "--data.path", str(toy_pairs), "--runs", str(runs)])
    (trainer,) = trainers
    copies, replace = [[]], os.replace

    def replace_and_copy(*paths):
        replace(*paths)
        copies[-1].append(shutil.copytree(trainer.run.path, folder / f"{len(copies)}_{len(copies[-1])}"))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "replace", replace_and_copy)
        for step, loss in ((4, 0.5), (8, 0.25)):
            scores = {"val_loss": loss, "val_psnr_composite": 20.0, "val_psnr_hole": 15.0}
            patch.setattr(loop, "validate", lambda *_, scores=scores: scores)
            for variable in trainer.model.weights:
                variable.assign(variable + step)
            trainer._meter.step = step
            trainer._validate_and_back_up(SimpleNamespace(write=lambda *_: None))
            copies.append([])
    return trainer, copies[:-1]


@pytest.mark.parametrize("validation", [0, 1])
def test_a_run_killed_at_any_write_of_a_validation_is_complete_or_completed(moments, tmp_path, validation):
    trainer, copies = moments
    whole = RunDir(copies[validation][-1])
    assert len(copies[validation]) >= 4 and len(whole.history()) == validation + 1
    for copy in copies[validation]:
        trainer.run = RunDir(shutil.copytree(copy, tmp_path / copy.name))
        resuming.refuse_half_copied(trainer.run)
        trainer.best_loss, trainer._meter.step = np.inf, 0
        trainer.resume()
        assert trainer.step == 4 * (validation + 1) and trainer.best_loss == 0.5 / (validation + 1), copy
        assert trainer.run.history() == whole.history(), copy
        assert _same(trainer.run.last_weights, whole.last_weights), copy
        assert _same(trainer.run.best_weights, whole.best_weights), copy


def test_a_run_killed_before_its_first_backup_starts_again(moments, tmp_path):
    trainer, copies = moments
    trainer.run = RunDir(shutil.copytree(copies[0][0], tmp_path / "run"))
    shutil.rmtree(trainer.run.backup)
    assert trainer.run.history() == [] and not trainer.run.best_weights.exists()
    resuming.refuse_half_copied(trainer.run)


@pytest.fixture
def run(stopped, tmp_path):
    return RunDir(shutil.copytree(stopped, tmp_path / "runs" / "run"))


@pytest.mark.parametrize("missing", ["backup", "checkpoints/best.weights.h5", "checkpoints/last.weights.h5"])
def test_an_incomplete_copy_is_refused(run, missing):
    """Its history has rows, and starting again would overwrite the remaining files."""
    path = run.path / missing
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    with refused("missing", run.path, "history.csv has 1 row", missing):
        main(["--resume", str(run.path)])


def test_a_history_that_ends_in_the_middle_of_a_row(run):
    text = run.history_file.read_text()
    run.history_file.write_text(text + "2,0.28")
    with refused("unreadable", run.history_file, "row 2"):
        main(["--resume", str(run.path)])


def test_changed_settings_are_refused_with_both_values(run):
    run.config_file.write_text(
        run.config_file.read_text().replace("filters: 2", "filters: 4").replace("ema: 0.9", "ema: 0.5")
    )
    with refused("changed", run.config_file, "model.filters: 2 before, 4 now", "optimizer.ema: 0.9 before, 0.5 now"):
        main(["--resume", str(run.path)])


def test_options_that_change_the_training_are_refused(run):
    with refused("usage", "--optimizer.learning_rate", "--training.max_hours"):
        main(["--resume", str(run.path), "--training.max_hours", "1", "--optimizer.learning_rate", "1"])


def test_extending_a_schedule_is_refused_with_a_command_that_trains_longer(run, toy_pairs):
    with refused("changed", "training.epochs: 2.0 before, 9.0 now", "cosine") as caught:
        main(["--resume", str(run.path), "--training.epochs", "9"])
    # Its config.yaml is unchanged.
    assert "back as it was" not in str(caught.value)
    module, words = str(caught.value).split("python -m ")[1].split(" ", 1)
    config, before = parse(words.split()).config, run.config()
    assert module == "rac_unet.train" and config.training.epochs == 9
    assert config.training.init_from == str(run.path) and config.model == before.model
    assert (config.loss, config.optimizer, config.data) == (before.loss, before.optimizer, before.data)


def extractor(name, sha256):
    return Extractor(name, sha256 is not None, name, sha256 and "file.h5", sha256, None)


FILE, OTHER = "a" * 64, "b" * 64


@pytest.mark.parametrize(
    ("before", "now"),
    [
        (("vgg19", FILE), ("vgg19", None)),
        (("vgg19", FILE), ("vgg19", OTHER)),
        (("vgg19", None), ("vgg19", FILE)),
        (("vgg19", None), ("vgg16", None)),
        (("maps.keras", FILE), ("vgg16", None)),
    ],
)
def test_another_feature_extractor_is_refused(tmp_path, before, now):
    run = create(tmp_path, "x", RunConfig(), {"features": extractor(*before).facts()})
    with refused("changed", run.path, before[0], now[0], *(sha256[:12] for _, sha256 in (before, now) if sha256)):
        resuming.refuse_changed_features(run, extractor(*now))


@pytest.mark.parametrize(
    ("before", "now"),
    [(("vgg19", FILE), ("vgg19", FILE)), (("a.keras", FILE), ("b.keras", FILE)), (("vgg16", None), ("vgg16", None))],
)
def test_the_features_file_may_be_moved(tmp_path, before, now):
    for known in ({"features": extractor(*before).facts()}, {}):
        resuming.refuse_changed_features(create(tmp_path, "x", RunConfig(), known), extractor(*now))
    resuming.refuse_changed_features(create(tmp_path, "x", RunConfig(), {}), None)


def test_unfinished_files_of_a_killed_run_are_removed(run, monkeypatch):
    monkeypatch.setattr(unfinished, "_at_work", lambda pid, changed: pid == 2)
    stale = ["checkpoints/.last.7306.tmp.weights.h5", "backup/.step_00000002.7306.tmp.npz", ".history.7306.tmp.csv"]
    kept = ["checkpoints/.best.2.tmp.weights.h5", "checkpoints/.mine.tmp.h5", ".notes.2026.txt", "a.7306.tmp.h5"]
    for name in (*stale, *kept):
        (run.path / name).write_text("half")
    found = resuming.open_to_resume(run.path, run.path.parent, writes=False)
    assert all((found.path / name).exists() for name in stale)
    found = resuming.open_to_resume(run.path, run.path.parent)
    assert not any((found.path / name).exists() for name in stale)
    assert all((found.path / name).exists() for name in kept) and found.best_weights.is_file()


def test_another_data_set_is_refused(run, toy_pairs):
    facts = json.loads(run.provenance_file.read_text()) | {"data_fingerprint": "0" * 64, "pairs": 7}
    run.provenance_file.write_text(json.dumps(facts))
    with refused("changed", toy_pairs, run.path, "7 pairs, fingerprint 000000000000", "70 pairs"):
        main(["--resume", str(run.path)])


def test_a_run_of_a_newer_version_is_refused(run):
    facts = run.provenance()
    facts["versions"]["rac_unet"] = "99.1"
    run.provenance_file.write_text(json.dumps(facts))
    run.config_file.write_text(run.config_file.read_text().replace("  jit_compile:", "  quantum: true\n  jit_compile:"))
    with refused("unknown_name", run.config_file, "quantum", "rac_unet 99.1"):
        main(["--resume", str(run.path)])


def test_a_backup_of_a_newer_version_is_refused(run, monkeypatch):
    monkeypatch.setattr(state, "BACKUP_FORMAT", state.BACKUP_FORMAT - 1)
    with refused("unsupported", "step_00000001.npz", f"format {state.BACKUP_FORMAT + 1}", "newer"):
        state.load_state(run.backup, print)
    monkeypatch.setattr(state, "BACKUP_FORMAT", state.BACKUP_FORMAT + 2)
    with refused("unsupported", "step_00000001.npz", f"format {state.BACKUP_FORMAT - 1}", "earlier"):
        state.load_state(run.backup, print)


def test_read_only_runs_are_copied_and_resumed(run, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(resuming, "_is_writable", lambda folder: False)
    before = {path: path.stat().st_mtime_ns for path in run.path.rglob("*")}
    working = tmp_path / "working"
    words = ["--resume", str(run.path), "--runs", str(working), "--training.max_hours", "1e-7"]
    assert main(words) == 0
    copy = RunDir(working / run.path.name)
    assert [row["step"] for row in copy.history()] == [1, 2] and f"continuing in {copy.path}" in capsys.readouterr().out
    assert before == {path: path.stat().st_mtime_ns for path in run.path.rglob("*")}
    assert [path.name for path in working.iterdir()] == [run.path.name]
    with refused("exists", run.path, f"--resume {copy.path}"):
        main(words)


def test_a_folder_is_tested_by_writing_to_it(tmp_path):
    assert resuming._is_writable(tmp_path) and list(tmp_path.iterdir()) == []
    assert not resuming._is_writable(tmp_path / "absent")


def test_settings_that_may_change_are_changed(run):
    # Calls of six and of seven steps: to the first validation, and the block's rest.
    assert main(["--resume", str(run.path), "--training.max_hours", "0", "--training.steps_per_call", "13"]) == 0
    assert run.config().training.steps_per_call == 13 and run.history()[-1]["step"] == 14


def test_a_backup_that_differs_from_what_was_written_is_not_kept(tmp_path, monkeypatch):
    groups = {"model": []}
    state.save_state(tmp_path, groups, {"step": 1})
    monkeypatch.setattr(os, "fsync", lambda descriptor: os.pwrite(descriptor, b"\xff\xff\xff", 120))
    with pytest.raises(OSError, match="on the disk differs from what was written|Bad magic|Corrupt"):
        state.save_state(tmp_path, {"model": [_Variable()]}, {"step": 2})
    assert [path.name for path in tmp_path.iterdir()] == ["step_00000001.npz"]


class _Variable:
    def numpy(self):
        return np.arange(100.0)


def test_backups_take_at_most_a_fiftieth_of_the_time(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(state.time, "monotonic", lambda: now[0])
    clock = state.BackupClock(30)
    now[0] = 29.9
    assert not clock.is_due()
    now[0] = 30.0
    assert clock.is_due()
    assert clock.made(2.0)
    assert clock.interval == 100 and not clock.is_due()
    now[0] = 130.0
    assert clock.is_due()
    assert not clock.made(0.01)
    assert clock.interval == 30
