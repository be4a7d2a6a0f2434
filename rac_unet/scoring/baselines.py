"""Baselines that need no network: the masked input, the mean training face, and Telea's inpainting."""

from __future__ import annotations

import cv2
import numpy as np

from rac_unet.core.errors import UserError
from rac_unet.data.pairs import PairSet
from rac_unet.data.pipeline import unmasked_faces

BASELINES = ("masked_input", "mean_face", "telea")
# The value of OpenCV's example; the hidden half of a face is far larger than any sensible radius.
TELEA_RADIUS = 3


def mean_training_face(pairs: PairSet, image_size: int) -> np.ndarray:
    """Return the mean of the training split's unmasked images, each counted once, (S, S, 3) float32 in [0, 1].

    Raises: UserError when there are no training pairs.
    """
    train = pairs.split("train")
    once = train.take(np.flatnonzero(~train.frame["unmasked"].duplicated().to_numpy()))
    if not len(once):
        raise UserError(
            f"{pairs.root} has no training pairs, whose mean face is a baseline; add a train split",
            "empty",
        )
    total = np.zeros((image_size, image_size, 3))
    for faces in unmasked_faces(once, image_size):
        total += faces.sum(axis=0, dtype=np.float64)
    return (total / len(once)).astype(np.float32)


def telea(masked: np.ndarray, occlusion: np.ndarray) -> np.ndarray:
    """Inpaint with OpenCV's method of Telea 2004, which continues the hole's border inwards.

    Args:
        masked: (B, S, S, 3) float in [0, 1].
        occlusion: (B, S, S, 1), > 0 where hidden.
    Returns: (B, S, S, 3) float32 in [0, 1].
    """
    filled = []
    for image, hidden in zip(masked, occlusion, strict=True):
        eight_bit = np.rint(image * 255).astype(np.uint8)
        hole = (hidden[..., 0] > 0).astype(np.uint8)
        filled.append(cv2.inpaint(eight_bit, hole, TELEA_RADIUS, cv2.INPAINT_TELEA))
    return np.stack(filled).astype(np.float32) / 255
