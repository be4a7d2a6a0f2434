"""Write a network as an .onnx file, in float32, for any number of pictures."""

from __future__ import annotations

from pathlib import Path

from rac_unet.core.errors import UserError
from rac_unet.exporting.tensorflow_writing import quiet_converter, serving_function
from rac_unet.runtime.onnx_form import INSTALL

# Of 2022: known to every runtime in use, and all that these networks need.
OPSET = 17


def check_onnx_installed() -> None:
    """Raise UserError unless an .onnx file can be written and run here; imports none of it."""
    import importlib.util

    missing = [name for name in ("tf2onnx", "onnx", "onnxruntime") if importlib.util.find_spec(name) is None]
    if missing:
        raise UserError(f"exporting to ONNX needs {', '.join(missing)}; {INSTALL}", "missing_extra")


def write_onnx(model, path: Path) -> None:
    """Inputs and outputs by the network's own names, the batch left open."""
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
