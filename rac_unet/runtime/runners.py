"""Open a trained network of any format as one callable with the same named inputs and outputs.

Scoring, prediction and comparison take a run directory or an export of one; only this module distinguishes the formats.
TensorFlow, LiteRT or ONNX Runtime is imported only when a network is opened, so that a mistyped path is reported at
once.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from rac_unet.core.emotions import EMOTIONS
from rac_unet.core.errors import UserError, require
from rac_unet.core.rundir import RunDir, open_run
from rac_unet.runtime.interface import EMOTION, IMAGE, Call, Opened, available_cores, check_interface
from rac_unet.runtime.keras_forms import limit_threads, open_keras_file, open_model, open_saved_model
from rac_unet.runtime.lite_form import open_lite
from rac_unet.runtime.onnx_form import open_onnx
from rac_unet.runtime.run_weights import load_network


@dataclass(frozen=True)
class Runner:
    """A loaded network; made by `load_runner`.

    Attributes:
        name: its file or folder.
        kind: `run`, `keras`, `savedmodel`, `litert` or `onnx`.
        image_size: side S of the square input image, in pixels.
        conditioned: whether it has an emotion input.
        parameters: number of weights, including batch norm statistics; None if the file format does not tell.
        megabytes: size on disk of the run's weights file, the exported file or the SavedModel folder.
        graph: function that returns its concrete function; None without TensorFlow.
        outputs: names of its outputs.
    """

    name: str
    kind: str
    image_size: int
    conditioned: bool
    call: Call
    parameters: int | None = 0
    megabytes: float = 0.0
    graph: Callable[[], Any] | None = None
    outputs: tuple[str, ...] = ()

    def __call__(self, masked_image: np.ndarray, emotion: np.ndarray | None = None) -> dict[str, np.ndarray]:
        """Run the network.

        Args:
            masked_image: float32 (B, S, S, 3) in [0, 1].
            emotion: float32 (B, 7), one-hot in the order of `rac_unet.core.emotions.EMOTIONS`; a row of zeros means no
                emotion. Ignored by a network without that input.
        Returns: output name -> array, for all outputs. `inpainted_image` is float32 (B, S, S, 3); networks that are
            not mask-aware do not bound it, so clip it to [0, 1].
        Raises: UserError when shape, type or range are wrong, or when an output is not finite.
        """
        size = self.image_size
        image = np.asarray(masked_image)
        if image.ndim != 4 or image.shape[1:] != (size, size, 3) or not len(image):
            raise UserError(
                f"{self.name} takes pictures of {size} x {size} px, as {IMAGE} (B, {size}, {size}, 3); "
                f"received {image.shape}; align or resize them to {size} px",
                "bad_value",
            )
        low, high = (float(image.min()), float(image.max())) if image.dtype.kind == "f" else (0.0, 0.0)
        # With bytes, or floats up to 255, the network would return nonsense without an error.
        if image.dtype.kind != "f" or not (low >= -1e-3 and high <= 1 + 1e-3):
            found = f"{image.dtype}" + (f" in [{low:g}, {high:g}]" if image.dtype.kind == "f" else "")
            raise UserError(
                f"{self.name}: {IMAGE} should be float32 in [0, 1]; received {found}; divide bytes by 255", "bad_value"
            )
        inputs = {IMAGE: image.astype(np.float32, copy=False)}
        if self.conditioned:
            wanted = (len(image), len(EMOTIONS))
            shape = None if emotion is None else np.shape(emotion)
            if shape != wanted:
                raise UserError(
                    f"{self.name} takes an {EMOTION} for each picture, one-hot {wanted} in the order "
                    f"{', '.join(EMOTIONS)}; received {shape}; a row of zeros means no emotion",
                    "bad_value",
                )
            inputs[EMOTION] = np.asarray(emotion, np.float32)
        outputs = self.call(inputs)
        for name, value in outputs.items():
            broken = np.flatnonzero(~np.isfinite(value).all(axis=tuple(range(1, value.ndim))))
            if len(broken):
                raise UserError(
                    f"{self.name} returns values that are not numbers in {name} ({len(broken)} of {len(image)} "
                    f"pictures, first number {broken[0] + 1} of its batch): its weights are broken; use another "
                    "checkpoint, or train it again with a lower learning rate",
                    "diverged",
                )
        return outputs

    def flops(self) -> int | None:
        """Return floating-point operations per image, a multiply-add as two; None without a TensorFlow graph."""
        if self.graph is None:
            return None
        from rac_unet.models.cost import graph_flops

        return graph_flops(self.graph())


def load_runner(path: str | os.PathLike, threads: int | None = None) -> Runner:
    """Load a run directory (its best weights), a SavedModel folder, or a `.keras`, `.tflite` or `.onnx` file.

    Args:
        threads: number of threads; by default one per core. TensorFlow has one setting for the whole process, and
            accepts it only before it has started to compute.
    Raises: UserError when the path does not exist, has none of these formats, is damaged, or is a network with other
        inputs or outputs; when what runs it is not installed; when `threads` is less than 1 or set too late.
    """
    path = Path(path)
    if threads is not None and threads < 1:
        raise UserError(f"a network needs 1 thread or more; received {threads}", "bad_value")
    refuse_unknown(path)
    kind, _, _, opener = next(row for row in FORMS if row[2](path))
    if kind not in OWN_THREADS:
        require(f"running {path}", "train")
    elif threads is None:
        threads = available_cores()
    opened = opener(path, threads)
    size, conditioned = check_interface(path, opened)
    return Runner(
        str(path),
        kind,
        size,
        conditioned,
        opened.call,
        opened.parameters,
        _megabytes(path, kind),
        opened.graph,
        opened.outputs,
    )


def refuse_unknown(path: str | os.PathLike) -> None:
    """Raise UserError unless the path looks like something `load_runner` can open; its content is not read."""
    path = Path(path)
    if any(recognise(path) for _, _, recognise, _ in FORMS):
        return
    known = "; ".join(description for _, description, _, _ in FORMS)
    if not path.exists():
        raise UserError(f"{path} does not exist; give one of: {known}", "missing")
    run = next((folder for folder in path.absolute().parents if (folder / "config.yaml").is_file()), None)
    hint = f". It is part of the run {run}" if run else ""
    if any(path.glob("*/config.yaml")):
        hint = ". The run directories are its subfolders"
    raise UserError(f"unsupported model: {path}; give one of: {known}{hint}", "wrong_type")


def is_export(path: str | os.PathLike) -> bool:
    """Return whether the path is an exported network, not a run directory."""
    path = Path(path)
    return any(kind != "run" and recognise(path) for kind, _, recognise, _ in FORMS)


def _open_trained(path: Path, threads: int | None) -> Opened:
    run = open_run(path)
    limit_threads(threads)
    return open_model(load_network(run))


def _megabytes(path: Path, kind: str) -> float:
    return disk_bytes(RunDir(path).best_weights if kind == "run" else path) / 1e6


def disk_bytes(path: Path) -> int:
    """Return the size of a file, or of all files in a folder, in bytes."""
    files = [path] if path.is_file() else [each for each in path.rglob("*") if each.is_file()]
    return sum(each.stat().st_size for each in files)


def _is_file(ending: str) -> Callable[[Path], bool]:
    return lambda path: path.suffix == ending and path.is_file()


# kind, description, test by path only, opener: (path, threads) -> Opened. The first match counts.
FORMS = (
    (
        "savedmodel",
        "a SavedModel folder (with saved_model.pb)",
        lambda path: (path / "saved_model.pb").is_file(),
        open_saved_model,
    ),
    ("run", "a run directory (with config.yaml)", lambda path: (path / "config.yaml").is_file(), _open_trained),
    ("keras", "a .keras file", _is_file(".keras"), open_keras_file),
    ("litert", "a .tflite file", _is_file(".tflite"), open_lite),
    ("onnx", "an .onnx file", _is_file(".onnx"), open_onnx),
)
# Kinds whose number of threads is set for each network, not for the process.
OWN_THREADS = ("litert", "onnx")
