"""Whether a face that seems to have a mask is worth painting: evidence besides the size of the map.

Textures, letters and bitonal scans make the detector see faces, and on what is no face the network's map is chance. It
differs when the same crop is mirrored, while the map of a real mask hardly does. Thresholds were chosen on one half of
the pictures of `tests/mask_free.py` and of 250 photos with real masks; the least sum was raised from 1.475 when the
network's second edition painted one picture of the other half, at the cost of three real masks in 224.
"""

from __future__ import annotations

import numpy as np

from rac_unet.faces.detect import Face
from rac_unet.unmasking.pasting import SURELY_HIDDEN

# Least likeness of the two maps, least trust, and least sum of evidence.
_LEAST_AGREEMENT, _LEAST_TRUST, _LEAST_SUM = 0.4, 0.0, 1.6
_PER_AGREEMENT, _PER_TRUST = 0.8, 0.5
# Grey levels, 0..1, that count as neither black nor white, and the most that may be black or white: faxes and scans of
# two levels have 0.67 or more, photographs 0.57 or less. The network has seen none, and paints grey into them.
_DARKEST, _LIGHTEST, _MOST_BLACK_OR_WHITE = 16 / 255, 239 / 255, 0.62
# Detector's score plus trust: a face below the first may be one on its head that was taken for an upright one. It is,
# when the face seen the other way round has so much more: bare faces had 0.5 more, those with real masks 0.2 at most.
_MAYBE_TURNED, _SURER = 1.5, 0.33


def map_agreement(occlusion: np.ndarray, mirrored: np.ndarray) -> float:
    """How much two maps of a crop are alike, 0..1: their intersection over their union.

    Args:
        occlusion: (S, S) in [0, 1], of the crop.
        mirrored: (S, S) in [0, 1], of the mirrored crop.
    """
    one, other = occlusion > SURELY_HIDDEN, mirrored[:, ::-1] > SURELY_HIDDEN
    return float((one & other).sum() / max((one | other).sum(), 1))


def is_convincing(face: Face, crop: np.ndarray, agreement: float) -> bool:
    """Whether the evidence for a face and its mask is enough to paint it.

    Args:
        face: as found; without a trust (NaN), as where its place was given, it is trusted fully.
        crop: (S, S, 3) in [0, 1].
        agreement: see `map_agreement`.
    """
    grey = crop.mean(-1)
    if ((grey < _DARKEST) | (grey > _LIGHTEST)).mean() > _MOST_BLACK_OR_WHITE:
        return False
    trust = 1.0 if np.isnan(face.trust) else face.trust
    total = face.score + _PER_AGREEMENT * agreement + _PER_TRUST * trust
    return agreement >= _LEAST_AGREEMENT and trust >= _LEAST_TRUST and total >= _LEAST_SUM


def may_be_turned(face: Face) -> bool:
    """Whether a face is so doubtful that it may be one that lies or stands on its head."""
    return face.score + face.trust < _MAYBE_TURNED


def is_surer(face: Face, other: Face) -> bool:
    """Whether there is far more evidence for one face than for another at the same place."""
    return face.score + face.trust > other.score + other.trust + _SURER
