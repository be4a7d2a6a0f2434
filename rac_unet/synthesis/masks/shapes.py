"""The cuts of masks and how they are worn: 3-D surfaces on the generic head of `geometry`.

A cut is a centre line (down the nose, over the mouth, under the chin) and a side edge, six stations each from
top to bottom. Between the two the cloth falls off by a power of |u|: 1 makes a folded ridge, 2 a round cup,
3 a flat front.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

ROWS, COLUMNS = 9, 13


@dataclass(frozen=True)
class Cut:
    """The cut of a mask on the generic head: stations (6,) or (6, n) from the top edge to the bottom edge.

    Attributes:
        centre: (6, 2) y and z on the midline.
        edge: (6, 3) x, y and z of the image-right side edge.
        fall: (6,) power of |u| by which depth falls from centre to edge.
        level: power of |u| by which height changes from centre to edge.
        straps: how it is held, see `straps.make_straps`: "ears", "corners", "head" or "none".
        crumple: depth of random dents, head units.
    """

    centre: np.ndarray
    edge: np.ndarray
    fall: np.ndarray
    level: float
    straps: str
    crumple: float


def _cut(centre, edge, fall, level, straps, crumple) -> Cut:
    return Cut(np.array(centre, float), np.array(edge, float), np.array(fall, float), level, straps, crumple)


# centre line (y, z) | side edge (x, y, z) | fall | level | straps | crumple
CUTS = {
    "pleated": _cut(
        [(0.20, 0.86), (0.42, 1.03), (0.72, 1.10), (1.08, 1.04), (1.42, 0.90), (1.70, 0.58)],
        [(0.95, 0.40, -0.02), (0.955, 0.56, -0.06), (0.95, 0.74, -0.08),
         (0.935, 0.92, -0.06), (0.905, 1.10, -0.02), (0.86, 1.27, 0.04)],
        [1.1, 1.5, 1.9, 2.1, 2.1, 1.8],
        1.45,
        "corners",
        0.030,
    ),
    "folded": _cut(
        [(0.16, 0.84), (0.38, 1.06), (0.68, 1.28), (1.00, 1.30), (1.36, 1.08), (1.70, 0.58)],
        [(0.80, 0.40, 0.10), (0.92, 0.53, -0.02), (0.95, 0.70, -0.06),
         (0.94, 0.88, -0.06), (0.90, 1.08, -0.02), (0.77, 1.34, 0.12)],
        [1.2, 1.25, 1.2, 1.15, 1.2, 1.3],
        1.5,
        "corners",
        0.014,
    ),
    "cup": _cut(
        [(0.16, 0.84), (0.36, 1.10), (0.68, 1.34), (1.02, 1.36), (1.38, 1.14), (1.71, 0.64)],
        [(0.50, 0.36, 0.46), (0.78, 0.56, 0.22), (0.87, 0.80, 0.08),
         (0.88, 1.08, 0.06), (0.80, 1.36, 0.16), (0.56, 1.62, 0.36)],
        [1.8, 2.2, 2.4, 2.4, 2.2, 1.8],
        1.8,
        "head",
        0.008,
    ),
    "fitted": _cut(
        [(0.18, 0.86), (0.40, 1.03), (0.68, 1.14), (1.00, 1.10), (1.38, 0.90), (1.70, 0.54)],
        [(0.95, 0.42, -0.16), (0.98, 0.55, -0.22), (0.99, 0.68, -0.24),
         (0.98, 0.83, -0.23), (0.95, 1.00, -0.18), (0.90, 1.19, -0.10)],
        [1.2, 1.4, 1.5, 1.5, 1.6, 1.7],
        1.5,
        "ears",
        0.026,
    ),
    "triangle": _cut(
        [(0.24, 0.90), (0.48, 1.04), (0.84, 1.06), (1.34, 0.98), (2.00, 0.80), (2.75, 0.66)],
        [(1.01, 0.26, -0.36), (1.03, 0.58, -0.42), (1.01, 0.95, -0.40),
         (0.88, 1.42, -0.24), (0.62, 1.95, 0.06), (0.30, 2.55, 0.42)],
        [1.3, 1.7, 2.0, 2.1, 2.0, 1.8],
        1.5,
        "none",
        0.045,
    ),
    "gaiter": _cut(
        [(0.28, 0.90), (0.52, 1.04), (0.88, 1.04), (1.40, 0.90), (2.00, 0.45), (3.10, 0.40)],
        [(1.01, 0.42, -0.38), (1.03, 0.72, -0.46), (1.00, 1.08, -0.48),
         (0.88, 1.53, -0.50), (0.80, 2.10, -0.55), (0.92, 3.10, -0.55)],
        [1.5, 1.9, 2.1, 2.1, 2.1, 2.2],
        1.7,
        "none",
        0.030,
    ),
}  # fmt: skip


@dataclass(frozen=True)
class Wear:
    """How a mask sits on the head.

    Attributes:
        top: shift of the upper edge downwards, head units; negative is upwards.
        drop: shift of the whole mask downwards, head units.
        shift: shift sideways, head units.
        tilt: rotation about the mouth, radians.
        loose: share by which it is wider than the face: up to 0.22 for cloth that reaches over the ears, negative for
            masks that are too small.
        long: shift of the lower edge further downwards, head units.
        nose_out: whether it is worn below the nose.
        peak: how much lower the upper edge is on the cheeks than on the nose, head units.
        taper: share by which the lower corners are moved towards the chin.
        bend: (2,) powers of |u| for the upper and lower edge; 1 is a straight V, 2 a round arc.
    """

    top: float
    drop: float
    shift: float
    tilt: float
    loose: float
    long: float
    nose_out: bool
    peak: float
    taper: float
    bend: tuple[float, float]


def choose_wear(rng: np.random.Generator, cut: str, narrow: bool = False) -> Wear:
    """Choose how a mask is worn: mostly mid-bridge, sometimes high, rarely (7 %) below the nose, some skewed.

    Stiff cups stay on the nose, so they are worn below it less often. A `narrow` mask always ends on the cheeks.
    """
    kind = rng.random()
    nose_out = kind < (0.02 if cut in ("folded", "cup") else 0.08)
    if nose_out:
        drop = rng.uniform(0.0, 0.05)
        top = rng.uniform(0.54, 0.63) - drop - CUTS[cut].centre[0, 0]
    elif kind < 0.25:
        top, drop = rng.uniform(-0.14, -0.05), rng.uniform(0.0, 0.03)
    elif kind < 0.35:
        top, drop = rng.uniform(0.12, 0.22), rng.uniform(0.0, 0.08)
    else:
        top, drop = rng.uniform(-0.05, 0.12), rng.uniform(0.0, 0.05)
    # A mask below the nose is not skewed: that would uncover a corner of the mouth.
    skewed = rng.random() < 0.2 and not nose_out
    tilt = rng.normal(0, np.radians(4.0 if skewed else 1.2))
    shift = rng.normal(0, 0.035 if skewed else 0.012)
    loose = float(np.clip(rng.normal(0.035, 0.04), -0.01, 0.12))
    if rng.random() < 0.15:
        loose = rng.uniform(0.10, 0.22)
    elif CUTS[cut].straps in ("ears", "corners") and rng.random() < 0.18:
        # Too small for the face: the sides end on the cheeks, and long straps reach from there to the ears.
        loose = rng.uniform(-0.16, -0.02)
    if narrow:
        loose = rng.uniform(-0.20, -0.06)
    long = rng.uniform(0.0, 0.06) if rng.random() < 0.7 else rng.uniform(0.06, 0.32)
    peak = rng.uniform(0.0, 0.06 if nose_out else 0.20)
    taper = max(0.0, rng.uniform(-0.06, 0.16))
    bend = rng.uniform(1.0, 1.7), rng.uniform(1.3, 1.8)
    return Wear(
        float(top), drop, float(shift), float(np.clip(tilt, -0.16, 0.16)), loose, long, nose_out, peak, taper, bend
    )


def _stations(values: np.ndarray, at: np.ndarray) -> np.ndarray:
    """Interpolate six stations by a smooth Catmull-Rom curve, so that no crease is visible at a station."""
    padded = np.concatenate([2 * values[:1] - values[1:2], values, 2 * values[-1:] - values[-2:-1]])
    place = np.clip(at, 0, 1) * 5
    i = np.minimum(place.astype(int), 4)
    t = (place - i).reshape((-1,) + (1,) * (values.ndim - 1))
    a, b, c, d = padded[i], padded[i + 1], padded[i + 2], padded[i + 3]
    return b + 0.5 * t * (c - a + t * (2 * a - 5 * b + 4 * c - d + t * (3 * (b - c) + d - a)))


def mask_surface(cut: Cut, wear: Wear, rng: np.random.Generator) -> np.ndarray:
    """Return the head points (ROWS, COLUMNS, 3) of a worn mask, rows top to bottom, columns left to right.

    `rng` crumples it: real masks of one cut differ in outline and are not symmetric.
    """
    v = np.linspace(0, 1, ROWS)
    u = np.linspace(-1, 1, COLUMNS)
    centre, edge = cut.centre.copy(), cut.edge.copy()
    fade = np.array([1.0, 0.8, 0.5, 0.2, 0.05, 0.0])
    centre[:, 0] += wear.top * fade + wear.drop
    edge[:, 1] += 0.55 * wear.top * fade + wear.drop
    if wear.nose_out:
        # Without the nose to hold it off the face, the cloth rests on the lips.
        centre[:, 1] -= 0.14 * np.array([1.0, 1.2, 1.0, 0.6, 0.2, 0.0]) - np.array([0.16, 0.1, 0.0, 0.0, 0.0, 0.0])
    edge[:, 1] += wear.peak * fade
    edge[:, 0] *= 1 + wear.loose
    # On the cheeks, where a narrow mask ends, the head is nearer to the viewer.
    edge[:, 2] += 1.2 * max(0.0, -wear.loose)
    edge[:, 0] *= 1 - wear.taper * np.array([0.0, 0.0, 0.1, 0.35, 0.7, 1.0])
    wide = max(0.0, wear.loose)
    edge[-2:, :2] *= 1 + 0.5 * wide
    centre[-1, 0] += 0.6 * wide
    # Cloth that hangs low leaves the chin and falls towards the neck.
    centre[:, 0] += wear.long * np.array([0.0, 0.0, 0.05, 0.25, 0.6, 1.0])
    edge[:, 1] += wear.long * np.array([0.0, 0.1, 0.25, 0.45, 0.65, 0.8])
    centre[:, 1] += wear.long * np.array([0.0, 0.0, 0.0, 0.1, 0.35, 0.3])
    middle, side, fall = _stations(centre, v), _stations(edge, v), _stations(cut.fall, v)[:, None]
    distance = np.abs(u)[None]
    bow = np.sin(1.25 * u) / np.sin(1.25)
    x = side[:, :1] * bow[None]
    level = cut.level + (np.array(wear.bend) - 1.5) @ np.stack([1 - v, v])
    y = middle[:, :1] + (side[:, 1:2] - middle[:, :1]) * distance ** level[:, None]
    z = middle[:, 1:] + (side[:, 2:] - middle[:, 1:]) * distance**fall
    rough = rng.uniform(0.8, 1.2) if rng.random() < 0.75 else rng.uniform(1.2, 1.9)
    x, y, z = x + np.zeros_like(z), y + np.zeros_like(z), z + cut.crumple * rough * _dents(rng, (4, 5))
    x += 0.35 * cut.crumple * rough * _dents(rng, (3, 3))
    y += 0.45 * cut.crumple * rough * _dents(rng, (2, 4)) * (1 - 0.5 * v[:, None])
    turn, lean = np.cos(wear.tilt), np.sin(wear.tilt)
    x, y = turn * x - lean * (y - 1.0) + wear.shift, lean * x + turn * (y - 1.0) + 1.0
    return np.stack([x, y, z], -1)


def _dents(rng: np.random.Generator, cells: tuple[int, int]) -> np.ndarray:
    """Return (ROWS, COLUMNS) smooth random bumps with a standard deviation of about 1, at most 2."""
    coarse = np.clip(rng.standard_normal(cells), -2, 2)
    return cv2.resize(coarse, (COLUMNS, ROWS), interpolation=cv2.INTER_CUBIC)
