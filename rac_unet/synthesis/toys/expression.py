"""Expressions of toy faces: facial action units (FACS) as displacements of landmarks.

An emotion is a row of action-unit intensities, after Ekman & Friesen's Facial Action Coding System (1978;
EMFACS prototypes). A unit is a set of landmark displacements, given for the image-left half and mirrored.
Units add up, so one function moves the whole face. Anger shows bared, clenched teeth and disgust a one-sided
sneer with the tongue forward, because in `ambiguous` faces the emotions must differ in the mouth alone.
"""

from __future__ import annotations

import numpy as np

from rac_unet.core.emotions import EMOTIONS
from rac_unet.synthesis.toys.identity import MIRROR

# emotion -> {action unit: intensity}
EMOTION_ACTION_UNITS: dict[str, dict[int, float]] = {
    "surprise": {1: 1.0, 2: 1.0, 5: 1.0, 26: 0.8, 27: 1.0},
    "fear": {1: 1.0, 2: 0.5, 4: 0.75, 5: 1.1, 16: 0.5, 20: 1.0, 25: 0.95, 26: 0.45},
    "disgust": {4: 0.6, 7: 0.6, 9: 1.0, 10: 1.0, 15: 0.55, 16: 0.55, 19: 1.0, 25: 0.5},
    "happiness": {6: 1.0, 12: 1.0, 25: 0.9, 26: 0.2},
    "sadness": {1: 1.15, 4: 0.4, 7: 0.3, 15: 1.05, 17: 1.0, 43: 0.6},
    "anger": {4: 1.2, 5: 0.5, 7: 0.9, 10: 0.5, 16: 0.5, 23: 1.0, 25: 1.0, 31: 1.0},
    "neutral": {},
}

# action unit -> {image-left landmark: (dx, dy)}; +x is towards the face's middle line, +y is down; crop units
_MOVES: dict[int, dict[int, tuple[float, float]]] = {
    1: {21: (.006, -.048), 20: (.003, -.034), 19: (0, -.012), 17: (0, .006)},
    2: {17: (0, -.028), 18: (0, -.042), 19: (0, -.040), 20: (0, -.018)},
    4: {21: (.016, .034), 20: (.012, .026), 19: (.008, .012), 18: (.004, .002)},
    5: {37: (0, -.016), 38: (0, -.016), 36: (0, -.002)},
    6: {40: (0, -.017), 41: (0, -.018), 37: (0, .006), 38: (0, .004), 36: (-.003, -.002), 18: (0, .004)},
    7: {37: (0, .008), 38: (0, .009), 40: (0, -.008), 41: (0, -.008)},
    9: {30: (0, -.010), 31: (-.008, -.016), 32: (0, -.012), 33: (0, -.010), 21: (.006, .016),
        20: (.002, .014), 19: (0, .010), 40: (0, -.010), 41: (0, -.010), 50: (0, -.006), 51: (0, -.006)},
    10: {49: (-.002, -.014), 50: (-.004, -.026), 51: (0, -.022), 61: (-.004, -.026), 62: (0, -.022),
        60: (0, -.003), 31: (-.004, -.006)},
    12: {48: (-.050, -.034), 60: (-.047, -.032), 49: (-.034, -.013), 50: (-.012, .002), 51: (0, .006),
        59: (-.034, -.004), 58: (-.014, .006), 57: (0, .008), 61: (-.018, -.004), 62: (0, .004),
        67: (-.020, .002), 66: (0, .008), 2: (-.004, -.002), 3: (-.007, -.003), 4: (-.006, -.002)},
    15: {48: (-.006, .034), 60: (-.004, .031), 49: (-.006, .019), 50: (0, .003), 59: (-.006, .018),
        61: (-.006, .010), 67: (-.006, .010)},
    16: {58: (-.004, .020), 57: (0, .022), 59: (-.004, .012), 66: (0, .022), 67: (-.006, .021)},
    17: {57: (0, -.006), 58: (0, -.004), 66: (0, -.010), 67: (0, -.008), 61: (0, -.008), 62: (0, -.010),
        50: (0, -.006), 51: (0, -.007)},
    19: {57: (0, .016), 58: (0, .012), 59: (0, .004), 66: (0, .016), 67: (0, .012)},
    20: {48: (-.044, .014), 60: (-.042, .014), 49: (-.040, .006), 50: (-.014, 0), 59: (-.042, .006),
        58: (-.020, .004), 61: (-.028, .002), 67: (-.030, .004)},
    23: {48: (.000, 0), 60: (-.004, 0), 49: (-.018, -.002), 59: (-.020, .010), 50: (-.006, .002),
        58: (-.010, -.004), 57: (0, -.006), 61: (-.026, .000), 67: (-.026, .004)},
    25: {50: (0, -.010), 51: (0, -.010), 49: (0, -.006), 57: (0, .014), 58: (0, .014), 59: (0, .008),
        61: (-.006, -.014), 62: (0, -.015), 66: (0, .020), 67: (-.008, .019)},
    26: {48: (.006, .018), 60: (.008, .018), 49: (0, .004), 50: (0, -.002), 51: (0, -.002),
        59: (.004, .034), 58: (0, .044), 57: (0, .046), 61: (0, -.004), 62: (0, -.004), 66: (0, .048),
        67: (0, .042), 3: (.002, .006), 4: (.004, .014), 5: (.005, .022), 6: (.005, .029), 7: (.003, .034),
        8: (0, .035)},
    27: {48: (.044, .016), 60: (.047, .018), 49: (.024, -.012), 50: (.004, -.018), 51: (0, -.014),
        59: (.016, .032), 58: (.002, .036), 57: (0, .034), 61: (.002, -.013), 62: (0, -.019), 66: (0, .039),
        67: (-.004, .034), 4: (.002, .003), 5: (.003, .006), 6: (.003, .009), 7: (.001, .011),
        8: (0, .012)},
    31: {3: (-.004, 0), 4: (-.006, 0), 5: (-.004, 0)},
    43: {37: (0, .012), 38: (0, .011), 40: (0, .001), 41: (0, .001)},
}  # fmt: skip


def _displacements() -> dict[int, np.ndarray]:
    table = {}
    for unit, moves in _MOVES.items():
        field = np.zeros((68, 2))
        for index, (dx, dy) in moves.items():
            field[index] = (dx, dy)
            field[MIRROR[index]] = (-dx, dy)
        table[unit] = field
    return table


_DISPLACEMENTS = _displacements()
# Units that are stronger on one side of the face in a sneer.
_ONE_SIDED = {10: 0.42, 9: 0.15, 15: 0.2}


def action_units(emotion: str, intensity: float) -> dict[int, float]:
    """Return the action units of one of the seven emotions at `intensity` (0..1)."""
    return {unit: strength * intensity for unit, strength in EMOTION_ACTION_UNITS[emotion].items()}


def apply_action_units(points: np.ndarray, units: dict[int, float], stronger_side: float = 0.0) -> np.ndarray:
    """Move landmarks by facial action units.

    Args:
        points: (68, 2) neutral frontal landmarks, crop units.
        units: {action unit: intensity}; {} returns a copy.
        stronger_side: -1 (image left) .. 1 (image right); the side of a sneer.
    Returns: (68, 2) moved landmarks. The lower inner lip never rises above the upper one.
    """
    moved = np.array(points, np.float64)
    side = np.clip((moved[:, 0] - 0.5) / 0.06, -1, 1) * stronger_side
    for unit, strength in units.items():
        one_sided = _ONE_SIDED.get(unit, 0.0) if 9 in units else 0.0
        moved += _DISPLACEMENTS[unit] * (strength * (1 + one_sided * side))[:, None]
    for upper, lower in ((61, 67), (62, 66), (63, 65)):
        moved[lower, 1] = max(moved[lower, 1], moved[upper, 1] + 0.001)
    return moved


assert set(EMOTION_ACTION_UNITS) == set(EMOTIONS)
