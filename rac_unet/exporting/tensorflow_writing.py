"""Write a network for TensorFlow and Keras: a SavedModel folder, a .keras file."""

from __future__ import annotations

import contextlib
import logging
import warnings
from collections.abc import Iterator
from pathlib import Path

from rac_unet.core.quiet import silenced_stderr
from rac_unet.runtime.interface import SIGNATURE


def write_keras(model, path: Path) -> None:
    """One .keras file."""
    model.save(path)


def write_saved_model(model, path: Path, batch: int | None = None) -> None:
    """One signature, `serving_default`. Keras's own `export` would store every weight twice.

    Args:
        batch: how many pictures it takes at a time; any number when left out.
    """
    import tensorflow as tf

    serve = serving_function(model, batch)
    module = tf.Module()
    # What a SavedModel stores is what its root object refers to.
    module.weights = list(serve.get_concrete_function().graph.variables)
    with quiet_loggers("tensorflow"):
        tf.saved_model.save(module, str(path), signatures={SIGNATURE: serve})


def serving_function(model, batch: int | None = None):
    """The network as a `tf.function` of a dict of named inputs, at inference."""
    import tensorflow as tf

    shapes = {name: (batch, *tensor.shape[1:]) for name, tensor in model.input.items()}
    signature = {name: tf.TensorSpec(shape, tf.float32, name=name) for name, shape in shapes.items()}
    return tf.function(lambda inputs: model(inputs, training=False), input_signature=[signature], jit_compile=False)


@contextlib.contextmanager
def quiet_loggers(*names: str) -> Iterator[None]:
    """Only errors from these loggers: TensorFlow says where it put the assets that there are none of."""
    loggers = [logging.getLogger(name) for name in names]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


@contextlib.contextmanager
def quiet_converter() -> Iterator[None]:
    """Nothing from a converter but its exceptions: what it says is for its developers."""
    with warnings.catch_warnings(), quiet_loggers("tensorflow", "tf2onnx"), silenced_stderr():
        warnings.simplefilter("ignore")
        yield
