"""Sample images of a data set to calibrate and to check exported networks."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from rac_unet.core.emotions import EMOTIONS
from rac_unet.core.errors import UserError
from rac_unet.runtime.interface import EMOTION, IMAGE

if TYPE_CHECKING:
    from rac_unet.data.pairs import PairSet

# One calibration image in this many has no label, as in a training with dropped labels.
UNLABELLED = 8


def read_pictures(pairs: PairSet, split: str, count: int, image_size: int) -> dict[str, np.ndarray]:
    """Read up to `count` pairs with ground truth of a split, drawn at random with a fixed seed.

    Returns: masked_image, unmasked_image (N, S, S, 3), occlusion (N, S, S, 1) and emotion (N, 7), float32 in [0, 1].
    Raises: UserError when the split has no such pairs, or its images cannot be resized to `image_size`.
    """
    chosen = _with_truth(pairs, split)
    return _read(chosen, np.random.default_rng(0).permutation(len(chosen))[:count], image_size)


def calibration_pictures(pairs: PairSet, count: int, image_size: int) -> dict[str, np.ndarray]:
    """Read training images for the calibration of int8: all emotions in turn, some without a label.

    The first image gets a black and a white pixel in two corners, so that the input range is exactly [0, 1] and each of
    the 256 grey levels has its own code.

    Returns: masked_image (N, S, S, 3) and emotion (N, 7), float32 in [0, 1].
    Raises: as `read_pictures`.
    """
    chosen = _with_truth(pairs, "train")
    shuffled = np.random.default_rng(0).permutation(len(chosen))
    emotions = chosen.emotion_ids[shuffled]
    # First one image of every emotion, then a second of every emotion, and so on.
    turn = np.array([(emotions[:i] == emotion).sum() for i, emotion in enumerate(emotions)])
    pictures = _read(chosen, shuffled[np.argsort(turn, kind="stable")][:count], image_size)
    pictures[EMOTION][UNLABELLED - 1 :: UNLABELLED] = 0
    pictures[IMAGE][0, 0, 0], pictures[IMAGE][0, 0, -1] = 0, 1
    return {name: pictures[name] for name in (IMAGE, EMOTION)}


def _with_truth(pairs: PairSet, split: str) -> PairSet:
    chosen = pairs.split(split).with_truth()
    if not len(chosen):
        counts = ", ".join(f"{count:,} in {name}" for name, count in pairs.split_counts().items())
        others = f", but {counts}" if counts else ""
        raise UserError(
            f"{pairs.root} has no pairs in split {split!r}{others}; give another data set with --data D", "empty"
        )
    return chosen


def _read(pairs: PairSet, rows: np.ndarray, image_size: int) -> dict[str, np.ndarray]:
    from rac_unet.data.pictures import Pictures

    few = pairs.take(rows)
    source = Pictures(few, image_size)
    stacked = np.stack([source.load(i).numpy() for i in range(len(few))]).astype(np.float32) / 255
    return {
        IMAGE: stacked[..., :3],
        EMOTION: np.eye(len(EMOTIONS), dtype=np.float32)[few.emotion_ids],
        "unmasked_image": stacked[..., 3:6],
        "occlusion": stacked[..., 6:],
    }
