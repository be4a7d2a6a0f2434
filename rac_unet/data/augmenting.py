"""Augmentation: random changes to whole batches of training pairs, equal for the masked and the unmasked image."""

from __future__ import annotations

import tensorflow as tf

from rac_unet.core.config import DataConfig
from rac_unet.core.emotions import EMOTIONS
from rac_unet.data.draws import AUGMENTATION

# As much as exposure and white balance differ between cameras.
MAX_GAIN_LOG = 0.15
MAX_CHANNEL_GAIN_LOG = 0.04
MAX_OFFSET = 0.04
# An image whose channels differ by less than this on average is black and white.
GREY = 0.02
# Weights of red, green and blue in the luminance, ITU-R BT.601.
LUMA = (0.299, 0.587, 0.114)


def to_float(stacked, emotion, draws=None, changes: DataConfig | None = None):
    """Convert bytes to the inputs of networks and the targets of losses, and augment them.

    Args:
        stacked: (B, S, S, 7) uint8: masked image, unmasked image, occlusion.
        emotion: (B,) int64, or (B, 7) float32, a distribution.
        draws: (B, 16) in [0, 1), layout `AUGMENTATION`; the result depends on nothing else that is random.
        changes: settings of the augmentation; None for no augmentation.
    Returns: `(inputs, targets)` as `rac_unet.data.pipeline.finish_batch`, with all labels.
    """
    one_hot = emotion if emotion.dtype.is_floating else tf.one_hot(emotion, len(EMOTIONS))
    if changes:
        flip = AUGMENTATION.part(draws, "flip") < 0.5
        stacked = tf.where(flip[:, None, None, None], tf.reverse(stacked, axis=[2]), stacked)
    pixels = tf.cast(stacked, tf.float32) * (1 / 255)
    if changes and changes.recolour:
        pixels = _recoloured(pixels, AUGMENTATION.part(draws, "recolour"), changes.recolour)
    if changes and changes.mixup:
        pixels, one_hot = _mixed(pixels, one_hot, AUGMENTATION.part(draws, "mixup"), changes.mixup)
    if changes and changes.jitter:
        pixels = _jittered(pixels, 2 * AUGMENTATION.part(draws, "jitter") - 1, changes.jitter)
    # The same arithmetic for both images, so that they stay equal bit for bit where nothing is hidden.
    masked, unmasked, occlusion = pixels[..., :3], pixels[..., 3:6], pixels[..., 6:]
    if changes and changes.relight:
        spread = changes.relight * (2 * AUGMENTATION.part(draws, "relight") - 1)
        gain = tf.exp(MAX_GAIN_LOG * spread[:, 0:1] + MAX_CHANNEL_GAIN_LOG * spread[:, 1:4])[:, None, None, :]
        offset = (MAX_OFFSET * spread[:, 4:5])[:, None, None, :]
        masked, unmasked = (tf.clip_by_value(image * gain + offset, 0, 1) for image in (masked, unmasked))
    inputs = {"masked_image": masked, "emotion": one_hot}
    return inputs, {"unmasked_image": unmasked, "occlusion": occlusion, "emotion": one_hot}


def _mixed(pixels, one_hot, draw, mixup: float):
    """Blend some faces with their neighbour in the batch: mixup (Zhang et al. 2018, arXiv:1710.09412).

    The mask is not blended; the visible pixels, the ground truth and the label are, in the same proportion. Neighbours
    are pairs 0 and 1, 2 and 3 and so on, so that a batch divided into even parts gives the same result. A last pair
    without a neighbour is not changed.

    Args:
        pixels: (B, S, S, 7) float32.
        one_hot: (B, 7).
        draw: (B,) in [0, 1); below `mixup` the pair is blended, and the neighbour's share is uniform in 0 to 0.5.
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
    """Change the colour of some masks, but not their prints and folds, the face or the ground truth.

    The mask's part of a pixel is the masked image minus the visible share of the ground truth. This part loses some of
    its colour and is multiplied by a random tint, so that white masks become colourful and colourful ones change.
    Black masks stay black, and masks on black-and-white images stay grey.

    Args:
        pixels: (B, S, S, 7) float32.
        draws: (B, 4) in [0, 1): whether (below `recolour`), hue and saturation of the tint, share of the own
            colour lost.
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


def _jittered(pixels, spread, jitter: float):
    """Move pairs with `_moved`, without enlarging the masks.

    Interpolation spreads the rim of a mask over two pixels. If both counted as hidden, the network would learn to mark
    a ring of visible pixels around every mask. A pixel is hidden if more than half of it comes from hidden pixels; all
    others show the ground truth.

    Args:
        pixels: (B, S, S, 7) float32.
        spread: (B, 4) in [-1, 1), see `_moved`.
    """
    hidden = tf.cast(pixels[..., 6:] > 0, tf.float32)
    moved = _moved(tf.concat([pixels, hidden], axis=-1), spread, jitter)
    masked, unmasked, occlusion, hidden = moved[..., :3], moved[..., 3:6], moved[..., 6:7], moved[..., 7:]
    seen = hidden <= 0.5
    masked = tf.where(seen & (occlusion > 0), unmasked, masked)
    return tf.concat([masked, unmasked, tf.where(seen, 0.0, tf.maximum(occlusion, 1 / 255))], axis=-1)


def _moved(pixels, spread, jitter: float):
    """Zoom, turn and shift each image, all channels alike; pixels from outside the image are its reflection.

    The detector never places a face exactly as in the training data, least of all under a mask.

    Args:
        pixels: (B, S, S, C) float32.
        spread: (B, 4) in [-1, 1): zoom, turn, shift right and down.
    """
    side = float(pixels.shape[1])
    zoom, turn = tf.exp(jitter * spread[:, 0]), jitter * spread[:, 1]
    a, b = zoom * tf.cos(turn), zoom * tf.sin(turn)
    # x' = a x - b y + c about the centre, so that only the shift moves the centre.
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
