"""Choice of donors: faces whose lower half, behind other people's masks, makes classifiers read an emotion."""

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
from rac_unet.scoring.emotions.reading import BATCH, mean_probabilities

# At most of one person for each emotion, so that the mouths differ.
MOST_OF_A_PERSON = 2
SEED = 0


def without(faces: PairSet, pairs: PairSet, keys: Sequence[str]) -> PairSet:
    """Faces without the pictures of the named pairs.

    Args:
        pairs: the whole data set, in which several pairs can show the same face.
        keys: of pairs.
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
    """The faces in which an emotion is read most: `count` of each emotion, each face once.

    Args:
        read: (N, 7) probabilities, as `read_unmasked` gives them.
    """
    order = np.argsort(-read, axis=0, kind="stable")
    return faces.take(np.unique(order[:count]))


def try_donors(classifiers: Sequence[Classifier], pairs: PairSet, faces: PairSet, recipients: int) -> np.ndarray:
    """Paste faces behind the masks of other people, and read the emotion of the composites.

    Args:
        pairs: whose masked training pairs are the recipients, each of another person.
        recipients: how many people each face is tried on.
    Returns: (N, 7) mean probabilities over the recipients.
    Raises: UserError when there are no masked training pairs.
    """
    import tensorflow as tf

    from rac_unet.objectives.guidance import transplanted

    people = _recipients(pairs, recipients)
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


def choose(strengths: np.ndarray, identities: Sequence[str], count: int) -> list[list[int]]:
    """Choose donors for each emotion; no face serves two.

    A face serves the emotion in which it is strongest, measured by the `count`-th strongest of that emotion, since
    readers give rare emotions low probabilities.

    Args:
        strengths: (N, 7) as `try_donors` gives them.
        identities: N names of people, of each of whom `MOST_OF_A_PERSON` faces at most serve an emotion.
        count: of each emotion at most.
    Returns: for each of `EMOTIONS` positions, the strongest first.
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


def _recipients(pairs: PairSet, count: int) -> PairSet:
    """Masked training pairs of different people, always the same."""
    train = pairs.split("train").with_truth()
    masked = np.flatnonzero((train.frame["mask_style"] != "none").to_numpy())
    if not len(masked):
        raise UserError(f"{pairs.root} has no training pairs with a mask, on which donors are tried", "empty")
    order = np.random.default_rng(SEED).permutation(masked)
    people = train.frame["identity"].to_numpy(object)[order].astype(str)
    first = np.sort(np.unique(people, return_index=True)[1])[:count]
    return train.take(order[first])
