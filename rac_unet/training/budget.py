"""What a training will take, said before most of it is spent: parameters, memory, rate, hours, Kaggle sessions."""

from __future__ import annotations

import math

import keras

# Kaggle ends a session after 12 hours; half an hour of them goes to starting and saving.
KAGGLE_HOURS = 11.5
# Of what a network's layers put out, forward and backward pass hold this much at their peak: all of it for the
# gradients, and as much again of gradients and intermediate results.
HELD = 2.0


def memory_estimate(model: keras.Model, batch_size: int, half: bool, ema: bool) -> int:
    """Bytes that training takes on one device, from the shapes alone.

    For RAC-UNET of 64 filters, 128 px and batches of 8 that is 4.7 GB, where the process took 4.9 GB in all. XLA, cuDNN
    and the extractor of a perceptual loss come on top.

    Args:
        batch_size: pairs on that device.
        half: whether layers put out two bytes a number.
        ema: whether an average of the weights is kept.
    """
    weights = 4 * model.count_params()
    # Weights, gradients, Adam's two moments, the average.
    state = weights * (4 + ema)
    return state + values_estimate(model, batch_size, half)


def values_estimate(model: keras.Model, batch_size: int, half: bool) -> int:
    """Bytes of what a network's layers put out on one device, forward and backward; arguments as above."""
    values = 0
    for layer in model.layers:
        if not isinstance(layer, keras.layers.InputLayer):
            values += sum(math.prod(tensor.shape[1:]) for tensor in keras.tree.flatten(layer.output))
    return int(HELD * values * batch_size * (2 if half else 4))


def budget_line(parameters: int, memory: int, rate: float, hours: float, session_hours: float) -> str:
    """One line for the log.

    Args:
        memory: bytes on one device.
        rate: images per second.
        hours: to the end, validation included.
        session_hours: what a session may last, 0 for Kaggle's.
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
