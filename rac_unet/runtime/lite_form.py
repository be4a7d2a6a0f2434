"""Open a network in a .tflite file with LiteRT; TensorFlow is never imported."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

import numpy as np

from rac_unet.core.errors import UserError, one_line
from rac_unet.core.quiet import silenced_stderr
from rac_unet.runtime.interface import SIGNATURE, Opened

# Files of the package are known to be intact and skip the trial.
_OWN = Path(__file__).resolve().parents[1] / "weights"
_TRIAL = """
import sys
from ai_edge_litert.interpreter import Interpreter
network = Interpreter(model_path=sys.argv[1], num_threads=1)
network.allocate_tensors()
network.invoke()
"""
_TRIAL_SECONDS = 300


def open_lite(path: Path, threads: int) -> Opened:
    """Open a .tflite file; the images of a batch are run one after the other.

    LiteRT plans memory and packs weights again for every batch size, and on a CPU a larger batch is not faster.

    Args:
        threads: number of threads for LiteRT.
    Raises: UserError when the file is damaged, or its network has no named inputs.
    """
    from ai_edge_litert.interpreter import Interpreter

    _check_magic(path)
    if path.resolve().parent != _OWN:
        _try_out(path)
    # Outside the try: an error in silencing standard error is not the file's fault.
    with silenced_stderr():
        try:
            network = Interpreter(model_path=str(path), num_threads=threads)
            network.allocate_tensors()
            signatures = network.get_signature_list()
            runner = network.get_signature_runner(SIGNATURE) if SIGNATURE in signatures else None
            inputs, outputs = (runner.get_input_details(), runner.get_output_details()) if runner else ({}, {})
        except Exception as error:  # ValueError, RuntimeError and the errors of delegates
            raise UserError(
                f"{path} cannot be loaded as a .tflite file ({one_line(error)}); it is damaged, or was made by a "
                "converter that is newer than this LiteRT; export it again",
                "unreadable",
            ) from error
    if runner is None:
        raise UserError(
            f"{path} is a .tflite file without the signature {SIGNATURE}, so its inputs have no names; export it again",
            "unsupported",
        )
    shapes = {name: tuple(int(side) for side in _declared(detail)) for name, detail in inputs.items()}
    _check_tensors(path, shapes, [*inputs.values(), *outputs.values()])
    # An interpreter has one set of tensors, which concurrent callers would overwrite.
    lock = threading.Lock()

    def call(given: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        count = len(next(iter(given.values())))
        try:
            with lock:
                results = [runner(**{name: value[i : i + 1] for name, value in given.items()}) for i in range(count)]
        except (RuntimeError, ValueError) as error:
            raise UserError(
                f"{path} is damaged and cannot be run ({one_line(error)}); export it again", "unreadable"
            ) from error
        if count == 1:
            return results[0]
        return {name: np.concatenate([result[name] for result in results]) for name in results[0]}

    return Opened(shapes, tuple(outputs), call)


def _check_tensors(path: Path, shapes: dict[str, tuple[int, ...]], details: list[dict]) -> None:
    """Raise UserError unless the network takes one picture at a time, in float32."""
    for name, shape in shapes.items():
        if not shape or shape[0] not in (-1, 1):
            raise UserError(
                f"{path} takes {name} in the fixed shape {shape}; export it again for one picture at a time",
                "unsupported",
            )
    others = sorted({np.dtype(detail["dtype"]).name for detail in details} - {"float32"})
    if others:
        raise UserError(
            f"{path} has inputs or outputs of type {', '.join(others)} instead of float32; export it again",
            "unsupported",
        )


def _declared(detail: dict) -> np.ndarray:
    """Return a tensor's shape as declared in the file, with -1 for a variable side."""
    return detail["shape_signature"] if len(detail["shape_signature"]) else detail["shape"]


def _check_magic(path: Path) -> None:
    """Raise UserError unless the file starts like a .tflite file; LiteRT's own message does not name the file."""
    with path.open("rb") as file:
        header = file.read(8)
    if header[4:] != b"TFL3":
        raise UserError(f"{path} is damaged, or not a .tflite file; export it again", "unreadable")


def _try_out(path: Path) -> None:
    """Open and run the file in another process first, and raise UserError if that process is killed.

    Some damaged files make LiteRT abort the whole process, which Python cannot catch. The trial process starts in a
    fifth of a second. Errors that it only raises are reported when this process opens the file.
    """
    if not sys.executable:
        return
    # -P: import nothing from the working directory.
    command = [sys.executable, "-P", "-c", _TRIAL, str(path)]
    try:
        died = subprocess.run(command, capture_output=True, timeout=_TRIAL_SECONDS).returncode < 0
    except subprocess.TimeoutExpired:
        died = True
    if died:
        raise UserError(
            f"{path} is a damaged .tflite file, which LiteRT cannot open or run; export it again", "unreadable"
        )
