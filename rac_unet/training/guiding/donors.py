"""Donors: aligned faces whose lower half is the ground truth of an emotion that a picture does not show."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from rac_unet.core.config import GuidanceConfig
from rac_unet.core.emotions import EMOTIONS
from rac_unet.core.errors import UserError

if TYPE_CHECKING:
    from rac_unet.data.pairs import PairSet


@dataclass(frozen=True)
class Donors:
    """Donor faces, sorted by emotion.

    Attributes:
        images: (N, S, S, 3) uint8.
        counts: (7,) int32, how many of each emotion, in the order of `EMOTIONS`; they sum to N.
    """

    images: np.ndarray
    counts: np.ndarray

    def pick(self, emotion, draw):
        """Draw a donor for each request, each as it is or mirrored.

        Args:
            emotion: (B, 7) one-hot.
            draw: (B,) in [0, 1).
        Returns: (B, S, S, 3) float32 in [0, 1].
        """
        import tensorflow as tf

        wanted = tf.argmax(emotion, axis=1)
        starts = np.cumsum(self.counts, dtype=np.int32) - self.counts
        count, start = tf.gather(self.counts, wanted), tf.gather(starts, wanted)
        # Twice as many as there are: each face and its mirror image. Rounding must not lead beyond the last.
        twice = 2 * count
        place = tf.minimum(tf.cast(draw * tf.cast(twice, tf.float32), tf.int32), twice - 1)
        # An emotion that is never requested has no donor.
        row = tf.clip_by_value(start + place // 2, 0, len(self.images) - 1)
        face = tf.cast(tf.gather(self.images, row), tf.float32) / 255.0
        return tf.where((place % 2 == 1)[:, None, None, None], tf.reverse(face, axis=[2]), face)


def read_donors(settings: GuidanceConfig) -> PairSet | None:
    """Read the table of donors; None where the settings name none. Does not import TensorFlow.

    Raises: UserError when the table is not a data set, or an emotion that may be requested has no donor.
    """
    if not (settings.is_on and settings.donors and settings.donor_faces):
        return None
    from rac_unet.data import pairs as table

    try:
        found = table.read(settings.donor_faces).split("train").with_truth()
    except UserError as error:
        raise UserError(f"guidance.donor_faces: {error}", error.kind) from error
    counts = found.emotion_counts()
    lacking = [name for name in EMOTIONS if not counts[name] and settings.emotion_weights.get(name, 1.0) > 0]
    if lacking:
        raise UserError(
            f"guidance.donor_faces: {settings.donor_faces} has no donor for {', '.join(lacking)}; add some, or set "
            "guidance.emotion_weights of those to 0",
            "mismatch",
        )
    return found


def load_donors(found: PairSet, image_size: int) -> Donors:
    """Load the faces of a table of donors.

    Args:
        image_size: side of the training pictures.
    """
    from rac_unet.data.pipeline import unmasked_faces

    ids = found.emotion_ids
    found = found.take(np.argsort(ids, kind="stable"))
    images = np.concatenate(list(unmasked_faces(found, image_size)))
    counts = np.bincount(ids, minlength=len(EMOTIONS)).astype(np.int32)
    return Donors(np.rint(images * 255).astype(np.uint8), counts)


def donor_facts(found: PairSet | None, settings: GuidanceConfig) -> dict[str, Any]:
    """Entry of provenance.json on the donors: table, fingerprint, how many of each emotion; empty without donors."""
    if found is None:
        return {}
    facts = {"table": settings.donor_faces, "fingerprint": found.fingerprint, "counts": found.emotion_counts()}
    return {"donors": facts}
