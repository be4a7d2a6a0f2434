"""Guidance in training: which pictures of a batch are asked for another emotion, and their loss.

A picture asked for its own emotion has the loss it always has. One that is asked for another keeps the terms of what
can be seen (the map, the emotion read from the visible part); its likeness terms compare with a donor's lower face, or
are left out, and the readers and the colour term are added. The batch's loss is the mean of its pictures', however the
asked ones fall to the devices.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from rac_unet.core.config import RunConfig
from rac_unet.core.emotions import EMOTIONS
from rac_unet.core.registry import LOSSES
from rac_unet.data.pairs import PairSet
from rac_unet.objectives.adversarial import composed
from rac_unet.objectives.guidance import (
    ASK_DRAWS,
    READER_DRAWS,
    is_masked,
    low_pass_colour,
    neighbours,
    other_emotion,
    reader_crops,
    reader_loss,
    transplanted,
)
from rac_unet.training.guiding.donors import Donors
from rac_unet.training.guiding.readers import Reader, emotion_frequencies


class Labels(NamedTuple):
    """The labels of a batch; each (B, 7) float32, zeros where no label is given.

    Attributes:
        painted: what the network is given.
        own: the real face's label; zeros where the network was given none.
        wrong: another emotion, as often as it is in the data.
        asked: (B,) 1 where the picture is asked for another emotion than its own, else 0.
    """

    painted: Any
    own: Any
    wrong: Any
    asked: Any


def read_emotion(reader: Reader, image, draws=None):
    """What a reader says of pictures.

    Args:
        image: (B, S, S, 3) float32 in [0, 1].
        draws: (B, 5) in [0, 1), by which crops are moved and relit, see `reader_crops`; None for exact crops.
    Returns: (B, 7) float32 logits in the order of `EMOTIONS`.
    """
    crops = reader_crops(image, reader.image_size, reader.frame, draws)
    logits = tf.cast(reader.model({"image": crops}, training=False)["logits"], tf.float32)
    return tf.gather(logits, [reader.classes.index(name) for name in EMOTIONS], axis=1)


class Guidance:
    """Guidance of one training.

    Args:
        config: the run's, with readers.
        readers: as `load_readers` opens them.
        train: the training pairs.
        donors: as `load_donors` gives them; None takes neighbours in the batch, where the config weighs donors.
    Raises: UserError when all pairs have the same emotion.
    """

    TERMS = ("readers", "readers_accuracy", "colour", "donors")

    def __init__(self, config: RunConfig, readers: Sequence[Reader], train: PairSet, donors: Donors | None = None):
        self.readers, self._settings, self._terms = readers, config.guidance, config.loss.terms
        self._donors = donors
        self.label_shares = emotion_frequencies(train)
        given = config.guidance.emotion_weights
        self._asked_weights = np.array([given.get(name, 1.0) for name in EMOTIONS], np.float32)

    @property
    def draws(self) -> int:
        """Random numbers it takes for each pair."""
        return ASK_DRAWS + READER_DRAWS * len(self.readers)

    def ask(self, inputs, targets, draws):
        """Ask some pictures for another emotion than theirs.

        Args:
            inputs, targets: as `finish_batch` gives them.
            draws: (B, D) in [0, 1), of which the last `self.draws` are these.
        Returns: the inputs with `emotion` as asked for, the targets to paint, and `Labels`. A face without a mask is
            never asked for another.
        """
        mine, own = draws[:, -self.draws :], targets["emotion"]
        other, differs, composite = self._request(targets, mine)
        chosen = (mine[:, 0] < self._settings.asked) & is_masked(targets["occlusion"]) & differs
        face = targets["unmasked_image"]
        if composite is not None:
            face = tf.where(chosen[:, None, None, None], composite, face)
        is_asked = chosen[:, None]
        painted = tf.where(is_asked, other, inputs["emotion"])
        labels = Labels(
            painted,
            tf.where(is_asked, own, inputs["emotion"]),
            other_emotion(own, mine[:, 2], self.label_shares),
            tf.cast(chosen, tf.float32),
        )
        return {**inputs, "emotion": painted}, {**targets, "unmasked_image": face}, labels

    def _request(self, targets, draws):
        """Return the emotion to request of each picture, whether it is not the picture's own, and its ground truth.

        The ground truth is None where no likeness term compares with it.
        """
        own = targets["emotion"]
        if self._settings.donors and not self._donors:
            shown = neighbours(own)
            strongest = tf.argmax(shown, axis=1)
            # Half as the donor's label says, half as users ask.
            other = tf.where(draws[:, 1:2] < 0.5, tf.one_hot(strongest, len(EMOTIONS)), shown)
            composite = transplanted(targets, neighbours(targets["unmasked_image"]))
            return other, strongest != tf.argmax(own, axis=1), composite
        other = other_emotion(own, draws[:, 1], self._asked_weights)
        differs = tf.reduce_any(other > 0, axis=1)
        if not self._donors:
            return other, differs, None
        composite, probabilities = self._best_composite(targets, other, draws[:, 3])
        # Under other eyes a donor's mouth can mean another emotion.
        return tf.one_hot(tf.argmax(probabilities, axis=1), len(EMOTIONS)), differs, composite

    def _best_composite(self, targets, emotion, draw):
        """Return the composite in which the readers see the emotion best, and their mean probabilities (B, 7)."""
        best = probabilities = None
        tries = self._settings.donor_tries
        for i in range(tries):
            # Evenly spaced, so that no donor is tried twice.
            composite = transplanted(targets, self._donors.pick(emotion, (draw + i / tries) % 1.0))
            read = [tf.nn.softmax(read_emotion(reader, composite)) for reader in self.readers]
            seen = tf.add_n(read) / len(read)
            if best is None:
                best, probabilities = composite, seen
                continue
            is_better = tf.reduce_sum(emotion * (seen - probabilities), axis=1) > 0
            best = tf.where(is_better[:, None, None, None], composite, best)
            probabilities = tf.where(is_better[:, None], seen, probabilities)
        return best, probabilities

    def loss(self, targets, outputs, terms, labels: Labels, draws):
        """What the network minimises in a step, without the discriminator.

        Args:
            targets: to paint, as `ask` gives them.
            terms: name -> (B,), the loss's own, against these targets.
            draws: as for `ask`.
        Returns: (B,) total, and name -> (B,): the terms and `TERMS`, 0 where they do not apply.
        """
        rest = draws[:, draws.shape[1] - self.draws + ASK_DRAWS :]
        jitter = [rest[:, READER_DRAWS * i : READER_DRAWS * (i + 1)] for i in range(len(self.readers))]
        guided = self._guided(targets, outputs, labels.painted, jitter)
        guided["donors"] = sum(self._terms[name] * value for name, value in terms.items() if not LOSSES[name].any_label)
        total, terms = self._blend(terms, guided, labels.asked)
        return total, terms | {name: value * labels.asked for name, value in guided.items()}

    def validation_request(self, targets):
        """(B, 7) one-hot: the emotion a validation picture is asked for, always the same other than its own.

        Which follows from the area of its mask, so that neither order nor number of devices matters.
        """
        own = tf.argmax(targets["emotion"], axis=1, output_type=tf.int32)
        area = tf.reduce_sum(tf.cast(targets["occlusion"] > 0, tf.int32), axis=[1, 2, 3])
        return tf.one_hot((own + 1 + area % (len(EMOTIONS) - 1)) % len(EMOTIONS), len(EMOTIONS))

    def validation_loss(self, targets, terms, asked_outputs, request):
        """The step's loss as it is on average, on whole crops.

        Args:
            terms: name -> (B,) of what was painted with the picture's own label.
            asked_outputs: what was painted on `request`.
        Returns: (B,) total, and name -> (B,): `TERMS`, 0 where nothing is hidden.
        """
        guided = self._guided(targets, asked_outputs, request, [None] * len(self.readers))
        # Faces asked for in validation have no donors.
        guided["donors"] = tf.zeros_like(guided["colour"])
        masked = tf.cast(is_masked(targets["occlusion"]), tf.float32)
        total, _ = self._blend(terms, guided, self._settings.asked * masked)
        return total, {name: value * masked for name, value in guided.items()}

    @staticmethod
    def per_picture(means: dict[str, float], asked: float, terms) -> dict[str, float]:
        """Means over the pictures that a term applies to, from means over all.

        Args:
            means: name -> mean over all pictures.
            asked: share that was asked for another emotion.
            terms: the loss's own names.
        """
        shares = {name: 1 - asked for name in terms if not LOSSES[name].any_label}
        shares |= dict.fromkeys(Guidance.TERMS, asked)
        return {name: mean / (shares.get(name) or 1.0) for name, mean in means.items()}

    def _guided(self, targets, outputs, request, jitter) -> dict[str, Any]:
        face, wanted = composed(targets, outputs), tf.argmax(request, axis=1)
        read = [read_emotion(reader, face, draws) for reader, draws in zip(self.readers, jitter, strict=True)]
        losses = [reader_loss(logits, request, self._settings.margin) for logits in read]
        right = [tf.cast(tf.argmax(logits, axis=1) == wanted, tf.float32) for logits in read]
        return {
            "readers": tf.add_n(losses) / len(losses),
            "readers_accuracy": tf.add_n(right) / len(right),
            "colour": low_pass_colour(targets, outputs),
        }

    def _blend(self, terms, guided, asked):
        """Total and the loss's own terms, likeness by the share that is not asked."""
        terms = {name: value if LOSSES[name].any_label else value * (1 - asked) for name, value in terms.items()}
        own = sum(self._terms[name] * value for name, value in terms.items())
        weights = {"readers": self._settings.weight, "colour": self._settings.colour, "donors": self._settings.donors}
        guidance = sum(weight * guided[name] for name, weight in weights.items())
        return own + asked * guidance, terms


def describe(config: RunConfig, readers: Sequence[Reader], donors: Donors | None = None) -> list[str]:
    """Lines for the log: the readers, the donors, and warnings about settings that paint unnatural faces."""
    settings = config.guidance
    named = ", ".join(f"{reader.name} ({reader.image_size} px)" for reader in readers)
    lines = [
        f"guidance {100 * settings.asked:g} % of each batch asked for another emotion; "
        f"{len(readers)} reader{'s' * (len(readers) > 1)}: {named}"
    ]
    if donors:
        counts = ", ".join(f"{name} {count}" for name, count in zip(EMOTIONS, donors.counts, strict=True))
        lines.append(f"donors   {len(donors.images):,} faces: {counts}")
    if not config.loss.adversarial:
        lines.append(
            "warning  guidance without a discriminator (loss.adversarial: 0): readers are pleased by patterns that no "
            "face has"
        )
    if settings.asked == 1:
        lines.append("warning  guidance.asked: 1 leaves no picture to be compared with its ground truth")
    return lines
