"""The run directory: whole files, no overwriting, clear refusals."""

import errno

import pytest

from rac_unet import rundir
from rac_unet.config import RunConfig, from_dict
from rac_unet.errors import UserError


def test_create_keeps_config_and_provenance(tmp_path):
    config = from_dict({"model": {"filters": 8}})
    run = rundir.create(tmp_path / "runs", "demo", config, {"commit": "abc"})
    assert run.config() == config and run.provenance() == {"commit": "abc"}
    assert run.path.name.endswith("-demo")


def test_two_runs_in_one_second_are_two(tmp_path):
    runs = {rundir.create(tmp_path, "x", RunConfig(), {}).path for _ in range(3)}
    assert len(runs) == 3


def test_history_round_trip(tmp_path):
    run = rundir.create(tmp_path, "x", RunConfig(), {})
    assert run.history() == []
    rows = [{"step": 1.0, "images": 1005648.0, "loss": 0.5}, {"step": 2.0, "images": 1005656.0, "loss": 0.25}]
    run.write_history(rows)
    run.write_history(run.history())  # as each validation does
    assert run.history() == rows


def test_open_refuses_what_is_no_run(tmp_path):
    with pytest.raises(UserError, match="no run directory"):
        rundir.open_run(tmp_path / "absent")
    with pytest.raises(UserError, match="no config.yaml"):
        rundir.open_run(tmp_path)
    (tmp_path / "net.tflite").touch()
    with pytest.raises(
        UserError, match="net.tflite is a file, and what is wanted is a run's folder: the one that train"
    ):
        rundir.open_run(tmp_path / "net.tflite")
    run = rundir.create(tmp_path, "x", RunConfig(), {})
    with pytest.raises(UserError, match="no trained weights"):
        rundir.open_run(run.path)
    with pytest.raises(UserError, match=f"is a file.*this one lies in {run.path}$"):
        rundir.open_run(run.path / "config.yaml")


def test_a_new_run_appears_whole_or_not_at_all(tmp_path):
    path = tmp_path / "deep/run"
    with pytest.raises(OSError, match="disk full"), rundir.new_run(path, "model: {}\n", {}) as run:
        rundir.write_text(run.log_file, "half")
        assert not path.exists()
        raise OSError("disk full")
    assert list(path.parent.iterdir()) == []
    with rundir.new_run(path, "model: {filters: 8}\n", {"imported": {"file": "a.pth"}}) as run:
        rundir.write_text(run.log_file, "all")
    made = rundir.open_run(path, need_weights=False)
    assert made.config().model.filters == 8 and made.imported() == {"file": "a.pth"}
    assert made.log_file.read_text() == "all" and [p.name for p in path.parent.iterdir()] == ["run"]
    with pytest.raises(UserError, match="exists already"), rundir.new_run(path, "", {}):
        pytest.fail("the block must not run")


@pytest.mark.parametrize("kind", ["discriminator", "[classifier]"])
def test_an_unknown_kind_is_refused(tmp_path, kind):
    run = rundir.create(tmp_path, "x", RunConfig(), {})
    run.config_file.write_text(f"kind: {kind}\n" + run.config_file.read_text())
    with pytest.raises(UserError, match="kind: expected network or classifier"):
        rundir.open_run(run.path)


def test_runs_under_a_file_are_refused(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="not a folder"):
        rundir.create(tmp_path / "file", "x", RunConfig(), {})


def test_where_results_cannot_go_is_said_before(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    rundir.check_output(tmp_path)
    rundir.check_output(tmp_path / "new/deep")
    monkeypatch.chdir(tmp_path)
    rundir.check_output(rundir.Path("new"))
    with pytest.raises(UserError, match="--output .*/file cannot be a folder; give another"):
        rundir.check_output(tmp_path / "file")
    with pytest.raises(UserError, match="file/deep/er cannot be a folder, since .*/file is none"):
        rundir.check_output(tmp_path / "file/deep/er")
    monkeypatch.setattr(rundir.os, "access", lambda path, mode: False)
    with pytest.raises(UserError, match="nothing can be written in .*give another folder"):
        rundir.check_output(tmp_path / "new")


def test_failed_write_leaves_the_old_file_and_nothing_else(tmp_path):
    file = tmp_path / "a.weights.h5"
    rundir.replace_file(file, lambda temporary: temporary.write_text("old"))

    def fail(temporary):
        temporary.write_text("half")
        raise OSError("disk full")

    with pytest.raises(OSError):
        rundir.replace_file(file, fail)
    assert file.read_text() == "old" and [p.name for p in tmp_path.iterdir()] == ["a.weights.h5"]


def test_what_cannot_be_written_is_named(tmp_path):
    """A full disk says no path while an open file is written, and a temporary name is not what was asked for."""
    path = tmp_path / "history.csv"

    def full(temporary):
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(OSError) as caught:
        rundir.replace_file(path, full)
    assert caught.value.filename == str(path) and list(tmp_path.iterdir()) == []
