"""Which pictures of a split are scored: those with a truth in which a mask hides something.

The composite of a face without a mask is the truth itself: it has no hole, its likeness is perfect, and the emotion
read in it is that of the photograph, whatever a network paints. So every figure is of the pictures chosen here.
"""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from rac_unet.core.errors import UserError
from rac_unet.data.pairs import PairSet
from rac_unet.data.pictures import Pictures
from rac_unet.scoring.metrics import is_masked


def scored_pairs(pairs: PairSet, split: str) -> tuple[PairSet, PairSet]:
    """The pairs of a split to score, and its faces without a mask.

    Every occlusion map of the split is read.

    Raises: UserError when there are none to score, with what there is instead.
    """
    chosen = pairs.split(split)
    found = chosen.with_truth()
    masked = wears_mask(found)
    if masked.any():
        return found.take(np.flatnonzero(masked)), found.take(np.flatnonzero(~masked))
    others = pairs.split_counts()
    if not others:
        raise UserError(
            f"{pairs.root} has real masks only: without ground truth nothing can be compared; merge it with a set that "
            "has pairs (data_prep.merge)",
            "empty",
        )
    if len(found):
        raise UserError(
            f"{pairs.root}: none of the {len(found):,} faces in split {split!r} wears a mask, so there is nothing to "
            "score; score another split with --split, or other pairs with --data",
            "empty",
        )
    problem = f"has no pairs in split {split!r}"
    if len(chosen):
        problem = f"has real masks only in split {split!r}: without ground truth nothing can be compared"
    # Training pictures last: on those a network looks better than it is.
    first = min(others, key=("val", "test", "train").index)
    counts = ", ".join(f"{count:,} in {name}" for name, count in others.items())
    raise UserError(
        f"{pairs.root} {problem}, but there are pairs ({counts}); score others with --split {first}, or prepare the "
        f"data set with some in {split!r} (a column split in labels.csv), or merge it with one that has them",
        "empty",
    )


def masked_pairs(pairs: PairSet) -> PairSet:
    """The pairs in whose masked picture something is hidden, real masks included; may be empty."""
    return pairs.take(np.flatnonzero(wears_mask(pairs)))


def wears_mask(pairs: PairSet) -> np.ndarray:
    """(N,) bool: whether anything is hidden in the masked picture; True for real masks, whose map is not known."""
    worn = ~pairs.has_truth
    rows = np.flatnonzero(pairs.has_truth)
    if len(rows):
        known = pairs.take(rows)
        pictures = Pictures(known, known.image_size)
        maps = tf.data.Dataset.range(len(known)).map(
            lambda index: pictures.load(index)[..., 6:], num_parallel_calls=tf.data.AUTOTUNE
        )
        worn[rows] = np.concatenate([is_masked(batch) for batch in maps.batch(64).as_numpy_iterator()])
    return worn
