"""Write a network as an .onnx file in float32 for any batch size."""

from __future__ import annotations

from pathlib import Path

from rac_unet.core.errors import require
from rac_unet.exporting.tensorflow_writing import quiet_converter, serving_function

# From 2022: supported by all current runtimes, and sufficient for these networks.
OPSET = 17


def check_onnx_installed() -> None:
    """Raise UserError unless the packages for ONNX are installed; imports none of them."""
    require("exporting to ONNX", "export")


def write_onnx(model, path: Path) -> None:
    """Write an .onnx file with the network's own names of inputs and outputs, and a variable batch size."""
    check_onnx_installed()
    with quiet_converter():
        import onnx
        import tf2onnx

        serve = serving_function(model)
        made, _ = tf2onnx.convert.from_function(serve, input_signature=serve.input_signature, opset=OPSET)
        for value in (*made.graph.input, *made.graph.output):
            value.type.tensor_type.shape.dim[0].dim_param = "batch"
        onnx.checker.check_model(made)
        onnx.save(made, str(path))
