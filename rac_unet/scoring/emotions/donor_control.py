"""Control accuracy of real lower faces, against which a network's can be measured.

Where real mouths of an emotion do not make a judge read it, a network that does so paints mouths that are not natural.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from rac_unet.core.emotions import EMOTIONS
from rac_unet.core.errors import UserError
from rac_unet.data.pairs import PairSet
from rac_unet.data.pictures import Pictures
from rac_unet.data.pipeline import make_scoring_dataset, unmasked_faces
from rac_unet.runtime.classifier import Classifier
from rac_unet.scoring.emotions.donor_choice import SEED
from rac_unet.scoring.emotions.face_reading import BATCH, mean_probabilities, read_names


class DonorControl:
    """Composites of faces with donors, and what a judge reads in them.

    Args:
        donors: table of donors; each of the seven emotions has at least one.
        image_size: side of the composites.
        classifiers: readers that choose the best of several donors by their mean probability.
        judge: another classifier.
        tries: numbers of donors tried for each face, ascending; those of a smaller number are among those of a larger.
    Raises: UserError when an emotion has no donor.
    """

    def __init__(
        self,
        donors: PairSet,
        image_size: int,
        classifiers: Sequence[Classifier],
        judge: Classifier,
        tries: Sequence[int],
    ):
        import tensorflow as tf

        from rac_unet.objectives.guidance import transplanted

        counts = donors.emotion_counts()
        if missing := [name for name in EMOTIONS if not counts[name]]:
            raise UserError(f"{donors.root} has no donor for {', '.join(missing)}; add some", "mismatch")
        images = np.concatenate(list(unmasked_faces(donors, image_size)))
        self._faces = [images[donors.emotion_ids == number] for number in range(len(EMOTIONS))]
        self._classifiers, self._judge, self.tries = classifiers, judge, list(tries)
        self._paste = tf.function(transplanted, autograph=False, reduce_retracing=True)
        self._rng = np.random.default_rng(SEED)

    def score(self, pairs: PairSet, image_size: int, advance: Callable[[int], object]):
        """Yield for each pair and emotion: row number of the pair, emotion, and a best composite for each of `tries`.

        Yields: (row, emotion, names, composites): what the judge reads, and (len(tries), S, S, 3) float32.
        """
        row = 0
        for _, targets in make_scoring_dataset(pairs, Pictures(pairs, image_size), BATCH):
            for place in range(len(targets["unmasked_image"])):
                face = {name: targets[name][place : place + 1] for name in ("unmasked_image", "occlusion")}
                for number, emotion in enumerate(EMOTIONS):
                    best = self._best(face, number)
                    yield row, emotion, read_names(self._judge, best), best
                advance(1)
                row += 1

    def _best(self, face, number: int) -> np.ndarray:
        """Return (len(tries), S, S, 3): the best composite among the first 1, 8, … donors of a random order."""
        import tensorflow as tf

        donors = self._faces[number]
        order = self._rng.permutation(len(donors))[: self.tries[-1]]
        composites, seen = [], []
        for start in range(0, len(order), BATCH):
            donor = donors[order[start : start + BATCH]]
            same = {name: tf.repeat(value, len(donor), axis=0) for name, value in face.items()}
            made = self._paste(same, tf.constant(donor)).numpy()
            composites.append(made)
            seen.append(mean_probabilities(self._classifiers, made)[:, number])
        composites, seen = np.concatenate(composites), np.concatenate(seen)
        return np.stack([composites[seen[:count].argmax()] for count in self.tries])
