"""Going on with a run: killed anywhere, copied in part, from a read-only folder, with something changed."""

import json
import os
import random
import shutil
import subprocess
import sys
import time

import h5py
import numpy as np
import pytest

from rac_unet.errors import UserError
from rac_unet.rundir import RunDir
from rac_unet.train import main
from rac_unet.training import resuming, state
from tests.forked import Training

COMMON = ["--preset", "smoke", "--model.image_size", "32", "--optimizer.ema", "0.9", "--data.label_dropout", "0.2"]
# The losses that take the least time to trace.
COMMON += ["--loss.terms", "{l1: 1, hole_l1: 100}"]
EPOCHS = 8


def _arrays(file):
    found = {}
    with h5py.File(file) as opened:
        opened.visititems(lambda name, item: found.update({name: item[()]} if isinstance(item, h5py.Dataset) else {}))
    return found


def _curve(run):
    return [{key: value for key, value in row.items() if key != "train_seconds"} for row in run.history()]


@pytest.mark.slow
def test_killed_at_random_steps_and_resumed_it_ends_with_the_same_bits(toy_pairs, tmp_path):
    options = [
        *(*COMMON, "--data.path", toy_pairs, "--training.epochs", EPOCHS, "--training.validate_steps", 12),
        *("--training.sample_every", 5, "--training.deterministic", "true", "--training.backup_seconds", 0),
    ]
    Training([*options, "--runs", tmp_path / "whole"], tmp_path / "said").finish()
    (whole,) = (RunDir(path) for path in (tmp_path / "whole").iterdir())
    seed = random.randrange(1000)
    chance, kills, words = random.Random(seed), [], [*options, "--runs", tmp_path / "killed"]
    # First a run's first session, then one that has itself been resumed.
    for _ in range(2):
        training = Training(words, tmp_path / "said")
        had = kills[-1] if kills else 0
        deadline = time.monotonic() + 120
        while _newest_step(tmp_path / "killed") <= had:
            assert training.is_running() and time.monotonic() < deadline, training.said.read_text()
            time.sleep(0.01)
        time.sleep(chance.uniform(0, 0.3))
        training.kill()
        kills.append(_newest_step(tmp_path / "killed"))
        (run,) = (RunDir(path) for path in (tmp_path / "killed").iterdir())
        words = ["--resume", run.path]
    assert kills[0] < whole.history()[-1]["step"], f"killed too late, seed {seed}"
    # The last one as users start it, with nothing in common with the others, not even the order of its sets.
    subprocess.run([sys.executable, "-m", "rac_unet.train", *words], check=True, stdout=subprocess.DEVNULL)
    assert _curve(run) == _curve(whole), f"killed after the backups of steps {kills}, seed {seed}"
    for mine, reference in ((run.last_weights, whole.last_weights), (run.best_weights, whole.best_weights)):
        mine, reference = _arrays(mine), _arrays(reference)
        assert mine.keys() == reference.keys() and all((mine[name] == reference[name]).all() for name in mine), kills


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


@pytest.fixture
def run(stopped, tmp_path):
    return RunDir(shutil.copytree(stopped, tmp_path / "runs" / "run"))


@pytest.mark.parametrize("missing", ["backup", "checkpoints/best.weights.h5", "checkpoints/last.weights.h5"])
def test_half_copied(run, missing):
    path = run.path / missing
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    with pytest.raises(UserError, match=f"not whole: history.csv goes to step 1, but {missing}.* missing"):
        main(["--resume", str(run.path)])


def test_a_history_that_ends_in_the_middle_of_a_row(run):
    text = run.history_file.read_text()
    run.history_file.write_text(text + "2,0.28")
    with pytest.raises(UserError, match=r"history.csv is damaged"):
        main(["--resume", str(run.path)])


def test_changed_settings_are_shown(run):
    run.config_file.write_text(
        run.config_file.read_text().replace("filters: 2", "filters: 4").replace("ema: 0.9", "ema: 0.5")
    )
    with pytest.raises(UserError, match=r"model.filters: 2 before, 4 now; optimizer.ema: 0.9 before, 0.5 now."):
        main(["--resume", str(run.path)])


def test_options_that_would_change_what_is_learned_are_refused(run):
    with pytest.raises(UserError, match=r"leave out: --optimizer.learning_rate. May change: .*--training.max_hours"):
        main(["--resume", str(run.path), "--training.max_hours", "1", "--optimizer.learning_rate", "1"])
    with pytest.raises(UserError, match=r"training.epochs: 2.0 before, 9.0 now"):
        # Its learning rate falls along a cosine to the last epoch.
        main(["--resume", str(run.path), "--training.epochs", "9"])


def test_another_data_set_is_shown(run, toy_pairs):
    facts = json.loads(run.provenance_file.read_text()) | {"data_fingerprint": "0" * 64, "pairs": 7}
    run.provenance_file.write_text(json.dumps(facts))
    with pytest.raises(UserError, match=r"7 pairs, fingerprint 000000000000… then; 70 pairs"):
        main(["--resume", str(run.path)])


def test_a_run_of_a_newer_version(run):
    facts = run.provenance()
    facts["versions"]["rac_unet"] = "99.1"
    run.provenance_file.write_text(json.dumps(facts))
    run.config_file.write_text(run.config_file.read_text().replace("  jit_compile:", "  quantum: true\n  jit_compile:"))
    with pytest.raises(UserError, match="quantum.*made by rac_unet 99.1"):
        main(["--resume", str(run.path)])


def test_a_backup_of_a_newer_version(run, monkeypatch):
    monkeypatch.setattr(state, "FORMAT", state.FORMAT - 1)
    with pytest.raises(UserError, match="newer version of rac_unet; upgrade"):
        state.load_state(run.backup, print)
    monkeypatch.setattr(state, "FORMAT", state.FORMAT + 2)
    with pytest.raises(UserError, match="earlier version; start a new run"):
        state.load_state(run.backup, print)


def test_read_only_runs_are_copied_and_go_on(run, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(resuming, "_is_writable", lambda folder: False)
    before = {path: path.stat().st_mtime_ns for path in run.path.rglob("*")}
    working = tmp_path / "working"
    words = ["--resume", str(run.path), "--runs", str(working), "--training.max_hours", "1e-7"]
    assert main(words) == 0
    copy = RunDir(working / run.path.name)
    assert [row["step"] for row in copy.history()] == [1, 2] and f"going on in {copy.path}" in capsys.readouterr().out
    assert before == {path: path.stat().st_mtime_ns for path in run.path.rglob("*")}
    assert [path.name for path in working.iterdir()] == [run.path.name]
    with pytest.raises(UserError, match=f"go on with --resume {copy.path}"):
        main(words)


def test_a_folder_is_written_to_to_see_whether_it_can_be(tmp_path):
    assert resuming._is_writable(tmp_path) and list(tmp_path.iterdir()) == []
    assert not resuming._is_writable(tmp_path / "absent")


def test_what_may_change_changes(run):
    # Calls of six and of seven steps: to the first validation, and the block's rest.
    assert main(["--resume", str(run.path), "--training.max_hours", "0", "--training.steps_per_call", "13"]) == 0
    assert run.config().training.steps_per_call == 13 and run.history()[-1]["step"] == 14


def test_a_backup_that_is_not_what_was_written_is_not_kept(tmp_path, monkeypatch):
    groups = {"model": []}
    state.save_state(tmp_path, groups, {"step": 1})
    monkeypatch.setattr(os, "fsync", lambda descriptor: os.pwrite(descriptor, b"\xff\xff\xff", 120))
    with pytest.raises(OSError, match="not on the disk as it was written|Bad magic|Corrupt"):
        state.save_state(tmp_path, {"model": [_Variable()]}, {"step": 2})
    assert [path.name for path in tmp_path.iterdir()] == ["step_00000001.npz"]


class _Variable:
    def numpy(self):
        return np.arange(100.0)


def test_the_clock_gives_backups_a_fiftieth_of_the_time(monkeypatch):
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
