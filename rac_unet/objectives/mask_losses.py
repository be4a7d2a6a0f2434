"""Losses of what only a mask-aware network puts out: its map, its painting of the whole face, and the emotion it reads.

Same contract as `rac_unet.objectives.losses`: `(targets, outputs) -> (B,) float32`.
"""

from __future__ import annotations

import tensorflow as tf

# A probability this near to 0 or 1 is not pushed further.
_LEAST = 1e-6


def occlusion(targets, outputs):
    """Cross-entropy between the predicted map and what is hidden (occlusion > 0), mean over pixels; nats, 0 or more."""
    hidden = targets["occlusion"] > 0
    sure = tf.clip_by_value(outputs["occlusion"], _LEAST, 1 - _LEAST)
    return -tf.reduce_mean(tf.math.log(tf.where(hidden, sure, 1 - sure)), axis=[1, 2, 3])


def painted_l1(targets, outputs):
    """Mean absolute error of the painting before it is composed, over all pixels.

    It has to be right where nothing is hidden too: who pastes it compares it with the photo there to match the light.
    """
    return tf.reduce_mean(tf.abs(outputs["painted_image"] - targets["unmasked_image"]), axis=[1, 2, 3])


def visible_emotion(targets, outputs):
    """Cross-entropy between the emotion read from the seen part and the label; nats, 0 or more."""
    right = tf.reduce_sum(outputs["visible_emotion"] * targets["emotion"], axis=-1)
    return -tf.math.log(tf.maximum(right, _LEAST))
