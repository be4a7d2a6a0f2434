"""Export formats: how each is written and loaded, and how closely it must agree with the original network."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from rac_unet.exporting.lite_writing import write_lite_float16, write_lite_float32, write_lite_int8
from rac_unet.exporting.onnx_writing import check_onnx_installed, write_onnx
from rac_unet.exporting.tensorflow_writing import write_keras, write_saved_model

# Relative to the largest output, at least 1; 1e-4 is a fortieth of a grey level. Fused kernels and other orders of
# summation differ by about 1e-6.
TOLERANCE = 1e-4
# Entries of a SavedModel folder; a folder with any other entry is never replaced.
_SAVED_MODEL_ENTRIES = {"saved_model.pb", "fingerprint.pb", "variables", "assets", "assets.extra"}


@dataclass(frozen=True)
class Format:
    """An export format.

    Attributes:
        file_name: default name in the run's export folder; `{model}` is replaced by the network's name.
        write: (keras.Model, path) -> None; if `calibrated`, (keras.Model, path, calibration images) -> None.
        lines: Python code that loads the export and computes `outputs`, with the fields `{path}` and `{inputs}`.
        item: template of one entry of `{inputs}`, with the field `{name}`.
        meaning: description in `--help`.
        tolerance: largest allowed difference from the run's network, relative to its largest output; None for a format
            of lower precision, which is checked by `least_psnr` instead.
        least_psnr: PSNR in dB that each output image must reach against the run's network.
        one_by_one: whether the export takes one image at a time.
        calibrated: whether writing needs images of the training split.
        check_installed: function that raises UserError if a package is missing.
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
        """Return Python lines that load the export from `path` and run it on variables named like the inputs."""
        given = ", ".join(self.item.format(name=name) for name in inputs)
        return [line.format(path=repr(str(path)), inputs=given) for line in self.lines]

    @property
    def ending(self) -> str:
        """Suffix of the file name; empty for a folder."""
        return Path(self.file_name).suffix

    def is_older_export(self, path: Path) -> bool:
        """Return whether the path is an export that may be replaced."""
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
        "a folder for TensorFlow and TensorFlow Serving",
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
        "a .keras file for Keras 3.13.2 or newer",
    ),
    "litert_float32": Format(
        "{model}_float32.tflite",
        write_lite_float32,
        _LITE_LINES,
        "{name}={name}",
        "a .tflite file, which runs without TensorFlow",
        one_by_one=True,
    ),
    "litert_float16": Format(
        "{model}_float16.tflite",
        write_lite_float16,
        _LITE_LINES,
        "{name}={name}",
        "a .tflite file with float16 weights, half the size",
        tolerance=None,
        least_psnr=50.0,
        one_by_one=True,
    ),
    "litert_int8": Format(
        "{model}_int8.tflite",
        write_lite_int8,
        _LITE_LINES,
        "{name}={name}",
        "a .tflite file in int8, a quarter of the size and the fastest; calibrated on training pictures",
        tolerance=None,
        least_psnr=30.0,
        one_by_one=True,
        calibrated=True,
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
        "an .onnx file for ONNX Runtime; needs pip install 'rac_unet[export]'",
        check_installed=check_onnx_installed,
    ),
}
