"""Write a network as a .tflite file: in float32, with float16 or int8 weights, or entirely in int8."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np

from rac_unet.core.errors import UserError
from rac_unet.exporting.tensorflow_writing import quiet_converter, write_saved_model
from rac_unet.runtime.interface import SIGNATURE

# Operations that take nearly all of a network's time; int8 gains nothing if they stay in float32.
HEAVY = ("CONV_2D", "TRANSPOSE_CONV", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "BATCH_MATMUL")
# Conversions between float32 and int8.
_BORDER = ("QUANTIZE", "DEQUANTIZE")


def write_lite_float32(model, path: Path) -> None:
    """Write a .tflite file with float32 weights and arithmetic."""
    _write(model, path, lambda converter, tf: None)


def write_lite_float16(model, path: Path) -> None:
    """Write a .tflite file with float16 weights, half the size; it computes in float32 unless the CPU has float16."""

    def choose(converter, tf) -> None:
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.target_spec.supported_types = [tf.float16]

    _write(model, path, choose)


def write_lite_weights8(model, path: Path) -> None:
    """Write a .tflite file with int8 weights, a quarter of the size; activations stay float32 without calibration."""

    def choose(converter, tf) -> None:
        converter.optimizations = [tf.lite.Optimize.DEFAULT]

    _write(model, path, choose)


def write_lite_int8(model, path: Path, calibration: dict[str, np.ndarray]) -> None:
    """Write a .tflite file with int8 weights and arithmetic; inputs and outputs stay float32.

    Args:
        calibration: input name -> (N, …) float32, typical inputs of the network.
    Raises: UserError when an operation of `HEAVY` could not be converted.
    """
    names = list(model.input)

    def examples():
        # By name: Keras and LiteRT order the inputs differently.
        for i in range(len(calibration[names[0]])):
            yield {name: calibration[name][i : i + 1] for name in names}

    def choose(converter, tf) -> None:
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.representative_dataset = examples
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]

    _write(model, path, choose)
    if left := sorted(set(float_operations(path.read_bytes())) & set(HEAVY)):
        raise UserError(f"{', '.join(left)} would still compute in float32, and int8 would gain nothing", "unsupported")


def float_operations(content: bytes) -> list[str]:
    """Return the names of a .tflite file's operations that compute in float32, without conversions to and from int8."""
    from ai_edge_litert import schema_py_generated as schema

    names = {value: name for name, value in vars(schema.BuiltinOperator).items() if isinstance(value, int)}
    model, found = schema.Model.GetRootAs(content, 0), []
    for g in range(model.SubgraphsLength()):
        graph = model.Subgraphs(g)
        for i in range(graph.OperatorsLength()):
            operation = graph.Operators(i)
            code = model.OperatorCodes(operation.OpcodeIndex())
            name = names[max(code.BuiltinCode(), code.DeprecatedBuiltinCode())]
            tensors = [t for t in (*operation.InputsAsNumpy(), *operation.OutputsAsNumpy()) if t >= 0]
            if name not in _BORDER and schema.TensorType.FLOAT32 in {graph.Tensors(t).Type() for t in tensors}:
                found.append(name)
    return found


def _write(model, path: Path, choose) -> None:
    """Convert a network for batches of 1: with fixed shapes, LiteRT plans memory once and one delegate runs it all."""
    import tensorflow as tf

    with tempfile.TemporaryDirectory() as folder, quiet_converter():
        # Converting the Keras model directly would mix up its inputs.
        write_saved_model(model, Path(folder, "model"), batch=1)
        converter = tf.lite.TFLiteConverter.from_saved_model(str(Path(folder, "model")), signature_keys=[SIGNATURE])
        choose(converter, tf)
        content = converter.convert()
    path.write_bytes(content)
