"""Head of a toy face: rotate its landmarks in 3-D and light its skin.

Landmarks are on an ellipsoid with a nose; yaw, pitch and roll rotate them as 3-D points. The skin is lit from a
height map (ellipsoid plus soft bumps for brow, nose, cheeks, lips, chin), so that one light direction shades all
features consistently. The map is 128x128 for every size of the picture.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import cv2
import numpy as np

from rac_unet.synthesis.toys.identity import Identity

GRID = 128
_AXIS = (np.arange(GRID, dtype=np.float32) + 0.5) / GRID
_CENTER_Y, _RADIUS_X, _RADIUS_Y, _DEPTH, _PIVOT = 0.46, 0.43, 0.64, 0.38, 0.10

_RELIEF = np.zeros(68)
_RELIEF[27:36] = (0.015, 0.035, 0.06, 0.08, 0.02, 0.035, 0.045, 0.035, 0.02)
_RELIEF[36:48] = -0.015
_RELIEF[48:68] = 0.015
_RELIEF[[50, 51, 52, 56, 57, 58, 61, 62, 63, 65, 66, 67]] = 0.03


@dataclass(frozen=True)
class Pose:
    """Pose of the head: a rotation and the shift that centres the eyes in the crop."""

    rotation: np.ndarray
    shift: np.ndarray

    def project(self, xy, relief=0.0, on_outline: bool = False) -> np.ndarray:
        """Return crop coordinates (N, 2) float32 of frontal face points (N, 2).

        relief: height above the ellipsoid. on_outline: the points are on the silhouette, not on the front.
        """
        p = np.asarray(xy, np.float64)
        q = np.empty((len(p), 3))
        q[:, 0], q[:, 1] = p[:, 0] - 0.5, p[:, 1] - _CENTER_Y
        if on_outline:
            q[:, 2] = 0.21 * np.minimum(np.maximum((p[:, 1] - 0.42) / 0.40, 0), 1) ** 1.5 + relief
        else:
            r2 = (q[:, 0] / _RADIUS_X) ** 2 + (q[:, 1] / _RADIUS_Y) ** 2
            q[:, 2] = _DEPTH * np.sqrt(np.maximum(1 - r2, 0)) + relief - _PIVOT
        return ((q @ self.rotation.T)[:, :2] + (self.shift + (0.5, _CENTER_Y))).astype(np.float32)

    def landmarks(self, points: np.ndarray) -> np.ndarray:
        """Return (68, 2) crop coordinates of frontal landmarks (68, 2); the jaw is on the silhouette."""
        return np.concatenate([self.project(points[:17], on_outline=True), self.project(points[17:], _RELIEF[17:])])


def make_pose(yaw: float, pitch: float, roll: float, who: Identity, jitter) -> Pose:
    """Return a pose from degrees (yaw > 0 turns to the image's right), with the eyes placed as in an aligned crop."""
    a, b, c = np.radians([yaw, pitch, roll])
    turn = np.array([[np.cos(a), 0, np.sin(a)], [0, 1, 0], [-np.sin(a), 0, np.cos(a)]])
    nod = np.array([[1, 0, 0], [0, np.cos(b), np.sin(b)], [0, -np.sin(b), np.cos(b)]])
    tilt = np.array([[np.cos(c), -np.sin(c), 0], [np.sin(c), np.cos(c), 0], [0, 0, 1]])
    rotation = tilt @ nod @ turn
    loose = Pose(rotation, np.zeros(2))
    eyes = loose.project(who.points[[36, 45]], -0.015).mean(axis=0)
    nose_and_chin = loose.landmarks(who.points)[[8, 30, 33]].mean(axis=0)
    shift = np.array([0.5 - 0.5 * eyes[0] - 0.35 * nose_and_chin[0] - 0.075, 0.364 - eyes[1]]) + jitter
    return Pose(rotation, shift)


@dataclass
class Portrait:
    """All that the painting functions need to know of one face.

    `upper` are the action units that are visible above the mouth, `lower` those in and around it; they
    differ only in `ambiguous` faces, where `upper` is empty.
    """

    who: Identity
    pose: Pose
    points: np.ndarray  # (68, 2) crop units
    upper: dict[int, float]
    lower: dict[int, float]
    light: np.ndarray  # (3,) direction towards the light, unit length; x right, y down, z towards the viewer
    tint: np.ndarray  # (3,) colour of the light, about 1
    window: np.ndarray | None = None  # (GRID, GRID), where pixels may depend on the expression; None: anywhere
    skin: np.ndarray = field(default_factory=lambda: np.zeros((3, 1, 1), np.float32))  # (3, S, S), once lit

    def at(self, *xy, relief: float = 0.0) -> np.ndarray:
        """Return crop coordinates of frontal face points given as x, y pairs."""
        return self.pose.project(np.array(xy, np.float64).reshape(-1, 2), relief)


def _bumps(items) -> np.ndarray:
    """Return the sum of Gaussian bumps (x, y, sx, sy, height) on the grid, as one matrix product."""
    x, y, sx, sy, height = np.array(items, np.float32).T[:, :, None]
    across = np.exp(-0.5 * ((_AXIS - x) / sx) ** 2) * height
    down = np.exp(-0.5 * ((_AXIS - y) / sy) ** 2)
    return down.T @ across


def mouth_window(points: np.ndarray) -> np.ndarray:
    """Return a (GRID, GRID) map: 1 around the mouth, 0 at and beyond the jaw's outline and above the nose tip.

    Outside, an `ambiguous` face does not depend on the expression; the margin covers filtering and down-sampling.
    """
    inside = np.zeros((GRID, GRID), np.uint8)
    cv2.fillPoly(inside, [np.rint((points[1:16] * GRID - 0.5) * 16).astype(np.int32)], 1, cv2.LINE_8, 4)
    distance = cv2.distanceTransform(inside, cv2.DIST_L2, 5)
    from_jaw = np.clip((distance - 3.5) / 3.0, 0, 1)
    below_tip = np.clip((_AXIS * GRID - points[30, 1] * GRID - 3.0) / 4.0, 0, 1)[:, None]
    window = from_jaw * below_tip
    return (window * window * (3 - 2 * window)).astype(np.float32)


def _face_bumps(f: Portrait) -> list[tuple]:
    """Return the bumps of the face above the mouth, and of the resting jaw."""
    p, units, old = f.points, f.upper, f.who.age
    n = f.who.nose_width
    nose = [p[27], (p[27] + p[28]) / 2, p[28], (p[28] + p[29]) / 2, p[29]]
    bumps = [(x, y, 0.030 * n, 0.036, 0.011 + 0.004 * i) for i, (x, y) in enumerate(nose)]
    bumps += [(*p[30], 0.034 * n, 0.032, 0.036), (*(p[30] + p[33]) / 2, 0.030 * n, 0.02, 0.008)]
    bumps += [(*(p[i] + (0, -0.012)), 0.020 * n, 0.022, 0.016) for i in (31, 35)]
    for side, corner, eye, brow in (
        (-1, 36, slice(36, 42), slice(17, 22)),
        (1, 45, slice(42, 48), slice(22, 27)),
    ):
        c, b = p[eye].mean(axis=0), p[brow].mean(axis=0)
        bumps += [(*c, 0.075, 0.042, -0.020), (*(c + (0, 0.004)), 0.050, 0.030, 0.012)]
        bumps += [(*(b + (0, 0.004)), 0.085, 0.030, 0.012 + 0.006 * f.who.masculine)]
        cheek = f.at(0.5 + side * 0.205, 0.545)[0]
        lift = units.get(6, 0) * 0.9 + units.get(12, 0) * 0.3
        bumps += [
            (*cheek, 0.085, 0.075, 0.018),
            (*(cheek + (-side * 0.01, -0.015 * lift)), 0.062, 0.045, 0.022 * lift),
        ]
        bumps += [(*(p[corner] + (side * 0.05, 0.02)), 0.04, 0.08, -0.006)]
        pouch = p[40 if side < 0 else 47] + (0, 0.035)
        bumps += [(*pouch, 0.05, 0.018, -0.003 - 0.005 * old)]
    knot = (p[21] + p[22]) / 2
    frown, raise_ = units.get(4, 0), units.get(1, 0)
    bumps += [
        (knot[0], knot[1] + 0.004, 0.035, 0.028, 0.006 + 0.008 * frown),
        (*f.at(0.5, 0.17)[0], 0.18, 0.08, 0.02),
    ]
    bumps += [(*f.at(0.5, 0.12 + 0.045 * i)[0], 0.14, 0.008, 0.0035 * raise_) for i in range(3)]
    chin = f.at(0.5, 0.865)[0] + (0, p[8, 1] - f.pose.project([(0.5, 0.921)], on_outline=True)[0, 1])
    bumps += [(*chin, 0.065, 0.04, 0.020), (*f.at(0.5, 0.725)[0], 0.12, 0.07, 0.018)]
    return bumps


def _mouth_bumps(f: Portrait) -> list[tuple]:
    """Return the bumps of lips, folds and chin, which depend on the lower action units."""
    p, units = f.points, f.lower
    bumps = [(*p[57] + (0, 0.018), 0.060, 0.014, -0.010), (*(p[33] + p[51]) / 2, 0.012, 0.028, -0.006)]
    fold = max(units.get(12, 0), 0.9 * units.get(10, 0), 0.6 * units.get(20, 0), 0.6 * units.get(15, 0))
    for side, corner in ((-1, 48), (1, 54)):
        bumps += [(*(p[corner] + (side * 0.012, 0.002)), 0.016, 0.018, -0.006 - 0.008 * fold)]
        if f.window is None:  # wider than the window, at whose rim it would be cut off visibly
            jowl = f.at(0.5 + side * 0.19, 0.66)[0]
            bumps += [(*jowl, 0.045, 0.05, 0.016 * units.get(12, 0) + 0.008 * units.get(20, 0))]
    tense = units.get(17, 0)
    bumps += [
        (*p[57] + (0, 0.055), 0.050, 0.025, 0.012 * tense),
        (*(p[33] + p[51]) / 2, 0.06, 0.02, 0.01 * units.get(23, 0)),
    ]
    return bumps


def light_skin(f: Portrait, side: int) -> np.ndarray:
    """Return lit and blushed skin, (3, side, side) float32, over the whole square; the caller clips it."""
    centre = np.array([0.5, _CENTER_Y]) + f.pose.shift
    centre = centre.tolist()
    r2 = ((_AXIS - centre[0]) / _RADIUS_X)[None] ** 2 + ((_AXIS - centre[1]) / _RADIUS_Y)[:, None] ** 2
    # Beyond the rim the dome continues linearly, so that the edge of the jaw is in shade.
    dome = np.where(r2 < 0.85, np.sqrt(np.maximum(1 - r2, 0.15)), 0.387 - (r2 - 0.85) * 1.29)
    mouth = _bumps(_mouth_bumps(f))
    height = _DEPTH * dome + _bumps(_face_bumps(f))
    height = height + (mouth if f.window is None else mouth * f.window)
    height = height.astype(np.float32)
    dx = cv2.Sobel(height, cv2.CV_32F, 1, 0, scale=GRID / 8)
    dy = cv2.Sobel(height, cv2.CV_32F, 0, 1, scale=GRID / 8)
    inverse = 1 / np.sqrt(1 + dx * dx + dy * dy)
    lx, ly, lz = (float(v) for v in f.light)
    lambert = (lz - lx * dx - ly * dy) * inverse
    half = f.light + (0, 0, 1)
    hx, hy, hz = (float(v) for v in half / np.linalg.norm(half))
    gloss = np.maximum((hz - hx * dx - hy * dy) * inverse, 0)
    for _ in range(5):  # to the 32nd power
        gloss *= gloss
    base = f.who.skin
    dark = float(1 - base.mean() / 255)
    shadow = base * (0.60, 0.47, 0.45) + (6, 0, 6)
    lit = base + (np.array([255, 246, 232]) - base) * (0.42 - 0.12 * dark)
    t = np.clip((lambert - 0.10) / 0.72, 0, 1)
    t = t * t * (3 - 2 * t)
    high = np.clip((lambert - 0.80) / 0.22, 0, 1) ** 2
    blush = _bumps(_blush(f))
    glint = gloss * (0.05 + 0.07 * dark)
    skin = np.empty((3, side, side), np.float32)
    tint, shadow, base, lit = (v.tolist() for v in (f.tint, shadow, base, lit))
    for c, (sheen, red) in enumerate(((255, 0.02), (250, 0.17), (240, 0.13))):
        tone = shadow[c] + (base[c] - shadow[c]) * t + (lit[c] - base[c]) * high
        tone = (tone * (1 - red * blush) + sheen * glint) * tint[c]
        cv2.resize(tone, (side, side), dst=skin[c], interpolation=cv2.INTER_LINEAR)
    return skin


def _blush(f: Portrait) -> list[tuple]:
    """Return the redder and darker places as (x, y, sx, sy, strength)."""
    p, warm = f.points, 0.55 + 0.3 * f.who.makeup
    spots = [(*p[30], 0.045, 0.03, 0.35), (*f.at(0.5, 0.86)[0], 0.06, 0.03, 0.2)]
    for side, eye in ((-1, slice(36, 42)), (1, slice(42, 48))):
        spots += [(*f.at(0.5 + side * 0.215, 0.545)[0], 0.075, 0.055, warm)]
        spots += [(*p[eye].mean(axis=0), 0.075, 0.045, 0.38 + 0.2 * f.who.age)]
    return spots
