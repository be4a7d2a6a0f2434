"""Train only some layers of a network; the others keep their weights."""

from __future__ import annotations

import re

import keras

from rac_unet.core.errors import UserError


def freeze_other_layers(model: keras.Model, pattern: str) -> None:
    """Freeze all layers but those whose names start with a match; frozen batch norms use their stored statistics.

    Args:
        pattern: regular expression; empty to train all layers.
    Raises: UserError when no layer with weights matches.
    """
    if not pattern:
        return
    kept = [layer for layer in model.layers if layer.weights and re.match(pattern, layer.name)]
    if not kept:
        names = ", ".join(layer.name for layer in model.layers if layer.weights)
        raise UserError(
            f"training.only_layers: no layer of {model.name} has a name that starts with a match of {pattern!r}; "
            f"its layers are {names}",
            "unknown_name",
        )
    for layer in model.layers:
        layer.trainable = layer in kept
