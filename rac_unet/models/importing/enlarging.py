"""Give `rac_unet_portrait` the weights of `rac_unet_lite`: it then paints what that network paints, enlarged.

The compact network sees the average of 2 x 2 pixels. The first convolution of the large one does the same if each
weight is spread evenly over 2 x 2 weights; all other layers of the compact network have the same weights.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from rac_unet.core.errors import UserError
from rac_unet.core.registry import MODELS

if TYPE_CHECKING:
    import keras

    from rac_unet.core.config import ModelConfig

_FIRST = "stem_conv"


def compact_config(model: ModelConfig) -> ModelConfig | None:
    """Return the settings of the compact network whose weights a large network can start with; None for others."""
    compact = MODELS[model.name].enlarges
    return replace(model, name=compact, image_size=model.image_size // 2) if compact else None


def enlarge(compact: keras.Model, large: keras.Model) -> None:
    """Copy the weights of a compact network to a large one; its detail layers keep their own.

    Raises: UserError when a layer has another shape than the large network needs.
    """
    targets = {layer.name: layer for layer in large.layers}
    for layer in compact.layers:
        values = layer.get_weights()
        if not values:
            continue
        if layer.name == _FIRST:
            values[0] = values[0].repeat(2, axis=0).repeat(2, axis=1) / np.float32(4)
        target = targets.get(layer.name)
        needed = [tuple(weight.shape) for weight in target.weights] if target else "no such layer"
        if [value.shape for value in values] != needed:
            raise UserError(
                f"{layer.name} has weights {[value.shape for value in values]}, and the large network needs {needed}; "
                "give both the same model.filters",
                "mismatch",
            )
        target.set_weights(values)
