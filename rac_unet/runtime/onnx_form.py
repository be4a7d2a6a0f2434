"""A network in an .onnx file, run by ONNX Runtime; TensorFlow is never imported."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from rac_unet.core.errors import UserError, one_line
from rac_unet.runtime.interface import Opened

INSTALL = "pip install 'rac_unet[export]'"


def open_onnx(path: Path, threads: int) -> Opened:
    """Open an .onnx file.

    Args:
        threads: how many ONNX Runtime may use.
    Raises: UserError when ONNX Runtime is not installed, or the file is damaged.
    """
    try:
        import onnxruntime
    except ImportError as error:
        raise UserError(f"running {path} needs ONNX Runtime ({one_line(error)}); {INSTALL}", "missing_extra") from None
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    # Errors alone: what is wrong comes as an exception.
    options.log_severity_level = 4
    try:
        session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # its own classes, by what is wrong
        raise UserError(
            f"{path} cannot be loaded as an .onnx file ({one_line(error)}); it is damaged, or was made for a newer "
            f"ONNX Runtime than {onnxruntime.__version__}; export it again",
            "unreadable",
        ) from error
    others = sorted({node.type for node in (*session.get_inputs(), *session.get_outputs())} - {"tensor(float)"})
    if others:
        raise UserError(f"{path} speaks {', '.join(others)}, not float32; export it again", "unsupported")
    names = [node.name for node in session.get_outputs()]

    def call(given: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        try:
            return dict(zip(names, session.run(names, given), strict=True))
        except Exception as error:  # as above
            raise UserError(
                f"{path} cannot be run ({one_line(error)}); it is damaged: export it again", "unreadable"
            ) from error

    return Opened({node.name: tuple(node.shape) for node in session.get_inputs()}, tuple(names), call)
