"""The export command: its output is true, and bad requests are refused before TensorFlow is imported."""

import dataclasses
import subprocess
import sys

import keras
import numpy as np
import pytest

from rac_unet import export
from rac_unet.core.config import DataConfig, ModelConfig, RunConfig
from rac_unet.core.errors import UserError, run_command
from rac_unet.core.rundir import create
from rac_unet.exporting import write_and_verify
from rac_unet.exporting.formats import FORMATS
from rac_unet.models import build
from rac_unet.runtime.runners import load_runner
from tests.refusals import refused

pytestmark = pytest.mark.usefixtures("tiny_networks")


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run of a network without an emotion input."""
    config = RunConfig(model=ModelConfig(filters=2, image_size=32, conditioned=False))
    run = create(tmp_path_factory.mktemp("runs"), "tiny", config, {})
    keras.utils.set_random_seed(1)
    run.best_weights.parent.mkdir()
    build("rac_unet", filters=2, image_size=32, conditioned=False).save_weights(run.best_weights)
    return run


def test_a_keras_file_is_written_checked_and_loads_as_printed(run, capsys):
    assert export.main([str(run.path), "--format", "keras"]) == 0
    printed = capsys.readouterr().out
    path = run.path / "export" / "rac_unet.keras"
    assert f"wrote    {path} ({path.stat().st_size / 1e6:.1f} MB)" in printed
    assert "input    masked_image float32 (batch, 32, 32, 3), in [0, 1]" in printed
    assert "output   inpainted_image float32 (batch, 32, 32, 3)" in printed
    assert "pictures of noise, mean" in printed and "largest difference" in printed
    assert "emotion float32" not in printed
    assert list(path.parent.iterdir()) == [path]

    lines = printed.split("load it with\n")[1].splitlines()
    assert len(lines) == 3
    image = np.random.default_rng(2).random((2, 32, 32, 3), np.float32)
    names = {"masked_image": image}
    exec("\n".join(line.strip() for line in lines), names)
    expected = load_runner(run.path)(image)["inpainted_image"]
    np.testing.assert_allclose(names["outputs"]["inpainted_image"], expected, atol=1e-4)


def test_a_failed_check_ends_with_code_2_and_no_export(run, monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(
        write_and_verify,
        "run_fresh",
        lambda lines, batches: [{"inpainted_image": batch["masked_image"]} for batch in batches],
    )
    path = tmp_path / "export.keras"
    with pytest.raises(SystemExit) as ended:
        run_command(lambda: export.main([str(run.path), "--format", "keras", "--output", str(path)]))
    streams = capsys.readouterr()
    assert ended.value.code == 2
    assert streams.err.startswith("error: ") and "the limit is 0.0001" in streams.err
    assert "wrote" not in streams.out and list(tmp_path.iterdir()) == []


def test_one_format_that_is_refused_does_not_stop_the_others(run, toy_pairs, monkeypatch, capsys, tmp_path):
    """The written network and the fresh process are replaced."""
    network = load_runner(run.path)

    def check(lines, batches):
        outputs = [network(**batch) for batch in batches]
        return [{"inpainted_image": o["inpainted_image"] + ("keras" in lines[0])} for o in outputs]

    monkeypatch.setattr(write_and_verify, "run_fresh", check)
    for name in ("keras", "litert_int8"):
        write = lambda model, path, *calibration: path.write_bytes(b"net")  # noqa: E731
        monkeypatch.setitem(FORMATS, name, dataclasses.replace(FORMATS[name], write=write))
    argv = [run.path, "--format", "keras", "litert_int8", "--data", toy_pairs, "--calibration", "7", "--overwrite"]
    with refused("failed_check", "1 of 2", "keras"):
        export.main([str(arg) for arg in argv])
    printed = capsys.readouterr().out
    assert f"{toy_pairs}: 7 training pictures calibrate int8" in printed
    assert "refused  keras: " in printed and "the limit is 0.0001" in printed
    assert f"wrote    {run.path / 'export' / 'rac_unet_int8.tflite'}" in printed
    assert "input    masked_image float32 (1, 32, 32, 3)" in printed


def test_bad_requests_are_refused(run, tmp_path):
    moved = create(tmp_path, "moved", dataclasses.replace(run.config(), data=DataConfig(path="/gone")), {})
    imported = create(tmp_path, "imported", run.config(), {"imported": {"file": "net.pth"}})
    for other in (moved, imported):
        other.best_weights.parent.mkdir()
        other.best_weights.touch()
    for argv, reason in (
        ([run.path], "--format"),
        ([run.path, "--format", "onyx"], "onyx.*savedmodel.*keras.*litert_int8.*onnx"),
        ([run.path, "--format", "keras", "savedmodel", "--output", tmp_path / "new"], "--output"),
        ([run.path, "--format", "keras", "--output", moved.config_file / "x.keras"], "--output.*config.yaml"),
        ([run.path, "--format", "litert_int8", "--output", tmp_path / "new.int8"], "new.int8.*.tflite"),
        ([run.path, "--format", "litert_int8", "--calibration", "0"], "--calibration.*0"),
        ([moved.path, "--format", "litert_int8"], "litert_int8.*/gone.*--data"),
        ([imported.path, "--format", "litert_int8"], "litert_int8.*imported.*--data"),
        (
            [run.path, "--format", "keras", "--output", tmp_path / "new.keras", "--weights", "last"],
            "last",
        ),
        ([tmp_path / "absent", "--format", "keras"], "absent"),
        ([tmp_path, "--format", "keras"], "config.yaml"),
    ):
        with pytest.raises(UserError, match=reason):
            export.main([str(arg) for arg in argv])


def test_help_and_refusals_do_not_import_tensorflow(tmp_path):
    code = (
        "import sys\n"
        "from rac_unet import export\nfrom rac_unet.core import errors\n"
        "for argv in (['--help'], [sys.argv[1], '--format', 'keras']):\n"
        "    try: export.main(argv)\n"
        "    except (SystemExit, errors.UserError): pass\n"
        "print('heavy:', sorted({'tensorflow', 'keras', 'pandas', 'cv2'} & set(sys.modules)))\n"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=True)
    assert "--overwrite" in done.stdout and done.stdout.endswith("heavy: []\n")
