"""Write a network as a .tflite file: in float32, with float16 or int8 weights, or all in int8."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np

from rac_unet.core.errors import UserError
from rac_unet.exporting.tensorflow_writing import quiet_converter, write_saved_model
from rac_unet.runtime.interface import SIGNATURE

# What takes nearly all of a network's time. Left in float32, int8 would gain nothing.
HEAVY = ("CONV_2D", "TRANSPOSE_CONV", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "BATCH_MATMUL")
# Where float32 comes in and goes out.
_BORDER = ("QUANTIZE", "DEQUANTIZE")


def write_lite_float32(model, path: Path) -> None:
    """Weights and arithmetic in float32."""
    _write(model, path, lambda converter, tf: None)


def write_lite_float16(model, path: Path) -> None:
    """Weights in float16, half the size; the arithmetic is float32 where the processor has nothing else."""

    def choose(converter, tf) -> None:
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.target_spec.supported_types = [tf.float16]

    _write(model, path, choose)


def write_lite_weights8(model, path: Path) -> None:
    """Weights in int8, a quarter of the size; what flows between them stays float32, so nothing is calibrated."""

    def choose(converter, tf) -> None:
        converter.optimizations = [tf.lite.Optimize.DEFAULT]

    _write(model, path, choose)


def write_lite_int8(model, path: Path, calibration: dict[str, np.ndarray]) -> None:
    """Weights and arithmetic in int8; what goes in and comes out stays float32.

    Args:
        calibration: input name -> (N, …) float32, pictures as the network will see them.
    Raises: UserError when an operation that takes most of the time could not be converted.
    """
    names = list(model.input)

    def examples():
        # By name: positions are not in one order from Keras to LiteRT.
        for i in range(len(calibration[names[0]])):
            yield {name: calibration[name][i : i + 1] for name in names}

    def choose(converter, tf) -> None:
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.representative_dataset = examples
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]

    _write(model, path, choose)
    if left := sorted(set(float_operations(path.read_bytes())) & set(HEAVY)):
        raise UserError(
            f"{', '.join(left)} would still compute in float32, so that int8 would gain nothing", "unsupported"
        )


def float_operations(content: bytes) -> list[str]:
    """Names of the operations of a .tflite file that compute in float32; input and output conversions not counted."""
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
    """One picture at a time: with every shape fixed, memory is planned once and all operations go to one delegate."""
    import tensorflow as tf

    with tempfile.TemporaryDirectory() as folder, quiet_converter():
        # From a Keras model the converter mixes up the inputs.
        write_saved_model(model, Path(folder, "model"), batch=1)
        converter = tf.lite.TFLiteConverter.from_saved_model(str(Path(folder, "model")), signature_keys=[SIGNATURE])
        choose(converter, tf)
        content = converter.convert()
    path.write_bytes(content)
