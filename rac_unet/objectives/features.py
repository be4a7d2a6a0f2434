"""Frozen feature extractors, and the distances between feature maps that the perceptual loss and the scores use.

Two images with similar features look alike even if their pixels differ. An extractor includes its preprocessing; its
input is always RGB in [0, 1].
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
    """A frozen network from images to feature maps; made by `load_extractor`.

    Attributes:
        name: vgg16, vgg19, or the model file's name.
        trained: False if the weights are random.
        description: one line for logs and reports.
        weights: name of the weights file, without its folder; None if the weights are random.
        sha256: digest of that file.
        side: side in pixels of a model with a fixed input size, to which images are resized; None for any size.
    """

    name: str
    trained: bool
    description: str
    weights: str | None
    sha256: str | None
    model: keras.Model
    side: int | None = None

    def maps(self, image) -> list:
        """Return the feature maps of images.

        Args:
            image: (B, H, W, 3) RGB in [0, 1]; values outside are not clipped.
        Returns: list of (B, h, w, c) float32 tensors in the order of the model's outputs.
        """
        image = tf.cast(image, tf.float32)
        if self.side and tuple(image.shape[1:3]) != (self.side, self.side):
            image = tf.image.resize(image, (self.side, self.side))
        return [tf.cast(one, tf.float32) for one in keras.tree.flatten(self.model(image, training=False))]

    def facts(self) -> dict[str, Any]:
        """Return its entry in provenance.json and metrics.json."""
        names = ("name", "trained", "description", "weights", "sha256")
        return {name: getattr(self, name) for name in names}


def load_extractor(name: str, weights: str = "imagenet", image_size: int = 128, prefix: str = "") -> Extractor:
    """Load a feature extractor; it computes in float32, whatever the precision policy.

    Args:
        name: vgg19 or vgg16 (four maps, images resized to 224 px), or a path to a `.keras` file of stock layers with
            one input (B, H, W, 3), RGB in [0, 1], and feature maps (B, h, w, c) as outputs.
        weights: for vgg16 and vgg19: imagenet, none (random with a fixed seed) or a weights file; see
            `find_extractor_file` and `load_vgg_weights`.
        image_size: side in pixels of the images it will receive; a random image of this size is tried.
        prefix: prefix of the options in messages.
    Raises: UserError when a file is missing, cannot be downloaded, is damaged, or is not a feature extractor.
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
    """Return the mean absolute difference of the feature maps at each depth, summed over depths.

    Args:
        truth, image: (B, H, W, 3) RGB in [0, 1].
    Returns: (B,) float32, 0 for equal images. The scale depends on the extractor: do not compare values of different
        extractors.
    """
    return map_distance(extractor.maps(truth), extractor.maps(image))


def map_distance(true_maps: list, maps: list):
    """Return `feature_distance` from maps that are already computed; (B,) float32."""
    return tf.add_n([tf.reduce_mean(tf.abs(a - b), axis=[1, 2, 3]) for a, b in zip(true_maps, maps, strict=True)])


def unit_feature_distance(truth, image, extractor: Extractor):
    """Return the squared difference of unit-length feature vectors, averaged over places and summed over maps.

    Args:
        truth, image: (B, H, W, 3) RGB in [0, 1].
    Returns: (B,) float32, 0 for equal images, at most 4 for each map.
    """
    return unit_map_distance(extractor.maps(truth), extractor.maps(image))


def unit_map_distance(true_maps: list, maps: list):
    """Return `unit_feature_distance` from maps that are already computed; (B,) float32."""

    def unit(one):
        # The small constant keeps an all-zero feature vector at zero.
        return one * tf.math.rsqrt(tf.reduce_sum(one * one, axis=-1, keepdims=True) + 1e-10)

    squares = [tf.reduce_sum(tf.square(unit(a) - unit(b)), axis=-1) for a, b in zip(true_maps, maps, strict=True)]
    return tf.add_n([tf.reduce_mean(square, axis=[1, 2]) for square in squares])


def _from_model_file(file: Path, image_size: int) -> Extractor:
    try:
        model = keras.saving.load_model(file, compile=False)
    except Exception as error:  # zipfile, h5py, JSON and every layer's constructor raise their own classes
        raise UserError(
            f"{file} cannot be loaded as a Keras model ({one_line(error)}); it is damaged, has custom layers, or was "
            f"made by a newer Keras than {keras.__version__}; save it again as .keras with this version",
            "unreadable",
        ) from error
    inputs, outputs = ([tuple(t.shape) for t in getattr(model, kind, None) or []] for kind in ("inputs", "outputs"))
    if len(inputs) != 1 or len(inputs[0]) != 4 or inputs[0][3] != 3 or inputs[0][1] != inputs[0][2]:
        raise UserError(
            f"{file}: expected one input (B, S, S, 3), RGB in [0, 1], of any size or one fixed square size. "
            f"Received: {_shapes(inputs)}",
            "wrong_type",
        )
    flat = [shape for shape in outputs if len(shape) != 4]
    if flat or not outputs:
        raise UserError(
            f"{file}: expected feature maps (B, h, w, c) as outputs. Received: {_shapes(outputs)}; cut the network "
            "before its global pooling or flattening layer, and save keras.Model(input, maps)",
            "wrong_type",
        )
    model.trainable = False
    _set_float32(model)
    side = inputs[0][1]
    description = f"{file.name}, {len(outputs)} maps of {', '.join(str(s[3]) for s in outputs)} channels"
    if side:
        description += f", pictures resized to {side} px"
    extractor = Extractor(file.name, True, description, file.name, file_digest(file), model, side)
    picture = np.random.default_rng(0).random((1, image_size, image_size, 3), np.float32)
    try:
        maps = extractor.maps(picture)
    except Exception as error:  # any error of a layer for which the picture is too small
        raise UserError(f"{file} does not take pictures of {image_size} px ({one_line(error)})", "mismatch") from error
    if not all(tf.size(one) and tf.reduce_all(tf.math.is_finite(one)) for one in maps):
        raise UserError(f"{file} returns empty or non-finite maps for a picture of {image_size} px", "diverged")
    return extractor


def _set_float32(model: keras.Model) -> None:
    """Set all layers to float32; they are loaded with the precision they were saved with."""
    for layer in model.layers:
        layer.dtype_policy = "float32"
        if isinstance(layer, keras.Model):
            _set_float32(layer)


def _shapes(shapes: list[tuple]) -> str:
    return ", ".join(str(shape).replace("None", "?") for shape in shapes) or "none"
