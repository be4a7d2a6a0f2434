"""Write a network as a SavedModel folder or a .keras file."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import warnings
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rac_unet.core.quiet import silenced_stderr
from rac_unet.runtime.interface import SIGNATURE

# Entries of layers and initializers that Keras 3.13.2 does not know, and the defaults, with which they change nothing.
_NEWER_ENTRIES = {
    "renorm": False,
    "renorm_clipping": None,
    "renorm_momentum": 0.99,
    "input_axes": None,
    "output_axes": None,
}
_OTHER = object()


def write_keras(model, path: Path) -> None:
    """Write a .keras file that Keras 3.13.2 and newer load, whatever version writes it."""
    model.save(path)
    # Into another archive, since zipfile cannot replace an entry.
    rewritten = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with zipfile.ZipFile(path) as archive, zipfile.ZipFile(rewritten, "w") as other:
            for entry in archive.infolist():
                content = archive.read(entry)
                if entry.filename == "config.json":
                    content = json.dumps(_for_older_keras(json.loads(content))).encode()
                other.writestr(entry, content)
        rewritten.replace(path)
    finally:
        rewritten.unlink(missing_ok=True)


def _for_older_keras(config: Any) -> Any:
    """Return a model's config without `_NEWER_ENTRIES` that have their default, which older versions refuse."""
    if isinstance(config, list):
        return [_for_older_keras(item) for item in config]
    if not isinstance(config, dict):
        return config
    kept = {name: value for name, value in config.items() if _NEWER_ENTRIES.get(name, _OTHER) != value}
    return {name: _for_older_keras(value) for name, value in kept.items()}


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
