"""Estimate the cost of a training after warm-up: parameters, memory, rate, hours, Kaggle sessions."""

from __future__ import annotations

import math

import keras

# Kaggle ends a session after 12 hours; starting and saving take half an hour of them.
KAGGLE_HOURS = 11.5
# Peak memory of the forward and backward pass, relative to the layers' outputs: all outputs are kept for the gradients,
# and gradients and intermediate results need as much again.
HELD = 2.0


def memory_estimate(model: keras.Model, batch_size: int, half: bool, ema: bool) -> int:
    """Estimate the bytes that training needs on one device, from shapes only.

    For RAC-UNET with 64 filters, 128 px and batches of 8 the estimate is 4.7 GB; the process used 4.9 GB in total. XLA,
    cuDNN and the extractor of a perceptual loss are not included.

    Args:
        model: the network.
        batch_size: pairs per batch on that device.
        half: whether layers compute in half precision.
        ema: whether averaged weights are kept.
    """
    weights = 4 * model.count_params()
    # Weights, gradients, Adam's two moments, averaged weights.
    state = weights * (4 + ema)
    return state + values_estimate(model, batch_size, half)


def values_estimate(model: keras.Model, batch_size: int, half: bool) -> int:
    """Estimate the bytes of a network's activations on one device; arguments as for `memory_estimate`."""
    values = 0
    for layer in model.layers:
        if not isinstance(layer, keras.layers.InputLayer):
            values += sum(math.prod(tensor.shape[1:]) for tensor in keras.tree.flatten(layer.output))
    return int(HELD * values * batch_size * (2 if half else 4))


def budget_line(parameters: int, memory: int, rate: float, hours: float, session_hours: float) -> str:
    """Return the log line about the cost of a training.

    Args:
        parameters: number of parameters.
        memory: bytes on one device.
        rate: images per second.
        hours: time to the end, including validation.
        session_hours: length of a session; 0 for Kaggle's.
    """
    session = session_hours or KAGGLE_HOURS
    count = max(1, math.ceil(hours / session))
    minutes = f"{60 * hours:.0f} minutes" if hours >= 1 / 30 else f"{3600 * hours:.0f} s"
    long = f"{hours:.1f} hours" if hours >= 1 else minutes
    which = f"of {session:g} h" if session_hours else f"of {KAGGLE_HOURS:g} h on Kaggle"
    return (
        f"budget   {parameters:,} parameters, about {_bytes(memory)} of memory a device, {rate:.1f} images/s after "
        f"warm-up, {long} to the end: {count} session{'s' * (count > 1)} {which}"
    )


def _bytes(count: int) -> str:
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{max(1, round(count / 1e6)):,} MB"
