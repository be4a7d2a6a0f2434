"""Have a classifier read emotions, from a data set's own pictures or from painted ones."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from rac_unet.core.emotions import EMOTIONS
from rac_unet.core.errors import UserError
from rac_unet.core.progress import Progress
from rac_unet.data.frames import frame_pixels
from rac_unet.data.pairs import PairSet
from rac_unet.data.pictures import Pictures
from rac_unet.data.pipeline import make_scoring_dataset, unmasked_faces
from rac_unet.runtime.classifier import Classifier
from rac_unet.scoring.emotions.accuracy import summarise_emotions

BATCH = 64


def read_pairs_of(classifier: Classifier, pairs: PairSet, view: str) -> dict[str, Any]:
    """`summarise_emotions` of what the classifier reads in a data set's own pictures.

    Args:
        view: unmasked or masked.
    """
    read: list[str] = []
    for inputs, targets in make_scoring_dataset(pairs, Pictures(pairs, classifier.image_size), BATCH):
        image = targets["unmasked_image"] if view == "unmasked" else inputs["masked_image"]
        # Its own data set's pictures are cut as those it was trained on.
        read += read_names(classifier, image.numpy(), framed=True)
    frame = pairs.frame
    return summarise_emotions(frame["emotion"].astype(str).tolist(), read, frame["identity"].astype(str).tolist())


def read_unmasked(classifiers: Sequence[Classifier], pairs: PairSet) -> np.ndarray:
    """(N, 7) float32: the mean of the classifiers' probabilities for the unmasked face of each pair; shows progress."""
    found, progress = [], Progress(len(pairs), noun="pictures")
    for image in unmasked_faces(pairs, pairs.image_size, BATCH):
        found.append(mean_probabilities(classifiers, image))
        progress.advance(len(image))
    progress.close()
    return np.concatenate(found)


def training_faces(pairs: PairSet) -> PairSet:
    """One training pair of each unmasked picture, since several masks are drawn on a face.

    Raises: UserError when there is none.
    """
    train = pairs.split("train").with_truth()
    if not len(train):
        raise UserError(f"{pairs.root} has no training pairs whose unmasked face is known", "mismatch")
    return train.take(np.unique(train.frame["unmasked"].to_numpy(object).astype(str), return_index=True)[1])


def mean_probabilities(classifiers: Sequence[Classifier], image: np.ndarray) -> np.ndarray:
    """(B, 7) float32: the mean of several classifiers' probabilities; `image` as for `read_probabilities`."""
    return np.mean([read_probabilities(classifier, image) for classifier in classifiers], axis=0)


def read_names(classifier: Classifier, image: np.ndarray, framed: bool = False) -> list[str]:
    """The likeliest emotion of each picture, by name; arguments as for `read_probabilities`."""
    return [EMOTIONS[number] for number in read_probabilities(classifier, image, framed).argmax(axis=1)]


def read_probabilities(classifier: Classifier, image: np.ndarray, framed: bool = False) -> np.ndarray:
    """(B, 7) float32, probabilities of `EMOTIONS` for each picture.

    Args:
        image: (B, H, H, 3) float in [0, 1] (clipped here); resized to the classifier's size where it is another.
        framed: the pictures are already cut to the classifier's frame; otherwise they are upright crops.
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
