"""Identity of a toy face: colours, proportions, hair and accessories, determined by the identity number.

All random draws are made in a fixed order, so that a person is the same in every pose, light and expression.
Proportions are those of an aligned crop: outer eye corners near x = 0.27 and 0.73, eyes at y = 0.36, chin near 0.90.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

# From very light to very dark, sRGB of evenly lit skin.
_SKIN = np.array(
    [
        (250, 220, 200),
        (242, 203, 176),
        (231, 184, 150),
        (214, 160, 122),
        (190, 133, 96),
        (157, 105, 73),
        (124, 81, 57),
        (97, 63, 47),
    ],
    np.float32,
)
_HAIR_DARK = ((34, 28, 29), (46, 34, 30), (66, 45, 35))
_HAIR_FAIR = ((104, 70, 46), (136, 72, 42), (188, 142, 84), (222, 188, 128), (158, 94, 50))
_HAIR_GREY = ((150, 148, 150), (205, 203, 200))
_EYES_DARK = ((70, 44, 30), (96, 60, 34))
_EYES_FAIR = ((74, 112, 150), (92, 128, 92), (110, 130, 140), (124, 92, 48))
_CLOTH = (
    (176, 74, 74),
    (70, 110, 150),
    (86, 132, 104),
    (214, 168, 84),
    (124, 88, 140),
    (60, 76, 96),
    (196, 130, 120),
)

HAIR_FEMALE = ("long", "long", "bob", "fringe", "fringe", "curly", "parted", "updo", "headscarf")
HAIR_MALE = ("short", "short", "parted", "curly", "buzz", "bald", "fringe")


@dataclass(frozen=True)
class Identity:
    """One person. Colours are sRGB float32 (3,), 0..255; `points` are the resting landmarks."""

    masculine: float  # 0 or 1; the other attributes depend on it
    age: float  # 0 young .. 1 old
    skin: np.ndarray
    hair: np.ndarray
    hair_style: str
    volume: float
    eyes: np.ndarray
    lips: np.ndarray
    scarf: np.ndarray
    brow_width: float
    eye_fold: float  # 0 monolid .. 1 deep crease
    freckles: int
    makeup: float
    beard: str  # none, stubble, moustache, goatee, full
    glasses: str  # none, round, square
    glasses_color: np.ndarray
    points: np.ndarray  # (68, 2) neutral frontal landmarks, crop units
    nose_width: float
    marks: np.random.SeedSequence  # for freckles and strands


_HALF_JAW = np.array(
    [
        (0.148, 0.36),
        (0.152, 0.447),
        (0.162, 0.535),
        (0.181, 0.622),
        (0.214, 0.705),
        (0.262, 0.782),
        (0.326, 0.850),
        (0.408, 0.902),
        (0.5, 0.921),
    ]
)
_HALF_BROW = np.array([(0.225, 0.292), (0.262, 0.266), (0.312, 0.256), (0.364, 0.262), (0.415, 0.276)])
_NOSE = np.array(
    [
        (0.5, 0.365),
        (0.5, 0.435),
        (0.5, 0.505),
        (0.5, 0.575),
        (0.431, 0.612),
        (0.464, 0.625),
        (0.5, 0.632),
        (0.536, 0.625),
        (0.569, 0.612),
    ]
)
_HALF_EYE = np.array([(0.27, 0.364), (0.312, 0.334), (0.372, 0.334), (0.421, 0.368), (0.374, 0.387), (0.316, 0.387)])
# outer: corner, upper 49..51; lower 57..59; inner: corner, upper 61, 62; lower 66, 67
_MOUTH = {
    48: (0.373, 0.733),
    49: (0.418, 0.713),
    50: (0.466, 0.701),
    51: (0.5, 0.707),
    57: (0.5, 0.780),
    58: (0.458, 0.775),
    59: (0.411, 0.759),
    60: (0.385, 0.733),
    61: (0.455, 0.735),
    62: (0.5, 0.738),
    66: (0.5, 0.739),
    67: (0.455, 0.736),
}

# index of the landmark on the other half of the face
MIRROR = np.array(
    [*range(16, -1, -1), *range(26, 16, -1),
        27, 28, 29, 30, 35, 34, 33, 32, 31, 45, 44, 43, 42, 47, 46, 39, 38, 37, 36,
     41, 40, 54, 53, 52, 51, 50, 49, 48, 59, 58, 57, 56, 55, 64, 63, 62, 61, 60, 67, 66, 65]
)  # fmt: skip


def _neutral_points(rng: np.random.Generator, masculine: float, lips: float) -> tuple[np.ndarray, float]:
    """Return (68, 2) resting landmarks of a person, frontal and symmetric, and the nose width factor."""
    wide, square, chin, nose, nose_long, mouth, eye_open, eye_tilt, arch = np.clip(rng.normal(size=9), -1.8, 1.8)
    p = np.zeros((68, 2))
    jaw = _HALF_JAW.copy()
    half = 0.5 - jaw[:, 0]
    level = np.linspace(0, 1, 9)  # 0 at the ear, 1 at the chin
    square = square * 0.6 + (0.9 if masculine else -0.5)
    half *= 1 + 0.022 * wide + (0.035 * square * np.sin(level * np.pi * 0.95)) * (level > 0.3)
    jaw[:, 0] = 0.5 - half
    jaw[:, 1] += level**2 * (0.008 * chin) + 0.004 * square * np.exp(-(((level - 0.8) / 0.15) ** 2))
    p[0:9] = jaw
    brow = _HALF_BROW.copy()
    brow[:, 1] += np.array([0.006, -0.002, -0.006, -0.002, 0.004]) * arch + (0.008 if masculine else -0.004)
    p[17:22] = brow
    p[27:36] = _NOSE
    nose_width = 1 + 0.11 * nose
    p[31:36, 0] = 0.5 + (p[31:36, 0] - 0.5) * nose_width
    p[28:36, 1] += np.linspace(0, 1, 8).clip(0, 0.5) * 0.014 * nose_long
    eye = _HALF_EYE.copy()
    eye[[1, 2], 1] -= 0.004 * eye_open + (0.0 if masculine else 0.003)
    eye[0, 1] -= 0.004 * eye_tilt + (0.0 if masculine else 0.003)
    p[36:42] = eye
    for index, xy in _MOUTH.items():
        p[index] = xy
    right = p[:, 0] == 0
    p[right] = p[MIRROR[right]] * (-1, 1) + (1, 0)
    p[49:54, 1] -= 0.006 * lips
    p[55:60, 1] += 0.009 * lips
    p[48:68, 0] = 0.5 + (p[48:68, 0] - 0.5) * (1 + 0.05 * mouth)
    p[48:68, 1] += 0.006 * nose_long
    return p, nose_width


def make_identity(identity: int) -> Identity:
    """Return the person of an identity number (any int); equal numbers give equal persons."""
    rng = np.random.default_rng([0x1DE, abs(int(identity)), int(identity < 0)])
    masculine = float(rng.random() < 0.5)
    tone = rng.random() * 7
    low = min(int(tone), 6)
    skin = _SKIN[low] + (tone - low) * (_SKIN[low + 1] - _SKIN[low]) + rng.normal(0, 3, 3)
    age = float(rng.random() ** 1.5)
    fair = rng.random() < np.clip(0.85 - tone * 0.25, 0.0, 1)
    grey = age > 0.72 and rng.random() < 0.6
    hair_set = _HAIR_GREY if grey else _HAIR_FAIR if fair else _HAIR_DARK
    eye_set = _EYES_FAIR if rng.random() < np.clip(0.8 - tone * 0.25, 0.03, 1) else _EYES_DARK
    styles = HAIR_MALE if masculine else HAIR_FEMALE
    style = styles[rng.integers(len(styles))]
    lips = float(np.clip(rng.normal(0.12 * tone - 0.3, 0.7), -0.8, 1.6)) - 0.2 * masculine
    makeup = float(rng.random() < 0.45) * rng.uniform(0.3, 1.0) * (1 - masculine)
    lip_base = skin * (0.86, 0.64, 0.62) + (14, 0, 4)
    lip_paint = np.array([(186, 62, 72), (170, 70, 84), (150, 52, 60)][rng.integers(3)])
    beard_draw = rng.random()
    beard = ("stubble", "moustache", "goatee", "full")[rng.integers(4)] if beard_draw < 0.3 and masculine else "none"
    glasses_draw = rng.random()
    glasses = ("round", "square")[rng.integers(2)] if glasses_draw < 0.2 else "none"
    glasses_color = np.array([(40, 36, 38), (110, 62, 38), (60, 72, 100), (150, 120, 80)][rng.integers(4)], np.float32)
    freckles = int(rng.integers(14, 34)) if tone < 2.6 and rng.random() < 0.3 else 0
    hair = (1 - 0.05 * max(tone - 3, 0) * (not grey)) * np.array(
        hair_set[rng.integers(len(hair_set))], np.float32
    ) + rng.normal(0, 5)
    scarf = np.array(_CLOTH[rng.integers(len(_CLOTH))], np.float32)
    brow_width = float(np.clip(rng.normal(1.0 + 0.3 * masculine, 0.16), 0.7, 1.6))
    points, nose_width = _neutral_points(rng, masculine, lips)
    return Identity(
        masculine=masculine,
        age=age,
        skin=np.clip(skin, 40, 252).astype(np.float32),
        hair=np.clip(hair, 22, 235).astype(np.float32),
        hair_style=style,
        volume=float(rng.uniform(0.7, 1.3)),
        eyes=np.array(eye_set[rng.integers(len(eye_set))], np.float32) + np.float32(rng.normal(0, 5)),
        lips=np.clip(lip_base * (1 - 0.65 * makeup) + lip_paint * 0.65 * makeup, 30, 250).astype(np.float32),
        scarf=scarf,
        brow_width=brow_width,
        eye_fold=float(rng.uniform(0.25, 1)),
        freckles=freckles,
        makeup=makeup,
        beard=beard,
        glasses=glasses,
        glasses_color=glasses_color,
        points=points,
        nose_width=float(nose_width),
        marks=np.random.SeedSequence([0xF4C, abs(int(identity)), int(identity < 0)]),
    )
