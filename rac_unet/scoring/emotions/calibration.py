"""Calibration: temperature scaling, prior correction, expected calibration error, reliability plots.

Guo et al. 2017, On Calibration of Modern Neural Networks (arXiv:1706.04599). The prior correction is a bias per class.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from rac_unet.runtime.classifier import softmax

BINS = 10
# Range of temperatures that are searched.
_COLDEST, _HOTTEST = 0.05, 20.0
# Strengths of a prior correction that are tried, and rounds of its fit.
STRENGTHS = np.arange(21) / 20
_ROUNDS = 100


@dataclass(frozen=True)
class Reliability:
    """Reliability curve: accuracy by confidence, in bins of equal width.

    Attributes:
        confidence, accuracy: (BINS,) mean of each bin, 0..1; NaN for an empty bin.
        n: (BINS,) number of predictions in each bin.
    """

    confidence: np.ndarray
    accuracy: np.ndarray
    n: np.ndarray

    @property
    def expected_calibration_error(self) -> float:
        """Mean absolute difference of confidence and accuracy over the bins, weighted by n; 0..1."""
        gaps = np.abs(self.confidence - self.accuracy)
        return float((np.nan_to_num(gaps) * self.n).sum() / self.n.sum())

    def as_dict(self) -> dict[str, list]:
        """Return the bins, JSON-able; None for NaN."""
        values = {"confidence": self.confidence, "accuracy": self.accuracy}
        return {key: [None if np.isnan(v) else float(v) for v in value] for key, value in values.items()} | {
            "n": self.n.tolist()
        }


def reliability(confidence: np.ndarray, correct: np.ndarray) -> Reliability:
    """Compute the reliability curve of predictions.

    Args:
        confidence: (N,) in [0, 1], the probability of the predicted class.
        correct: (N,) bool, whether the prediction is correct.
    Raises: ValueError when there are no predictions.
    """
    confidence, correct = np.asarray(confidence, np.float64), np.asarray(correct, np.float64)
    if not len(confidence):
        raise ValueError("no predictions")
    places = np.clip((confidence * BINS).astype(int), 0, BINS - 1)
    n = np.bincount(places, minlength=BINS)
    with np.errstate(invalid="ignore"):
        means = [np.bincount(places, values, BINS) / n for values in (confidence, correct)]
    return Reliability(*means, n)


def fit_temperature(logits: np.ndarray, true: np.ndarray) -> float:
    """Return the temperature T that minimises the cross-entropy of softmax(logits / T).

    Args:
        logits: (N, C).
        true: (N,) int, the correct class of each row.
    """
    logits = np.asarray(logits, np.float64)
    logits = logits - logits.max(axis=1, keepdims=True)
    target = logits[np.arange(len(logits)), true].mean()

    def slope(sharpness: float) -> float:
        powers = np.exp(logits * sharpness)
        return float(((logits * powers).sum(axis=1) / powers.sum(axis=1)).mean() - target)

    # The loss is convex in the sharpness 1 / T, so its slope changes sign only once.
    low, high = 1 / _HOTTEST, 1 / _COLDEST
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (low, middle) if slope(middle) > 0 else (middle, high)
    return 2 / (low + high)


def fit_prior(logits: np.ndarray, true: np.ndarray) -> np.ndarray:
    """Return the bias b of each class that minimises the cross-entropy of softmax((logits + b) / T) over b and T.

    With it the mean probability of a class is its share of `true`.

    Args:
        logits: (N, C).
        true: (N,) int, the correct class of each row.
    Returns: (C,) float64, mean 0.
    """
    logits = np.asarray(logits, np.float64)
    # One more of each class, so that the bias of a class that does not occur is finite.
    shares = (np.bincount(true, minlength=logits.shape[1]) + 1) / (len(true) + logits.shape[1])
    bias = np.zeros(logits.shape[1])
    for _ in range(_ROUNDS):
        temperature = fit_temperature(logits + bias, true)
        bias += temperature * np.log(shares / softmax((logits + bias) / temperature).mean(axis=0))
        bias -= bias.mean()
    return bias


def choose_strength(logits: np.ndarray, true: np.ndarray, bias: np.ndarray, least: float) -> float | None:
    """Return the share of `bias` to add to the logits, 0..1: the most accurate one that keeps a mean-class accuracy.

    Args:
        logits: (N, C).
        true: (N,) int, the correct class of each row.
        bias: (C,) from `fit_prior`.
        least: lowest allowed mean-class accuracy, 0..1.
    Returns: one of `STRENGTHS`, the smallest of equally accurate ones; None when `least` is not reached by any.
    """
    best, chosen = -1.0, None
    for strength in STRENGTHS:
        correct = (logits + strength * bias).argmax(axis=1) == true
        mean = np.mean([correct[true == label].mean() for label in np.unique(true)])
        if mean >= least and correct.mean() > best:
            best, chosen = correct.mean(), float(strength)
    return chosen


def write_reliability_plot(path: Path, curves: Mapping[str, Reliability], title: str) -> None:
    """Plot accuracy against confidence, a line for each name, and below it the number of predictions in each bin.

    Lines omit bins with fewer than 10 predictions.

    Args:
        path: image file to write.
        curves: name -> curve.
        title: of the plot.
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
    above.set(xlim=(0, 1), ylim=(0, 1), ylabel="accuracy", title=title)
    below.set(xlabel="confidence", ylabel="predictions")
    above.legend(frameon=False, fontsize=8)
    for axes in (above, below):
        axes.grid(color="0.92")
        axes.set_axisbelow(True)
    figure.savefig(path, dpi=110)
