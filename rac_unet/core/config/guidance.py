"""The section `guidance` of a run's config: asking for emotions that a picture does not show."""

from __future__ import annotations

from dataclasses import dataclass, field

from rac_unet.core.config.values import check
from rac_unet.core.emotions import EMOTIONS
from rac_unet.core.registry import check_name


@dataclass(frozen=True)
class GuidanceConfig:
    """Asking for emotions that are not there, which emotion readers and the discriminator judge.

    A picture asked for another emotion than its own has no ground truth. The likeness terms of the loss compare it with
    a donor, or leave it out; the readers, the colour term and the discriminator judge it. Off without readers.

    Args:
        readers: Run directories of emotion classifiers (train_classifier) that judge what is painted,
            frozen; their losses are averaged.
        weight: Of the readers' cross-entropy for the emotion asked for, on pictures asked for another than their own; 0
            leaves it out.
        asked: Share of each batch that is asked for another emotion than its own.
        margin: Cross-entropy in nats below which a reader stops pushing; 0.35 is a probability of 0.7.
        emotion_weights: How often each emotion is asked for, relative to the others; 1 where it is not named.
        colour: Weight of a low-pass term on pictures asked for another emotion: skin keeps the ground truth's colour.
        conditional: The discriminator (loss.adversarial) also sees the label: real faces with their own and with a
            wrong one, painted faces with the emotion asked for.
        donors: Weight of the likeness terms on pictures asked for another emotion. Above 0 the emotion asked for is
            that of the neighbour in the batch, whose lower face, its colour and light made this picture's, is the
            ground truth. 0 asks for emotions at random, without a ground truth.
        two_scales: A second discriminator judges the whole lower face at half its size.
    """

    readers: list[str] = field(default_factory=list)
    weight: float = 0.1
    asked: float = 0.6
    margin: float = 0.35
    emotion_weights: dict[str, float] = field(default_factory=dict)
    colour: float = 0.5
    donors: float = 0.0
    conditional: bool = True
    two_scales: bool = True

    def __post_init__(self):
        check(self.weight >= 0, "guidance.weight", self.weight, "0 (none) or more; 0.1 is usual")
        check(0 < self.asked <= 1, "guidance.asked", self.asked, "above 0 and at most 1; 0.6 is usual")
        check(0 <= self.margin < 2, "guidance.margin", self.margin, "from 0 to below 2 nats (chance is 1.95)")
        check(self.colour >= 0, "guidance.colour", self.colour, "0 (none) or more; 0.5 is usual")
        check(self.donors >= 0, "guidance.donors", self.donors, "0 (none) or more; 0.5 is usual")
        check(not (self.donors and self.emotion_weights), "guidance.emotion_weights", self.emotion_weights,
              "nothing where guidance.donors is above 0, which asks for the emotions of the data")  # fmt: skip
        for name, weight in self.emotion_weights.items():
            check_name("guidance.emotion_weights", name, EMOTIONS)
            check(weight >= 0, f"guidance.emotion_weights.{name}", weight, "0 (never asked for) or more")
        count = sum(self.emotion_weights.get(name, 1.0) > 0 for name in EMOTIONS)
        check(count >= 2, "guidance.emotion_weights", self.emotion_weights, "at least two emotions above 0")

    @property
    def is_on(self) -> bool:
        """Whether a training is guided."""
        return bool(self.readers)
