"""Decide from further evidence whether a face that seems to have a mask is inpainted.

Textures, letters and bitonal scans cause false detections, and outside faces the network's map is random: it changes
when the crop is mirrored, while the map of a real mask hardly changes. The thresholds were chosen on one half of the
pictures of `tests/mask_free.py` and of 250 photos with real masks. The least sum was raised from 1.475 after the
network's second edition had painted one picture of the other half; this loses three real masks in 224. The third
painted two: the least agreement was raised from 0.4 to 0.52 for one, which loses no real mask; the other, a drawing of
shapes, would cost three more.
"""

from __future__ import annotations

import numpy as np

from rac_unet.faces.detect import Face
from rac_unet.unmasking.pasting import SURELY_HIDDEN

# Least agreement of the two maps, least trust, and least sum of evidence.
_LEAST_AGREEMENT, _LEAST_TRUST, _LEAST_SUM = 0.52, 0.0, 1.6
_PER_AGREEMENT, _PER_TRUST = 0.8, 0.5
# Grey levels in [0, 1] between black and white, and the largest allowed share of black and white pixels: faxes and
# bitonal scans have 0.67 or more, photographs 0.57 or less. The network was not trained on scans, and paints grey in.
_DARKEST, _LIGHTEST, _MOST_BLACK_OR_WHITE = 16 / 255, 239 / 255, 0.62
# Detector's score plus trust. A face below the first value may be an upside-down face detected as upright. It is one if
# the turned detection has more by the second value: bare faces had 0.5 more, faces with real masks at most 0.2.
_MAYBE_TURNED, _SURER = 1.5, 0.33


def map_agreement(occlusion: np.ndarray, mirrored: np.ndarray) -> float:
    """Return the intersection over union of the maps of a crop and of its mirror image, in [0, 1].

    Args:
        occlusion: (S, S) in [0, 1], map of the crop.
        mirrored: (S, S) in [0, 1], map of the mirrored crop.
    """
    one, other = occlusion > SURELY_HIDDEN, mirrored[:, ::-1] > SURELY_HIDDEN
    return float((one & other).sum() / max((one | other).sum(), 1))


def is_convincing(face: Face, crop: np.ndarray, agreement: float) -> bool:
    """Return whether there is enough evidence for a face and its mask to inpaint it.

    Args:
        face: the detected face; NaN as its trust (its position was given) counts as full trust.
        crop: (S, S, 3) in [0, 1].
        agreement: result of `map_agreement`.
    """
    grey = crop.mean(-1)
    if ((grey < _DARKEST) | (grey > _LIGHTEST)).mean() > _MOST_BLACK_OR_WHITE:
        return False
    trust = 1.0 if np.isnan(face.trust) else face.trust
    total = face.score + _PER_AGREEMENT * agreement + _PER_TRUST * trust
    return agreement >= _LEAST_AGREEMENT and trust >= _LEAST_TRUST and total >= _LEAST_SUM


def may_be_turned(face: Face) -> bool:
    """Return whether a detection is so weak that the face may be turned sideways or upside down."""
    return face.score + face.trust < _MAYBE_TURNED


def is_surer(face: Face, other: Face) -> bool:
    """Return whether a face has far more evidence than another face at the same place."""
    return face.score + face.trust > other.score + other.trust + _SURER
