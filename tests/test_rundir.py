"""The run directory: whole files, no overwriting, clear refusals."""

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
    run = rundir.create(tmp_path, "x", RunConfig(), {})
    with pytest.raises(UserError, match="no trained weights"):
        rundir.open_run(run.path)


def test_runs_under_a_file_are_refused(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="not a folder"):
        rundir.create(tmp_path / "file", "x", RunConfig(), {})


def test_failed_write_leaves_the_old_file_and_nothing_else(tmp_path):
    file = tmp_path / "a.weights.h5"
    rundir.replace_file(file, lambda temporary: temporary.write_text("old"))

    def fail(temporary):
        temporary.write_text("half")
        raise OSError("disk full")

    with pytest.raises(OSError):
        rundir.replace_file(file, fail)
    assert file.read_text() == "old" and [p.name for p in tmp_path.iterdir()] == ["a.weights.h5"]
