"""Frozen feature extractors: what the perceptual loss and the feature distance look through.

Two pictures whose features agree look alike even where their pixels differ. An extractor carries its own preprocessing;
its input is always RGB in [0, 1].
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from rac_unet.core.errors import UserError, one_line
from rac_unet.core.files.hashing import file_digest
from rac_unet.core.registry import EXTRACTORS
from rac_unet.models.importing.vgg_weights import draw_vgg_weights, load_vgg_weights
from rac_unet.models.vgg import IMAGE_SIZE, build_vgg_features
from rac_unet.objectives.extractor_files import find_extractor_file


@dataclass(frozen=True)
class Extractor:
    """A frozen network from pictures to feature maps; made by `load_extractor`.

    Attributes:
        name: vgg16, vgg19, or the model file's name.
        trained: False where the weights are random.
        description: one line for logs and reports.
        weights: name of the file the weights came from, without its folder; None where they are random.
        sha256: of that file.
        side: the side in pixels that pictures are resized to for a model of one fixed size; None where any will do.
    """

    name: str
    trained: bool
    description: str
    weights: str | None
    sha256: str | None
    model: keras.Model
    side: int | None = None

    def maps(self, image) -> list:
        """Feature maps of pictures.

        Args:
            image: (B, H, W, 3) RGB, [0, 1]; values beyond are let through.
        Returns: list of (B, h, w, c) float32 tensors, from the shallowest in the order of the model's outputs.
        """
        image = tf.cast(image, tf.float32)
        if self.side and tuple(image.shape[1:3]) != (self.side, self.side):
            image = tf.image.resize(image, (self.side, self.side))
        return [tf.cast(one, tf.float32) for one in keras.tree.flatten(self.model(image, training=False))]

    def facts(self) -> dict[str, Any]:
        """What provenance.json and metrics.json say of it."""
        names = ("name", "trained", "description", "weights", "sha256")
        return {name: getattr(self, name) for name in names}


def load_extractor(name: str, weights: str = "imagenet", image_size: int = 128, prefix: str = "") -> Extractor:
    """Open a feature extractor; it computes in float32 whatever the precision policy.

    Args:
        name: vgg19 or vgg16 (four maps, pictures resized to 224 px), or a path to a `.keras` file of stock layers with
            one input (B, H, W, 3), RGB in [0, 1], and feature maps (B, h, w, c) as outputs.
        weights: for the first two: imagenet, none (random, the same every time) or a weights file; see
            `find_extractor_file` and `load_vgg_weights`.
        image_size: side of the pictures it will be shown; one is tried.
        prefix: of the options that name these, for advice.
    Raises: UserError when a file is missing, cannot be downloaded, is damaged, or is no feature extractor.
    """
    file = find_extractor_file(name, weights, prefix)
    if name not in EXTRACTORS:
        return _from_model_file(file, image_size)
    model = build_vgg_features(name, "keras")
    taps = f"{name.upper()} {', '.join(model.output)} at {IMAGE_SIZE} px"
    if file is None:
        draw_vgg_weights(model)
        return Extractor(name, False, f"{taps}, UNTRAINED: random weights of seed 0", None, None, model)
    load_vgg_weights(model, file)
    return Extractor(name, True, f"{taps}, weights {file.name}", file.name, file_digest(file), model)


def feature_distance(truth, image, extractor: Extractor):
    """Mean absolute difference of the feature maps at each depth, summed over depths.

    Args:
        truth, image: (B, H, W, 3) RGB in [0, 1].
    Returns: (B,) float32, 0 for equal pictures. Its scale is the extractor's own: figures of different extractors must
        not be compared.
    """
    return map_distance(extractor.maps(truth), extractor.maps(image))


def map_distance(true_maps: list, maps: list):
    """`feature_distance` of pictures whose maps are there already; (B,) float32."""
    return tf.add_n([tf.reduce_mean(tf.abs(a - b), axis=[1, 2, 3]) for a, b in zip(true_maps, maps, strict=True)])


def unit_feature_distance(truth, image, extractor: Extractor):
    """Squared difference of feature maps scaled to unit length at each place, averaged over places, summed over maps.

    Args:
        truth, image: (B, H, W, 3) RGB in [0, 1].
    Returns: (B,) float32, 0 for equal pictures, at most 4 for each map.
    """
    return unit_map_distance(extractor.maps(truth), extractor.maps(image))


def unit_map_distance(true_maps: list, maps: list):
    """`unit_feature_distance` of pictures whose maps are there already; (B,) float32."""

    def unit(one):
        # Where nothing is felt, all features are 0 and stay so.
        return one * tf.math.rsqrt(tf.reduce_sum(one * one, axis=-1, keepdims=True) + 1e-10)

    squares = [tf.reduce_sum(tf.square(unit(a) - unit(b)), axis=-1) for a, b in zip(true_maps, maps, strict=True)]
    return tf.add_n([tf.reduce_mean(square, axis=[1, 2]) for square in squares])


def _from_model_file(file: Path, image_size: int) -> Extractor:
    try:
        model = keras.saving.load_model(file, compile=False)
    except Exception as error:  # zipfile, h5py, JSON and every layer's constructor may object
        raise UserError(
            f"{file} cannot be loaded as a Keras model ({one_line(error)}); it is damaged, has layers of its own, or "
            f"was made by a newer Keras than {keras.__version__}; save it again here as .keras",
            "unreadable",
        ) from error
    inputs, outputs = ([tuple(t.shape) for t in getattr(model, kind, None) or []] for kind in ("inputs", "outputs"))
    if len(inputs) != 1 or len(inputs[0]) != 4 or inputs[0][3] != 3 or inputs[0][1] != inputs[0][2]:
        raise UserError(
            f"{file}: expected one input (B, S, S, 3), RGB in [0, 1], of any or one square size. "
            f"Received: {_shapes(inputs)}",
            "wrong_type",
        )
    flat = [shape for shape in outputs if len(shape) != 4]
    if flat or not outputs:
        raise UserError(
            f"{file}: expected feature maps (B, h, w, c) as outputs. Received: {_shapes(outputs)}; cut the network "
            "before it pools or flattens, and save keras.Model(input, maps)",
            "wrong_type",
        )
    model.trainable = False
    _set_float32(model)
    side = inputs[0][1]
    extractor = Extractor(
        file.name, True, f"{file.name}, {len(outputs)} maps of {', '.join(str(s[3]) for s in outputs)} channels"
        + (f", pictures resized to {side} px" if side else ""), file.name, file_digest(file), model, side,
    )  # fmt: skip
    picture = np.random.default_rng(0).random((1, image_size, image_size, 3), np.float32)
    try:
        maps = extractor.maps(picture)
    except Exception as error:  # whatever a layer says of a picture too small for it
        raise UserError(f"{file} does not take pictures of {image_size} px ({one_line(error)})", "mismatch") from error
    if not all(tf.size(one) and tf.reduce_all(tf.math.is_finite(one)) for one in maps):
        raise UserError(f"{file} gives maps that are empty or not numbers for a picture of {image_size} px", "diverged")
    return extractor


def _set_float32(model: keras.Model) -> None:
    """Layers remember the precision they were saved with."""
    for layer in model.layers:
        layer.dtype_policy = "float32"
        if isinstance(layer, keras.Model):
            _set_float32(layer)


def _shapes(shapes: list[tuple]) -> str:
    return ", ".join(str(shape).replace("None", "?") for shape in shapes) or "none"
