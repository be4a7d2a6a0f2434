"""Which faces are good donors: their lower half, behind other people's masks, makes classifiers read an emotion."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from rac_unet.core.emotions import EMOTIONS
from rac_unet.core.errors import UserError
from rac_unet.core.progress import Progress
from rac_unet.data.pairs import PairSet
from rac_unet.data.pictures import Pictures
from rac_unet.data.pipeline import make_scoring_dataset
from rac_unet.runtime.classifier import Classifier
from rac_unet.scoring.emotions.reading import BATCH, read_probabilities

# Of one person, so that an emotion does not become a person's mouth.
MOST_OF_A_PERSON = 2
SEED = 0


def training_faces(pairs: PairSet, skipped: Sequence[str] = ()) -> PairSet:
    """One training pair of each unmasked picture.

    Args:
        skipped: keys of pairs whose picture is left out.
    Raises: UserError for a key that is not there, or when nothing is left.
    """
    unknown = sorted(set(skipped) - set(pairs.keys))
    if unknown:
        raise UserError(f"--skip: {pairs.root} has no pair {unknown[0]}", "unknown_name")
    train = pairs.split("train").with_truth()
    pictures = train.frame["unmasked"].to_numpy(object).astype(str)
    out = {picture for picture, key in zip(pictures, train.keys, strict=True) if key in set(skipped)}
    first = np.unique(pictures, return_index=True)[1]
    kept = [row for row in first if pictures[row] not in out]
    if not kept:
        raise UserError(f"{pairs.root} has no training pairs whose unmasked face is known", "mismatch")
    return train.take(np.array(kept))


def read_faces(classifiers: Sequence[Classifier], faces: PairSet) -> np.ndarray:
    """(N, 7) mean of the classifiers' probabilities for each unmasked face."""
    found, progress = [], Progress(len(faces), noun="pictures")
    for image in _unmasked(faces):
        found.append(_mean(classifiers, image))
        progress.advance(len(image))
    progress.close()
    return np.concatenate(found)


def try_donors(classifiers: Sequence[Classifier], pairs: PairSet, faces: PairSet, read: np.ndarray, tried: int,
               recipients: int) -> tuple[PairSet, np.ndarray]:  # fmt: skip
    """Paste faces behind the masks of other people and have the result read.

    Args:
        pairs: whose masked training pairs are the recipients, each of another person.
        faces, read: as `training_faces` and `read_faces` give them.
        tried: how many for each emotion, those with the highest probability.
        recipients: how many people each is tried on.
    Returns: the faces tried, and (N, 7) mean probabilities over the recipients.
    """
    import tensorflow as tf

    from rac_unet.objectives.guidance import transplanted

    short = np.unique(np.concatenate([np.argsort(-read[:, i], kind="stable")[:tried] for i in range(len(EMOTIONS))]))
    faces = faces.take(short)
    people = _recipients(pairs, recipients)
    size = pairs.image_size
    (_, targets), *_ = make_scoring_dataset(people, Pictures(people, size), len(people))
    paste = tf.function(transplanted, autograph=False)
    found, progress = [], Progress(len(faces), noun="donors")
    for images in _unmasked(faces):
        for image in images:
            donor = tf.constant(np.repeat(image[None], len(people), axis=0))
            found.append(_mean(classifiers, paste(targets, donor).numpy()).mean(axis=0))
            progress.advance(1)
    progress.close()
    return faces, np.stack(found)


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
    order = np.random.default_rng(SEED).permutation(masked)
    people = train.frame["identity"].to_numpy(object)[order].astype(str)
    first = np.sort(np.unique(people, return_index=True)[1])[:count]
    return train.take(order[first])


def _unmasked(faces: PairSet):
    for _, targets in make_scoring_dataset(faces, Pictures(faces, faces.image_size), BATCH):
        yield targets["unmasked_image"].numpy()


def _mean(classifiers: Sequence[Classifier], image: np.ndarray) -> np.ndarray:
    return np.mean([read_probabilities(classifier, image) for classifier in classifiers], axis=0)
