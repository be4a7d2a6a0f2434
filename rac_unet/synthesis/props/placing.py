"""Place props (glasses, hats, hands, microphones, cups) on a face by its landmarks.

In real photographs such things appear next to masks and in front of them. They are drawn on both the masked and the
unmasked picture, so that a network learns to keep them.
"""

from __future__ import annotations

import numpy as np

from rac_unet.core.errors import UserError
from rac_unet.synthesis.masks.geometry import fit_head
from rac_unet.synthesis.masks.light import measure_light
from rac_unet.synthesis.props.frame import Frame, Layer
from rac_unet.synthesis.props.headwear import glasses, hat, headscarf
from rac_unet.synthesis.props.held import cup, fruit, hand, microphone, telephone

# Kind -> (drawing function, head point on its plane).
_EYES, _HEAD, _MOUTH = (0.0, 0.0, 0.55), (0.0, 0.0, 0.20), (0.0, 0.95, 1.15)
_KINDS = {
    "glasses": (glasses, _EYES),
    "hat": (hat, _HEAD),
    "headscarf": (headscarf, _HEAD),
    "hand": (hand, _MOUTH),
    "microphone": (microphone, _MOUTH),
    "cup": (cup, _MOUTH),
    "fruit": (fruit, _MOUTH),
    "telephone": (telephone, _MOUTH),
}
PROPS: tuple[str, ...] = tuple(_KINDS)

# Worn and held props with their shares; some faces get both.
_WORN = (("glasses",), 0.42), (("hat",), 0.20), (("headscarf",), 0.10), (("glasses", "hat"), 0.12), ((), 0.16)
_HELD = ("hand", 0.55), ("microphone", 0.22), ("cup", 0.09), ("fruit", 0.06), ("telephone", 0.08)
# Bounds of the head's scale: a smaller face gets no props, and a larger one has wrong landmarks.
_MIN_SCALE, _MAX_SCALE = 6.0, 4.0


def choose_props(seed: int) -> tuple[str, ...]:
    """Return one to three of `PROPS`, back to front: worn ones first, then held ones."""
    rng = np.random.default_rng([int(seed) % 2**63, 1])
    worn = _WORN[int(rng.choice(len(_WORN), p=[share for _, share in _WORN]))][0]
    held = _HELD[int(rng.choice(len(_HELD), p=[share for _, share in _HELD]))][0]
    return (*worn, held) if not worn or rng.random() < 0.22 else worn


def draw_props(image: np.ndarray, points: np.ndarray, seed: int, kinds: tuple[str, ...] | None = None) -> list[Layer]:
    """Return props in front of the face in `image`, back to front.

    Args:
        image: (H, W, 3) uint8 RGB, from which the light of the props is estimated.
        points: (68, 2) iBUG-68 landmarks in pixels. Mouth and brows are not used.
        seed: chooses kinds, shapes, places and colours; the same arguments give the same bytes.
        kinds: names of `PROPS`; default: `choose_props(seed)`.
    Returns: a layer for each kind; empty where the face is too small or the landmarks are wrong.
    Raises: UserError for a name that is not in `PROPS`.
    """
    kinds = choose_props(seed) if kinds is None else kinds
    for kind in kinds:
        if kind not in _KINDS:
            raise UserError(f"unknown prop {kind!r}; choose from: {', '.join(PROPS)}", "unknown_name")
    pose = fit_head(points)
    if not _MIN_SCALE <= pose.scale <= _MAX_SCALE * max(image.shape[:2]):
        return []
    light = measure_light(image, pose)
    layers = []
    for place, kind in enumerate(kinds):
        drawing, centre = _KINDS[kind]
        rng = np.random.default_rng([int(seed) % 2**63, 2 + place, PROPS.index(kind)])
        layers.append(drawing(Frame(pose, light, image.shape[:2], centre), rng))
    return layers
