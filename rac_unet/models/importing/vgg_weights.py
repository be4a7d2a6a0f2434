"""Load or draw the weights of `build_vgg_features`, from Keras's published HDF5 files or files saved here."""

from __future__ import annotations

import warnings
from pathlib import Path

import h5py
import keras
import numpy as np

from rac_unet.core.errors import UserError, one_line


def load_vgg_weights(model: keras.Model, file: Path) -> None:
    """Load a file into a model of `build_vgg_features`.

    Args:
        model: built with `keras` preprocessing; a file saved from such a model replaces it by its own.
        file: Keras's `vgg…_notop.h5` or the file with the classifier; a model or its weights saved by
            `keras.applications` in that layout; or a `.weights.h5` or `.keras` file saved from such a model.
    Raises: UserError when the file is damaged, belongs to another network, or holds values that are not numbers.
    """
    try:
        if file.suffix == ".keras":
            _copy(model, keras.saving.load_model(file, compile=False))
        else:
            _read_hdf5(model, file)
    except Exception as error:  # h5py, zipfile and Keras raise many different classes
        raise UserError(
            f"{file} holds no weights of {model.name.removesuffix('_features')} ({one_line(error)}); give the file "
            "that Keras publishes (…_tf_dim_ordering_tf_kernels_notop.h5), or a file saved from this extractor",
            "unreadable",
        ) from error
    for variable in model.weights:
        if not np.isfinite(variable.value.numpy()).all():
            raise UserError(
                f"{file} holds values that are not numbers (in {variable.path}); download it again", "diverged"
            )


def draw_vgg_weights(model: keras.Model, seed: int = 0) -> None:
    """Set random weights (He et al. 2015, which keeps the maps' variance through the layers) from a seed."""
    rng = np.random.default_rng(seed)
    for layer in _convolutions(model):
        shape = layer.kernel.shape
        deviation = np.sqrt(2 / np.prod(shape[:3]))
        layer.set_weights([rng.normal(0, deviation, shape).astype(np.float32), np.zeros(shape[3], np.float32)])


def _read_hdf5(model: keras.Model, file: Path) -> None:
    with h5py.File(file) as stored:
        # A whole model saved in the old format has its weights one group deeper.
        root = stored.get("model_weights", stored)
        if "block1_conv1" in root:
            for layer in _convolutions(model):
                if layer.name not in root:
                    raise ValueError(f"{layer.name} is missing")
                layer.set_weights(_kernel_and_bias(root[layer.name], layer))
            return
    with warnings.catch_warnings():
        # Keras warns about each missing container, then raises an error for weights that are really missing.
        warnings.simplefilter("ignore")
        model.load_weights(file)


def _kernel_and_bias(group: h5py.Group, layer) -> list[np.ndarray]:
    """Return a layer's kernel and bias by their shapes, since their names differ between versions of Keras."""
    arrays: list[np.ndarray] = []
    group.visititems(lambda _, item: arrays.append(item[()]) if isinstance(item, h5py.Dataset) else None)
    wanted = [tuple(layer.kernel.shape), tuple(layer.bias.shape)]
    found = sorted(arrays, key=np.ndim, reverse=True)
    if [array.shape for array in found] != wanted:
        raise ValueError(f"{layer.name} has shapes {[array.shape for array in found]} instead of {wanted}")
    return found


def _copy(model: keras.Model, source: keras.Model) -> None:
    """Copy the convolutions by name, and the normalisation if the source has one."""
    theirs = {layer.name: layer for layer in source.layers}
    for layer in _convolutions(model):
        if layer.name not in theirs:
            raise ValueError(f"{layer.name} is missing")
        layer.set_weights(theirs[layer.name].get_weights())
    if "preprocess" in theirs:
        model.get_layer("preprocess").set_weights(theirs["preprocess"].get_weights())


def _convolutions(model: keras.Model) -> list:
    return [layer for layer in model.layers if layer.name.startswith("block") and layer.weights]
