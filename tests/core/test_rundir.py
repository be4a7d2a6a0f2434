"""The run directory: atomic writes, no overwriting, clear refusals."""

import errno
import os
import subprocess
import sys

import pytest

from rac_unet.core import rundir
from rac_unet.core.config import RunConfig, from_dict
from rac_unet.core.files.unfinished import remove_unfinished
from rac_unet.core.files.whole import new_folder, replace_file, write_text
from tests.refusals import refused


def test_create_keeps_config_and_provenance(tmp_path):
    config = from_dict({"model": {"filters": 8}})
    run = rundir.create(tmp_path / "runs", "demo", config, {"commit": "abc"})
    assert run.config() == config and run.provenance() == {"commit": "abc"}
    assert run.path.name.endswith("-demo")


def test_two_runs_in_one_second_get_two_directories(tmp_path):
    runs = {rundir.create(tmp_path, "x", RunConfig(), {}).path for _ in range(3)}
    assert len(runs) == 3


def test_history_round_trip(tmp_path):
    run = rundir.create(tmp_path, "x", RunConfig(), {})
    assert run.history() == []
    rows = [{"step": 1.0, "images": 1005648.0, "loss": 0.5}, {"step": 2.0, "images": 1005656.0, "loss": 0.25}]
    run.write_history(rows)
    run.write_history(run.history())  # as each validation does
    assert run.history() == rows


def test_history_gains_and_loses_columns(tmp_path):
    """As when a newer version with other measures resumes a run."""
    run = rundir.create(tmp_path, "x", RunConfig(), {})
    rows = [{"step": 1.0, "val_old": 0.5}, {"step": 2.0, "val_new": 0.25}]
    run.write_history(rows)
    assert run.history_file.read_text() == "step,val_old,val_new\n1,0.5,\n2,,0.25\n"
    run.write_history([*run.history(), {"step": 3.0, "val_new": 0.1, "val_old": 0.2}])
    assert run.history() == [*rows, {"step": 3.0, "val_new": 0.1, "val_old": 0.2}]


@pytest.mark.parametrize("row", ["2", "2,0.28", "2,0.5,0.3,9", "2,half,0.3"])
def test_an_incomplete_row_of_the_history_is_refused(tmp_path, row):
    run = rundir.create(tmp_path, "x", RunConfig(), {})
    run.history_file.write_text(f"step,loss,val_loss\n1,0.5,0.25\n{row}\n")
    with refused("unreadable", run.history_file, "row 2"):
        run.history()


def test_open_refuses_paths_that_are_not_run_directories(tmp_path):
    with refused("missing", tmp_path / "absent"):
        rundir.open_run(tmp_path / "absent")
    with refused("wrong_type", tmp_path, "config.yaml"):
        rundir.open_run(tmp_path)
    (tmp_path / "net.tflite").touch()
    with refused("wrong_type", tmp_path / "net.tflite") as caught:
        rundir.open_run(tmp_path / "net.tflite")
    # Not in a run directory.
    assert str(caught.value).count(str(tmp_path)) == 1
    run = rundir.create(tmp_path, "x", RunConfig(), {})
    with refused("missing", run.path, "best.weights.h5"):
        rundir.open_run(run.path)
    with refused("wrong_type", run.path / "config.yaml", f"in {run.path}"):
        rundir.open_run(run.path / "config.yaml")


def test_a_new_run_is_created_atomically(tmp_path):
    path = tmp_path / "deep/run"
    with pytest.raises(OSError, match="disk full"), rundir.new_run(path, "model: {}\n", {}) as run:
        write_text(run.log_file, "half")
        assert not path.exists()
        raise OSError("disk full")
    assert list(path.parent.iterdir()) == []
    with rundir.new_run(path, "model: {filters: 8}\n", {"imported": {"file": "a.pth"}}) as run:
        write_text(run.log_file, "all")
    made = rundir.open_run(path, need_weights=False)
    assert made.config().model.filters == 8 and made.imported() == {"file": "a.pth"}
    assert made.log_file.read_text() == "all" and [p.name for p in path.parent.iterdir()] == ["run"]
    with refused("exists", path), rundir.new_run(path, "", {}):
        pytest.fail("the block must not run")


@pytest.mark.parametrize("kind", ["discriminator", "[classifier]"])
def test_an_unknown_kind_is_refused(tmp_path, kind):
    run = rundir.create(tmp_path, "x", RunConfig(), {})
    run.config_file.write_text(f"kind: {kind}\n" + run.config_file.read_text())
    with refused("unknown_name", run.config_file, "kind", "network or classifier", kind.strip("[]")):
        rundir.open_run(run.path)


def test_runs_under_a_file_are_refused(tmp_path):
    (tmp_path / "file").write_text("")
    with refused("wrong_type", tmp_path / "file"):
        rundir.create(tmp_path / "file", "x", RunConfig(), {})


def test_check_output_refuses_folders_that_cannot_be_created(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    rundir.check_output(tmp_path)
    rundir.check_output(tmp_path / "new/deep")
    monkeypatch.chdir(tmp_path)
    rundir.check_output(rundir.Path("new"))
    with refused("wrong_type", f"--output {tmp_path / 'file'}"):
        rundir.check_output(tmp_path / "file")
    with refused("wrong_type", f"--output {tmp_path / 'file/deep/er'}", f"{tmp_path / 'file'} is"):
        rundir.check_output(tmp_path / "file/deep/er")
    monkeypatch.setattr(rundir.os, "access", lambda path, mode: False)
    with refused("unwritable", tmp_path, "--output"):
        rundir.check_output(tmp_path / "new")


def test_the_next_write_removes_leftovers_of_killed_processes(tmp_path):
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    # That of a process that still runs, and those of other names, are kept.
    kept = {f".last.{os.getppid()}.tmp.weights.h5", f".notes.{ended.pid}.tmp.txt", f".last.weights.{ended.pid}.h5"}
    for name in (*kept, f".last.{ended.pid}.tmp.weights.h5"):
        (tmp_path / name).write_text("half")
        os.utime(tmp_path / name, (0, 0))
    for name in ("run", "other"):
        (tmp_path / f".{name}.{ended.pid}.tmp").mkdir()
    write_text(tmp_path / "last.weights.h5", "whole")
    with new_folder(tmp_path / "run"):
        pass
    left = {path.name for path in tmp_path.iterdir()}
    assert left == {*kept, f".other.{ended.pid}.tmp", "last.weights.h5", "run"}


def test_recent_temporary_files_of_other_machines_are_kept(tmp_path):
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    recent = tmp_path / f".last.{ended.pid}.tmp.weights.h5"
    recent.write_text("half")
    write_text(tmp_path / "last.weights.h5", "whole")
    assert recent.exists()


def test_a_leftover_of_an_earlier_process_with_the_same_id(tmp_path):
    """As in containers, where process ids are small."""
    leftover = tmp_path / f".best.{os.getpid()}.tmp.weights.h5"
    leftover.write_text("half")
    remove_unfinished(tmp_path)
    assert leftover.exists()
    os.utime(leftover, (0, 0))
    remove_unfinished(tmp_path)
    assert not leftover.exists()


def test_failed_write_leaves_the_old_file_and_nothing_else(tmp_path):
    file = tmp_path / "a.weights.h5"
    replace_file(file, lambda temporary: temporary.write_text("old"))

    def fail(temporary):
        temporary.write_text("half")
        raise OSError("disk full")

    with pytest.raises(OSError):
        replace_file(file, fail)
    assert file.read_text() == "old" and [p.name for p in tmp_path.iterdir()] == ["a.weights.h5"]


def test_a_failed_write_names_the_requested_path(tmp_path):
    """A full disk gives no path for an open file, and a temporary name does not help the user."""
    path = tmp_path / "history.csv"

    def full(temporary):
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(OSError) as caught:
        replace_file(path, full)
    assert caught.value.filename == str(path) and list(tmp_path.iterdir()) == []
