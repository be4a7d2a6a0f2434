"""Random changes to training pairs, masked and unmasked picture alike, as tensors of a whole batch."""

from __future__ import annotations

import tensorflow as tf

from rac_unet.core.config import DataConfig
from rac_unet.core.emotions import EMOTIONS

# Mild: what a camera's exposure and white balance differ by, not what would make another photo of it.
MAX_GAIN_LOG = 0.15
MAX_CHANNEL_GAIN_LOG = 0.04
MAX_OFFSET = 0.04
# Below this mean difference between a picture's channels it counts as black and white.
GREY = 0.02
LUMA = (0.299, 0.587, 0.114)
# Random numbers for each pair. The last four are for recolouring; new ones go after them, so that the others stay.
DRAWS = 16


def to_float(stacked, emotion, draws=None, changes: DataConfig | None = None):
    """From bytes to the dictionaries that networks and losses speak.

    Args:
        stacked: (B, S, S, 7) uint8, masked and unmasked picture and occlusion.
        emotion: (B,) int64, or (B, 7) float32, a distribution.
        draws: (B, 16) in [0, 1), what is random about each pair.
        changes: how pairs are changed; None changes nothing.
    Returns: `(inputs, targets)` as `rac_unet.data.pipeline.finish_batch` gives them, no label withheld.
    """
    one_hot = emotion if emotion.dtype.is_floating else tf.one_hot(emotion, len(EMOTIONS))
    if changes:
        flip = draws[:, 0] < 0.5
        stacked = tf.where(flip[:, None, None, None], tf.reverse(stacked, axis=[2]), stacked)
    pixels = tf.cast(stacked, tf.float32) * (1 / 255)
    if changes and changes.recolour:
        pixels = _recoloured(pixels, draws[:, 12:16], changes.recolour)
    if changes and changes.mixup:
        pixels, one_hot = _mixed(pixels, one_hot, draws[:, 11], changes.mixup)
    if changes and changes.jitter:
        pixels = _moved_pairs(pixels, 2 * draws[:, 7:11] - 1, changes.jitter)
    # Both pictures go through the same arithmetic, so where nothing is hidden they stay equal bit for bit.
    masked, unmasked, occlusion = pixels[..., :3], pixels[..., 3:6], pixels[..., 6:]
    if changes and changes.relight:
        spread = changes.relight * (2 * draws - 1)
        gain = tf.exp(MAX_GAIN_LOG * spread[:, 1:2] + MAX_CHANNEL_GAIN_LOG * spread[:, 2:5])[:, None, None, :]
        offset = (MAX_OFFSET * spread[:, 5:6])[:, None, None, :]
        masked, unmasked = (tf.clip_by_value(image * gain + offset, 0, 1) for image in (masked, unmasked))
    inputs = {"masked_image": masked, "emotion": one_hot}
    return inputs, {"unmasked_image": unmasked, "occlusion": occlusion, "emotion": one_hot}


def _mixed(pixels, one_hot, draw, mixup: float):
    """Blend some faces with their neighbour's in the batch: mixup (Zhang et al. 2018, arXiv:1710.09412).

    A face keeps its own mask; only what is not hidden by it, and the truth, are blended, and the label by the same
    shares. Neighbours are pairs 0 and 1, 2 and 3 and so on, so a batch shared out in even parts is the same batch. A
    last pair without a neighbour stays as it is.

    Args:
        pixels: (B, S, S, 7) float32.
        one_hot: (B, 7).
        draw: (B,) in [0, 1); below `mixup` a pair is blended, evenly between not at all and half and half.
    Returns: pixels and labels of the same shapes.
    """
    count = tf.shape(draw)[0]
    place = tf.range(count)
    partner = tf.minimum(place + 1 - 2 * (place % 2), count - 1)
    share = tf.where(draw < mixup, 0.5 * draw / mixup, 0.0)
    other = share[:, None, None, None]
    unmasked = pixels[..., 3:6] * (1 - other) + tf.gather(pixels[..., 3:6], partner) * other
    kept = (pixels[..., 6:] > 0) | (other == 0)
    masked = tf.where(kept, pixels[..., :3], unmasked)
    one_hot = one_hot * (1 - share[:, None]) + tf.gather(one_hot, partner) * share[:, None]
    return tf.concat([masked, unmasked, pixels[..., 6:]], axis=-1), one_hot


def _recoloured(pixels, draws, recolour: float):
    """Give some masks another colour, their prints and folds kept, the face and the truth as they are.

    What a mask adds to a pixel is the masked picture less the seen share of the truth. That part loses some of its own
    colour and is seen through a filter of any hue, so white masks become vivid and vivid ones others. Black stays
    black, and masks on black-and-white pictures grey.

    Args:
        pixels: (B, S, S, 7) float32.
        draws: (B, 4) in [0, 1): whether (below `recolour`), hue, saturation of the filter, how much own colour is lost.
    Returns: pixels of the same shape; where nothing is hidden, equal bit for bit.
    """
    masked, unmasked, occlusion = pixels[..., :3], pixels[..., 3:6], pixels[..., 6:]
    colourful = tf.reduce_mean(tf.reduce_max(unmasked, -1) - tf.reduce_min(unmasked, -1), axis=[1, 2]) > GREY
    chosen = ((draws[:, 0] < recolour) & colourful)[:, None, None, None] & (occlusion > 0)
    hue = tf.clip_by_value(tf.abs((6 * draws[:, 1:2] + [0.0, 4.0, 2.0]) % 6 - 3) - 1, 0, 1)
    tint = 1 - draws[:, 2:3] * (1 - hue)
    cloth = masked - (1 - occlusion) * unmasked
    grey = tf.reduce_sum(cloth * LUMA, axis=-1, keepdims=True)
    filtered = (cloth + draws[:, 3][:, None, None, None] * (grey - cloth)) * tint[:, None, None, :]
    other = tf.clip_by_value(masked - cloth + filtered, 0, 1)
    return tf.concat([tf.where(chosen, other, masked), unmasked, occlusion], axis=-1)


def _moved_pairs(pixels, spread, jitter: float):
    """`_moved` with a mask that stays as large as it was.

    Between pixels a rim is smeared over two, and both would count as hidden; a network taught so claims a ring of seen
    pixels around every mask. Hidden is what more than half of comes from hidden pixels; elsewhere is the truth.
    """
    hidden = tf.cast(pixels[..., 6:] > 0, tf.float32)
    moved = _moved(tf.concat([pixels, hidden], axis=-1), spread, jitter)
    masked, unmasked, occlusion, hidden = moved[..., :3], moved[..., 3:6], moved[..., 6:7], moved[..., 7:]
    seen = hidden <= 0.5
    masked = tf.where(seen & (occlusion > 0), unmasked, masked)
    return tf.concat([masked, unmasked, tf.where(seen, 0.0, tf.maximum(occlusion, 1 / 255))], axis=-1)


def _moved(pixels, spread, jitter: float):
    """Zoom, turn and shift each picture, all its channels alike; what comes in from outside is a reflection.

    A photograph's face is never found exactly where training's was: less so under a mask.

    Args:
        pixels: (B, S, S, C) float32.
        spread: (B, 4) in [-1, 1): zoom, turn, shift right and down.
    """
    side = float(pixels.shape[1])
    zoom, turn = tf.exp(jitter * spread[:, 0]), jitter * spread[:, 1]
    a, b = zoom * tf.cos(turn), zoom * tf.sin(turn)
    # x' = a x - b y + c about the centre, so that the middle moves by the shift alone.
    centre = (side - 1) / 2
    right = centre - a * centre + b * centre + 0.5 * jitter * side * spread[:, 2]
    down = centre - b * centre - a * centre + 0.5 * jitter * side * spread[:, 3]
    zero = tf.zeros_like(a)
    return tf.raw_ops.ImageProjectiveTransformV3(
        images=pixels,
        transforms=tf.stack([a, -b, right, b, a, down, zero, zero], axis=1),
        output_shape=pixels.shape[1:3],
        fill_value=0.0,
        interpolation="BILINEAR",
        fill_mode="REFLECT",
    )
