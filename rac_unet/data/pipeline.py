"""From a pairs data set to a `tf.data.Dataset` that can be stopped and continued anywhere.

The order of the pairs follows from (seed, epoch) and every random change from (seed, position in the whole training),
never from a stateful generator; so a run continued at step n sees exactly what an uninterrupted one would. A cache, or
none, never changes a pixel or the order.
"""

from __future__ import annotations

import tensorflow as tf

from rac_unet.data.pairs import PairSet
from rac_unet.data.pictures import Pictures
from rac_unet.emotions import EMOTIONS
from rac_unet.errors import UserError

# Mild: what a camera's exposure and white balance differ by, not what would make another photo of it.
MAX_GAIN_LOG = 0.15
MAX_CHANNEL_GAIN_LOG = 0.04
MAX_OFFSET = 0.04


def make_training_dataset(
    pairs: PairSet,
    pictures: Pictures,
    batch_size: int,
    seed: int,
    epochs: int,
    first_step: int = 0,
    augment: bool = True,
    label_dropout: float = 0.0,
) -> tf.data.Dataset:
    """All batches of a training, epoch after epoch, each epoch in an order of its own.

    Args:
        pairs: the training split; what does not fill a batch at an epoch's end is left out of that epoch.
        pictures: the same pairs' pixels.
        first_step: how many batches were already used.
    Returns: dataset of `(inputs, targets)`: inputs `masked_image` (B, S, S, 3) float32 in [0, 1] and `emotion` (B, 7)
        one-hot; targets `unmasked_image` (B, S, S, 3) and `occlusion` (B, S, S, 1), 1 = hidden.
    Raises: UserError when the split is smaller than a batch.
    """
    steps = steps_per_epoch(len(pairs), batch_size)
    used = steps * batch_size
    emotions = tf.constant(pairs.emotion_ids, tf.int64)

    def order_of(epoch):
        order = tf.random.experimental.stateless_shuffle(tf.range(len(pairs), dtype=tf.int64), seed=[seed, epoch])
        return tf.data.Dataset.from_tensor_slices(order[:used])

    def draw(position, index):
        # Seven numbers in [0, 1): flip, gain, gain of three channels, offset, and one for the label.
        return index, tf.random.stateless_uniform([7], seed=[seed + 1, position])

    dataset = tf.data.Dataset.range(epochs).flat_map(order_of).enumerate().skip(first_step * batch_size).map(draw)
    dataset = dataset.map(
        lambda index, draws: (pictures.load(index), tf.gather(emotions, index), draws),
        num_parallel_calls=tf.data.AUTOTUNE,
    )
    dataset = dataset.batch(batch_size, drop_remainder=True)

    def finish(stacked, emotion, draws):
        inputs, targets = _to_float(stacked, emotion, draws if augment else None)
        if label_dropout:
            inputs["emotion"] *= tf.cast(draws[:, 6:7] >= label_dropout, tf.float32)
        return inputs, targets

    return dataset.map(finish, num_parallel_calls=2).prefetch(4).with_options(_options())


def make_scoring_dataset(pairs: PairSet, pictures: Pictures, batch_size: int) -> tf.data.Dataset:
    """Every pair once, in the file's order, unchanged; the last batch may be smaller. Same elements as for training."""
    emotions = tf.constant(pairs.emotion_ids, tf.int64)
    dataset = tf.data.Dataset.range(len(pairs)).map(
        lambda index: (pictures.load(index), tf.gather(emotions, index)), num_parallel_calls=tf.data.AUTOTUNE
    )
    dataset = dataset.batch(batch_size)
    dataset = dataset.map(lambda stacked, emotion: _to_float(stacked, emotion, None))
    return dataset.prefetch(2).with_options(_options())


def steps_per_epoch(count: int, batch_size: int) -> int:
    """Whole batches in an epoch; raises UserError when there is not one."""
    if count < batch_size:
        raise UserError(
            f"the training split has {count} pairs, fewer than one batch of {batch_size}; "
            "lower --training.batch_size or prepare more pairs"
        )
    return count // batch_size


def _options() -> tf.data.Options:
    """No rewriting of the graph: for that, every new iterator would copy the memory cache, all of it."""
    options = tf.data.Options()
    options.experimental_optimization.apply_default_optimizations = False
    return options


def _to_float(stacked, emotion, draws):
    """(B, S, S, 7) uint8 -> the dictionaries of the contract; the draws, if any, change both pictures alike."""
    if draws is not None:
        flip = draws[:, 0] < 0.5
        stacked = tf.where(flip[:, None, None, None], tf.reverse(stacked, axis=[2]), stacked)
    pixels = tf.cast(stacked, tf.float32) * (1 / 255)
    # Both pictures go through the same arithmetic, so where nothing is hidden they stay equal bit for bit.
    masked, unmasked, occlusion = pixels[..., :3], pixels[..., 3:6], pixels[..., 6:]
    if draws is not None:
        spread = 2 * draws - 1
        gain = tf.exp(MAX_GAIN_LOG * spread[:, 1:2] + MAX_CHANNEL_GAIN_LOG * spread[:, 2:5])[:, None, None, :]
        offset = (MAX_OFFSET * spread[:, 5:6])[:, None, None, :]
        masked, unmasked = (tf.clip_by_value(image * gain + offset, 0, 1) for image in (masked, unmasked))
    inputs = {"masked_image": masked, "emotion": tf.one_hot(emotion, len(EMOTIONS))}
    return inputs, {"unmasked_image": unmasked, "occlusion": occlusion}
