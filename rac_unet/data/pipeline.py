"""From a pairs data set to a `tf.data.Dataset` that can be stopped and continued anywhere.

The order of the pairs follows from (seed, epoch) and every random change from (seed, position in the whole training),
never from a stateful generator; so a run continued at step n sees exactly what an uninterrupted one would. A cache, or
none, never changes a pixel or the order.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import tensorflow as tf

from rac_unet.core.config import DataConfig
from rac_unet.core.errors import UserError
from rac_unet.data.augmenting import DRAWS, to_float
from rac_unet.data.pairs import PairSet
from rac_unet.data.pictures import Pictures


def make_training_dataset(
    pairs: PairSet,
    pictures: Pictures,
    batch_size: int,
    seed: int,
    epochs: int,
    first_step: int = 0,
    shard: tuple[int, int] = (0, 1),
    changes: DataConfig | None = None,
    soft: bool = False,
) -> tf.data.Dataset:
    """All batches of a training, ready to use: `make_training_blocks`, one step a block, through `finish_batch`.

    Args:
        changes: how pairs are changed; the settings' defaults where none are given.
        soft: `emotion` is each pair's distribution (`PairSet.emotion_shares`) instead of one-hot.
    Returns: dataset of `(inputs, targets)` as `finish_batch` gives them.
    """
    blocks = make_training_blocks(pairs, pictures, batch_size, seed, epochs, first_step, shard, soft=soft)

    changes = changes or DataConfig()

    def finish(stacked, emotion, draws):
        return finish_batch(stacked[0], emotion[0], draws[0], changes)

    return blocks.map(finish, num_parallel_calls=2).prefetch(4).with_options(_options())


def make_training_blocks(
    pairs: PairSet,
    pictures: Pictures,
    batch_size: int,
    seed: int,
    epochs: int,
    first_step: int = 0,
    shard: tuple[int, int] = (0, 1),
    steps_per_block: int = 1,
    replicas: int = 1,
    more_draws: int = 0,
    soft: bool = False,
) -> tf.data.Dataset:
    """All batches of a training as bytes, epoch after epoch, each epoch in an order of its own.

    Bytes are a quarter of what floats are, and a whole block goes to the device at once; `finish_batch` does the rest
    there.

    Args:
        pairs: the training split; what does not fill a batch at an epoch's end is left out of that epoch. Where their
            weights differ, an epoch is as long, and shows each pair as often as its weight says, on average.
        pictures: the same pairs' pixels.
        first_step: how many batches were already used.
        shard: (worker, workers): deliver this worker's part of every batch, consecutive pairs, `batch_size` / workers
            of them. All parts together are the batch that one worker alone would get, augmentation included.
        steps_per_block: steps K in an element.
        replicas: devices of this worker that share its part. Elements come in turn for each of them.
        more_draws: random numbers for each pair beyond the 16 that `finish_batch` takes.
        soft: `emotion` is (K, B, 7) float32, each pair's distribution, instead of (K, B) int64.
    Returns: dataset of `(stacked, emotion, draws)`: (K, B, S, S, 7) uint8 as `Pictures.load` gives them, (K, B) int64,
        and (K, B, 16 + more) float32 in [0, 1), what is random about each pair. What is left at the end and fills no
        block is left out.
    Raises: UserError when the split is smaller than a batch, or a batch cannot be shared equally.
    """
    worker, workers = shard
    for count, what in ((workers, "workers"), (workers * replicas, "devices")):
        if batch_size % count:
            raise UserError(
                f"a batch of {batch_size} cannot be shared by {count} {what}; use a multiple of {count}", "mismatch"
            )
    steps = steps_per_epoch(len(pairs), batch_size)
    used = steps * batch_size
    emotions = tf.constant(pairs.emotion_shares if soft else pairs.emotion_ids)
    rows_of = _rows_by_weight(pairs.weights, seed)

    def order_of(epoch):
        order = tf.random.experimental.stateless_shuffle(rows_of(epoch), seed=[seed, epoch])
        return tf.data.Dataset.from_tensor_slices(order[:used])

    def draw(position, index):
        # Numbers in [0, 1): flip, gain, gain of three channels, offset, one for the label; zoom, turn, two shifts;
        # one for mixup; four for recolouring.
        draws = tf.random.stateless_uniform([DRAWS], seed=[seed + 1, position])
        if more_draws:
            # A stream of their own: the augmentation is the same with and without them.
            draws = tf.concat([draws, tf.random.stateless_uniform([more_draws], seed=[seed + 3, position])], axis=0)
        return index, draws

    dataset = tf.data.Dataset.range(epochs).flat_map(order_of).enumerate().skip(first_step * batch_size)
    if workers > 1:
        share = batch_size // workers
        dataset = dataset.filter(lambda position, index: position % batch_size // share == worker)
    dataset = dataset.map(draw)
    dataset = dataset.map(
        lambda index, draws: (pictures.load(index), tf.gather(emotions, index), draws),
        num_parallel_calls=tf.data.AUTOTUNE,
    )
    dataset = dataset.batch(batch_size // workers // replicas, drop_remainder=True)
    dataset = dataset.batch(steps_per_block * replicas, drop_remainder=True)
    if replicas > 1:
        # One step's parts lie side by side; each device wants its own parts of all steps.
        def deal(*parts):
            turned = [tf.reshape(part, [steps_per_block, replicas, *part.shape[1:]]) for part in parts]
            turned = [tf.experimental.numpy.swapaxes(part, 0, 1) for part in turned]
            return tf.data.Dataset.from_tensor_slices(tuple(turned))

        dataset = dataset.flat_map(deal)
    return dataset.prefetch(2 * replicas + 2 // steps_per_block).with_options(_options())


def finish_batch(stacked, emotion, draws, changes: DataConfig):
    """What the network and the losses are given, from one step of a block.

    Args:
        stacked, emotion, draws: (B, S, S, 7), (B,) and (B, 16 or more) as `make_training_blocks` gives them.
        changes: how pairs are changed, and how many labels are withheld.
    Returns: `(inputs, targets)`: inputs `masked_image` (B, S, S, 3) float32 in [0, 1] and `emotion` (B, 7) one-hot;
        targets `unmasked_image` (B, S, S, 3), `occlusion` (B, S, S, 1), 1 = hidden, and `emotion` as above, never
        withheld.
    """
    inputs, targets = to_float(stacked, emotion, draws, changes if changes.augment else None)
    if changes.label_dropout:
        inputs["emotion"] *= tf.cast(draws[:, 6:7] >= changes.label_dropout, tf.float32)
    return inputs, targets


def make_scoring_dataset(pairs: PairSet, pictures: Pictures, batch_size: int, soft: bool = False) -> tf.data.Dataset:
    """Every pair once, in the file's order, unchanged; the last batch may be smaller. Same elements as for training."""
    emotions = tf.constant(pairs.emotion_shares if soft else pairs.emotion_ids)
    dataset = tf.data.Dataset.range(len(pairs)).map(
        lambda index: (pictures.load(index), tf.gather(emotions, index)), num_parallel_calls=tf.data.AUTOTUNE
    )
    dataset = dataset.batch(batch_size)
    dataset = dataset.map(lambda stacked, emotion: to_float(stacked, emotion))
    return dataset.prefetch(2).with_options(_options())


def unmasked_faces(pairs: PairSet, image_size: int, batch_size: int = 64) -> Iterator[np.ndarray]:
    """Yield the unmasked pictures of pairs in the file's order, (B, S, S, 3) float32 in [0, 1]."""
    for _, targets in make_scoring_dataset(pairs, Pictures(pairs, image_size), batch_size):
        yield targets["unmasked_image"].numpy()


def steps_per_epoch(count: int, batch_size: int) -> int:
    """Whole batches in an epoch; raises UserError when there is not one."""
    if count < batch_size:
        raise UserError(
            f"the training split has {count} pairs, fewer than one batch of {batch_size}; "
            "lower --training.batch_size or prepare more pairs",
            "mismatch",
        )
    return count // batch_size


def _rows_by_weight(weights: np.ndarray, seed: int):
    """Function of the epoch: N row numbers, each row as often as its share of the weights, on average over epochs.

    Systematic sampling: marks at a distance of one, shifted by one random number, laid over the summed weights. A row
    of weight 2.3 (mean 1) comes two or three times an epoch, never more or less, and equal weights give each row once.
    """
    count = len(weights)
    if (weights == weights[0]).all():
        return lambda epoch: tf.range(count, dtype=tf.int64)
    ends = np.r_[0.0, np.cumsum(weights) * (count / weights.sum())]
    ends[-1] = count
    ends = tf.constant(ends, tf.float64)

    def rows_of(epoch):
        marks = tf.floor(ends + tf.random.stateless_uniform([], [seed + 2, epoch], dtype=tf.float64))
        return tf.repeat(tf.range(count, dtype=tf.int64), tf.cast(marks[1:] - marks[:-1], tf.int64))

    return rows_of


def _options() -> tf.data.Options:
    """No rewriting of the graph: for that, every new iterator would copy the memory cache, all of it."""
    options = tf.data.Options()
    options.experimental_optimization.apply_default_optimizations = False
    return options
