"""Open a network in an .onnx file with ONNX Runtime; TensorFlow is never imported."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from rac_unet.core.errors import UserError, one_line
from rac_unet.core.extras import install_command
from rac_unet.runtime.interface import Opened


def open_onnx(path: Path, threads: int) -> Opened:
    """Open an .onnx file.

    Args:
        threads: number of threads for ONNX Runtime.
    Raises: UserError when ONNX Runtime is not installed, or the file is damaged.
    """
    try:
        import onnxruntime
    except ImportError as error:
        raise UserError(
            f"running {path} needs ONNX Runtime ({one_line(error)}); {install_command('export')}", "missing_extra"
        ) from None
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    # Fatal messages only: errors are raised as exceptions.
    options.log_severity_level = 4
    try:
        session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # ONNX Runtime has a class for each kind of error
        raise UserError(
            f"{path} cannot be loaded as an .onnx file ({one_line(error)}); it is damaged, or was made for a newer "
            f"ONNX Runtime than {onnxruntime.__version__}; export it again",
            "unreadable",
        ) from error
    others = sorted({node.type for node in (*session.get_inputs(), *session.get_outputs())} - {"tensor(float)"})
    if others:
        raise UserError(
            f"{path} has inputs or outputs of type {', '.join(others)} instead of float32; export it again",
            "unsupported",
        )
    names = [node.name for node in session.get_outputs()]

    def call(given: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        try:
            return dict(zip(names, session.run(names, given), strict=True))
        except Exception as error:  # as above
            raise UserError(
                f"{path} is damaged and cannot be run ({one_line(error)}); export it again", "unreadable"
            ) from error

    return Opened({node.name: tuple(node.shape) for node in session.get_inputs()}, tuple(names), call)
