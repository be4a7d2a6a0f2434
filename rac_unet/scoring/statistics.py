"""From one number per picture to a mean that says how sure it is."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np

RESAMPLES = 2000


@dataclass(frozen=True)
class Mean:
    """A mean over pictures.

    Attributes:
        mean: over all pictures.
        low, high: ends of the 95 % interval; equal to the mean when there is but one identity.
        n: how many pictures.
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
    """Mean and percentile-bootstrap 95 % interval, resampling identities rather than pictures.

    Pictures of one person, let alone one photo under two masks, are not independent; treating them so would
    make every interval too narrow.

    Args:
        values: (N,) one figure per picture; NaN ones are left out.
        identities: (N,) who is shown.
    Returns: None when nothing is left.
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
    for start in range(0, RESAMPLES, 100):  # in blocks, so that 100,000 identities need no gigabytes
        drawn = rng.integers(0, people, (100, people))
        means[start : start + 100] = sums[drawn].sum(1) / counts[drawn].sum(1)
    low, high = np.percentile(means, [2.5, 97.5])
    return Mean(values.mean(), low, high, len(values))


def paired_difference(
    first: np.ndarray, second: np.ndarray, identities: np.ndarray, seed: int = 0
) -> tuple[Mean, bool] | None:
    """Mean of `first` - `second` over the same pictures with its interval, and whether it is a difference at all.

    Two overlapping intervals do not mean that two systems are alike: on the same pictures most of what varies is the
    picture, and it drops out of the difference.

    Args:
        first, second: (N,) one figure per picture, the same pictures in the same order; a pair with a NaN is left out.
        identities: (N,) who is shown.
    Returns: the difference, and True when its interval leaves out zero, never of one person alone; None when nothing
        is left.
    Raises: ValueError when their lengths differ.
    """
    first, second = np.asarray(first, np.float64), np.asarray(second, np.float64)
    if first.shape != second.shape or len(first) != len(identities):
        raise ValueError(f"not the same pictures: {first.shape}, {second.shape}, {len(identities)} identities")
    difference = summarise(first - second, identities, seed)
    if difference is None:
        return None
    compared = np.isfinite(first - second)
    people = len(set(np.asarray(identities)[compared].astype(str)))
    return difference, people > 1 and (difference.low > 0 or difference.high < 0)
