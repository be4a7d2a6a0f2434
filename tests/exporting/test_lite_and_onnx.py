"""Files for LiteRT and ONNX Runtime are written, run without TensorFlow, and refused if damaged."""

import json
import re
import shutil
import subprocess
import sys

import keras
import numpy as np
import pytest

from rac_unet.core.errors import UserError
from rac_unet.exporting import lite_writing, onnx_writing
from rac_unet.exporting.formats import FORMATS
from rac_unet.exporting.lite_writing import HEAVY, float_operations, write_lite_int8
from rac_unet.models import build
from rac_unet.runtime import lite_form
from rac_unet.runtime.keras_forms import open_model
from rac_unet.runtime.runners import is_export, load_runner
from tests.refusals import refused

OUTPUTS = {"inpainted_image": 3, "occlusion": 1, "painted_image": 3}
KINDS = ("float32.tflite", "float16.tflite", "int8.tflite", "onnx")


def pictures(count=3):
    rng = np.random.default_rng(5)
    # Smooth like faces: noise changes by more than int8 can represent well.
    coarse = rng.random((count, 4, 4, 3), np.float32)
    return np.kron(coarse, np.ones((1, 8, 8, 1), np.float32)), np.eye(7, dtype=np.float32)[[3, 0, 5][:count]]


@pytest.fixture(scope="module")
def network():
    keras.utils.set_random_seed(1)
    return build("rac_unet_lite", filters=4, image_size=32)


@pytest.fixture(scope="module")
def files(network, tmp_path_factory):
    """Files of the same network in each format, by suffix."""
    folder = tmp_path_factory.mktemp("files")
    image, emotion = pictures()
    calibration = {"masked_image": image, "emotion": np.concatenate([emotion[:2], emotion[:1] * 0])}
    for name, ending in (("litert_float32", KINDS[0]), ("litert_float16", KINDS[1])):
        FORMATS[name].write(network, folder / f"net_{ending}")
    write_lite_int8(network, folder / f"net_{KINDS[2]}", calibration)
    try:
        onnx_writing.write_onnx(network, folder / "net.onnx")
    except UserError:
        return folder, KINDS[:3]
    return folder, KINDS


def file_of(files, kind):
    folder, made = files
    if kind not in made:
        pytest.skip("needs pip install 'rac_unet[export]'")
    return folder / ("net.onnx" if kind == "onnx" else f"net_{kind}")


@pytest.mark.parametrize(("kind", "allowed"), list(zip(KINDS, (1e-4, 1e-2, 0.1, 1e-4), strict=True)))
def test_every_output_comes_back_by_name(network, files, kind, allowed):
    path = file_of(files, kind)
    image, emotion = pictures()
    expected = open_model(network).call({"masked_image": image, "emotion": emotion})
    assert is_export(path)
    runner = load_runner(path, threads=1)
    assert (runner.kind, runner.image_size, runner.conditioned) == ("onnx" if kind == "onnx" else "litert", 32, True)
    assert set(runner.outputs) == {*OUTPUTS, "visible_emotion"} and runner.megabytes == path.stat().st_size / 1e6
    assert runner.parameters is None and runner.flops() is None
    found = runner(image, emotion)
    assert {name: value.shape for name, value in found.items()} == {
        **{name: (3, 32, 32, channels) for name, channels in OUTPUTS.items()},
        "visible_emotion": (3, 7),
    }
    for name, value in found.items():
        assert value.dtype == np.float32
        np.testing.assert_allclose(value, expected[name], atol=allowed, err_msg=name)
    # Alone, a picture comes out as in a batch; and the emotion matters.
    np.testing.assert_allclose(
        runner(image[1:2], emotion[1:2])["inpainted_image"], found["inpainted_image"][1:2], atol=1e-4
    )
    other = runner(image, np.roll(emotion, 1, axis=1))
    assert np.abs(other["painted_image"] - found["painted_image"]).max() > 0.005


def test_sizes_and_arithmetic(files, network):
    weights = 4 * network.count_params()
    sizes = [file_of(files, kind).stat().st_size for kind in KINDS[:3]]
    assert sizes[0] > weights > sizes[1] > sizes[2]
    assert float_operations(file_of(files, "int8.tflite").read_bytes()) == []
    floats = float_operations(file_of(files, "float32.tflite").read_bytes())
    assert {"CONV_2D", "TRANSPOSE_CONV", "FULLY_CONNECTED"} <= set(floats) & set(HEAVY)


def test_visible_pixels_pass_int8_unchanged(tmp_path):
    """Where the map is below 0.115, int8 returns each grey level exactly."""
    keras.utils.set_random_seed(2)
    network = build("rac_unet_lite", filters=2, image_size=32)
    head = network.get_layer("occlusion_conv")
    head.kernel.assign(head.kernel * 0)
    head.bias.assign([-9.0])
    image, emotion = pictures()
    image = np.round(image * 255).astype(np.float32) / 255
    image[0, 0, 0], image[0, 0, 1] = 0, 1
    write_lite_int8(network, tmp_path / "net.tflite", {"masked_image": image, "emotion": emotion})
    found = load_runner(tmp_path / "net.tflite")(image, emotion)
    assert found["occlusion"].max() < 0.01
    np.testing.assert_allclose(found["inpainted_image"], image, atol=1e-6)


def test_heavy_operations_left_in_float_are_refused(files, network, tmp_path, monkeypatch):
    """The converter leaves everything in float32, as it does without calibration data."""
    monkeypatch.setattr(lite_writing, "_write", lambda model, path, choose: shutil.copy(unconverted, path))
    unconverted = file_of(files, "float32.tflite")
    with refused("unsupported", "CONV_2D, FULLY_CONNECTED, TRANSPOSE_CONV"):
        write_lite_int8(network, tmp_path / "net.tflite", {})


@pytest.mark.parametrize("kind", ["int8.tflite", "onnx"])
def test_damaged_files_are_refused(files, tmp_path, kind):
    path = file_of(files, kind)
    whole = path.read_bytes()
    for name, content in (
        ("text", b"hello, this is text"),
        ("empty", b""),
        ("cut", whole[: len(whole) // 2]),
        ("flipped", whole[:100] + bytes(200) + whole[300:]),
    ):
        damaged = tmp_path / f"{name}{path.suffix}"
        damaged.write_bytes(content)
        with pytest.raises(UserError, match=re.escape(str(damaged))) as error:
            load_runner(damaged)
        # The zeros may also overwrite the network's signature.
        assert error.value.kind == "unreadable" or (name, error.value.kind) == ("flipped", "unsupported")


def test_a_lite_file_that_ends_the_process_is_refused(files, tmp_path, monkeypatch):
    """Some damaged files make LiteRT abort; an aborting trial replaces one, since other versions may survive it."""
    copy = tmp_path / "copy.tflite"
    shutil.copy(files[0] / "net_float32.tflite", copy)
    assert load_runner(copy).conditioned
    monkeypatch.setattr(lite_form, "_TRIAL", "import os; os.abort()")
    with refused("unreadable", copy):
        load_runner(copy)
    monkeypatch.setattr(lite_form, "_TRIAL", "import time; time.sleep(60)")
    monkeypatch.setattr(lite_form, "_TRIAL_SECONDS", 0.2)
    with refused("unreadable", copy):
        load_runner(copy)
    monkeypatch.setattr(lite_form, "_OWN", copy.resolve().parent)
    assert load_runner(copy).conditioned, "the network of the package is not tried out"


def test_a_lite_file_of_another_kind_is_refused(tmp_path):
    import tensorflow as tf

    def converted(name, serve):
        module = tf.Module()
        tf.saved_model.save(module, str(tmp_path / name), signatures={"serving_default": serve})
        path = tmp_path / f"{name}.tflite"
        path.write_bytes(tf.lite.TFLiteConverter.from_saved_model(str(tmp_path / name)).convert())
        return path

    pair = tf.TensorSpec((2, 32, 32, 3), tf.float32, name="masked_image")
    fixed = converted("pairs", tf.function(lambda masked_image: {"inpainted_image": masked_image * 2}, [pair]))
    with refused("unsupported", fixed, "masked_image", "(2, 32, 32, 3)"):
        load_runner(fixed)
    one = tf.TensorSpec((1, 8, 8, 1), tf.float32, name="photo")
    other = converted("other", tf.function(lambda photo: {"grey": photo * 2}, [one]))
    with refused("wrong_type", other, "photo", "grey", "masked_image"):
        load_runner(other)


def test_wrong_inputs_and_threads_are_refused(files):
    runner = load_runner(file_of(files, "int8.tflite"))
    image, emotion = pictures()
    with refused("bad_value", "masked_image", "255"):
        runner(image * 255, emotion)
    with refused("bad_value", "emotion", "None"):
        runner(image)
    with refused("bad_value", "thread", "0"):
        load_runner(file_of(files, "int8.tflite"), threads=0)


def test_lite_and_onnx_need_no_tensorflow(files):
    folder, made = files
    paths = [str(file_of(files, kind)) for kind in ("int8.tflite", "onnx") if kind in made]
    code = (
        "import json, sys\n"
        "import numpy as np\n"
        "from rac_unet.runtime.runners import load_runner\n"
        "image, emotion = np.full((2, 32, 32, 3), 0.5, np.float32), np.eye(7, dtype=np.float32)[:2]\n"
        "means = [float(load_runner(path)(image, emotion)['painted_image'].mean()) for path in sys.argv[1:]]\n"
        "print(json.dumps([means, sorted({'tensorflow', 'keras', 'pandas', 'matplotlib'} & set(sys.modules))]))\n"
    )
    done = subprocess.run([sys.executable, "-c", code, *paths], capture_output=True, text=True, check=True)
    means, heavy = json.loads(done.stdout)
    assert heavy == [] and len(means) == len(paths) and all(0 < mean < 1 for mean in means)
    # LiteRT's log must not reach the user.
    assert "XNNPACK" not in done.stderr


def test_missing_onnx_packages_are_named(tmp_path, monkeypatch):
    (tmp_path / "net.onnx").write_bytes(b"x")
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with refused("missing_extra", "ONNX Runtime", "rac_unet[export]"):
        load_runner(tmp_path / "net.onnx")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with refused("missing_extra", "tf2onnx", "onnx,", "onnxruntime", "pip install"):
        onnx_writing.check_onnx_installed()
