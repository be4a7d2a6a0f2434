"""Guidance in training: request another emotion than the true one for some images of a batch, and their loss.

An image with its own emotion has the usual loss. One with another emotion, a counterfactual, keeps the terms that do
not depend on the label (the map, the emotion read from the visible part). Its likeness terms compare with the lower
face of a donor, or are left out; the losses of the emotion readers and of the colour are added. The loss of a batch is
the mean over its images, so it does not depend on how the counterfactuals are distributed over devices.

In settings, history.csv and logs, `asked` is the share of counterfactuals.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from rac_unet.core.config import RunConfig
from rac_unet.core.emotions import EMOTIONS
from rac_unet.core.registry import LOSSES
from rac_unet.data.draws import REQUEST, PairDraws, guidance_count, split_draws
from rac_unet.data.pairs import PairSet
from rac_unet.objectives.adversarial import composed
from rac_unet.objectives.guidance import (
    is_masked,
    low_pass_colour,
    neighbours,
    other_emotion,
    reader_crops,
    reader_loss,
    teacher_distance,
    transplanted,
)
from rac_unet.training.guiding.donors import Donors
from rac_unet.training.guiding.readers import Reader, emotion_frequencies
from rac_unet.training.guiding.teacher import Teacher


class Labels(NamedTuple):
    """The labels of a batch; each (B, 7) float32, zeros for no label.

    Attributes:
        painted: the emotion that the network paints, its input.
        own: the label of the real face; zeros where the network's input has none.
        wrong: another emotion than the real face's, as frequent as in the data.
        counterfactual: (B,) 1 where another emotion than the image's own is requested, else 0.
    """

    painted: Any
    own: Any
    wrong: Any
    counterfactual: Any


def read_emotion(reader: Reader, image, draws=None):
    """Return the logits of an emotion reader, (B, 7) float32 in the order of `EMOTIONS`.

    Args:
        reader: the emotion reader.
        image: (B, S, S, 3) float32 in [0, 1].
        draws: (B, 5) in [0, 1), random changes of the crops, see `reader_crops`; None for exact crops.
    """
    crops = reader_crops(image, reader.image_size, reader.frame, draws)
    logits = tf.cast(reader.model({"image": crops}, training=False)["logits"], tf.float32)
    return tf.gather(logits, [reader.classes.index(name) for name in EMOTIONS], axis=1)


class Guidance:
    """Guidance of one training.

    Args:
        config: config of the run, with readers.
        readers: result of `load_readers`.
        train: the training pairs.
        donors: result of `load_donors`; with None, neighbours in the batch are the donors, if the config has a weight
            for donors.
        teacher: result of `load_teacher`; None without a teacher.

    Attributes:
        names: names of its terms.
    Raises: UserError when all pairs have the same emotion.
    """

    READERS, TEACHER, ALWAYS = ("readers", "readers_accuracy"), ("teacher",), ("colour", "donors")

    def __init__(
        self,
        config: RunConfig,
        readers: Sequence[Reader],
        train: PairSet,
        donors: Donors | None = None,
        teacher: Teacher | None = None,
    ):
        self.readers, self._settings, self._terms = readers, config.guidance, config.loss.terms
        self._donors, self._teacher = donors, teacher
        self.names = (*(self.READERS if readers else ()), *self.ALWAYS, *(self.TEACHER if teacher else ()))
        self.label_shares = emotion_frequencies(train)
        given = config.guidance.emotion_weights
        self._request_weights = np.array([given.get(name, 1.0) for name in EMOTIONS], np.float32)

    @property
    def draws(self) -> int:
        """How many random numbers of each pair it needs."""
        return guidance_count(len(self.readers))

    def request_emotions(self, inputs, targets, draws):
        """Request another emotion than their own for some images, never for a face without a mask.

        Args:
            inputs, targets: result of `finish_batch`.
            draws: (B, N) in [0, 1), all random numbers of the pairs, layout `rac_unet.data.draws`.
        Returns: the inputs with the requested `emotion`, the targets to paint, and `Labels`.
        """
        request, own = self._split(draws).request, targets["emotion"]
        other, differs, composite = self._other_request(targets, request)
        chosen = REQUEST.part(request, "chosen") < self._settings.asked
        chosen = chosen & is_masked(targets["occlusion"]) & differs
        face = targets["unmasked_image"]
        if composite is not None:
            face = tf.where(chosen[:, None, None, None], composite, face)
        painted = tf.where(chosen[:, None], other, inputs["emotion"])
        labels = Labels(
            painted,
            tf.where(chosen[:, None], own, inputs["emotion"]),
            other_emotion(own, REQUEST.part(request, "wrong_label"), self.label_shares),
            tf.cast(chosen, tf.float32),
        )
        inputs = {**inputs, "emotion": painted}
        return inputs, self.with_teacher(inputs, {**targets, "unmasked_image": face}), labels

    def with_teacher(self, inputs, targets):
        """Return the targets and, with a teacher, its painting of the requested emotions as `taught_image`."""
        return {**targets, "taught_image": self._teacher.paint(inputs)} if self._teacher else targets

    def _split(self, draws) -> PairDraws:
        return split_draws(draws, len(self.readers))

    def _other_request(self, targets, request):
        """Return the emotion to request for each image, whether it is not the image's own, and its ground truth.

        The ground truth is None if no likeness term compares with it.
        """
        which = REQUEST.part(request, "emotion")
        own = targets["emotion"]
        if self._settings.donors and not self._donors:
            shown = neighbours(own)
            strongest = tf.argmax(shown, axis=1)
            # Half of the time a single emotion, as users request it; otherwise the donor's own label.
            other = tf.where(which[:, None] < 0.5, tf.one_hot(strongest, len(EMOTIONS)), shown)
            composite = transplanted(targets, neighbours(targets["unmasked_image"]))
            return other, strongest != tf.argmax(own, axis=1), composite
        other = other_emotion(own, which, self._request_weights)
        differs = tf.reduce_any(other > 0, axis=1)
        if not self._donors:
            return other, differs, None
        composite, probabilities = self._best_composite(targets, other, REQUEST.part(request, "donor"))
        # With other eyes, the same mouth can show another emotion.
        return tf.one_hot(tf.argmax(probabilities, axis=1), len(EMOTIONS)), differs, composite

    def _best_composite(self, targets, emotion, draw):
        """Return the composite in which the readers read the emotion best, and their mean probabilities (B, 7)."""
        best = probabilities = None
        tries, nearest = self._settings.donor_tries, self._settings.donor_nearest
        for i in range(tries):
            # Evenly spaced draws, so that no donor is tried twice.
            donor = self._donors.pick(emotion, (draw + i / tries) % 1.0, targets["occlusion"], nearest)
            composite = transplanted(targets, donor)
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
        """Return the network's loss in a step, without the adversarial loss.

        Args:
            targets: the targets to paint, a result of `request_emotions`.
            outputs: outputs of the network.
            terms: name -> (B,), the terms of the usual loss for these targets.
            labels: result of `request_emotions`.
            draws: the same as for `request_emotions`.
        Returns: (B,) total, and name -> (B,): the terms and `names`, 0 where they do not apply.
        """
        guided = self._guided(targets, outputs, labels.painted, self._split(draws).readers)
        guided["donors"] = sum(self._terms[name] * value for name, value in terms.items() if not LOSSES[name].any_label)
        total, terms = self._blend(terms, guided, labels.counterfactual)
        return total, terms | {name: value * labels.counterfactual for name, value in guided.items()}

    def validation_request(self, targets):
        """Return the emotion to request for each validation image, (B, 7) one-hot: not its own, and always the same.

        It is determined by the area of the mask, so that it does not depend on the order or the number of devices.
        """
        own = tf.argmax(targets["emotion"], axis=1, output_type=tf.int32)
        area = tf.reduce_sum(tf.cast(targets["occlusion"] > 0, tf.int32), axis=[1, 2, 3])
        return tf.one_hot((own + 1 + area % (len(EMOTIONS) - 1)) % len(EMOTIONS), len(EMOTIONS))

    def validation_loss(self, targets, terms, counterfactual_outputs, request):
        """Return the loss that a training step has on average, without random changes of the crops.

        Args:
            targets: result of `with_teacher`.
            terms: name -> (B,), the terms of the usual loss for images painted with their own label.
            counterfactual_outputs: outputs of the network for `request`.
            request: result of `validation_request`.
        Returns: (B,) total, and name -> (B,): `names`, 0 where nothing is hidden.
        """
        guided = self._guided(targets, counterfactual_outputs, request, [None] * len(self.readers))
        # Validation has no donors.
        guided["donors"] = tf.zeros_like(guided["colour"])
        masked = tf.cast(is_masked(targets["occlusion"]), tf.float32)
        total, _ = self._blend(terms, guided, self._settings.asked * masked)
        return total, {name: value * masked for name, value in guided.items()}

    def means_where_applied(self, means: dict[str, float], asked: float, terms) -> dict[str, float]:
        """Return the mean of each term over the images that it applies to.

        Args:
            means: name -> mean over all images.
            asked: share of counterfactuals.
            terms: names of the usual loss terms.
        """
        shares = {name: 1 - asked for name in terms if not LOSSES[name].any_label}
        shares |= dict.fromkeys(self.names, asked)
        return {name: mean / (shares.get(name) or 1.0) for name, mean in means.items()}

    def _guided(self, targets, outputs, request, jitter) -> dict[str, Any]:
        face, wanted = composed(targets, outputs), tf.argmax(request, axis=1)
        read = [read_emotion(reader, face, draws) for reader, draws in zip(self.readers, jitter, strict=True)]
        losses = [reader_loss(logits, request, self._settings.margin) for logits in read]
        right = [tf.cast(tf.argmax(logits, axis=1) == wanted, tf.float32) for logits in read]
        guided = {"colour": low_pass_colour(targets, outputs)}
        if read:
            guided |= {"readers": tf.add_n(losses) / len(losses), "readers_accuracy": tf.add_n(right) / len(right)}
        if self._teacher:
            guided["teacher"] = teacher_distance(targets, outputs, targets["taught_image"])
        return guided

    def _blend(self, terms, guided, asked):
        """Return the total and the usual terms; likeness terms count only where no other emotion is requested.

        Args:
            asked: (B,), 1 for a counterfactual, or the share of counterfactuals.
        """
        terms = {name: value if LOSSES[name].any_label else value * (1 - asked) for name, value in terms.items()}
        own = sum(self._terms[name] * value for name, value in terms.items())
        settings = self._settings
        weights = {"readers": settings.weight, "colour": settings.colour, "donors": settings.donors}
        weights["teacher"] = settings.teaching
        guidance = sum(weight * guided[name] for name, weight in weights.items() if name in guided)
        return own + asked * guidance, terms


def guidance_lines(
    config: RunConfig, readers: Sequence[Reader], donors: Donors | None = None, teacher: Teacher | None = None
) -> list[str]:
    """Return lines for the log: readers, donors, teacher, and warnings about settings that lead to unnatural faces."""
    settings = config.guidance
    named = ", ".join(f"{reader.name} ({reader.image_size} px)" for reader in readers) or "none"
    lines = [
        f"guidance another emotion is requested for {100 * settings.asked:g} % of each batch; "
        f"{len(readers)} reader{'s' * (len(readers) != 1)}: {named}"
    ]
    if donors:
        counts = ", ".join(f"{name} {count}" for name, count in zip(EMOTIONS, donors.counts, strict=True))
        lines.append(f"donors   {len(donors.images):,} faces: {counts}")
    if teacher:
        lines.append(f"teacher  {teacher.name}, {teacher.image_size} px, weight {settings.teaching:g}")
    if not config.loss.adversarial:
        lines.append(
            "warning  guidance without a discriminator (loss.adversarial: 0): readers also accept patterns that no "
            "real face has"
        )
    if settings.asked == 1:
        lines.append("warning  guidance.asked: 1 leaves no image to compare with its ground truth")
    return lines
