"""Read the weights of a .tflite file, 8-bit or float, and load them into a Keras network.

A converter folds each batch norm that follows a convolution into it, and may round weights to 8 bits. Layers are found
by the names that the converter gives to tensors, `NETWORK_1/LAYER_1/convolution`. Reading never imports TensorFlow.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from rac_unet.core.errors import UserError, one_line
from rac_unet.core.registry import MODELS
from rac_unet.models.importing.torch_names import shortened

if TYPE_CHECKING:
    import keras

# Operations with weights (their second input): the Keras layer, the bias's position among the inputs, and the order of
# axes that turns the weights into a Keras kernel.
_WEIGHTED = {
    "CONV_2D": ("Conv2D", 2, (1, 2, 3, 0)),
    "TRANSPOSE_CONV": ("Conv2DTranspose", 3, (1, 2, 0, 3)),
    "FULLY_CONNECTED": ("Dense", 2, (1, 0)),
}
# `filters` of a network, divided by the channels of its first convolution; 1 for networks not listed.
_FILTERS_PER_CHANNEL = {"rac_unet": 2}


@dataclass(frozen=True)
class LiteOperation:
    """One operation of a .tflite file that has constants.

    Attributes:
        kind: its name in LiteRT, such as `CONV_2D`.
        names: layers that its tensors are named after, the most reliable first: weights, then bias and output.
        constants: position among the inputs -> float32 array, dequantised.
    """

    kind: str
    names: tuple[frozenset[str], ...]
    constants: dict[int, np.ndarray]


@dataclass(frozen=True)
class LiteWeights:
    """The constants of a .tflite file.

    Attributes:
        path: the file.
        network: name in `rac_unet.core.registry.MODELS` of the network it was made from; None if unknown.
        operations: the operations with constants, in the order in which they run.
    """

    path: Path
    network: str | None
    operations: tuple[LiteOperation, ...]

    @property
    def filters(self) -> int | None:
        """The network's `filters`, derived from its first convolution; None if it has no convolution."""
        first = next((each.constants[1] for each in self.operations if each.kind == "CONV_2D"), None)
        return None if first is None else len(first) * _FILTERS_PER_CHANNEL.get(self.network, 1)


def read_lite(path: Path) -> LiteWeights:
    """Read the constants of a .tflite file.

    Raises: UserError when the file cannot be read, or stores its weights in a format that is not supported.
    """
    from ai_edge_litert import schema_py_generated as schema

    kinds = {value: name for name, value in vars(schema.BuiltinOperator).items() if isinstance(value, int)}
    try:
        model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(Path(path).read_bytes(), 0))
        graph = model.subgraphs[0]
        codes = [kinds[max(code.builtinCode, code.deprecatedBuiltinCode)] for code in model.operatorCodes]
        # Each 16-bit weight has an operation of its own that converts it to 32 bits.
        source = {
            each.outputs[0]: each.inputs[0] for each in graph.operators if codes[each.opcodeIndex] == "DEQUANTIZE"
        }
        found = []
        for operation in graph.operators:
            constants = {}
            for position, tensor in enumerate(operation.inputs):
                if tensor < 0:
                    continue
                value = _constant(model, graph.tensors[source.get(tensor, tensor)], path)
                if value is not None:
                    constants[position] = value
            kind = codes[operation.opcodeIndex]
            if constants and kind != "DEQUANTIZE":
                inputs = [source.get(t, t) for t in operation.inputs]
                weights = [inputs[1]] if kind in _WEIGHTED else []
                rest = [t for position, t in enumerate(inputs) if position in constants and t not in weights]
                names = tuple(
                    frozenset().union(*(_layers_named(graph.tensors[t].name.decode()) for t in group))
                    for group in (weights, [*rest, *operation.outputs])
                )
                found.append(LiteOperation(kind, names, constants))
        scopes = [piece.split("/")[0] for t in graph.tensors for piece in t.name.decode().split(";")]
    except UserError:
        raise
    except Exception as error:  # struct.error, IndexError, KeyError, TypeError, ValueError, … depending on the damage
        raise UserError(
            f"{path} is a damaged .tflite file ({one_line(error)}); export it again", "unreadable"
        ) from None
    named = [name for scope in scopes if (name := re.sub(r"_\d+$", "", scope)) in MODELS]
    return LiteWeights(Path(path), max(set(named), key=named.count) if named else None, tuple(found))


def assign_weights(model: keras.Model, lite: LiteWeights) -> None:
    """Load the weights of a file into a Keras network, so that it computes the same at inference.

    The scale of a folded batch norm stays in the kernel before it, and its shift goes into beta; its statistics are set
    to mean 0 and variance 1.
    Raises: UserError naming the layers when the file belongs to another network.
    """
    import keras

    layers = {layer.name: layer for layer in model.layers if hasattr(layer, "kernel")}
    norms = {layer.name: layer for layer in model.layers if isinstance(layer, keras.layers.BatchNormalization)}
    folded = _folded(model, norms)
    for operation in (each for each in lite.operations if each.kind in _WEIGHTED):
        _, bias_at, axes = _WEIGHTED[operation.kind]
        layer = layers.pop(_layer_of(operation, layers, folded, lite.path))
        kernel = operation.constants[1].transpose(axes)
        if kernel.shape != tuple(layer.kernel.shape):
            raise UserError(
                f"{lite.path} belongs to another network: {layer.name} has weights {kernel.shape} in the file and "
                f"{tuple(layer.kernel.shape)} in this network; use the model settings that the file was made with",
                "mismatch",
            )
        layer.kernel.assign(kernel)
        bias = operation.constants.get(bias_at, np.zeros(1)).ravel()
        if (norm := norms.pop(folded.get(layer.name), None)) is not None:
            _set_norm(norm, np.ones(1), bias)
            bias = np.zeros(1)
        if layer.use_bias:
            layer.bias.assign(np.broadcast_to(bias, layer.bias.shape))
    for name in list(norms):
        # A batch norm is not folded where the convolution before it has other users; MUL and ADD remain of it.
        product, addend = (_single(lite, kind, name) for kind in ("MUL", "ADD"))
        if product is not None or addend is not None:
            _set_norm(
                norms.pop(name), np.ones(1) if product is None else product, np.zeros(1) if addend is None else addend
            )
    if layers or norms:
        raise UserError(
            f"{lite.path} belongs to another network, or was written by an unknown converter: it has no weights for "
            f"{shortened([*layers, *norms])}; export it with rac_unet.export",
            "mismatch",
        )


def _folded(model: keras.Model, norms: dict) -> dict[str, str]:
    """Return layer name -> name of the batch norm that is the only user of the layer's output."""
    import keras

    users: dict[int, list[str]] = {}
    for layer in model.layers:
        for node in layer._inbound_nodes:
            for tensor in node.input_tensors:
                users.setdefault(id(tensor), []).append(layer.name)
    outputs = {id(tensor) for tensor in keras.tree.flatten(model.outputs)}
    return {
        layer.name: users[id(layer.output)][0]
        for layer in model.layers
        if hasattr(layer, "kernel") and id(layer.output) not in outputs
        if len(users.get(id(layer.output), ())) == 1 and users[id(layer.output)][0] in norms
    }


def _layer_of(operation: LiteOperation, layers: dict, folded: dict[str, str], path: Path) -> str:
    """Return the name of the layer that an operation was made from; its tensors may be named after several layers."""
    candidates = {name for name, layer in layers.items() if type(layer).__name__ == _WEIGHTED[operation.kind][0]}
    for aliases in (lambda name: {name}, lambda name: {folded.get(name)}):
        for names in operation.names:
            found = [name for name in candidates if aliases(name) & names]
            if len(found) == 1:
                return found[0]
    named = sorted(frozenset().union(*operation.names) - {None})
    raise UserError(
        f"{path} belongs to another network: its {operation.kind} with weights {operation.constants[1].shape}, named "
        f"after {shortened(named) or 'nothing'}, matches no layer; use the model settings that the file was made with",
        "mismatch",
    )


def _single(lite: LiteWeights, kind: str, name: str) -> np.ndarray | None:
    """Return the constant of the operation of this kind that is named after a layer; None unless there is just one."""
    found = [each for each in lite.operations if each.kind == kind and name in each.names[1]]
    return next(iter(found[0].constants.values())).ravel() if len(found) == 1 else None


def _set_norm(norm, product: np.ndarray, addend: np.ndarray) -> None:
    """Set a batch norm to multiply by `product` and add `addend`, with neutral statistics."""
    shape = norm.gamma.shape
    norm.gamma.assign(np.broadcast_to(product * np.sqrt(1 + norm.epsilon), shape))
    norm.beta.assign(np.broadcast_to(addend, shape))
    norm.moving_mean.assign(np.zeros(shape))
    norm.moving_variance.assign(np.ones(shape))


def _layers_named(text: str) -> Iterator[str]:
    """Yield the layer names in a tensor's name, also without the number that Keras appends to repeated calls."""
    for piece in re.findall(r"[^/;]+", text):
        yield piece
        yield re.sub(r"_\d+$", "", piece)


def _constant(model, tensor, path: Path) -> np.ndarray | None:
    """Return a constant tensor as float32, dequantised; None for computed tensors, shapes and other integers."""
    content = model.buffers[tensor.buffer].data
    if content is None or not len(content):
        return None
    kinds = {0: np.float32, 1: np.float16, 2: np.int32, 3: np.uint8, 4: np.int64, 7: np.int16, 9: np.int8}
    scale = None if tensor.quantization is None else tensor.quantization.scale
    is_scaled = scale is not None and len(scale) > 0
    if tensor.type not in kinds or tensor.sparsity is not None:
        raise UserError(
            f"{path}: {tensor.name.decode()} is stored in an unsupported format (type {tensor.type}"
            f"{', sparse' if tensor.sparsity is not None else ''}); export the network in float32, float16 or int8",
            "unsupported",
        )
    shape = () if tensor.shape is None else tuple(int(side) for side in tensor.shape)
    value = np.frombuffer(bytes(content), kinds[tensor.type]).reshape(shape)
    if not is_scaled:
        return value.astype(np.float32) if value.dtype.kind == "f" else None
    along = [1] * value.ndim
    if len(scale) > 1:
        along[tensor.quantization.quantizedDimension] = len(scale)
    scale = np.asarray(scale, np.float64).reshape(along if len(scale) > 1 else ())
    zero = tensor.quantization.zeroPoint
    zero = 0 if zero is None or not len(zero) else np.asarray(zero, np.float64)
    zero = np.reshape(zero, along) if np.size(zero) > 1 else np.float64(np.ravel(zero)[0])
    return ((value - zero) * scale).astype(np.float32)
