"""An export is proven in a fresh process or it does not exist; what stood there before is not lost."""

import contextlib
import dataclasses
import errno

import keras
import numpy as np
import pytest

from rac_unet.config import ModelConfig, RunConfig
from rac_unet.errors import UserError
from rac_unet.inference import exporting
from rac_unet.inference.exporting import FORMATS, compare, export_network, plan_output, run_fresh
from rac_unet.inference.runners import load_runner
from rac_unet.models import build, build_configured
from rac_unet.rundir import create
from rac_unet.scoring.overfit import every_network


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    config = RunConfig(model=ModelConfig(filters=2, image_size=32))
    run = create(tmp_path_factory.mktemp("runs"), "tiny", config, {})
    keras.utils.set_random_seed(1)
    run.best_weights.parent.mkdir()
    build("rac_unet", filters=2, image_size=32).save_weights(run.best_weights)
    return run


def replace_writer(monkeypatch, name, write):
    monkeypatch.setitem(FORMATS, name, dataclasses.replace(FORMATS[name], write=write))


def load_here(lines, batches):
    """Stands in for the fresh process, which spends many seconds on importing TensorFlow."""
    runner = load_runner(lines[1].split("'")[1])
    return [runner(**batch) for batch in batches]


def test_a_saved_model_agrees_with_the_run_in_a_fresh_process(run, tmp_path):
    path = tmp_path / "new" / "model"
    exported = export_network(run, "savedmodel", path)
    assert exported.path == path
    assert exported.size == sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
    assert exported.inputs == {"masked_image": (None, 32, 32, 3), "emotion": (None, 7)}
    assert exported.outputs == {"inpainted_image": (None, 32, 32, 3)}
    assert exported.pictures == 4 and exported.difference <= exported.allowed <= 1e-3
    assert list(path.parent.iterdir()) == [path]
    # Each weight once: 4 bytes a parameter, and an index.
    parameters = build("rac_unet", filters=2, image_size=32).count_params()
    assert (path / "variables" / "variables.data-00000-of-00001").stat().st_size < 1.1 * 4 * parameters


def test_every_network_loads_where_the_package_is_not(tmp_path):
    """All in one process, whose imports are what takes long."""
    batch = {"masked_image": np.random.default_rng(0).random((2, 32, 32, 3), np.float32)}
    batch["emotion"] = np.eye(7, dtype=np.float32)[[2, 5]]
    expected, lines = {}, ["made = {}"]
    for name, config in every_network(filters=2, image_size=32).items():
        network = build_configured(config)
        FORMATS["keras"].write(network, tmp_path / f"{name}.keras")
        lines += FORMATS["keras"].loading_lines(tmp_path / f"{name}.keras", network.input)
        lines.append(f"made[{name!r}] = outputs['inpainted_image']")
        expected[name] = network({key: batch[key] for key in network.input}, training=False)["inpainted_image"].numpy()
    compare([expected], run_fresh([*lines, "outputs = made"], [batch]))
    assert len(expected) >= 4


def test_a_fresh_process_cannot_import_the_package():
    batches = [{"masked_image": np.full((1, 2), 3.0, np.float32)}, {"masked_image": np.zeros((2, 2), np.float32)}]
    results = run_fresh(["outputs = {'twice': masked_image * 2}"], batches)
    np.testing.assert_array_equal(results[0]["twice"], [[6, 6]])
    assert results[1]["twice"].shape == (2, 2)
    with pytest.raises(UserError, match="could not run it: ModuleNotFoundError.*rac_unet"):
        run_fresh(["from rac_unet import emotions"], batches)
    with pytest.raises(UserError, match="killed by signal 9"):
        run_fresh(["import os", "os.kill(os.getpid(), 9)"], batches)


def test_a_network_with_a_changed_weight_is_removed_and_the_older_export_stays(run, tmp_path, monkeypatch):
    path = tmp_path / "tiny.keras"
    path.write_bytes(b"older")

    def damage(model, path):
        layer = model.get_layer("inpainted_image")
        layer.bias.assign(layer.bias + 0.001)
        model.save(path)

    monkeypatch.setattr(exporting, "run_fresh", load_here)
    with monkeypatch.context() as patched:
        replace_writer(patched, "keras", damage)
        with pytest.raises(UserError, match=r"did not pass its check and was removed.*differ.*0\.001"):
            export_network(run, "keras", path, overwrite=True)
    assert list(tmp_path.iterdir()) == [path] and path.read_bytes() == b"older"
    with pytest.raises(UserError, match="exists already; give --overwrite"):
        export_network(run, "keras", path)
    export_network(run, "keras", path, overwrite=True)
    assert list(tmp_path.iterdir()) == [path] and path.read_bytes() != b"older"


def test_a_cut_off_file_does_not_become_an_export(run, tmp_path, monkeypatch):
    def cut(model, path):
        model.save(path)
        path.write_bytes(path.read_bytes()[:5000])

    replace_writer(monkeypatch, "keras", cut)
    monkeypatch.setattr(exporting, "run_fresh", load_here)
    with pytest.raises(UserError, match="did not pass its check and was removed.*damaged"):
        export_network(run, "keras", tmp_path / "tiny.keras")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_is_replaced_whole_or_not_at_all(run, tmp_path, monkeypatch):
    """With a writer that makes only the outline of a SavedModel, since the renaming is what is tested."""
    path = tmp_path / "savedmodel"
    (path / "assets.extra").mkdir(parents=True)
    (path / "saved_model.pb").write_text("older")

    def outline(model, path):
        path.mkdir()
        (path / "saved_model.pb").write_text("newer")

    network = load_runner(run.path)
    answers = {True: lambda _, batches: [network(**batch) for batch in batches], False: lambda _, batches: [{}, {}]}
    replace_writer(monkeypatch, "savedmodel", outline)
    for good, text in ((False, "older"), (True, "newer")):
        monkeypatch.setattr(exporting, "run_fresh", answers[good])
        with contextlib.nullcontext() if good else pytest.raises(UserError, match="removed: its outputs are none"):
            export_network(run, "savedmodel", path, overwrite=True)
        assert (path / "saved_model.pb").read_text() == text and list(tmp_path.iterdir()) == [path]
    assert not (path / "assets.extra").exists()


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
