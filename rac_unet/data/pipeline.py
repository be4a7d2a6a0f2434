"""The input pipeline: a `tf.data.Dataset` of training batches that can continue at any step.

The order of the pairs depends only on (seed, epoch), and the augmentation of a pair only on (seed, position in the
whole training). So a run resumed at step n gets the same batches as one that was never interrupted. Caching does not
change pixels or order. `rac_unet.data.draws` lists the random numbers of a pair.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import tensorflow as tf

from rac_unet.core.config import DataConfig
from rac_unet.core.errors import UserError
from rac_unet.data.augmenting import to_float
from rac_unet.data.draws import AUGMENTATION
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
    """Return all batches of a training, ready for a network: `make_training_blocks` with one step per block, finished.

    Args:
        changes: settings of the augmentation; default: those of `DataConfig`.
        soft: `emotion` is the distribution of each pair (`PairSet.emotion_shares`) instead of one-hot.
    Returns: dataset of `(inputs, targets)`, see `finish_batch`.
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
    guidance_draws: int = 0,
    soft: bool = False,
) -> tf.data.Dataset:
    """Return all batches of a training as bytes, several steps in a block; each epoch has its own order.

    Bytes take a quarter of the memory of floats, and a whole block is copied to the device at once. `finish_batch`
    converts and augments the batches there.

    Args:
        pairs: the training split; an incomplete batch at the end of an epoch is dropped. If weights differ, epochs are
            equally long, and each pair is used in proportion to its weight, on average.
        pictures: images of the same pairs.
        first_step: number of batches that were used before.
        shard: (worker, workers): return this worker's part of every batch, `batch_size` / workers consecutive pairs.
            All parts together equal the batch of a single worker, augmentation included.
        steps_per_block: number of steps K in a block.
        replicas: number of devices of this worker, which share its part; blocks are for each of them in turn.
        guidance_draws: number of random numbers of each pair for guidance, see `rac_unet.data.draws`.
        soft: `emotion` is (K, B, 7) float32, the distribution of each pair, instead of (K, B) int64.
    Returns: dataset of `(stacked, emotion, draws)`: (K, B, S, S, 7) uint8, see `Pictures.load`; (K, B) int64; and the
        random numbers (K, B, 16 + `guidance_draws`) float32 in [0, 1). An incomplete last block is dropped.
    Raises: UserError when the split is smaller than a batch, or a batch cannot be divided evenly.
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
        draws = tf.random.stateless_uniform([AUGMENTATION.count], seed=[seed + 1, position])
        if guidance_draws:
            # Another seed, so that the augmentation is the same with and without guidance.
            more = tf.random.stateless_uniform([guidance_draws], seed=[seed + 3, position])
            draws = tf.concat([draws, more], axis=0)
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
        # The parts of one step follow each other; regroup them, so that a device gets its parts of all steps at once.
        def deal(*parts):
            turned = [tf.reshape(part, [steps_per_block, replicas, *part.shape[1:]]) for part in parts]
            turned = [tf.experimental.numpy.swapaxes(part, 0, 1) for part in turned]
            return tf.data.Dataset.from_tensor_slices(tuple(turned))

        dataset = dataset.flat_map(deal)
    return dataset.prefetch(2 * replicas + 2 // steps_per_block).with_options(_options())


def finish_batch(stacked, emotion, draws, changes: DataConfig):
    """Return the inputs of the network and the targets of the losses for one step of a block, augmented.

    Args:
        stacked, emotion, draws: one step of a block of `make_training_blocks`: (B, S, S, 7), (B,) and (B, 16 or more).
        changes: settings of the augmentation and of label dropout.
    Returns: `(inputs, targets)`: inputs `masked_image` (B, S, S, 3) float32 in [0, 1] and `emotion` (B, 7) one-hot,
        zeros where the label was dropped; targets `unmasked_image` (B, S, S, 3), `occlusion` (B, S, S, 1), 1 = hidden,
        and `emotion` (B, 7), never dropped.
    """
    inputs, targets = to_float(stacked, emotion, draws, changes if changes.augment else None)
    if changes.label_dropout:
        inputs["emotion"] *= tf.cast(AUGMENTATION.part(draws, "label_dropout") >= changes.label_dropout, tf.float32)[
            :, None
        ]
    return inputs, targets


def make_scoring_dataset(pairs: PairSet, pictures: Pictures, batch_size: int, soft: bool = False) -> tf.data.Dataset:
    """Return batches of `(inputs, targets)`, without augmentation, each pair once in order; the last may be smaller."""
    emotions = tf.constant(pairs.emotion_shares if soft else pairs.emotion_ids)
    dataset = tf.data.Dataset.range(len(pairs)).map(
        lambda index: (pictures.load(index), tf.gather(emotions, index)), num_parallel_calls=tf.data.AUTOTUNE
    )
    dataset = dataset.batch(batch_size)
    dataset = dataset.map(lambda stacked, emotion: to_float(stacked, emotion))
    return dataset.prefetch(2).with_options(_options())


def unmasked_faces(pairs: PairSet, image_size: int, batch_size: int = 64) -> Iterator[np.ndarray]:
    """Yield the unmasked images of pairs in their order, (B, S, S, 3) float32 in [0, 1]."""
    for _, targets in make_scoring_dataset(pairs, Pictures(pairs, image_size), batch_size):
        yield targets["unmasked_image"].numpy()


def steps_per_epoch(count: int, batch_size: int) -> int:
    """Return the number of whole batches in an epoch; raises UserError when there are too few pairs for one."""
    if count < batch_size:
        raise UserError(
            f"the training split has {count} pairs, fewer than one batch of {batch_size}; "
            "lower --training.batch_size or prepare more pairs",
            "mismatch",
        )
    return count // batch_size


def _rows_by_weight(weights: np.ndarray, seed: int):
    """Return a function from the epoch to N row numbers, in which rows occur in proportion to their weights.

    Systematic sampling: marks at a distance of 1, shifted by one random number, on the cumulative weights. With a mean
    of 1, a row of weight 2.3 occurs two or three times in an epoch, and rows of equal weights occur once.
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
    """Return options without graph optimization, for which every new iterator would copy the whole memory cache."""
    options = tf.data.Options()
    options.experimental_optimization.apply_default_optimizations = False
    return options
