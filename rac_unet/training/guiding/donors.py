"""Donors: aligned faces whose lower half is the ground truth of an emotion that a picture does not show.

A frontal mouth does not fit a turned head. Crops are aligned by the eyes and the mouth, so a head's turn shows in the
outline of its mask: the difference of its map and the map's mirror image determines the yaw of a face with a
correlation of 0.94, in photographs and generated faces. Donors whose maps differ little in it are turned alike.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from rac_unet.core.config import GuidanceConfig
from rac_unet.core.emotions import EMOTIONS
from rac_unet.core.errors import UserError

if TYPE_CHECKING:
    from rac_unet.data.pairs import PairSet


# Side to which maps are reduced before their asymmetry is compared.
_SHAPE_SIDE = 16


def map_asymmetry(occlusion):
    """Return the asymmetry of maps, (B, 128) float32: the left half of their differences from their mirror images.

    It is negated where a map is mirrored.

    Args:
        occlusion: (B, S, S, 1) float32 in [0, 1].
    """
    import tensorflow as tf

    side = occlusion.shape[1]
    ends = np.linspace(0, side, _SHAPE_SIDE + 1)[:, None]
    below = np.clip(ends - np.arange(side), 0, 1)
    # Row i is the mean over a 16th of the side. (tf.image.resize by area does not compile for TPUs.)
    mean = tf.constant(np.diff(below, axis=0) * _SHAPE_SIDE / side, tf.float32)
    small = tf.einsum("rh,bhw,cw->brc", mean, occlusion[..., 0], mean)
    left = (small - tf.reverse(small, axis=[2]))[:, :, : _SHAPE_SIDE // 2]
    return tf.reshape(left, (-1, _SHAPE_SIDE * _SHAPE_SIDE // 2))


@dataclass(frozen=True)
class Donors:
    """Donor faces, sorted by emotion.

    Attributes:
        images: (N, S, S, 3) uint8.
        counts: (7,) int32, how many of each emotion, in the order of `EMOTIONS`; they sum to N.
        asymmetries: (N, 128) float32, `map_asymmetry` of their maps.
    """

    images: np.ndarray
    counts: np.ndarray
    asymmetries: np.ndarray

    def pick(self, emotion, draw, occlusion, nearest: float = 1.0):
        """Draw a donor for each request, each as it is or mirrored.

        Args:
            emotion: (B, 7) one-hot.
            draw: (B,) in [0, 1).
            occlusion: (B, S, S, 1) float32 in [0, 1], maps of the pictures.
            nearest: share of the emotion's donors that are drawn from, those turned most like the face.
        Returns: (B, S, S, 3) float32 in [0, 1].
        """
        import tensorflow as tf

        wanted = tf.argmax(emotion, axis=1)
        # Twice as many as there are: each face and its mirror image.
        of = np.repeat(np.arange(len(EMOTIONS)), 2 * self.counts)
        count = np.maximum(np.ceil(2 * self.counts * nearest).astype(np.int32), 1)
        others = tf.cast(wanted[:, None] != of, tf.float32)
        order = tf.argsort(others * 1e3 + (self._turn_apart(occlusion) if nearest < 1 else 0.0), axis=1, stable=True)
        # Rounding must not lead beyond the last.
        drawn_from = tf.gather(count, wanted)
        place = tf.minimum(tf.cast(draw * tf.cast(drawn_from, tf.float32), tf.int32), drawn_from - 1)
        row = tf.gather(order, place, batch_dims=1)
        face = tf.cast(tf.gather(self.images, row // 2), tf.float32) / 255.0
        return tf.where((row % 2 == 1)[:, None, None, None], tf.reverse(face, axis=[2]), face)

    def _turn_apart(self, occlusion):
        """Return how differently a face and a donor are turned, (B, 2 N), each donor as it is and then mirrored."""
        import tensorflow as tf

        theirs = np.stack([self.asymmetries, -self.asymmetries], axis=1).reshape(-1, self.asymmetries.shape[1])
        return tf.reduce_mean(tf.abs(map_asymmetry(occlusion)[:, None] - theirs), axis=2)


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
    from rac_unet.data.pipeline import Pictures, make_scoring_dataset

    ids = found.emotion_ids
    found = found.take(np.argsort(ids, kind="stable"))
    batches = [
        (np.rint(targets["unmasked_image"].numpy() * 255).astype(np.uint8), map_asymmetry(targets["occlusion"]).numpy())
        for _, targets in make_scoring_dataset(found, Pictures(found, image_size), 64)
    ]
    images, asymmetries = (np.concatenate(parts) for parts in zip(*batches, strict=True))
    return Donors(images, np.bincount(ids, minlength=len(EMOTIONS)).astype(np.int32), asymmetries)


def donor_facts(found: PairSet | None, settings: GuidanceConfig) -> dict[str, Any]:
    """Entry of provenance.json on the donors: table, fingerprint, how many of each emotion; empty without donors."""
    if found is None:
        return {}
    facts = {"table": settings.donor_faces, "fingerprint": found.fingerprint, "counts": found.emotion_counts()}
    return {"donors": facts}
