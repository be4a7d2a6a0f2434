"""Choose donors: faces whose lower half, pasted behind other people's masks, makes classifiers read an emotion."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from rac_unet.core.emotions import EMOTIONS
from rac_unet.core.errors import UserError
from rac_unet.core.progress import Progress
from rac_unet.data.pairs import PairSet
from rac_unet.data.pictures import Pictures
from rac_unet.data.pipeline import make_scoring_dataset, unmasked_faces
from rac_unet.runtime.classifier import Classifier
from rac_unet.scoring.emotions.face_reading import BATCH, mean_probabilities

# Limit of faces of one person for each emotion, so that the mouths differ.
MOST_OF_A_PERSON = 2
SEED = 0


def without(faces: PairSet, pairs: PairSet, keys: Sequence[str]) -> PairSet:
    """Return the faces without those of the named pairs.

    Args:
        faces: pairs with different unmasked images.
        pairs: the whole data set, in which several pairs can have the same unmasked image.
        keys: of the pairs to leave out.
    Raises: UserError for a key that does not exist, or when no face is left.
    """
    unknown = sorted(set(keys) - set(pairs.keys))
    if unknown:
        raise UserError(f"--skip: {pairs.root} has no pair {unknown[0]}", "unknown_name")
    out = pairs.frame["unmasked"][np.isin(pairs.keys.astype(str), list(keys))]
    kept = np.flatnonzero(~faces.frame["unmasked"].isin(out).to_numpy())
    if not len(kept):
        raise UserError(f"--skip: no training face of {pairs.root} is left; skip fewer", "empty")
    return faces.take(kept)


def likely_donors(faces: PairSet, read: np.ndarray, count: int) -> PairSet:
    """Return the faces with the highest probabilities: `count` for each emotion, each face once.

    Args:
        faces: N pairs.
        read: (N, 7) probabilities from `read_unmasked`.
        count: faces for each emotion.
    """
    order = np.argsort(-read, axis=0, kind="stable")
    return faces.take(np.unique(order[:count]))


def try_donors(classifiers: Sequence[Classifier], pairs: PairSet, faces: PairSet, recipients: int) -> np.ndarray:
    """Paste faces behind the masks of other people, and read the emotion of the composites.

    Args:
        classifiers: their probabilities are averaged.
        pairs: data set whose masked training pairs are the recipients, each of a different person.
        faces: N candidates.
        recipients: number of people on whom each face is tried.
    Returns: (N, 7) mean probabilities over the recipients.
    Raises: UserError when there are no masked training pairs.
    """
    import tensorflow as tf

    from rac_unet.objectives.guidance import transplanted

    train = pairs.split("train").with_truth()
    people = train.take(different_people(train, recipients))
    (_, targets), *_ = make_scoring_dataset(people, Pictures(people, pairs.image_size), len(people))
    paste = tf.function(transplanted, autograph=False)
    found, progress = [], Progress(len(faces), noun="donors")
    for images in unmasked_faces(faces, pairs.image_size, BATCH):
        for image in images:
            donor = tf.constant(np.repeat(image[None], len(people), axis=0))
            found.append(mean_probabilities(classifiers, paste(targets, donor).numpy()).mean(axis=0))
            progress.advance(1)
    progress.close()
    return np.stack(found)


def choose_donors(strengths: np.ndarray, identities: Sequence[str], count: int) -> list[list[int]]:
    """Choose the donors of each emotion; each face is a donor of one emotion at most.

    That is the emotion with the highest strength relative to the `count`-th strongest face of that emotion, since
    classifiers give rare emotions low probabilities.

    Args:
        strengths: (N, 7) from `try_donors`.
        identities: N names of people; each has at most `MOST_OF_A_PERSON` donors for an emotion.
        count: limit of donors for each emotion.
    Returns: for each of `EMOTIONS` row numbers of faces, the strongest first.
    """
    level = np.sort(strengths, axis=0)[-min(count, len(strengths))]
    best = (strengths / np.maximum(level, 1e-6)).argmax(axis=1)
    chosen = []
    for number in range(len(EMOTIONS)):
        people: Counter = Counter()
        mine: list[int] = []
        for place in np.argsort(-strengths[:, number], kind="stable"):
            if best[place] == number and people[identities[place]] < MOST_OF_A_PERSON and len(mine) < count:
                people[identities[place]] += 1
                mine.append(int(place))
        chosen.append(mine)
    return chosen


def different_people(pairs: PairSet, count: int) -> np.ndarray:
    """Return row numbers of up to `count` masked pairs of different people, in random but always the same order.

    Args:
        pairs: pairs with ground truth.
    Raises: UserError when no pair has a mask.
    """
    masked = np.flatnonzero((pairs.frame["mask_style"] != "none").to_numpy())
    if not len(masked):
        raise UserError(f"{pairs.root} has no pairs with a mask in this split, which donors are tried on", "empty")
    order = np.random.default_rng(SEED).permutation(masked)
    people = pairs.frame["identity"].to_numpy(object)[order].astype(str)
    return order[np.sort(np.unique(people, return_index=True)[1])[:count]]
