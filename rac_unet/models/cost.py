"""Count the floating-point operations of one forward pass; a multiply-add counts as two."""

from __future__ import annotations

import math

import keras


def forward_flops(model: keras.Model) -> int:
    """Return operations per image in convolutions and dense layers; the rest is under 2 % in every network here.

    Args:
        model: a functional model with a fixed image size.
    """
    total = 0
    for layer in model.layers:
        if isinstance(layer, keras.layers.Conv2DTranspose):
            # Every input pixel is multiplied by the whole kernel once.
            total += 2 * math.prod(layer.kernel.shape) * _pixels(layer.input.shape)
        elif isinstance(layer, keras.layers.Conv2D):
            total += 2 * math.prod(layer.kernel.shape) * _pixels(layer.output.shape)
        elif isinstance(layer, keras.layers.Dense):
            total += 2 * math.prod(layer.kernel.shape)
    return total


def _pixels(shape: tuple) -> int:
    return shape[1] * shape[2]


def graph_flops(function) -> int:
    """Return operations per image of a TensorFlow graph, such as an exported network, from its operations.

    Args:
        function: a concrete function or a signature, with all shapes fixed except the batch size.
    """
    from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

    total = 0
    # Freezing also inlines the nested functions that a SavedModel consists of.
    for operation in convert_variables_to_constants_v2(function).graph.get_operations():
        tensors = {"Conv2D": (1, operation.outputs), "Conv2DBackpropInput": (1, operation.inputs[2:])}
        if operation.type in tensors:
            kernel, pixels = tensors[operation.type]
            total += 2 * math.prod(operation.inputs[kernel].shape) * _pixels(pixels[0].shape)
        elif operation.type == "MatMul":
            total += 2 * math.prod(operation.inputs[1].shape)
    return total
