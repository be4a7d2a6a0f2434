"""Grey input of emotion readers, as layers: luminance of zero mean and unit deviation."""

from __future__ import annotations

import keras
from keras import layers

from rac_unet.data.augmenting import LUMA


def standardised_luminance(x):
    """Luminance, standardised in each picture, so that colour and exposure have no influence.

    Args:
        x: (B, S, S, 3) RGB in [0, 1].
    Returns: (B, S, S, 1) float32.
    """
    kernel = keras.initializers.Constant([[weight] for weight in LUMA])
    x = layers.Dense(1, use_bias=False, trainable=False, dtype="float32", name="luminance", kernel_initializer=kernel)(
        x
    )
    return layers.LayerNormalization(
        axis=(1, 2, 3), center=False, scale=False, epsilon=1e-4, dtype="float32", name="standardise"
    )(x)
