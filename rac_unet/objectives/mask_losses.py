"""Losses of the additional outputs of mask-aware networks: `occlusion`, `painted_image` and `visible_emotion`.

They have the signature of `rac_unet.objectives.losses`: `(targets, outputs) -> (B,) float32`.
"""

from __future__ import annotations

import tensorflow as tf

# Probabilities are clipped to this distance from 0 and 1.
_LEAST = 1e-6


def occlusion(targets, outputs):
    """Cross-entropy of the predicted map and the hidden pixels (occlusion > 0), mean over pixels; nats, 0 or more."""
    hidden = targets["occlusion"] > 0
    predicted = tf.clip_by_value(outputs["occlusion"], _LEAST, 1 - _LEAST)
    return -tf.reduce_mean(tf.math.log(tf.where(hidden, predicted, 1 - predicted)), axis=[1, 2, 3])


def painted_l1(targets, outputs):
    """Mean absolute error of `painted_image` over all pixels, before compositing.

    It must also be right where nothing is hidden: pasting compares it there with the photo to match the light.
    """
    return tf.reduce_mean(tf.abs(outputs["painted_image"] - targets["unmasked_image"]), axis=[1, 2, 3])


def visible_emotion(targets, outputs):
    """Cross-entropy between the emotion read from the visible part and the label; nats, 0 or more."""
    right = tf.reduce_sum(outputs["visible_emotion"] * targets["emotion"], axis=-1)
    return -tf.math.log(tf.maximum(right, _LEAST))
