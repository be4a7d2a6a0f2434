"""Choose the pairs of a split that are scored: those with ground truth and hidden pixels.

Without hidden pixels the composite is the ground truth itself, whatever a network paints: its PSNR and SSIM would be
perfect, and its emotion that of the photograph. So all metrics are computed on the pairs chosen here.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from rac_unet.core.errors import UserError
from rac_unet.data.pairs import PairSet
from rac_unet.data.pictures import Pictures
from rac_unet.scoring.metrics import is_masked


@dataclass(frozen=True)
class Selection:
    """The pairs of a split, by what can be measured on them.

    Attributes:
        pairs: the whole data set.
        scored: pairs with ground truth and hidden pixels; at least one.
        bare: pairs with ground truth and no hidden pixels, that is, faces without a mask.
        real_masks: real masks, which have no ground truth.
    """

    pairs: PairSet
    scored: PairSet
    bare: PairSet
    real_masks: PairSet


def select_pairs(pairs: PairSet, split: str) -> Selection:
    """Divide a split into the parts of a `Selection`; reads every occlusion map of the split.

    Raises: UserError when no pair can be scored; the message says what the data set has instead.
    """
    chosen = pairs.split(split)
    found = chosen.with_truth()
    masked = has_mask(found)
    if not masked.any():
        raise _nothing_to_score(pairs, split)
    scored, bare = (found.take(np.flatnonzero(rows)) for rows in (masked, ~masked))
    return Selection(pairs, scored, bare, chosen.with_truth(False))


def masked_pairs(pairs: PairSet) -> PairSet:
    """Return the pairs with hidden pixels or a real mask; may be empty."""
    return pairs.take(np.flatnonzero(has_mask(pairs)))


def has_mask(pairs: PairSet) -> np.ndarray:
    """Return (N,) bool: whether the masked image has hidden pixels; True for real masks, whose map is not known."""
    masked = ~pairs.has_truth
    rows = np.flatnonzero(pairs.has_truth)
    if len(rows):
        known = pairs.take(rows)
        pictures = Pictures(known, known.image_size)
        maps = tf.data.Dataset.range(len(known)).map(
            lambda index: pictures.load(index)[..., 6:], num_parallel_calls=tf.data.AUTOTUNE
        )
        masked[rows] = np.concatenate([is_masked(batch) for batch in maps.batch(64).as_numpy_iterator()])
    return masked


def _nothing_to_score(pairs: PairSet, split: str) -> UserError:
    """Return the error of a split without a pair to score."""
    chosen, others = pairs.split(split), pairs.split_counts()
    if not others:
        return UserError(
            f"{pairs.root} has only real masks, which have no ground truth to score against; merge it with a set that "
            "has pairs (data_prep.merge)",
            "empty",
        )
    if bare := len(chosen.with_truth()):
        return UserError(
            f"{pairs.root}: none of the {bare:,} faces in split {split!r} has a mask, so there is nothing to score; "
            "choose another split with --split, or other pairs with --data",
            "empty",
        )
    problem = f"has no pairs in split {split!r}"
    if len(chosen):
        problem = f"has only real masks in split {split!r}, which have no ground truth to score against"
    # Training pairs are suggested last, since a network scores better on them than on new faces.
    first = min(others, key=("val", "test", "train").index)
    counts = ", ".join(f"{count:,} in {name}" for name, count in others.items())
    return UserError(
        f"{pairs.root} {problem}, but it has other pairs ({counts}); score those with --split {first}, or prepare the "
        f"data set with pairs in {split!r} (a column split in labels.csv), or merge it with a set that has them",
        "empty",
    )
