"""What a network costs: floating-point operations of one forward pass, a multiply-add counted as two."""

from __future__ import annotations

import math

import keras


def forward_flops(model: keras.Model) -> int:
    """Operations per picture in convolutions and dense layers; the rest is under 2 % in every network here.

    Args:
        model: a functional model with fixed picture sizes.
    """
    total = 0
    for layer in model.layers:
        if isinstance(layer, keras.layers.Conv2DTranspose):
            # Every input pixel meets the whole kernel once.
            total += 2 * math.prod(layer.kernel.shape) * _pixels(layer.input.shape)
        elif isinstance(layer, keras.layers.Conv2D):
            total += 2 * math.prod(layer.kernel.shape) * _pixels(layer.output.shape)
        elif isinstance(layer, keras.layers.Dense):
            total += 2 * math.prod(layer.kernel.shape)
    return total


def _pixels(shape: tuple) -> int:
    return shape[1] * shape[2]
