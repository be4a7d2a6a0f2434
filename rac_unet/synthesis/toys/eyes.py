"""Paint the eyes and brows of a toy face from its landmarks, and the wrinkles of their movements.

Every function takes (canvas, portrait). Outlines are splines through the landmarks, so the returned landmarks
are exactly on the drawn features. Both eyes share each layer: fewer, larger layers are faster.
"""

from __future__ import annotations

import numpy as np

from rac_unet.synthesis.toys.canvas import Canvas, curve, ellipse
from rac_unet.synthesis.toys.head import Portrait

_BROWN = np.array((58, 30, 24), np.float32)


def paint_eyes(canvas: Canvas, f: Portrait) -> None:
    """Paint eyeballs, irises looking at the viewer, lids, lashes and lid creases."""
    who, skin, units = f.who, f.who.skin, f.upper
    eyes = [
        f.points[36:42],
        f.points[[45, 44, 43, 42, 47, 46]],
    ]  # each from its outer corner over the upper lid
    uppers, lowers = [curve(e[:4]) for e in eyes], [curve(e[[3, 4, 5, 0]]) for e in eyes]
    balls = [np.concatenate(pair) for pair in zip(uppers, lowers, strict=True)]
    widths = [max(float(np.hypot(*(e[3] - e[0]))), 0.05) for e in eyes]
    aways = [(e[0] - e[3]) / w for e, w in zip(eyes, widths, strict=True)]
    canvas.fill(balls, skin * (0.55, 0.42, 0.42), 0.55, soft=0.010)
    white = canvas.mask(balls)
    canvas.fill(balls, (240, 234, 230) * f.tint)
    for eye in eyes:
        canvas.glow(eye[3], 0.014, 0.010, (208, 120, 112), 0.75, clip=white)
    _paint_irises(canvas, f, [e.mean(axis=0) + (0, -0.003) for e in eyes], widths, white)
    lid_shadow = [np.concatenate([u, u[::-1] + (0, 0.017)]) for u in uppers]
    canvas.fill(lid_shadow, (60, 38, 44), 0.40, soft=0.006, clip=white)
    ink = who.hair * 0.35 + _BROWN * 0.35
    lash = 0.0095 + 0.0035 * (1 - who.masculine) + 0.003 * who.makeup
    canvas.stroke([e[3::-1] for e in eyes], np.array((1.0, 1.1, 1.0, 0.8, 0.3)) * lash, ink, 0.95, soft=0.0012)
    if not who.masculine:
        reach = 0.016 + 0.008 * who.makeup
        wings = [
            e[0] + np.stack([w * -0.010 + (0, -0.006), (0, -0.003), w * reach + (0, -0.012)])
            for e, w in zip(eyes, aways, strict=True)
        ]
        canvas.stroke(wings, (0.010, 0.009, 0.001), ink, 0.9)
    rims = [e[[0, 5, 4, 3]] for e in eyes]
    canvas.stroke(rims, (0.006, 0.005, 0.003), skin * (0.5, 0.36, 0.34), 0.75, soft=0.0015)
    lift = 0.021 - 0.010 * units.get(5, 0) - 0.004 * units.get(7, 0) + 0.008 * units.get(43, 0)
    rise = np.array([(0, -0.010), (0, -lift), (0, -lift), (0, -0.011)], np.float32)
    crease = skin * (0.52, 0.36, 0.34)
    canvas.stroke(
        [e[:4] + rise for e in eyes],
        (0.002, 0.008, 0.008, 0.003),
        crease,
        0.25 + 0.5 * who.eye_fold,
        soft=0.0025,
    )
    squeeze = max(units.get(6, 0), units.get(7, 0), units.get(9, 0))
    bags = [(e[5] + e[4]) / 2 + np.array([(-0.045, 0.014), (0, 0.019), (0.045, 0.014)]) for e in eyes]
    canvas.stroke(
        bags,
        (0.001, 0.008, 0.001),
        skin * (0.58, 0.42, 0.40),
        0.18 + 0.25 * who.age + 0.35 * squeeze,
        soft=0.003,
    )
    squint = max(units.get(6, 0), 0.6 * units.get(9, 0)) * (0.4 + 0.6 * who.age) + 0.15 * who.age
    feet = []
    for eye, away in zip(eyes, aways, strict=True):
        for rise in (-0.022, 0.0, 0.020):
            start = eye[0] + away * 0.022 + (0, rise * 0.6)
            feet.append(
                np.stack([start, start + away * 0.016 + (0, rise * 0.5), start + away * 0.032 + (0, rise * 1.2)])
            )
    canvas.stroke(feet, (0.001, 0.006, 0.001), skin * (0.62, 0.48, 0.46), 0.55 * squint, soft=0.002)


def _paint_irises(canvas: Canvas, f: Portrait, centers: list, widths: list, white: np.ndarray) -> None:
    """Paint irises, pupils and reflections; placed high, so that wide-open eyes show white all around."""
    color, r = f.who.eyes, 0.0345
    narrow = [r * min(1, w / 0.145 + 0.06) for w in widths]

    def both(rx: float, ry: float, shift=(0.0, 0.0)) -> list[np.ndarray]:
        return [ellipse(c + shift, rx * n / r, ry) for c, n in zip(centers, narrow, strict=True)]

    canvas.fill(both(r, r), color * 0.45, clip=white)
    canvas.fill(both(r * 0.84, r * 0.86), color, soft=0.003, clip=white)
    canvas.fill(both(0.018, 0.009, (0, 0.015)), color * 0.5 + (118, 112, 96), 0.6, soft=0.006, clip=white)
    canvas.fill(both(0.0150, 0.0155), (16, 11, 12), clip=white)
    towards = float(np.sign(f.light[0] + 1e-6))
    canvas.fill(both(0.0078, 0.0085, (0.011 * towards, -0.011)), (255, 255, 255), 0.96, clip=white)
    canvas.fill(both(0.004, 0.004, (-0.009 * towards, 0.008)), (255, 255, 255), 0.5, clip=white)


def paint_brows(canvas: Canvas, f: Portrait) -> None:
    """Paint brows along their landmarks, and the wrinkles of brow movements."""
    who = f.who
    thick = 0.021 * who.brow_width
    color = who.hair * 0.80 if who.hair.mean() < 150 else who.hair * 0.56
    color = np.minimum(color, who.skin * 0.62)
    brows = [f.points[17:22], f.points[26:21:-1]]
    canvas.stroke(brows, (0.004, thick * 0.8, thick, thick * 1.08, thick * 0.9), color, 0.55, soft=0.005)
    canvas.stroke(brows, (0.003, thick * 0.6, thick * 0.8, thick * 0.95, thick * 0.6), color * 0.9, 0.75, soft=0.002)
    dark = who.skin * (0.55, 0.40, 0.38)
    frown = f.upper.get(4, 0) + 0.2 * who.age
    furrows = []
    for inner, side in ((f.points[21], 1), (f.points[22], -1)):
        top = inner + (side * 0.022, -0.012)
        furrows.append(np.stack([top, top + (side * 0.003, 0.025), top + (-side * 0.002, 0.045)]))
    canvas.stroke(furrows, (0.002, 0.009, 0.001), dark, 0.60 * min(frown, 1), soft=0.003)
    lines = max(f.upper.get(1, 0), f.upper.get(2, 0)) * (0.6 + 0.4 * who.age) + 0.3 * who.age
    wide = f.upper.get(2, 0) > 0.1 or f.upper.get(1, 0) == 0
    creases = []
    for i in range(3):
        y, half = 0.118 + 0.034 * i, 0.13 - 0.012 * i if wide else 0.07
        x = np.array([-1, -0.5, 0, 0.5, 1]) * half + 0.5
        creases.append(f.pose.project(np.stack([x, y + np.array([0.008, -0.002, 0.003, -0.002, 0.008])], axis=1)))
    canvas.stroke(creases, (0.001, 0.006, 0.006, 0.001), dark, 0.34 * lines, soft=0.003)
