"""How well emotions are read: accuracy, accuracy by class, who is taken for whom; always by name, always with n."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from rac_unet.core.emotions import EMOTIONS
from rac_unet.scoring.statistics import summarise

# Of fewer pictures an emotion has no figures of its own in any report: one face more or less would turn them over.
FEWEST_OF_A_CLASS = 10


def confusion_matrix(true: Sequence[str], read: Sequence[str]) -> np.ndarray:
    """(7, 7) int64, rows the true emotion, columns what was read, both in the order of `EMOTIONS`.

    Raises: ValueError for a name that is none of the seven.
    """
    place = {name: number for number, name in enumerate(EMOTIONS)}
    if unknown := (set(true) | set(read)) - place.keys():
        raise ValueError(f"unknown emotion {sorted(unknown)[0]!r}")
    counts = np.zeros((len(EMOTIONS), len(EMOTIONS)), np.int64)
    np.add.at(counts, ([place[name] for name in true], [place[name] for name in read]), 1)
    return counts


def counts_by_name(counts: np.ndarray) -> dict[str, dict[str, int]]:
    """A (7, 7) matrix in the order of `EMOTIONS` as row's name -> column's name -> how many."""
    return {name: dict(zip(EMOTIONS, row, strict=True)) for name, row in zip(EMOTIONS, counts.tolist(), strict=True)}


def mean_class_accuracy(counts: np.ndarray) -> float:
    """Mean over the emotions that occur of the share of them read rightly; 0..1, NaN when none occurs."""
    totals = counts.sum(axis=1)
    present = totals > 0
    return float((np.diag(counts)[present] / totals[present]).mean()) if present.any() else float("nan")


def summarise_emotions(true: Sequence[str], read: Sequence[str], identities: Sequence[str]) -> dict[str, Any]:
    """Everything that is reported of one set of pictures, JSON-able.

    Args:
        true: the emotion of each picture.
        read: what the classifier says.
        identities: who is shown, for the interval.
    Returns: n, accuracy (mean, low, high, n), mean_class_accuracy, by_emotion (name -> accuracy and n, where it occurs)
        and confusion (true name -> read name -> how many).
    """
    right = np.array([a == b for a, b in zip(true, read, strict=True)], np.float64)
    counts = confusion_matrix(true, read)
    return {
        "n": len(right),
        "accuracy": summarise(right, np.asarray(identities)).as_dict(),
        "mean_class_accuracy": mean_class_accuracy(counts),
        "by_emotion": {
            name: {"accuracy": float(counts[row, row] / counts[row].sum()), "n": int(counts[row].sum())}
            for row, name in enumerate(EMOTIONS)
            if counts[row].sum()
        },
        "confusion": counts_by_name(counts),
    }


def describe_confusion(summary: dict[str, Any]) -> str:
    """The confusion matrix as text: a row for each true emotion that occurs, its accuracy where n is 10 or more."""
    width = max(map(len, EMOTIONS))
    lines = [f"{'true | read':>{width}}  " + "".join(f"{name[:8]:>10}" for name in EMOTIONS) + f"{'right':>9}{'n':>7}"]
    for name, group in summary["by_emotion"].items():
        cells = "".join(f"{summary['confusion'][name][other]:>10,}" for other in EMOTIONS)
        right = f"{100 * group['accuracy']:.1f} %" if group["n"] >= FEWEST_OF_A_CLASS else "–"
        lines.append(f"{name:>{width}}  {cells}{right:>9}{group['n']:>7,}")
    return "\n".join(lines)


def describe_rare(counts: dict[str, int]) -> list[str]:
    """What must be said of emotions that are missing or rare among the scored pictures; empty when nothing must.

    Args:
        counts: emotion -> how many pictures; those without any may be left out.
    """
    missing = [name for name in EMOTIONS if not counts.get(name)]
    rare = [f"{name} ({counts[name]})" for name in EMOTIONS if 0 < counts.get(name, 0) < FEWEST_OF_A_CLASS]
    lines = []
    if missing:
        lines.append(f"note: no picture shows {', '.join(missing)}; nothing can be said of that")
    if rare:
        lines.append(f"note: fewer than {FEWEST_OF_A_CLASS} pictures, so no figures of their own: {', '.join(rare)}")
    return lines
