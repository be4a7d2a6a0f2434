"""Measure how the look of a painted face changes with the size of the face, where a second network takes over.

The photos of a series show a face at several sizes. At each, both networks paint it, and their paintings are mixed as
`predict` mixes them. All are compared at the size of the smaller network.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import pandas as pd

from rac_unet.runtime.runners import Runner
from rac_unet.scoring.portraits.pairs import enlarged, paint_at
from rac_unet.unmasking.painting.sizes import large_share

# Sides of the face crop in photo pixels.
SIDES = (100, 110, 120, 130, 140, 150, 160, 170, 180, 190)
# Colour is what is left after a Gaussian blur of this share of the side; detail is what a blur by so many pixels
# removes.
_COLOUR, _DETAIL = 0.04, 1.0


def measure_series(
    small: Runner, large: Runner, masked: np.ndarray, labels: np.ndarray, occlusion: np.ndarray, sides: Sequence[int]
) -> pd.DataFrame:
    """Return a row per size of the face, means over faces.

    Args:
        small, large: the networks; the image size of the first divides that of the second.
        masked: (N, S, S, 3) float32 in [0, 1], sharp crops of masked faces at the size of `large`.
        labels: (N, 7) float32, one-hot.
        occlusion: (N, S, S, 1), > 0 where hidden.
        sides: sides of the face crop in photo pixels, ascending.
    Returns: side; share of the large network; colour_difference and detail_ratio of the two networks' paintings of the
        same photo (mean absolute difference in grey levels of 255; detail of the second over that of the first); and
        for the mixed painting colour_step and detail_step from the size before (grey levels; ratio), NaN in the first
        row. Without a second network the steps would be small_colour_step and small_detail_step.
    """
    size = small.image_size
    hidden = averaged_map(occlusion, size)
    rows, before = [], None
    for side in sides:
        share = large_share(side)
        photos = [cv2.resize(image, (side, side), interpolation=cv2.INTER_AREA) for image in masked]
        paintings = []
        for runner in (small, large):
            crops = np.stack([_crop(photo, runner.image_size) for photo in photos])
            paintings.append(paint_at(runner, crops, labels, runner.image_size)[0])
        paintings[0] = enlarged(paintings[0], large.image_size)
        mixed = paintings[0] + np.float32(share) * (paintings[1] - paintings[0])
        first, second, mixed = (np.stack([_shrunk(each, size) for each in stack]) for stack in (*paintings, mixed))
        row = {
            "side": side,
            "share": share,
            "colour_difference": _colour_difference(first, second, hidden),
            "detail_ratio": _detail(second, hidden) / _detail(first, hidden),
        }
        for name, now, last in (("", mixed, 1), ("small_", first, 0)):
            row[f"{name}colour_step"] = np.nan if before is None else _colour_difference(before[last], now, hidden)
            row[f"{name}detail_step"] = (
                np.nan if before is None else _detail(now, hidden) / _detail(before[last], hidden)
            )
        rows.append(row)
        before = first, mixed
    return pd.DataFrame(rows)


def averaged_map(occlusion: np.ndarray, size: int) -> np.ndarray:
    """Return (N, size, size) bool, the pixels that are wholly hidden."""
    hidden = (occlusion[..., 0] > 0).astype(np.float32)
    return np.stack([_shrunk(each, size) > 0.999 for each in hidden])


def _crop(photo: np.ndarray, size: int) -> np.ndarray:
    """Return the crop that `align_face` cuts from a photo with an upright face that fills it."""
    scale = size / len(photo)
    matrix = np.float64([[scale, 0, scale / 2 - 0.5], [0, scale, scale / 2 - 0.5]])
    crop = cv2.warpAffine(photo, matrix, (size, size), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.clip(crop, 0, 1)


def _shrunk(image: np.ndarray, size: int) -> np.ndarray:
    return cv2.resize(image, (size, size), interpolation=cv2.INTER_AREA)


def _colour_difference(first: np.ndarray, second: np.ndarray, hidden: np.ndarray) -> float:
    sigma = _COLOUR * first.shape[1]
    off = np.stack([np.abs(cv2.GaussianBlur(each, (0, 0), sigma)) for each in 255 * (second - first)])
    return float(off[hidden].mean())


def _detail(images: np.ndarray, hidden: np.ndarray) -> float:
    grey = 255 * images.mean(axis=-1)
    fine = np.stack([np.abs(each - cv2.GaussianBlur(each, (0, 0), _DETAIL)) for each in grey])
    return max(float(fine[hidden].mean()), 1e-6)
