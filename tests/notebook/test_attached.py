"""Attached inputs are found at all places that Kaggle uses; refusals of missing or ambiguous ones say what to do."""

import json
import os
import stat

import pytest

from rac_unet import notebook
from rac_unet.core.config import RunConfig
from rac_unet.core.rundir import CLASSIFIER, create, create_from_text
from tests.refusals import refused


def file(path, text="x"):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


@pytest.fixture
def runs(tmp_path, monkeypatch):
    """A function that creates a run directory with a given time: `runs(folder, preset, stamp)`."""

    def make(folder, preset, stamp, kind=None):
        monkeypatch.setattr("time.strftime", lambda _: stamp)
        if kind:
            return create_from_text(folder, preset, f"kind: {kind}\n", {}).path
        return create(folder, preset, RunConfig(), {}).path

    return make


@pytest.mark.parametrize(
    "place", ["rac-unet-prepare-data", "notebooks/someone/rac-unet-prepare-data", "datasets/me/pairs"]
)
@pytest.mark.parametrize("form", ["", "pairs-tfds/rac_unet_pairs/1.0.0"])
def test_pairs_are_found_at_all_places(tmp_path, place, form):
    folder = file(tmp_path / place / form / "pairs.csv").parent
    # A folder inside a data set is not another data set.
    file(folder / "quarantine/pairs.csv")
    assert notebook.find_pairs(tmp_path) == folder


def test_missing_or_ambiguous_pairs_are_refused(tmp_path):
    with refused("missing", tmp_path, "rac-unet-prepare-data"):
        notebook.find_pairs(tmp_path)
    one, two = (file(tmp_path / name / "pairs.csv").parent for name in ("one", "two"))
    with refused("ambiguous", tmp_path, "DATA", f"{one}, {two}"):
        notebook.find_pairs(tmp_path)
    assert notebook.find_pairs(tmp_path, two) == two


def test_runs_are_distinguished_and_sorted(tmp_path, runs):
    late = runs(tmp_path / "a/runs", "smoke", "20260102-000000")
    early = runs(tmp_path / "notebooks/me/b/runs", "demo", "20260101-000000")
    judge = runs(tmp_path / "c", "classifier-unmasked", "20260103-000000", CLASSIFIER)
    # Evaluations have a provenance.json, too.
    file(tmp_path / "d/provenance.json", "{}")
    assert notebook.find_runs(tmp_path) == [early, late] and notebook.find_run(tmp_path) == late
    assert notebook.find_runs(tmp_path, CLASSIFIER) == [judge]
    assert notebook.find_run(tmp_path, early) == early
    assert notebook.plain_names([early, late]) == {"demo": early, "smoke": late}
    again = runs(tmp_path / "e", "demo", "20260104-000000")
    assert notebook.plain_names([early, again]) == {early.name: early, again.name: again}


def test_a_missing_run_is_refused(tmp_path):
    with refused("missing", tmp_path, "rac-unet-train,"):
        notebook.find_run(tmp_path)
    with refused("missing", tmp_path, "rac-unet-train-classifier,"):
        notebook.find_run(tmp_path, kind=CLASSIFIER)


def test_only_a_run_of_the_same_name_is_resumed(tmp_path, runs, capsys):
    here, attached = tmp_path / "runs", tmp_path / "input"
    assert notebook.find_previous("smoke", here, attached) is None
    assert "starting a new one" in capsys.readouterr().out
    old = runs(attached / "x", "rac_unet", "20260102-000000")
    assert notebook.find_previous("rac", here, attached) is None
    assert f"{old}: not of 'rac'" in capsys.readouterr().out
    assert notebook.find_previous("rac_unet", here, attached) == old
    # This session's run is preferred, even if its name has an earlier time.
    mine = runs(here, "rac_unet", "20260101-000000")
    assert notebook.find_previous("rac_unet", here, attached) == mine


def test_the_copy_of_a_run_is_complete_and_writable(tmp_path, runs):
    run = runs(tmp_path / "input", "smoke", "20260101-000000")
    file(run / "backup/state.npz", "state")
    for path in (run / "config.yaml", run / "backup"):
        path.chmod(0o555 if path.is_dir() else 0o444)
    copy = notebook.take_over(run, tmp_path / "runs")
    assert copy == tmp_path / "runs" / run.name and (copy / "backup/state.npz").read_text() == "state"
    assert all(path.stat().st_mode & stat.S_IWUSR for path in copy.rglob("*"))
    assert [path.name for path in copy.parent.iterdir()] == [run.name]
    file(copy / "history.csv")
    # A second call does not overwrite the copy.
    assert notebook.take_over(run, tmp_path / "runs") == copy and (copy / "history.csv").exists()


def test_a_copy_that_fails_leaves_nothing(tmp_path, runs, monkeypatch):
    run = runs(tmp_path / "input", "smoke", "20260101-000000")

    def full(*_):
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr("os.rename", full)
    with pytest.raises(OSError):
        notebook.take_over(run, tmp_path / "runs")
    assert not list((tmp_path / "runs").iterdir())


def test_finding_the_photographs_to_prepare(tmp_path):
    with refused("missing", tmp_path):
        notebook.find_source(tmp_path)
    file(tmp_path / "datasets/me/rac-unet-wheels/rac_unet-0.1.0-py3-none-any.whl")
    faces = file(tmp_path / "datasets/me/raf-db/train_labels.csv").parent
    assert notebook.find_source(tmp_path) == faces
    more = file(tmp_path / "affectnet/x.npy").parent
    file(tmp_path / "competitions/fer/fer2013.csv")
    with refused("ambiguous", tmp_path, "SOURCES", "affectnet, fer, raf-db"):
        notebook.find_source(tmp_path)
    assert notebook.find_source(tmp_path, "affectnet") == more
    with refused("unknown_name", tmp_path, "'rafdb'", "raf-db"):
        notebook.find_source(tmp_path, "rafdb")


def test_guided_training_uses_the_attached_readers_and_the_most_recent_network(tmp_path, runs):
    with refused("missing", tmp_path, "rac-unet-train-classifier"):
        notebook.guided_options(tmp_path)
    readers = [
        str(runs(tmp_path / f"reader{i}", "classifier-unmasked", f"20260101-00000{i}", CLASSIFIER)) for i in "12"
    ]
    with refused("missing", tmp_path, "rac-unet-train"):
        notebook.guided_options(tmp_path)
    first, last = (runs(tmp_path / name, "rac_unet", f"2026010{i}-000000") for i, name in enumerate("ab", 2))
    assert notebook.guided_options(tmp_path) == ["--init_from", str(last), "--guidance.readers", json.dumps(readers)]
    assert notebook.guided_options(tmp_path, first)[1] == str(first)
