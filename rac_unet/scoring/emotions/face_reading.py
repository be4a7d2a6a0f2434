"""Read emotions with classifiers, in the images of a data set or in inpainted ones."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from rac_unet.core.emotions import EMOTIONS
from rac_unet.core.errors import UserError
from rac_unet.core.progress import Progress
from rac_unet.data.frames import frame_pixels
from rac_unet.data.pairs import PairSet
from rac_unet.data.pictures import Pictures
from rac_unet.data.pipeline import make_scoring_dataset, unmasked_faces
from rac_unet.runtime.classifier import Classifier
from rac_unet.scoring.emotions.accuracy import summarise_emotions
from rac_unet.scoring.metric_table import TRUTH

BATCH = 64


def read_pairs_of(classifier: Classifier, pairs: PairSet, view: str) -> dict[str, Any]:
    """Read the emotions of a data set's images, and return `summarise_emotions`.

    Args:
        classifier: one that was trained on such images, cut to the same frame.
        view: unmasked or masked.
    """
    read: list[str] = []
    for inputs, targets in make_scoring_dataset(pairs, Pictures(pairs, classifier.image_size), BATCH):
        image = targets["unmasked_image"] if view == "unmasked" else inputs["masked_image"]
        read += read_names(classifier, image.numpy(), framed=True)
    frame = pairs.frame
    return summarise_emotions(frame["emotion"].astype(str).tolist(), read, frame["identity"].astype(str).tolist())


def read_unmasked(classifiers: Sequence[Classifier], pairs: PairSet) -> np.ndarray:
    """Return the classifiers' mean probabilities for the unmasked face of each pair, (N, 7) float32; shows progress."""
    found, progress = [], Progress(len(pairs), noun="pictures")
    for image in unmasked_faces(pairs, pairs.image_size, BATCH):
        found.append(mean_probabilities(classifiers, image))
        progress.advance(len(image))
    progress.close()
    return np.concatenate(found)


def training_faces(pairs: PairSet) -> PairSet:
    """Return one training pair for each unmasked image; several pairs can have the same.

    Raises: UserError when there are no training pairs with ground truth.
    """
    train = pairs.split("train").with_truth()
    if not len(train):
        raise UserError(f"{pairs.root} has no training pairs with an unmasked face", "mismatch")
    return distinct_faces(train)


def distinct_faces(pairs: PairSet) -> PairSet:
    """Return one pair for each unmasked image of a data set."""
    pairs = pairs.with_truth()
    return pairs.take(np.unique(pairs.frame["unmasked"].to_numpy(object).astype(str), return_index=True)[1])


def mean_probabilities(classifiers: Sequence[Classifier], image: np.ndarray) -> np.ndarray:
    """Return the mean of several classifiers' probabilities, (B, 7) float32; `image` as for `read_probabilities`."""
    return np.mean([read_probabilities(classifier, image) for classifier in classifiers], axis=0)


def read_names(classifier: Classifier, image: np.ndarray, framed: bool = False) -> list[str]:
    """Return the most probable emotion of each image, by name; arguments as for `read_probabilities`."""
    return [EMOTIONS[number] for number in read_probabilities(classifier, image, framed).argmax(axis=1)]


def read_probabilities(classifier: Classifier, image: np.ndarray, framed: bool = False) -> np.ndarray:
    """Return the probabilities of `EMOTIONS` for each image, (B, 7) float32.

    Args:
        classifier: the classifier.
        image: (B, H, H, 3) float, clipped to [0, 1] and resized to the classifier's size.
        framed: whether the images are already cut to the classifier's frame; otherwise they are upright crops.
    """
    image = np.clip(image, 0, 1).astype(np.float32)
    if classifier.frame and not framed:
        top, left, side = frame_pixels(classifier.frame, image.shape[1])
        image = image[:, top : top + side, left : left + side]
    if image.shape[1] != classifier.image_size:
        import tensorflow as tf

        size = [classifier.image_size] * 2
        image = np.clip(tf.image.resize(image, size, "bilinear", antialias=True).numpy(), 0, 1)
    return classifier.probabilities(image)


def reading_column(who: str, what: str, number: int) -> str:
    """Return the column of scores.csv with a judge's result: `network_reads`, for the second judge `network_reads_2`.

    Args:
        who: whose images: a system, the truth, or no_label.
        what: reads (the emotion read) or CONTROL_ACCURACY (share of the seven requests that the judge read).
        number: of the judge, from 0.
    """
    return f"{who}_{what}" + (f"_{number + 1}" if number else "")


def summarise_reading(scores: pd.DataFrame, number: int = 0) -> dict[str, Any]:
    """Summarise what one judge read in the ground truth (the ceiling) and in each kind of image.

    Args:
        scores: the table of scores.csv.
        number: of the judge, from 0.
    Returns: who -> `summarise_emotions`, and for all but the truth `share_of_ceiling`: its accuracy over that of the
        truth; None if the latter is 0.
    """
    ending = reading_column("", "reads", number)
    kinds = [column.removesuffix(ending) for column in scores if column.endswith(ending)]
    found = {who: summarise_emotions(scores["emotion"], scores[who + ending], scores["identity"]) for who in kinds}
    ceiling = found[TRUTH]["accuracy"]["mean"]
    for who in kinds:
        if who != TRUTH:
            found[who]["share_of_ceiling"] = found[who]["accuracy"]["mean"] / ceiling if ceiling else None
    return found
