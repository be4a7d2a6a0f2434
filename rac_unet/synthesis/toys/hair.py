"""Paint the hair of a toy face behind and in front of the head, or its scarf.

Shapes are defined around the frontal head in crop units, the left half first, and rotated with the head's outline.
"""

from __future__ import annotations

import numpy as np

from rac_unet.synthesis.toys.body import NARROW, both_halves
from rac_unet.synthesis.toys.canvas import Canvas, curve, ellipse, loop
from rac_unet.synthesis.toys.head import Portrait

# Hair style -> how far down the hair behind the head reaches.
_BACK_ENDS = {"long": 1.2, "bob": 0.80, "fringe": 1.2, "parted": 0.98, "curly": 0.66}
_SCARF_BACK = [(0.10, 1.2), (0.02, 1.0), (0.055, 0.6), (0.06, 0.25), (0.2, -0.1), (0.5, -0.16)]


def paint_hair_behind(canvas: Canvas, f: Portrait) -> None:
    """Paint hair or scarf behind the head; before the face is painted."""
    who, style = f.who, f.who.hair_style
    if style == "headscarf":
        back = f.pose.project(both_halves(_SCARF_BACK), -0.10, on_outline=True)
        canvas.fill(loop(back), who.scarf * 0.66 * f.tint)
        return
    if style not in _BACK_ENDS or (who.masculine and style != "curly"):
        return
    end = 0.46 if who.masculine else _BACK_ENDS[style]
    w = 0.035 * who.volume + (0.03 if style == "curly" else 0)
    color = who.hair * f.tint * 0.62
    back = [
        (0.12, end),
        (0.06 - w, end - 0.06),
        (0.055 - w, min(0.5, end - 0.1)),
        (0.075 - w, 0.2),
        (0.2, -0.1),
    ]
    canvas.fill(loop(f.pose.project(both_halves([*back, (0.5, -0.16)]), -0.10, on_outline=True)), color, soft=0.003)
    if style == "curly":
        rim = [(0.05 - w, end), (0.03 - w, end - 0.14), (0.03 - w, 0.3), (0.1 - w, 0.12), (0.2, 0.0)]
        centers = f.pose.project(both_halves(rim), -0.10, on_outline=True)
        sizes = np.random.default_rng(who.marks).uniform(0.045, 0.07, len(centers))
        curls = [ellipse(center, size, size * 1.1) for center, size in zip(centers, sizes, strict=True)]
        canvas.fill(curls[::2], color * 0.92, soft=0.004)
        canvas.fill(curls[1::2], color * 1.08, soft=0.004)


def _hairline(f: Portrait) -> np.ndarray:
    """Return the hairline as frontal face points from left to right."""
    style, man = f.who.hair_style, f.who.masculine
    side = [(0.128, 0.40), (0.150, 0.30)] if man else [(0.130, 0.44), (0.140, 0.31)]
    recede = 0.025 * f.who.age * man
    if style == "fringe":
        top = [(0.165, 0.245), (0.26, 0.215), (0.38, 0.195), (0.5, 0.200)]
    elif style == "curly":
        top = [(0.18, 0.20), (0.27, 0.135), (0.38, 0.10), (0.5, 0.105)]
    else:
        top = [(0.185, 0.20), (0.26, 0.12 - recede), (0.37, 0.078 - recede), (0.5, 0.072)]
    line = both_halves(side + top)
    if style == "parted":
        middle = len(line) // 2
        line[middle:-2, 1] += np.array([0.02, 0.045, 0.055, 0.03])[: len(line) - 2 - middle]
        line[middle - 1] += (-0.05, -0.04)
    return line


def paint_hair(canvas: Canvas, f: Portrait) -> None:
    """Paint hair or scarf in front of the face."""
    who, style = f.who, f.who.hair_style
    hair = who.hair * f.tint
    if style == "bald":
        return
    if style == "headscarf":
        _paint_scarf(canvas, f)
        return
    line = _hairline(f)
    front = f.pose.project(line)
    edge = f.pose.project(line[[0, -1]], on_outline=True)
    front[[0, -1]] = edge
    w = 0.012 if style == "buzz" else 0.035 * who.volume * (0.6 if who.masculine and style != "curly" else 1)
    top = f.pose.project(
        both_halves(
            [
                (0.114 - w * 0.4, 0.38),
                (0.108 - w, 0.24),
                (0.14 - w, 0.09),
                (0.26 - w, -0.06 - w),
                (0.5, -0.12 - w),
            ]
        ),
        on_outline=True,
    )
    cap = np.concatenate([curve(front), curve(top)[::-1]])
    lower_soft = 0.007 if style == "buzz" else 0.003
    canvas.fill(cap + (0, 0.012), (0.70, 0.60, 0.58), 0.55, soft=0.010, multiply=True)
    canvas.fill(cap, hair * 0.92, 0.82 if style == "buzz" else 1.0, soft=lower_soft)
    if style in ("long", "fringe", "bob") and not who.masculine:
        end = {"long": 1.1, "bob": 0.80, "fringe": 1.1}[style]
        for side in (-1, 1):
            flip = lambda pts, s=side: np.array([(0.5 + s * NARROW * (0.5 - x), y) for x, y in pts])  # noqa: E731
            lock = flip(
                [
                    (0.18, 0.17),
                    (0.135, 0.30),
                    (0.128, 0.46),
                    (0.125, 0.62),
                    (0.10, end),
                    (0.02, end),
                    (0.05 - w, 0.5),
                    (0.085 - w, 0.2),
                ]
            )
            canvas.fill(
                loop(f.pose.project(lock, on_outline=True)),
                hair * (0.86 if side * f.light[0] < 0 else 0.98),
                soft=0.003,
            )
    body = canvas.mask(cap, soft=0.002)
    rng = np.random.default_rng(who.marks)
    part = f.pose.project([(0.62 if style == "parted" else 0.5, -0.02)])[0]
    if style == "curly":
        ring = np.concatenate(
            [f.pose.project(line + (0, -0.03))[1:-1], f.pose.project(line + (0, -0.10))[2:-2], top[1:-1]]
        )
        curls = [ellipse(c, r, r, 16) for c, r in zip(ring, rng.uniform(0.035, 0.06, len(ring)), strict=True)]
        for k, shade in enumerate((0.88, 1.0, 1.16)):
            canvas.fill(curls[k::3], hair * shade, 0.9, soft=0.006)
        sheen = [ellipse(c + (0.015 * f.light[0], -0.015), 0.02, 0.015, 10) for c in ring]
        canvas.fill(sheen, hair * 1.25 + 22, 0.22, soft=0.010)
        return
    strands = []
    for t in rng.uniform(0.04, 0.96, 0 if style == "buzz" else 14):
        foot = front[1:-1][int(t * (len(front) - 2))] + rng.normal(0, 0.02, 2)
        bend = part * 0.45 + foot * 0.55 + (np.sign(foot[0] - part[0]) * 0.035, -0.035)
        strands.append(np.stack([part, bend, foot]))
    if strands:
        canvas.stroke(strands[::2], (0.004, 0.016, 0.003), hair * 1.18 + 12, 0.45, soft=0.004, clip=body)
        canvas.stroke(strands[1::2], (0.004, 0.016, 0.003), hair * 0.70, 0.45, soft=0.004, clip=body)
    glow = part + (0.13 * f.light[0], 0.07)
    canvas.glow(glow, 0.16, 0.035, hair * 1.25 + 46, 0.34, clip=body)
    if style == "updo":
        canvas.stroke(
            curve(front)[::4] + (0, -0.035),
            (0.004, 0.018, 0.004),
            hair * 1.2 + 14,
            0.4,
            soft=0.006,
            clip=body,
        )


def _paint_scarf(canvas: Canvas, f: Portrait) -> None:
    color = f.who.scarf * f.tint
    hole = [
        (0.5, 0.945),
        (0.36, 0.905),
        (0.23, 0.81),
        (0.150, 0.66),
        (0.122, 0.46),
        (0.135, 0.28),
        (0.22, 0.13),
        (0.36, 0.075),
        (0.5, 0.065),
    ]
    drop = f.points[8, 1] - f.pose.project([(0.5, 0.921)], on_outline=True)[0, 1]
    inner = f.pose.project(both_halves(hole[:])[:], on_outline=True)
    inner[:, 1] += drop * np.clip((inner[:, 1] - 0.5) / 0.4, 0, 1)
    outer = f.pose.project(
        both_halves(
            [
                (0.5, 1.2),
                (0.3, 1.2),
                (0.08, 1.0),
                (0.045, 0.7),
                (0.065, 0.46),
                (0.062, 0.2),
                (0.16, -0.02),
                (0.32, -0.12),
                (0.5, -0.16),
            ]
        ),
        on_outline=True,
    )
    ring = np.concatenate([loop(inner[:-1]), loop(inner[:-1])[:1], loop(outer[:-1])[:1], loop(outer[:-1])[::-1]])
    canvas.fill(ring + (0, 0.012), (0.66, 0.54, 0.52), 0.5, soft=0.014, multiply=True)
    canvas.fill(ring, color, soft=0.002)
    body = canvas.mask(ring)
    folds = []
    for k in range(6):
        side, n = (-1, 1)[k % 2], k // 2
        x = 0.5 + side * (0.37 + 0.025 * n)
        path = [
            (0.5 + side * (0.1 + 0.05 * n), -0.08 + 0.02 * n),
            (x, 0.25),
            (x - side * 0.01, 0.6),
            (0.5 + side * (0.2 - 0.05 * n), 0.97),
        ]
        folds.append(f.pose.project(path, on_outline=True))
    canvas.stroke(folds[2:4], (0.004, 0.016, 0.004), color * 0.72, 0.5, soft=0.006, clip=body)
    canvas.stroke(folds[:2] + folds[4:], (0.004, 0.016, 0.004), color * 1.16, 0.5, soft=0.006, clip=body)
