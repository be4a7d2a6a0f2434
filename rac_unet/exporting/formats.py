"""The formats a network can be exported to: how each is written, loaded, and how alike it must be."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from rac_unet.exporting.lite_writing import write_lite_float16, write_lite_float32, write_lite_int8
from rac_unet.exporting.onnx_writing import check_onnx_installed, write_onnx
from rac_unet.exporting.tensorflow_writing import write_keras, write_saved_model

# Of the largest output, or of 1 where that is less: a fortieth of one of 255 grey levels. Fused kernels and other
# orders of summation differ by about 1e-6.
TOLERANCE = 1e-4
# What a SavedModel folder may hold; a folder with anything else in it is never replaced.
_SAVED_MODEL_ENTRIES = {"saved_model.pb", "fingerprint.pb", "variables", "assets", "assets.extra"}


@dataclass(frozen=True)
class Format:
    """One way to write a network.

    Attributes:
        file_name: default name in the run's export folder; `{model}` stands for the network's name.
        write: (keras.Model, path) -> None; where `calibrated`, (keras.Model, path, calibration pictures) -> None.
        lines: code that loads it and makes `outputs`, with `{path}` and `{inputs}` to fill in.
        item: how one entry of `{inputs}` is written, from `{name}`.
        meaning: for `--help`.
        tolerance: largest difference from the run's network, relative to its largest output; None where its numbers
            are coarser, and pictures must be alike by `least_psnr` instead.
        least_psnr: dB that each output picture must have against the run's network's.
        one_by_one: whether it takes one picture at a time.
        calibrated: whether writing it needs pictures of the training split.
        check_installed: raises UserError where a package is missing.
    """

    file_name: str
    write: Callable
    lines: tuple[str, ...]
    item: str
    meaning: str
    tolerance: float | None = TOLERANCE
    least_psnr: float | None = None
    one_by_one: bool = False
    calibrated: bool = False
    check_installed: Callable[[], None] = lambda: None

    def loading_lines(self, path: Path, inputs) -> list[str]:
        """Python lines that load the export from `path` and run it on variables named as the inputs."""
        given = ", ".join(self.item.format(name=name) for name in inputs)
        return [line.format(path=repr(str(path)), inputs=given) for line in self.lines]

    @property
    def ending(self) -> str:
        """Of its file's name; empty for a folder."""
        return Path(self.file_name).suffix

    def is_older_export(self, path: Path) -> bool:
        """Whether what is at the path may be replaced."""
        if self.ending:
            return path.is_file()
        return path.is_dir() and {entry.name for entry in path.iterdir()} <= _SAVED_MODEL_ENTRIES


_LITE_LINES = (
    "from ai_edge_litert.interpreter import Interpreter",
    'network = Interpreter(model_path={path}).get_signature_runner("serving_default")',
    "outputs = network({inputs})",
)

FORMATS = {
    "savedmodel": Format(
        "savedmodel",
        write_saved_model,
        (
            "import tensorflow as tf",
            "model = tf.saved_model.load({path})",
            'outputs = model.signatures["serving_default"]({inputs})',
        ),
        "{name}=tf.constant({name})",
        "a folder for TensorFlow and its servers",
    ),
    "keras": Format(
        "{model}.keras",
        write_keras,
        (
            "import keras",
            "model = keras.saving.load_model({path}, compile=False)",
            "outputs = model({{{inputs}}}, training=False)",
        ),
        '"{name}": {name}',
        "one file for the same or a newer Keras",
    ),
    "litert_float32": Format(
        "{model}_float32.tflite", write_lite_float32, _LITE_LINES, "{name}={name}", "a .tflite file, no TensorFlow",
        one_by_one=True,
    ),
    "litert_float16": Format(
        "{model}_float16.tflite", write_lite_float16, _LITE_LINES, "{name}={name}",
        "the same, half the size: float16 weights", tolerance=None, least_psnr=50.0, one_by_one=True,
    ),
    "litert_int8": Format(
        "{model}_int8.tflite", write_lite_int8, _LITE_LINES, "{name}={name}",
        "the same, a quarter of the size and fastest: all in int8, calibrated on training pictures",
        tolerance=None, least_psnr=30.0, one_by_one=True, calibrated=True,
    ),
    "onnx": Format(
        "{model}.onnx",
        write_onnx,
        (
            "import onnxruntime",
            'network = onnxruntime.InferenceSession({path}, providers=["CPUExecutionProvider"])',
            "names = [output.name for output in network.get_outputs()]",
            "outputs = dict(zip(names, network.run(names, {{{inputs}}})))",
        ),
        '"{name}": {name}',
        "one file for ONNX Runtime; needs pip install 'rac_unet[export]'",
        check_installed=check_onnx_installed,
    ),
}  # fmt: skip
