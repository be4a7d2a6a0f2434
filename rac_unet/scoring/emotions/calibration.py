"""Calibration: temperature scaling, expected calibration error, reliability plots.

Guo et al. 2017, On Calibration of Modern Neural Networks (arXiv:1706.04599).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

BINS = 10
# Between these a temperature is looked for.
_COLDEST, _HOTTEST = 0.05, 20.0


@dataclass(frozen=True)
class Reliability:
    """Confidence against accuracy, in equally wide bins of the confidence; NaN where a bin is empty.

    Attributes:
        confidence, accuracy: (BINS,) mean of each bin.
        n: (BINS,) readings in each bin.
    """

    confidence: np.ndarray
    accuracy: np.ndarray
    n: np.ndarray

    @property
    def expected_calibration_error(self) -> float:
        """Mean distance of confidence and accuracy over all readings, 0..1, taken bin by bin."""
        gaps = np.abs(self.confidence - self.accuracy)
        return float((np.nan_to_num(gaps) * self.n).sum() / self.n.sum())

    def as_dict(self) -> dict[str, list]:
        """Bin by bin, JSON-able."""
        values = {"confidence": self.confidence, "accuracy": self.accuracy}
        return {key: [None if np.isnan(v) else float(v) for v in value] for key, value in values.items()} | {
            "n": self.n.tolist()
        }


def reliability(confidence: np.ndarray, right: np.ndarray) -> Reliability:
    """How often readings of like confidence are right.

    Args:
        confidence: (N,) in [0, 1], the probability of what was read.
        right: (N,) bool.
    Raises: ValueError when there are none.
    """
    confidence, right = np.asarray(confidence, np.float64), np.asarray(right, np.float64)
    if not len(confidence):
        raise ValueError("no readings")
    places = np.clip((confidence * BINS).astype(int), 0, BINS - 1)
    n = np.bincount(places, minlength=BINS)
    with np.errstate(invalid="ignore"):
        means = [np.bincount(places, values, BINS) / n for values in (confidence, right)]
    return Reliability(*means, n)


def fit_temperature(logits: np.ndarray, true: np.ndarray) -> float:
    """The temperature T for which softmax(logits / T) has the lowest cross-entropy.

    Args:
        logits: (N, C).
        true: (N,) int, the right column of each row.
    """
    logits = np.asarray(logits, np.float64)
    logits = logits - logits.max(axis=1, keepdims=True)
    wanted = logits[np.arange(len(logits)), true].mean()

    def slope(sharpness: float) -> float:
        powers = np.exp(logits * sharpness)
        return float(((logits * powers).sum(axis=1) / powers.sum(axis=1)).mean() - wanted)

    # The loss is convex in the sharpness 1 / T, so its slope changes its sign once.
    low, high = 1 / _HOTTEST, 1 / _COLDEST
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (low, middle) if slope(middle) > 0 else (middle, high)
    return 2 / (low + high)


def write_reliability_plot(path: Path, curves: Mapping[str, Reliability], title: str) -> None:
    """Draw accuracy against confidence, a line for each name, and below it how many readings each bin holds.

    A bin of fewer than 10 readings is left out of the line.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5.2, 6), layout="constrained")
    FigureCanvasAgg(figure)
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    above.plot([0, 1], [0, 1], color="0.6", linestyle="--", linewidth=1, label="calibrated")
    width = 1 / BINS / (len(curves) + 1)
    for number, (name, curve) in enumerate(curves.items()):
        shown = curve.n >= 10
        label = f"{name}, ECE {curve.expected_calibration_error:.3f}"
        (line,) = above.plot(curve.confidence[shown], curve.accuracy[shown], marker="o", markersize=4, label=label)
        places = np.arange(BINS) / BINS + width * (number + 1)
        below.bar(places, curve.n, width, color=line.get_color())
    above.set(xlim=(0, 1), ylim=(0, 1), ylabel="share that is right", title=title)
    below.set(xlabel="confidence", ylabel="readings")
    above.legend(frameon=False, fontsize=8)
    for axes in (above, below):
        axes.grid(color="0.92")
        axes.set_axisbelow(True)
    figure.savefig(path, dpi=110)
