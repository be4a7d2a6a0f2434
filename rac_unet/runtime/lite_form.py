"""A network in a .tflite file, run by LiteRT; TensorFlow is never imported."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

import numpy as np

from rac_unet.core.errors import UserError, one_line
from rac_unet.core.quiet import silenced_stderr
from rac_unet.runtime.interface import SIGNATURE, Opened

# Comes with the package, so it is not tried out first.
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
    """Open a .tflite file for one picture at a time.

    Pictures of a batch are run one after the other. LiteRT plans memory and packs weights anew for every batch size,
    and on a processor a larger batch is no faster.

    Args:
        threads: how many LiteRT may use.
    Raises: UserError when the file is damaged, or holds no network that can be called by names.
    """
    from ai_edge_litert.interpreter import Interpreter

    _check_beginning(path)
    if path.resolve().parent != _OWN:
        _try_out(path)
    # What goes wrong with standard error is no fault of the file.
    with silenced_stderr():
        try:
            network = Interpreter(model_path=str(path), num_threads=threads)
            network.allocate_tensors()
            signatures = network.get_signature_list()
            runner = network.get_signature_runner(SIGNATURE) if SIGNATURE in signatures else None
            inputs, outputs = (runner.get_input_details(), runner.get_output_details()) if runner else ({}, {})
        except Exception as error:  # ValueError, RuntimeError and whatever a delegate raises
            raise UserError(
                f"{path} cannot be loaded as a .tflite file ({one_line(error)}); it is damaged, or was made by a newer "
                "converter than this LiteRT knows; export it again",
                "unreadable",
            ) from error
    if runner is None:
        raise UserError(
            f"{path} is a .tflite file without the signature {SIGNATURE}, so its inputs have no names; export it again",
            "unsupported",
        )
    shapes = {name: tuple(int(side) for side in _declared(detail)) for name, detail in inputs.items()}
    for name, shape in shapes.items():
        if not shape or shape[0] not in (-1, 1):
            raise UserError(
                f"{path} takes {name} in the fixed shape {shape}; export it again for one picture at a time",
                "unsupported",
            )
    others = sorted({np.dtype(d["dtype"]).name for d in (*inputs.values(), *outputs.values())} - {"float32"})
    if others:
        raise UserError(
            f"{path} speaks {', '.join(others)}, not float32; export it again with float32 at both ends", "unsupported"
        )
    # An interpreter has one set of tensors: two callers at a time would read each other's pictures.
    lock = threading.Lock()

    def call(given: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        count = len(next(iter(given.values())))
        try:
            with lock:
                results = [runner(**{name: value[i : i + 1] for name, value in given.items()}) for i in range(count)]
        except (RuntimeError, ValueError) as error:
            raise UserError(
                f"{path} cannot be run ({one_line(error)}); it is damaged: export it again", "unreadable"
            ) from error
        if count == 1:
            return results[0]
        return {name: np.concatenate([result[name] for result in results]) for name in results[0]}

    return Opened(shapes, tuple(outputs), call)


def _declared(detail: dict) -> np.ndarray:
    """A tensor's shape as the file has it, -1 where it may change; scalars have none."""
    return detail["shape_signature"] if len(detail["shape_signature"]) else detail["shape"]


def _check_beginning(path: Path) -> None:
    """Refuse what is surely no .tflite file: LiteRT's own message names no file."""
    with path.open("rb") as file:
        beginning = file.read(8)
    if beginning[4:] != b"TFL3":
        raise UserError(f"{path} is not a .tflite file, or a damaged one; export it again", "unreadable")


def _try_out(path: Path) -> None:
    """Refuse what LiteRT does not survive: some damaged files end the whole process, which no Python code can prevent.

    So another process, which takes a fifth of a second to start, opens and runs it first. What it says of a file that
    it merely cannot open is left for this one to find out.
    """
    if not sys.executable:
        return
    # -P: nothing is imported from the working directory.
    command = [sys.executable, "-P", "-c", _TRIAL, str(path)]
    try:
        died = subprocess.run(command, capture_output=True, timeout=_TRIAL_SECONDS).returncode < 0
    except subprocess.TimeoutExpired:
        died = True
    if died:
        raise UserError(
            f"{path} is a damaged .tflite file, which LiteRT cannot open or run; export it again", "unreadable"
        )
