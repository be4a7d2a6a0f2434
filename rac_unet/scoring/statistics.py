"""Means with bootstrap confidence intervals, and paired differences between systems."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np

RESAMPLES = 2000


@dataclass(frozen=True)
class Mean:
    """A mean over images, with its 95 % confidence interval.

    Attributes:
        mean: the mean.
        low, high: ends of the interval; equal to the mean if there is only one identity.
        n: number of images.
    """

    mean: float
    low: float
    high: float
    n: int

    def as_dict(self) -> dict[str, float]:
        return asdict(self)

    def __str__(self) -> str:
        return f"{self.mean:.2f} [{self.low:.2f}, {self.high:.2f}]"


def summarise(values: np.ndarray, identities: np.ndarray, seed: int = 0) -> Mean | None:
    """Return the mean and its percentile-bootstrap 95 % interval, resampling identities instead of images.

    Images of one person, such as one photo with two masks, are not independent; resampling images would make the
    intervals too narrow.

    Args:
        values: (N,) one value per image; NaN is ignored.
        identities: (N,) the person in each image.
        seed: of the resampling.
    Returns: None if there are no values.
    """
    values = np.asarray(values, np.float64)
    keep = np.isfinite(values)
    values = values[keep]
    if not len(values):
        return None
    _, person = np.unique(np.asarray(identities)[keep].astype(str), return_inverse=True)
    sums, counts = np.bincount(person, values), np.bincount(person)
    people = len(sums)
    if people == 1:
        return Mean(values.mean(), values.mean(), values.mean(), len(values))
    rng = np.random.default_rng(seed)
    means = np.empty(RESAMPLES)
    for start in range(0, RESAMPLES, 100):  # In blocks, to limit memory with 100,000 identities.
        drawn = rng.integers(0, people, (100, people))
        means[start : start + 100] = sums[drawn].sum(1) / counts[drawn].sum(1)
    low, high = np.percentile(means, [2.5, 97.5])
    return Mean(values.mean(), low, high, len(values))


def paired_difference(
    first: np.ndarray, second: np.ndarray, identities: np.ndarray, seed: int = 0
) -> tuple[Mean, bool] | None:
    """Return the mean of `first` - `second` with its interval, and whether the difference is significant.

    It can be significant although the intervals of both means overlap: most of the variance is between images, and it
    cancels in the difference.

    Args:
        first, second: (N,) one value per image, of the same images in the same order; images with a NaN are ignored.
        identities: (N,) the person in each image.
        seed: of the resampling.
    Returns: the mean difference, and True if its interval excludes zero and there are several people; None if there are
        no values.
    Raises: ValueError when the lengths differ.
    """
    first, second = np.asarray(first, np.float64), np.asarray(second, np.float64)
    if first.shape != second.shape or len(first) != len(identities):
        raise ValueError(f"not the same images: shapes {first.shape} and {second.shape}, {len(identities)} identities")
    difference = summarise(first - second, identities, seed)
    if difference is None:
        return None
    compared = np.isfinite(first - second)
    people = len(set(np.asarray(identities)[compared].astype(str)))
    return difference, people > 1 and bool(difference.low > 0 or difference.high < 0)
