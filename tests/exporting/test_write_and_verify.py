"""An export is kept only if it passes its check in a fresh process; otherwise an older export is unchanged.

With networks of a few layers, since test_formats.py writes the real ones.
"""

import contextlib
import dataclasses
import errno
import re
import zipfile

import keras
import numpy as np
import pytest

from rac_unet.core.config import ModelConfig, RunConfig
from rac_unet.exporting import write_and_verify
from rac_unet.exporting.formats import FORMATS
from rac_unet.exporting.fresh_process import run_fresh
from rac_unet.exporting.sample_pictures import read_pictures
from rac_unet.exporting.tensorflow_writing import write_keras
from rac_unet.exporting.write_and_verify import export_network, plan_output
from rac_unet.models import build_configured
from rac_unet.pairing.opening import read_pairs
from rac_unet.runtime.runners import load_runner
from tests.refusals import refused
from tests.runs import untrained_run

pytestmark = pytest.mark.usefixtures("tiny_networks")

FORMATS_INT8 = FORMATS["litert_int8"]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """With enough weights that the rest of a SavedModel is small against them."""
    return untrained_run(tmp_path_factory.mktemp("runs"), RunConfig(model=ModelConfig(filters=64, image_size=32)))


@pytest.fixture(scope="module")
def lite_run(tmp_path_factory):
    model = ModelConfig(name="rac_unet_lite", filters=2, image_size=32)
    return untrained_run(tmp_path_factory.mktemp("lite_runs"), RunConfig(model=model))


def replace_writer(monkeypatch, name, write):
    monkeypatch.setitem(FORMATS, name, dataclasses.replace(FORMATS[name], write=write))


def load_here(lines, batches):
    """Replace the fresh process, which takes many seconds to import TensorFlow."""
    runner = load_runner(lines[1].split("'")[1])
    return [runner(**batch) for batch in batches]


def test_a_saved_model_agrees_with_the_run_in_a_fresh_process(run, tmp_path):
    path = tmp_path / "new" / "model"
    exported = export_network(run, "savedmodel", path)
    assert exported.path == path
    assert exported.size == sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
    assert exported.inputs == {"masked_image": (None, 32, 32, 3), "emotion": (None, 7)}
    assert exported.outputs == {"inpainted_image": (None, 32, 32, 3)}
    assert exported.agreement.pictures == 4 and exported.agreement.largest <= 1e-4 and not exported.real
    assert list(path.parent.iterdir()) == [path]
    # Each weight is stored once: 4 bytes per parameter, and an index.
    parameters = build_configured(run.config().model).count_params()
    assert (path / "variables" / "variables.data-00000-of-00001").stat().st_size < 1.1 * 4 * parameters


def test_a_fresh_process_cannot_import_the_package():
    batches = [{"masked_image": np.full((1, 2), 3.0, np.float32)}, {"masked_image": np.zeros((2, 2), np.float32)}]
    results = run_fresh(["outputs = {'twice': masked_image * 2}"], batches)
    np.testing.assert_array_equal(results[0]["twice"], [[6, 6]])
    assert results[1]["twice"].shape == (2, 2)
    with refused("failed_check", "ModuleNotFoundError", "rac_unet"):
        run_fresh(["from rac_unet.core import emotions"], batches)
    with refused("failed_check", "signal 9"):
        run_fresh(["import os", "os.kill(os.getpid(), 9)"], batches)


def test_an_export_with_a_changed_weight_is_removed_and_the_older_export_kept(run, tmp_path, monkeypatch):
    path = tmp_path / "tiny.keras"
    path.write_bytes(b"older")

    def damage(model, path):
        layer = model.get_layer("inpainted_image")
        layer.bias.assign(layer.bias + 0.001)
        model.save(path)

    monkeypatch.setattr(write_and_verify, "run_fresh", load_here)
    with monkeypatch.context() as patched:
        replace_writer(patched, "keras", damage)
        with refused("failed_check", "0.001"):
            export_network(run, "keras", path, overwrite=True)
    assert list(tmp_path.iterdir()) == [path] and path.read_bytes() == b"older"
    with refused("exists", path, "--overwrite"):
        export_network(run, "keras", path)
    export_network(run, "keras", path, overwrite=True)
    assert list(tmp_path.iterdir()) == [path] and path.read_bytes() != b"older"


def test_a_cut_off_file_does_not_become_an_export(run, tmp_path, monkeypatch):
    def cut(model, path):
        model.save(path)
        path.write_bytes(path.read_bytes()[:5000])

    replace_writer(monkeypatch, "keras", cut)
    monkeypatch.setattr(write_and_verify, "run_fresh", load_here)
    with refused("failed_check", "tiny", ".keras"):
        export_network(run, "keras", tmp_path / "tiny.keras")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_is_replaced_completely_or_not_at_all(run, tmp_path, monkeypatch):
    """The writer makes only the outline of a SavedModel, since this tests the renaming."""
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
        monkeypatch.setattr(write_and_verify, "run_fresh", answers[good])
        with contextlib.nullcontext() if good else refused("failed_check", "inpainted_image"):
            export_network(run, "savedmodel", path, overwrite=True)
        assert (path / "saved_model.pb").read_text() == text and list(tmp_path.iterdir()) == [path]
    assert not (path / "assets.extra").exists()


def test_a_writer_that_fails_leaves_nothing(run, tmp_path, monkeypatch):
    def write(model, path):
        path.write_bytes(b"half")
        raise OSError(errno.ENOSPC, "No space left on device")

    replace_writer(monkeypatch, "keras", write)
    with refused("unwritable", tmp_path / "tiny.keras", "No space left"):
        export_network(run, "keras", tmp_path / "tiny.keras")
    assert list(tmp_path.iterdir()) == []


def test_overwriting_replaces_nothing_but_an_older_export(run, tmp_path):
    (tmp_path / "precious.txt").write_text("mine")
    with refused("exists", tmp_path, "savedmodel"):
        plan_output(run, "savedmodel", tmp_path, overwrite=True)
    (tmp_path / "folder.keras").mkdir()
    with refused("exists", "folder.keras"):
        plan_output(run, "keras", tmp_path / "folder.keras", overwrite=True)
    with refused("bad_value", "model.h5", ".keras"):
        plan_output(run, "keras", tmp_path / "model.h5")
    assert plan_output(run, "keras") == run.path / "export" / "rac_unet.keras"
    assert plan_output(run, "savedmodel") == run.path / "export" / "savedmodel"


def test_loading_lines_are_run_once(tmp_path):
    count = tmp_path / "count"
    lines = [f"open({str(count)!r}, 'a').write('x')", "outputs = {'same': masked_image}"]
    run_fresh(lines, [{"masked_image": np.full((1, 2), value, np.float32)} for value in range(3)])
    assert count.read_text() == "x"


def test_int8_is_calibrated_and_checked_on_pictures_of_the_data_set(lite_run, toy_pairs, tmp_path, monkeypatch):
    pairs, given = read_pairs(toy_pairs), {}

    def write(model, path, calibration):
        given.update(calibration)
        FORMATS_INT8.write(model, path, calibration)

    replace_writer(monkeypatch, "litert_int8", write)
    path = tmp_path / "net.tflite"
    exported = export_network(lite_run, "litert_int8", path, pairs=pairs, calibrated=12)
    assert given["masked_image"].shape == (12, 32, 32, 3) and (given["emotion"].sum(1) == 0).sum() == 1
    # The fresh process used LiteRT, which takes one image at a time.
    assert exported.inputs == {"masked_image": (1, 32, 32, 3), "emotion": (1, 7)} and exported.real
    assert set(exported.outputs) == {"inpainted_image", "occlusion", "painted_image", "visible_emotion"}
    assert exported.agreement.pictures == min(16, len(pairs.split("val")))
    assert 1e-4 < exported.agreement.largest < 0.1 and exported.agreement.psnr > 30
    assert list(tmp_path.iterdir()) == [path] and exported.size == path.stat().st_size
    picture = read_pictures(pairs, "val", 1, 32)
    inputs = {name: picture[name] for name in ("masked_image", "emotion")}
    # The printed lines give the checked outputs.
    (received,) = run_fresh(exported.lines, [inputs])
    expected = load_runner(path)(**inputs)
    np.testing.assert_allclose(received["inpainted_image"], expected["inpainted_image"], atol=1e-4)


def test_an_int8_export_that_loses_too_much_is_kept_only_on_request(lite_run, toy_pairs, tmp_path, monkeypatch):
    pairs, path, network = read_pairs(toy_pairs), tmp_path / "net.tflite", load_runner(lite_run.path)

    def brighter(lines, batches):
        outputs = [network(**batch) for batch in batches]
        return [{name: np.float32(0.9) * value + np.float32(0.1) for name, value in batch.items()} for batch in outputs]

    replace_writer(monkeypatch, "litert_int8", lambda model, path, calibration: path.write_bytes(b"net"))
    monkeypatch.setattr(write_and_verify, "run_fresh", brighter)
    with refused("failed_check", "dB", "30", "--allow_loss"):
        export_network(lite_run, "litert_int8", path, pairs=pairs, calibrated=4)
    assert list(tmp_path.iterdir()) == []
    exported = export_network(lite_run, "litert_int8", path, pairs=pairs, calibrated=4, allow_loss=True)
    assert exported.agreement.psnr < 30 and path.read_bytes() == b"net" and exported.allowed.endswith("or less")


def test_int8_needs_pictures(lite_run, tmp_path):
    with refused("usage", "litert_int8", "--data"):
        export_network(lite_run, "litert_int8", tmp_path / "net.tflite")
    assert list(tmp_path.iterdir()) == []


def test_a_keras_file_has_no_entries_that_older_versions_refuse(tmp_path):
    """Keras 3.13.2 knows none of these; `make kaggle` loads such a file there."""
    image = keras.Input((8, 8, 3), name="image")
    x = keras.layers.BatchNormalization(momentum=0.8)(keras.layers.Conv2D(2, 3, kernel_initializer="he_normal")(image))
    model = keras.Model(image, {"out": x})
    write_keras(model, tmp_path / "net.keras")
    with zipfile.ZipFile(tmp_path / "net.keras") as archive:
        text = archive.read("config.json").decode()
    assert not re.findall(r'"(renorm\w*|input_axes|output_axes)"', text) and '"momentum": 0.8' in text
    assert [path.name for path in tmp_path.iterdir()] == ["net.keras"]
    picture = np.random.default_rng(0).random((2, 8, 8, 3), np.float32)
    again = keras.saving.load_model(tmp_path / "net.keras", compile=False)
    np.testing.assert_array_equal(again(picture)["out"], model(picture)["out"])
