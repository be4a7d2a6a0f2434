"""A network behaves the same in every format, and files that cannot be opened are refused by name."""

import shutil
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

from rac_unet.core.config import ModelConfig, RunConfig, TrainingConfig
from rac_unet.core.emotions import EMOTIONS
from rac_unet.exporting.formats import FORMATS
from rac_unet.models.cost import forward_flops
from rac_unet.runtime.runners import Runner, load_network, load_runner
from tests.refusals import refused
from tests.runs import untrained_run
from tests.tiny_networks import build_tiny


def pictures(count=3):
    rng = np.random.default_rng(5)
    return rng.random((count, 32, 32, 3), np.float32), np.eye(len(EMOTIONS), dtype=np.float32)[:count]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run directory of an untrained network, recorded as trained in mixed precision."""
    config = RunConfig(model=ModelConfig(filters=2, image_size=32), training=TrainingConfig(precision="mixed_bfloat16"))
    return untrained_run(tmp_path_factory.mktemp("runs"), config)


@pytest.fixture(scope="module")
def exports(run, tmp_path_factory):
    """The same network in every format, as path by kind."""
    folder = tmp_path_factory.mktemp("exports")
    paths = {"savedmodel": folder / "savedmodel", "keras": folder / "tiny.keras"}
    model = load_network(run)
    for name, path in paths.items():
        FORMATS[name].write(model, path)
    FORMATS["litert_float32"].write(model, folder / "tiny.tflite")
    return paths | {"litert": folder / "tiny.tflite", "run": run.path}


@pytest.fixture(scope="module")
def runners(exports):
    return {kind: load_runner(path) for kind, path in exports.items()}


def test_every_kind_reports_the_same_cost(runners, run):
    network = load_network(run)
    expected, parameters = forward_flops(network), network.count_params()
    for kind, runner in runners.items():
        if kind == "litert":
            # The file format does not contain it.
            assert runner.flops() is None and runner.parameters is None
            continue
        assert runner.flops() == expected > 0, kind
        assert runner.parameters == parameters


def test_every_kind_gives_the_same_pictures(runners):
    image, emotion = pictures()
    results = {kind: runner(image, emotion)["inpainted_image"] for kind, runner in runners.items()}
    for kind, runner in runners.items():
        assert (runner.kind, runner.image_size, runner.conditioned) == (kind, 32, True)
        assert results[kind].shape == (3, 32, 32, 3) and results[kind].dtype == np.float32
        np.testing.assert_allclose(results[kind], results["run"], atol=1e-4)
        # A batch of one is the same picture as in a batch of three, and the emotion matters.
        np.testing.assert_allclose(runner(image[:1], emotion[:1])["inpainted_image"], results[kind][:1], atol=1e-4)
        assert np.abs(runner(image, emotion[::-1])["inpainted_image"] - results[kind])[0].max() > 1e-3


def test_the_network_is_float32_and_made_of_stock_layers(run):
    before = keras.config.dtype_policy()
    model = load_network(run)
    assert keras.config.dtype_policy() == before
    for layer in model.layers:
        assert type(layer).__module__.startswith("keras."), layer
        assert not isinstance(layer, keras.layers.Lambda), layer
        assert layer.dtype_policy.name == "float32", layer


def test_pictures_of_wrong_shape_or_range_are_refused(runners):
    runner = runners["keras"]
    image, emotion = pictures()
    with refused("bad_value", "32 x 32", "(1, 64, 64, 3)"):
        runner(np.zeros((1, 64, 64, 3), np.float32), emotion[:1])
    with refused("bad_value", "uint8", "255"):
        runner((image * 255).astype(np.uint8), emotion)
    with refused("bad_value", "float32 in [0, 1]"):
        runner(image * 255, emotion)
    with refused("bad_value", "emotion", "surprise", "None"):
        runner(image)
    with refused("bad_value", "emotion", "(3, 7)", "(2, 7)"):
        runner(image, emotion[:2])


def test_a_path_that_holds_no_network_is_refused_with_the_kinds(tmp_path):
    (tmp_path / "notes.txt").write_text("hello")
    for name, kind in (("absent", "missing"), ("notes.txt", "wrong_type"), (".", "wrong_type")):
        with refused(kind, tmp_path / name, "SavedModel", "run directory", ".keras", ".tflite", ".onnx"):
            load_runner(tmp_path / name)


def test_damaged_models_are_refused(exports, tmp_path):
    whole = exports["keras"].read_bytes()
    for name, content in (("text", b"hello"), ("empty", b""), ("cut", whole[: len(whole) // 2])):
        path = tmp_path / f"{name}.keras"
        path.write_bytes(content)
        with refused("unreadable", path):
            load_runner(path)
    flipped = tmp_path / "flipped.keras"
    flipped.write_bytes(whole[: len(whole) // 2] + bytes(2000) + whole[len(whole) // 2 + 2000 :])
    with refused("unreadable", flipped):
        load_runner(flipped)
    folder = shutil.copytree(exports["savedmodel"], tmp_path / "folder")
    next((folder / "variables").glob("*.index")).write_bytes(b"rubbish")
    with refused("unreadable", folder):
        load_runner(folder)


def test_a_network_with_other_inputs_is_refused(tmp_path):
    image = keras.Input((32, 32, 3), name="photo")
    path = tmp_path / "other.keras"
    keras.Model(image, keras.layers.Conv2D(3, 1)(image)).save(path)
    with refused("wrong_type", path, "photo", "masked_image"):
        load_runner(path)


def test_a_network_that_paints_nan_is_refused():
    def broken_where_bright(inputs):
        image = inputs["masked_image"]
        return {"inpainted_image": np.where(image > 0.9, np.nan, image)}

    runner = Runner("net.keras", "keras", 32, False, broken_where_bright)
    dark, bright = np.full((1, 32, 32, 3), 0.1, np.float32), np.ones((1, 32, 32, 3), np.float32)
    assert np.isfinite(runner(dark)["inpainted_image"]).all()
    with refused("diverged", "net.keras", "inpainted_image", "1 of 2", "number 2 "):
        runner(np.concatenate([dark, bright]))


def test_every_output_is_checked():
    outputs = {"inpainted_image": np.zeros((2, 32, 32, 3)), "visible_emotion": np.array([[np.inf, 0], [0, 0]])}
    with refused("diverged", "visible_emotion", "1 of 2", "number 1 "):
        Runner("net.keras", "keras", 32, False, lambda inputs: outputs)(np.zeros((2, 32, 32, 3), np.float32))


def test_threads_are_refused_once_tensorflow_computes(exports):
    load_runner(exports["keras"])
    cores = tf.config.threading.get_intra_op_parallelism_threads()
    with refused("usage", f"{cores + 1} threads"):
        load_runner(exports["keras"], threads=cores + 1)


@pytest.mark.slow
def test_a_new_process_uses_the_number_of_threads(tmp_path):
    build_tiny().save(tmp_path / "net.keras")
    code = (
        "import sys\n"
        "from rac_unet.runtime.runners import load_runner\n"
        "load_runner(sys.argv[1], threads=1), load_runner(sys.argv[1], threads=1)\n"
        "import tensorflow as tf\n"
        "print(tf.config.threading.get_intra_op_parallelism_threads())\n"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path / "net.keras")], capture_output=True, text=True)
    assert done.stdout == "1\n", done.stderr
