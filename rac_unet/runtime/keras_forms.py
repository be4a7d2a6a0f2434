"""Open networks that TensorFlow runs: a Keras model, a .keras file, a SavedModel folder."""

from __future__ import annotations

import json
import sys
import zipfile
from pathlib import Path

import numpy as np

from rac_unet.core.errors import UserError, one_line
from rac_unet.runtime.interface import SIGNATURE, Opened


def open_keras_file(path: Path, threads: int | None) -> Opened:
    """Open a .keras file; raise UserError when it is damaged or made by a newer Keras."""
    metadata = _keras_metadata(path)
    limit_threads(threads)
    import keras

    try:
        model = keras.saving.load_model(path, compile=False)
    except Exception as error:  # zipfile, h5py, JSON and every layer's constructor raise their own classes
        made_by = metadata.get("keras_version", "unknown")
        raise UserError(
            f"{path} cannot be loaded ({one_line(error)}); it is damaged, has custom layers, or was made by a newer "
            f"Keras (made by {made_by}, installed is {keras.__version__}); export it again with this version",
            "unreadable",
        ) from error
    return open_model(model)


def open_saved_model(path: Path, threads: int | None) -> Opened:
    """Open a SavedModel folder; raise UserError when it is damaged or has no serving signature."""
    limit_threads(threads)
    import tensorflow as tf

    try:
        model = tf.saved_model.load(str(path))
    except Exception as error:  # protobuf, tf.errors or OSError, depending on the damage
        raise UserError(
            f"{path} cannot be loaded as a SavedModel ({one_line(error)}); export it again", "unreadable"
        ) from error
    if SIGNATURE not in model.signatures:
        raise UserError(f"{path} is a SavedModel without the signature {SIGNATURE}; export it again", "unsupported")
    serve = model.signatures[SIGNATURE]
    shapes = {name: tuple(spec.shape) for name, spec in serve.structured_input_signature[1].items()}

    def call(inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        # Go through `model`: a reference to the signature alone does not keep its variables alive.
        outputs = model.signatures[SIGNATURE](**{name: tf.constant(v) for name, v in inputs.items()})
        return {name: value.numpy() for name, value in outputs.items()}

    parameters = sum(int(np.prod(variable.shape)) for variable in serve.variables)
    return Opened(shapes, tuple(serve.structured_outputs), call, parameters, lambda: serve)


def open_model(model) -> Opened:
    """Open a Keras model as one graph for every batch size; an eager call is several times slower."""
    import tensorflow as tf

    shapes = {tensor.name: tuple(tensor.shape) for tensor in getattr(model, "inputs", None) or []}
    output = getattr(model, "output", None)
    outputs = tuple(output) if isinstance(output, dict) else ()
    signature = {name: tf.TensorSpec((None, *shape[1:]), tf.float32) for name, shape in shapes.items()}
    run = tf.function(lambda inputs: model(inputs, training=False), input_signature=[signature], jit_compile=False)

    def call(inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        return {name: value.numpy() for name, value in run(inputs).items()}

    return Opened(shapes, outputs, call, model.count_params(), run.get_concrete_function)


def limit_threads(threads: int | None) -> None:
    """Set TensorFlow's number of threads, for the whole process; raise UserError if it has computed before."""
    if threads is None:
        return
    started = "tensorflow" in sys.modules
    import tensorflow as tf

    try:
        tf.config.threading.set_intra_op_parallelism_threads(threads)
        tf.config.threading.set_inter_op_parallelism_threads(1)
    except RuntimeError:
        if started and tf.config.threading.get_intra_op_parallelism_threads() == threads:
            return
        raise UserError(
            "TensorFlow has already started to compute in this process, and its number of threads cannot be changed "
            f"anymore; open the network with {threads} threads in a new process",
            "usage",
        ) from None


def _keras_metadata(path: Path) -> dict:
    try:
        with zipfile.ZipFile(path) as archive:
            missing = {"config.json", "model.weights.h5"} - set(archive.namelist())
            if missing:
                raise UserError(
                    f"{path} is not a Keras model: it contains no {sorted(missing)[0]}; export it again", "wrong_type"
                )
            return json.loads(archive.read("metadata.json")) if "metadata.json" in archive.namelist() else {}
    except (zipfile.BadZipFile, ValueError, EOFError) as error:
        raise UserError(
            f"{path} is damaged, or not a .keras file ({one_line(error)}); export it again", "unreadable"
        ) from None
