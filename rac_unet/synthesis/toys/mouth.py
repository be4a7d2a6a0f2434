"""Paint the nose and mouth of a toy face from its landmarks: folds, lips, teeth, tongue.

Every function takes (canvas, portrait). Only `paint_mouth` uses the action units of the lower face; in
`ambiguous` faces the caller limits it to a window around the mouth.
"""

from __future__ import annotations

import numpy as np

from rac_unet.synthesis.toys.canvas import Canvas, curve, ellipse
from rac_unet.synthesis.toys.head import Portrait


def paint_nose(canvas: Canvas, f: Portrait) -> None:
    """Paint nostrils, wings, the shadow under the nose, and the wrinkles of a wrinkled nose."""
    p, skin = f.points, f.who.skin
    dark = skin * (0.42, 0.26, 0.25)
    base = p[31:36]
    shade = np.concatenate([curve(base), curve(base[::-1] + (0, 0.016))])
    canvas.fill(shade, (0.74, 0.64, 0.62), 0.7, soft=0.008, multiply=True)
    wings, holes = [], []
    for wing, mid, side in ((p[31], p[32], -1), (p[35], p[34], 1)):
        out = wing + (side * 0.006, -0.012)
        wings.append(np.stack([out + (-side * 0.004, -0.024), out, wing + (-side * 0.004, 0.003)]))
        hole = (wing * 0.42 + mid * 0.58) + (0, -0.006)
        holes.append(np.stack([hole + (side * 0.015, 0.003), hole, hole + (-side * 0.012, 0.004)]))
    canvas.stroke(wings, (0.001, 0.008, 0.006), dark, 0.50, soft=0.0025)
    canvas.stroke(holes, (0.004, 0.011, 0.003), dark * 0.75, 0.80, soft=0.0022)
    canvas.stroke(p[32:35], (0.001, 0.006, 0.001), dark, 0.45, soft=0.0025)
    wrinkle = f.upper.get(9, 0)
    ridges = []
    for i, (along, half) in enumerate(((0.05, 0.026), (0.30, 0.036), (0.55, 0.040))):
        middle = p[27] * (1 - along) + p[29] * along
        arch = ((-half, 0.014 + 0.002 * i), (-half * 0.5, 0), (half * 0.5, 0), (half, 0.014 + 0.002 * i))
        ridges.append(middle + np.array(arch))
    canvas.stroke(ridges, (0.001, 0.010, 0.006, 0.010, 0.001), dark * 1.15, 0.5 * wrinkle, soft=0.004)


def paint_mouth(canvas: Canvas, f: Portrait) -> None:
    """Paint the folds around the mouth, the shaded lips, and the inside of an open mouth: dark, teeth, tongue."""
    p, units, who = f.points, f.lower, f.who
    _paint_folds(canvas, f)
    upper, lower = curve(p[48:55]), curve(p[[54, 55, 56, 57, 58, 59, 48]])
    inner_top, inner_low = curve(p[60:65]), curve(p[[64, 65, 66, 67, 60]])
    lips = who.lips * f.tint
    canvas.fill(np.concatenate([upper, lower]), lips, 0.45, soft=0.006)
    canvas.fill(np.concatenate([upper, inner_top[::-1]]), lips * (0.84, 0.78, 0.80), 0.95, soft=0.0015)
    canvas.fill(np.concatenate([inner_low[::-1], lower[::-1]]), lips * (1.04, 1.0, 1.0), 0.95, soft=0.0015)
    full = canvas.mask(np.concatenate([inner_low[::-1], lower[::-1]]), soft=0.002)
    under = p[[55, 56, 57, 58, 59]]
    canvas.stroke(under, (0.004, 0.016, 0.004), lips * (0.72, 0.62, 0.64), 0.55, soft=0.005, clip=full)
    shine = (p[66] * 0.5 + p[57] * 0.5) + (0.012 * np.sign(f.light[0] + 1e-6), 0)
    canvas.glow(shine, 0.030, 0.008, (255, 232, 226), 0.34 + 0.25 * who.makeup, clip=full)
    canvas.stroke(p[49:54] + (0, -0.004), (0.001, 0.006, 0.004, 0.006, 0.001), who.skin * 0.4 + 150, 0.28, soft=0.003)
    opening = float(np.max(p[65:68, 1] - p[61:64, 1][::-1]))
    if opening > 0.006:
        _paint_inside(canvas, f, np.concatenate([inner_top, inner_low]), opening)
    else:
        canvas.stroke(
            np.concatenate([p[48:49], p[60:65], p[54:55]]),
            (0.003, 0.007, 0.009, 0.007, 0.003),
            lips * (0.36, 0.24, 0.26),
            0.85,
            soft=0.0018,
        )
    for corner, side in ((p[48], -1), (p[54], 1)):
        canvas.glow(corner + (side * 0.003, 0.002), 0.012, 0.009, who.skin * (0.45, 0.30, 0.30), 0.6)
    pout = who.skin * (0.58, 0.44, 0.42)
    canvas.stroke(
        p[[59, 57, 55]] * (0.6, 1) + p[57] * (0.4, 0) + (0, 0.014),
        (0.001, 0.014, 0.001),
        pout,
        0.28 + 0.3 * units.get(17, 0),
        soft=0.006,
    )
    if units.get(17, 0):
        for dx, dy in ((-0.022, 0.05), (0.018, 0.058), (-0.004, 0.066), (0.028, 0.045), (-0.03, 0.062)):
            canvas.glow(p[57] + (dx, dy), 0.006, 0.005, pout, 0.40 * units[17])


def _paint_inside(canvas: Canvas, f: Portrait, hole: np.ndarray, opening: float) -> None:
    p, units = f.points, f.lower
    inside = canvas.mask(hole)
    middle = (p[62] + p[66]) / 2
    width = float(p[64, 0] - p[60, 0])
    canvas.fill(hole, (52, 16, 20))
    tooth = np.array((246, 240, 228), np.float32) * f.tint
    top, low = curve(p[60:65]), curve(p[[60, 67, 66, 65, 64]])
    tongue = units.get(19, 0)
    clenched = units.get(31, 0)
    if clenched:
        canvas.fill(hole, tooth, clip=inside)
        bite = p[60:65] * 0.5 + p[[60, 67, 66, 65, 64]] * 0.5
        canvas.stroke(bite, (0.004, 0.007, 0.007, 0.004), (70, 34, 34), 0.9, soft=0.001, clip=inside)
        _tooth_gaps(canvas, top, p[62, 0], width, opening, inside)
    else:
        tense = max(units.get(20, 0), 0.8 * units.get(16, 0)) * (tongue == 0)
        if units.get(26, 0) > 0.4 or tongue:
            reach = opening * (0.26 + 0.26 * min(tongue, 1))
            center = p[66] + (0, 0.3 * reach - 0.75 * reach * min(tongue, 1))
            canvas.fill(ellipse(center, width * 0.30, reach + 0.006), (188, 84, 88), 0.9, soft=0.004, clip=inside)
            canvas.glow(
                center + (0, -0.3 * reach),
                width * 0.10,
                reach * 0.4 + 0.002,
                (232, 140, 138),
                0.5,
                clip=inside,
            )
        if tense > 0.05:
            canvas.fill(np.concatenate([low, low[::-1] + (0, -min(0.022, opening * 0.30))]), tooth * 0.90, clip=inside)
            _tooth_gaps(canvas, low, p[66, 0], width, -opening * 0.28, inside)
        share = 0.16 if units.get(27, 0) else 0.92 if units.get(12, 0) else 0.30
        show = min(opening * share, 0.040)
        canvas.fill(np.concatenate([top, top[::-1] + (0, show)]), tooth, clip=inside)
        _tooth_gaps(canvas, top, p[62, 0], width, show * 0.9, inside)
    canvas.fill(np.concatenate([top, top[::-1] + (0, 0.009)]), (70, 22, 26), 0.45, soft=0.004, clip=inside)
    for corner in (p[60], p[64]):
        canvas.glow(corner + (middle - corner) * 0.06, 0.018, 0.02, (46, 14, 18), 0.8, clip=inside)


def _tooth_gaps(
    canvas: Canvas, gum: np.ndarray, middle: float, width: float, height: float, inside: np.ndarray
) -> None:
    """Paint faint lines between teeth, from the curve `gum` over `height` (negative: upwards)."""
    order = np.argsort(gum[:, 0])
    gaps = []
    for place in (-0.30, -0.19, -0.065, 0.065, 0.19, 0.30):
        x = middle + place * width
        y = float(np.interp(x, gum[order, 0], gum[order, 1]))
        gaps.append(np.array([(x - 0.0015, y), (x + 0.0015, y), (x + 0.0012, y + height), (x - 0.0012, y + height)]))
    canvas.fill(gaps, (150, 128, 118), 0.5, clip=inside)


def _paint_folds(canvas: Canvas, f: Portrait) -> None:
    """Paint nasolabial folds, and the lines of a stretched or drawn-down mouth."""
    p, units, who = f.points, f.lower, f.who
    dark = who.skin * (0.52, 0.38, 0.36)
    smile, sneer = units.get(12, 0), units.get(10, 0)
    depth = 0.06 + 0.20 * who.age + 0.50 * max(smile, 0.9 * sneer) + 0.12 * max(units.get(15, 0), units.get(20, 0))
    folds, drops, stretches = [], [], []
    for wing, corner, side in ((p[31], p[48], -1), (p[35], p[54], 1)):
        start = wing + (side * 0.018, 0.002)
        end = corner + (side * (0.030 + 0.004 * smile), 0.016 * smile - 0.028 * (1 - min(smile, 1)))
        bow = (start + end) / 2 + (side * (0.014 + 0.014 * smile), -0.012)
        folds.append(np.stack([start, bow, end]))
        near, tip = corner + (side * 0.006, 0.004), corner + (side * 0.014, 0.034)
        drops.append(np.stack([near, corner + (side * 0.013, 0.016), tip]))
        line = corner + (side * 0.034, 0)
        stretches.append(np.stack([line + (0, -0.03), line + (side * 0.006, 0), line + (-side * 0.004, 0.034)]))
    canvas.stroke(folds, (0.003, 0.014, 0.002), dark, depth * 0.75, soft=0.006)
    canvas.stroke(folds, (0.002, 0.006, 0.001), dark * 0.9, depth * 0.35, soft=0.003)
    drop = units.get(15, 0) + 0.5 * units.get(20, 0)
    canvas.stroke(drops, (0.004, 0.009, 0.001), dark, 0.55 * min(drop, 1.2), soft=0.003)
    stretch = max(units.get(20, 0), 0.7 * units.get(23, 0))
    canvas.stroke(stretches, (0.001, 0.008, 0.001), dark, 0.45 * stretch, soft=0.003)
