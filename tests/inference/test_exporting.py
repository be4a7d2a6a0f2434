"""An export is proven in a fresh process or it does not exist; what stood there before is not lost."""

import dataclasses
import errno

import keras
import numpy as np
import pytest

from rac_unet.config import ModelConfig, RunConfig
from rac_unet.errors import UserError
from rac_unet.inference import exporting
from rac_unet.inference.exporting import FORMATS, check_batches, compare, export_network, plan_output, run_fresh
from rac_unet.inference.runners import load_runner
from rac_unet.models import build
from rac_unet.rundir import create


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    config = RunConfig(model=ModelConfig(filters=2, image_size=32))
    run = create(tmp_path_factory.mktemp("runs"), "tiny", config, {})
    keras.utils.set_random_seed(1)
    run.best_weights.parent.mkdir()
    build("rac_unet", filters=2, image_size=32).save_weights(run.best_weights)
    return run


@pytest.fixture
def checked_here(monkeypatch):
    """Check exports in this process: a fresh one spends many seconds on importing TensorFlow."""

    def run_here(lines, batches):
        path = next(part for line in lines for part in line.split("'") if "tmp" in part)
        runner = load_runner(path)
        return [runner(**batch) for batch in batches]

    monkeypatch.setattr(exporting, "run_fresh", run_here)


def replace_writer(monkeypatch, name, write):
    monkeypatch.setitem(FORMATS, name, dataclasses.replace(FORMATS[name], write=write))


def damage(name):
    """The format's writer, applied to a network that has one weight changed."""
    whole = FORMATS[name].write

    def write(model, path):
        layer = model.get_layer("inpainted_image")
        layer.bias.assign(layer.bias + 0.001)
        whole(model, path)

    return write


def test_a_keras_file_agrees_with_the_run_in_a_fresh_process(run, tmp_path):
    path = tmp_path / "new" / "tiny.keras"
    exported = export_network(run, "keras", path)
    assert exported.path == path and exported.size == path.stat().st_size
    assert exported.inputs == {"masked_image": (None, 32, 32, 3), "emotion": (None, 7)}
    assert exported.outputs == {"inpainted_image": (None, 32, 32, 3)}
    assert exported.pictures == 4 and exported.difference <= exported.allowed <= 1e-3
    assert [entry.name for entry in path.parent.iterdir()] == ["tiny.keras"]
    for batch in check_batches(exported.inputs):
        here, there = load_runner(run.path)(**batch), load_runner(path)(**batch)
        np.testing.assert_allclose(there["inpainted_image"], here["inpainted_image"], atol=1e-5)


def test_a_fresh_process_cannot_import_the_package():
    batches = [{"masked_image": np.full((1, 2), 3.0, np.float32)}, {"masked_image": np.zeros((2, 2), np.float32)}]
    results = run_fresh(["outputs = {'twice': masked_image * 2}"], batches)
    np.testing.assert_array_equal(results[0]["twice"], [[6, 6]])
    assert results[1]["twice"].shape == (2, 2)
    with pytest.raises(UserError, match="could not run it: ModuleNotFoundError.*rac_unet"):
        run_fresh(["from rac_unet import emotions"], batches)
    with pytest.raises(UserError, match="killed by signal 9"):
        run_fresh(["import os", "os.kill(os.getpid(), 9)"], batches)


@pytest.mark.parametrize("name", FORMATS)
def test_a_network_that_differs_is_removed_and_the_older_export_stays(run, name, tmp_path, monkeypatch, checked_here):
    path = tmp_path / FORMATS[name].file_name.format(model="tiny")
    first = export_network(run, name, path)
    before = {file: file.read_bytes() for file in [path, *path.rglob("*")] if file.is_file()}
    assert first.difference <= first.allowed
    with monkeypatch.context() as patched:
        replace_writer(patched, name, damage(name))
        with pytest.raises(UserError, match=r"did not pass its check and was removed.*differ.*0\.001"):
            export_network(run, name, path, overwrite=True)
    assert {file: file.read_bytes() for file in [path, *path.rglob("*")] if file.is_file()} == before
    assert list(tmp_path.iterdir()) == [path]
    with pytest.raises(UserError, match="exists already; give --overwrite"):
        export_network(run, name, path)
    if name == "savedmodel":
        # Replacing a folder takes two renames; nothing of the old one may stay behind.
        (path / "assets.extra").mkdir()
        export_network(run, name, path, overwrite=True)
        assert not (path / "assets.extra").exists() and list(tmp_path.iterdir()) == [path]


def test_a_writer_that_fails_leaves_nothing(run, tmp_path, monkeypatch):
    def write(model, path):
        path.write_bytes(b"half")
        raise OSError(errno.ENOSPC, "No space left on device")

    replace_writer(monkeypatch, "keras", write)
    with pytest.raises(UserError, match="cannot write.*No space left.*free space"):
        export_network(run, "keras", tmp_path / "tiny.keras")
    assert list(tmp_path.iterdir()) == []


def test_overwriting_replaces_nothing_but_an_older_export(run, tmp_path):
    (tmp_path / "precious.txt").write_text("mine")
    with pytest.raises(UserError, match="not an older export of format savedmodel"):
        plan_output(run, "savedmodel", tmp_path, overwrite=True)
    (tmp_path / "folder.keras").mkdir()
    with pytest.raises(UserError, match="not an older export of format keras"):
        plan_output(run, "keras", tmp_path / "folder.keras", overwrite=True)
    with pytest.raises(UserError, match="must end in .keras"):
        plan_output(run, "keras", tmp_path / "model.h5")
    assert plan_output(run, "keras") == run.path / "export" / "rac_unet.keras"
    assert plan_output(run, "savedmodel") == run.path / "export" / "savedmodel"


def test_comparison_refuses_other_names_shapes_and_values():
    wanted = [{"inpainted_image": np.zeros((1, 2, 2, 3), np.float32)}]
    assert compare(wanted, [{"inpainted_image": wanted[0]["inpainted_image"] + np.float32(1e-5)}])[0] < 2e-5
    for found, reason in (
        ({"output_0": wanted[0]["inpainted_image"]}, "output_0 instead of inpainted_image"),
        ({"inpainted_image": np.zeros((2, 2, 3), np.float32)}, r"\(2, 2, 3\) instead of float32 \(1, 2, 2, 3\)"),
        ({"inpainted_image": np.zeros((1, 2, 2, 3), np.float16)}, "float16"),
        ({"inpainted_image": np.full((1, 2, 2, 3), 0.01, np.float32)}, "differ from the run's by up to 0.01"),
        ({"inpainted_image": np.full((1, 2, 2, 3), np.nan, np.float32)}, "nan"),
    ):
        with pytest.raises(UserError, match=reason):
            compare(wanted, [found])
