"""Emotion accuracy: overall, by class, and as a confusion matrix; by name, with n."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from rac_unet.core.emotions import EMOTIONS
from rac_unet.scoring.statistics import summarise

# Reports show no accuracy of an emotion with fewer images, since single faces would change it too much.
FEWEST_OF_A_CLASS = 10


def confusion_matrix(true: Sequence[str], read: Sequence[str]) -> np.ndarray:
    """Return (7, 7) int64 counts: rows are true, columns are read emotions, in the order of `EMOTIONS`.

    Raises: ValueError for a name that is not one of the seven.
    """
    place = {name: number for number, name in enumerate(EMOTIONS)}
    if unknown := (set(true) | set(read)) - place.keys():
        raise ValueError(f"unknown emotion {sorted(unknown)[0]!r}")
    counts = np.zeros((len(EMOTIONS), len(EMOTIONS)), np.int64)
    np.add.at(counts, ([place[name] for name in true], [place[name] for name in read]), 1)
    return counts


def counts_by_name(counts: np.ndarray) -> dict[str, dict[str, int]]:
    """Convert a (7, 7) matrix in the order of `EMOTIONS` to row's name -> column's name -> count."""
    return {name: dict(zip(EMOTIONS, row, strict=True)) for name, row in zip(EMOTIONS, counts.tolist(), strict=True)}


def mean_class_accuracy(counts: np.ndarray) -> float:
    """Return the mean accuracy over the emotions that occur in `confusion_matrix` counts; 0..1, NaN if none occurs."""
    totals = counts.sum(axis=1)
    present = totals > 0
    return float((np.diag(counts)[present] / totals[present]).mean()) if present.any() else float("nan")


def accuracy_by_emotion(counts: np.ndarray) -> dict[str, dict[str, float]]:
    """Convert `confusion_matrix` counts to name -> accuracy, 0..1, and n, for each emotion that occurs; JSON-able."""
    return {
        name: {"accuracy": float(counts[row, row] / counts[row].sum()), "n": int(counts[row].sum())}
        for row, name in enumerate(EMOTIONS)
        if counts[row].sum()
    }


def summarise_emotions(true: Sequence[str], read: Sequence[str], identities: Sequence[str]) -> dict[str, Any]:
    """Summarise the emotions that a classifier read in a set of images, JSON-able.

    Args:
        true: the labelled emotion of each image.
        read: the emotion that the classifier read.
        identities: the person in each image, for the interval.
    Returns: n, accuracy (mean, low, high, n), mean_class_accuracy, by_emotion (name -> accuracy and n, if it occurs)
        and confusion (true name -> read name -> count).
    """
    correct = np.array([a == b for a, b in zip(true, read, strict=True)], np.float64)
    counts = confusion_matrix(true, read)
    return {
        "n": len(correct),
        "accuracy": summarise(correct, np.asarray(identities)).as_dict(),
        "mean_class_accuracy": mean_class_accuracy(counts),
        "by_emotion": accuracy_by_emotion(counts),
        "confusion": counts_by_name(counts),
    }


def describe_confusion(summary: dict[str, Any]) -> str:
    """Format the confusion matrix: a row for each true emotion that occurs, with its accuracy if n is 10 or more."""
    width = max(map(len, EMOTIONS))
    lines = [
        f"{'true | read':>{width}}  " + "".join(f"{name[:8]:>10}" for name in EMOTIONS) + f"{'accuracy':>10}{'n':>7}"
    ]
    for name, group in summary["by_emotion"].items():
        cells = "".join(f"{summary['confusion'][name][other]:>10,}" for other in EMOTIONS)
        accuracy = f"{100 * group['accuracy']:.1f} %" if group["n"] >= FEWEST_OF_A_CLASS else "–"
        lines.append(f"{name:>{width}}  {cells}{accuracy:>10}{group['n']:>7,}")
    return "\n".join(lines)


def describe_rare(counts: dict[str, int]) -> list[str]:
    """Return notes about emotions that are missing or rare among the scored images; empty if none is.

    Args:
        counts: emotion -> number of images; 0 if left out.
    """
    missing = [name for name in EMOTIONS if not counts.get(name)]
    rare = [f"{name} ({counts[name]})" for name in EMOTIONS if 0 < counts.get(name, 0) < FEWEST_OF_A_CLASS]
    lines = []
    if missing:
        lines.append(f"note: no picture shows {', '.join(missing)}, so there are no metrics of them")
    if rare:
        lines.append(f"note: fewer than {FEWEST_OF_A_CLASS} pictures, so no separate metrics: {', '.join(rare)}")
    return lines
