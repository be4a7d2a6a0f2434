"""Emotion accuracy and calibration of classifiers on masked faces."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from rac_unet.core.emotions import EMOTIONS
from rac_unet.data.frames import WHOLE_CROP, Frame, picture_in_crop
from rac_unet.data.pairs import PairSet
from rac_unet.data.pictures import Pictures
from rac_unet.data.pipeline import make_scoring_dataset
from rac_unet.runtime.classifier import Classifier, softmax
from rac_unet.scoring.emotions.accuracy import (
    FEWEST_OF_A_CLASS,
    accuracy_by_emotion,
    confusion_matrix,
    mean_class_accuracy,
    summarise_emotions,
)
from rac_unet.scoring.emotions.calibration import Reliability, reliability

BATCH = 64
ALL = "all"


def masked_crops(pairs: PairSet, size: int, frame: Frame | None = None):
    """Yield the masked images of a data set as crops, (B, size, size, 3) float32 in [0, 1].

    Args:
        pairs: the data set.
        size: side of the crops in pixels.
        frame: the part of an upright crop that the images show; None for all of it.
    """
    for inputs, _ in make_scoring_dataset(pairs, Pictures(pairs, pairs.image_size), BATCH):
        pictures = inputs["masked_image"].numpy()
        yield np.stack([picture_in_crop(picture, frame or WHOLE_CROP, size) for picture in pictures])


def readings(read: Callable[[np.ndarray], np.ndarray], pairs: PairSet, size: int, frame: Frame | None, advance=None):
    """Read the emotions of a data set's masked images.

    Args:
        read: function from (B, size, size, 3) crops to (B, 7) probabilities in the order of `EMOTIONS`.
        pairs, size, frame: as for `masked_crops`.
        advance: called with the number of images after each batch.
    Returns: a row per image: key, source, identity, emotion, read, confidence.
    """
    found = []
    for crops in masked_crops(pairs, size, frame):
        found.append(read(crops))
        if advance:
            advance(len(crops))
    probabilities = np.concatenate(found)
    table = pairs.frame[["key", "source", "identity", "emotion"]].astype(str)
    read_names = np.array(EMOTIONS, object)[probabilities.argmax(axis=1)]
    return table.assign(read=read_names, confidence=probabilities.max(axis=1).astype(np.float64))


def summarise_readings(table: pd.DataFrame) -> dict[str, Any]:
    """Summarise readings over all images and for each source, if there are several; JSON-able.

    Args:
        table: from `readings`.
    Returns: source or `all` -> `summarise_emotions`, with expected_calibration_error, mean_confidence and reliability.
    """
    groups = dict(iter(table.groupby("source")))
    if len(groups) > 1:
        groups = {ALL: table, **groups}
    return {name: _summary(part) for name, part in groups.items()}


def reliability_of(table: pd.DataFrame) -> Reliability:
    """Return the reliability curve of a table of `readings`."""
    return reliability(table["confidence"].to_numpy(), (table["read"] == table["emotion"]).to_numpy())


def reading_rows(model: str, summaries: dict[str, Any]) -> list[list[str]]:
    """Return the cells of the table of readings, below `READING_HEAD`: a row for each source."""
    rows = []
    for source, summary in summaries.items():
        accuracy = summary["accuracy"]
        row = [model, source, f"{summary['n']:,}"]
        row.append(f"{100 * accuracy['mean']:.1f} [{100 * accuracy['low']:.1f}, {100 * accuracy['high']:.1f}]")
        row += [f"{100 * summary['mean_class_accuracy']:.1f}", f"{summary['expected_calibration_error']:.3f}"]
        for name in EMOTIONS:
            group = summary["by_emotion"].get(name)
            few = group is not None and group["n"] < FEWEST_OF_A_CLASS
            row.append(
                "–" if not group else f"– ({group['n']})" if few else f"{100 * group['accuracy']:.0f} ({group['n']:,})"
            )
        rows.append(row)
    return rows


def classifier_logits(classifier: Classifier, pairs: PairSet) -> np.ndarray:
    """Return (N, 7) logits in the order of `EMOTIONS` of a data set's masked images.

    Each is the mean over an image and its mirror image, as in the file that `reader_writing` writes.

    Args:
        pairs: images that show the same frame of the face as the classifier's training data.
    """
    order = [classifier.classes.index(name) for name in EMOTIONS]
    found = []
    for inputs, _ in make_scoring_dataset(pairs, Pictures(pairs, classifier.image_size), BATCH):
        pictures = inputs["masked_image"].numpy()
        found.append((classifier.call(pictures) + classifier.call(pictures[:, :, ::-1])) / 2)
    return np.concatenate(found)[:, order]


def summarise_logits(logits: np.ndarray, pairs: PairSet) -> dict[str, Any]:
    """Summarise logits (N, 7) of a data set's masked images, JSON-able.

    Returns: n, accuracy, mean_class_accuracy, by_emotion, expected_calibration_error and reliability.
    """
    confidence, read = softmax(logits).max(axis=1), logits.argmax(axis=1)
    correct = read == pairs.emotion_ids
    counts = confusion_matrix(*(np.array(EMOTIONS, object)[ids].tolist() for ids in (pairs.emotion_ids, read)))
    curve = reliability(confidence, correct)
    return {
        "n": len(correct),
        "accuracy": float(correct.mean()),
        "mean_class_accuracy": mean_class_accuracy(counts),
        "by_emotion": accuracy_by_emotion(counts),
        "expected_calibration_error": curve.expected_calibration_error,
        "reliability": curve.as_dict(),
    }


READING_HEAD = ["model", "pictures", "n", "accuracy %", "mean of classes %", "ECE", *(f"{name} %" for name in EMOTIONS)]


def _summary(table: pd.DataFrame) -> dict[str, Any]:
    curve = reliability_of(table)
    return {
        **summarise_emotions(table["emotion"].tolist(), table["read"].tolist(), table["identity"].tolist()),
        "mean_confidence": float(table["confidence"].mean()),
        "expected_calibration_error": curve.expected_calibration_error,
        "reliability": curve.as_dict(),
    }
