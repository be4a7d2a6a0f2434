"""Write a network as a SavedModel folder or a .keras file."""

from __future__ import annotations

import contextlib
import logging
import warnings
from collections.abc import Iterator
from pathlib import Path

from rac_unet.core.quiet import silenced_stderr
from rac_unet.runtime.interface import SIGNATURE


def write_keras(model, path: Path) -> None:
    """Write a .keras file."""
    model.save(path)


def write_saved_model(model, path: Path, batch: int | None = None) -> None:
    """Write a SavedModel folder with the signature `serving_default`; Keras's `export` would store each weight twice.

    Args:
        batch: fixed batch size; None for any.
    """
    import tensorflow as tf

    serve = serving_function(model, batch)
    module = tf.Module()
    # A SavedModel stores only variables that its root object references.
    module.weights = list(serve.get_concrete_function().graph.variables)
    with quiet_loggers("tensorflow"):
        tf.saved_model.save(module, str(path), signatures={SIGNATURE: serve})


def serving_function(model, batch: int | None = None):
    """Return the network at inference as a `tf.function` of a dict of named inputs."""
    import tensorflow as tf

    shapes = {name: (batch, *tensor.shape[1:]) for name, tensor in model.input.items()}
    signature = {name: tf.TensorSpec(shape, tf.float32, name=name) for name, shape in shapes.items()}
    return tf.function(lambda inputs: model(inputs, training=False), input_signature=[signature], jit_compile=False)


@contextlib.contextmanager
def quiet_loggers(*names: str) -> Iterator[None]:
    """Silence everything below errors from these loggers: TensorFlow reports assets even if there are none."""
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
    """Silence a converter's logs and warnings, which are for its developers; exceptions are raised as usual."""
    with warnings.catch_warnings(), quiet_loggers("tensorflow", "tf2onnx"), silenced_stderr():
        warnings.simplefilter("ignore")
        yield
