"""The section `guidance` of a run's settings: training on requested emotions that the photograph does not show."""

from __future__ import annotations

from dataclasses import dataclass, field

from rac_unet.core.config.values import check
from rac_unet.core.emotions import EMOTIONS
from rac_unet.core.registry import check_name


@dataclass(frozen=True)
class GuidanceConfig:
    """Guidance: request emotions that the faces do not show, judged by emotion readers and the discriminator.

    A face with another requested emotion than its own has no ground truth. The likeness terms of the loss compare it
    with a donor, or skip it; the readers, the teacher, the colour term and the discriminator judge it. Off without
    readers and teacher.

    Args:
        readers: Run directories of emotion classifiers (train_classifier) that judge the inpainted faces; they stay
            frozen, and their losses are averaged.
        weight: Weight of the readers' cross-entropy for the requested emotion, where it is not the face's own; 0 for
            none.
        asked: Share of each batch for which another emotion than the face's own is requested.
        margin: Cross-entropy in nats below which a reader has no more effect; 0.35 is a probability of 0.7.
        emotion_weights: How often each emotion is requested, relative to the others; 1 for those not named.
        colour: Weight of a low-pass term where another emotion is requested: skin keeps the ground truth's colour.
        conditional: The discriminator (loss.adversarial) also sees the label: real faces with their own and with a
            wrong one, inpainted faces with the requested one.
        donors: Weight of the likeness terms where another emotion is requested. Above 0, the lower half of another face
            that shows the emotion, adapted in colour and light, is the ground truth. 0 leaves these terms out.
        donor_faces: Table of the donors, made by find_donors. Each composite is labelled with the emotion that the
            readers see in it. Without a table the donor is the next face in the batch, with its own label.
        donor_tries: How many donors are tried for each picture; the ground truth is the composite in which the readers
            see the requested emotion best. Needs donor_faces.
        donor_nearest: Share of the donors of an emotion that a picture draws from, those turned most like its face; 1
            for all. Needs donor_faces.
        two_scales: A second discriminator judges the whole lower face at half its size.
        teacher: A trained network, perhaps of half the size, whose painting the network keeps to where another emotion
            is requested: a run directory, a .weights.h5 file or `published`.
        teaching: Weight of the low-pass difference from the teacher's painting. Details are left to the other terms.
    """

    readers: list[str] = field(default_factory=list)
    weight: float = 0.1
    asked: float = 0.6
    margin: float = 0.35
    emotion_weights: dict[str, float] = field(default_factory=dict)
    colour: float = 0.5
    donors: float = 0.0
    donor_faces: str | None = None
    donor_tries: int = 1
    donor_nearest: float = 1.0
    conditional: bool = True
    two_scales: bool = True
    teacher: str | None = None
    teaching: float = 0.0

    def __post_init__(self):
        check(self.weight >= 0, "guidance.weight", self.weight, "0 (none) or more; 0.1 is usual")
        check(0 < self.asked <= 1, "guidance.asked", self.asked, "above 0 and at most 1; 0.6 is usual")
        check(0 <= self.margin < 2, "guidance.margin", self.margin, "from 0 to below 2 nats (chance is 1.95)")
        check(self.colour >= 0, "guidance.colour", self.colour, "0 (none) or more; 0.5 is usual")
        check(self.teaching >= 0, "guidance.teaching", self.teaching, "0 (none) or more; 8 is usual")
        check(
            bool(self.teaching) == bool(self.teacher),
            "guidance.teaching",
            self.teaching,
            "above 0 with guidance.teacher" if self.teacher else "0 without guidance.teacher",
        )
        check(self.donors >= 0, "guidance.donors", self.donors, "0 (none) or more; 0.5 is usual")
        check(self.donor_tries >= 1, "guidance.donor_tries", self.donor_tries, "1 or more; 3 is usual")
        check(
            self.donor_faces or self.donor_tries == 1,
            "guidance.donor_tries",
            self.donor_tries,
            "1 without guidance.donor_faces",
        )
        check(0 < self.donor_nearest <= 1, "guidance.donor_nearest", self.donor_nearest, "above 0, up to 1 (all)")
        check(
            self.donor_faces or self.donor_nearest == 1,
            "guidance.donor_nearest",
            self.donor_nearest,
            "1 without guidance.donor_faces",
        )
        check(
            self.readers or not self.donor_faces,
            "guidance.donor_faces",
            self.donor_faces,
            "none without guidance.readers, which read the emotion of a composite",
        )
        by_neighbours = self.donors and not self.donor_faces
        check(
            not (by_neighbours and self.emotion_weights),
            "guidance.emotion_weights",
            self.emotion_weights,
            "nothing where guidance.donors is above 0 without guidance.donor_faces",
        )
        for name, weight in self.emotion_weights.items():
            check_name("guidance.emotion_weights", name, EMOTIONS)
            check(weight >= 0, f"guidance.emotion_weights.{name}", weight, "0 (never requested) or more")
        count = sum(self.emotion_weights.get(name, 1.0) > 0 for name in EMOTIONS)
        check(count >= 2, "guidance.emotion_weights", self.emotion_weights, "at least two emotions above 0")

    @property
    def is_on(self) -> bool:
        """Whether a training is guided."""
        return bool(self.readers or self.teacher)
