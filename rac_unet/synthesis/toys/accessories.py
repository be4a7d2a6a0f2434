"""Paint beard, moustache, freckles and glasses of a toy face; they belong to the identity, not to the expression."""

from __future__ import annotations

import numpy as np

from rac_unet.synthesis.toys.canvas import Canvas, curve, ellipse, loop, ribbon
from rac_unet.synthesis.toys.head import Portrait


def paint_beard(canvas: Canvas, f: Portrait, clip: np.ndarray) -> None:
    """Paint the beard, with a soft edge that shows some skin; before the lips are painted.

    clip: (S, S) coverage of the face.
    """
    style, p = f.who.beard, f.points
    if style == "none":
        return
    color = f.who.hair * 0.9
    if style in ("full", "stubble"):
        jaw = p[2:15]
        inner = f.at(0.83, 0.56, 0.775, 0.67, 0.68, 0.75, 0.5, 0.81, 0.32, 0.75, 0.225, 0.67, 0.17, 0.56)
        inner[2:5, 1] += 0.6 * max(float(p[57, 1] - f.at(0.5, 0.78)[0, 1]), 0) if f.window is None else 0
        shape = np.concatenate([curve(jaw), curve(inner)])
        canvas.fill(
            shape,
            color,
            0.26 if style == "stubble" else 0.86,
            soft=0.016 if style == "stubble" else 0.010,
            clip=clip,
        )
    if style == "goatee":
        chin = p[8] + (0, -0.05)
        canvas.fill(
            loop(
                chin + np.array([(-0.075, -0.02), (0, -0.035), (0.075, -0.02), (0.06, 0.04), (0, 0.058), (-0.06, 0.04)])
            ),
            color,
            0.85,
            soft=0.007,
        )


def paint_moustache(canvas: Canvas, f: Portrait) -> None:
    """Paint hair on the upper lip; it moves with the lip, so it belongs to the mouth's layers."""
    if f.who.beard == "none":
        return
    p, color = f.points, f.who.hair * 0.9
    stubble = f.who.beard == "stubble"
    lip, nose = p[48:55] + (0, -0.006), p[33]
    crest = nose * 0.45 + lip[3] * 0.55
    tips, sides = (
        (lip[-1] + (0.010, 0.004), lip[0] + (-0.010, 0.004)),
        (lip[5] + (0, -0.018), lip[1] + (0, -0.018)),
    )
    top = np.stack([tips[0], sides[0], (sides[0] + crest) / 2, crest, (sides[1] + crest) / 2, sides[1], tips[1]])
    canvas.fill(np.concatenate([curve(lip), curve(top)]), color, 0.20 if stubble else 0.86, soft=0.006)


def paint_marks(canvas: Canvas, f: Portrait) -> None:
    """Paint freckles over nose and cheeks."""
    if f.who.freckles:
        rng = np.random.default_rng(f.who.marks)
        spots = rng.normal((0.5, 0.50), (0.12, 0.035), (f.who.freckles, 2))
        spots[:, 0] = np.clip(spots[:, 0], 0.26, 0.74)
        sizes = rng.uniform(0.0035, 0.006, len(spots))
        dots = [ellipse(spot, size, size, 8) for spot, size in zip(f.pose.project(spots, 0.01), sizes, strict=True)]
        canvas.fill(dots, f.who.skin * (0.66, 0.46, 0.36), 0.5, soft=0.0025)


def paint_glasses(canvas: Canvas, f: Portrait) -> None:
    """Paint glasses: frames around the resting eyes, a bridge, temples and a faint reflection."""
    if f.who.glasses == "none":
        return
    color, round_ = f.who.glasses_color, f.who.glasses == "round"
    rest = f.pose.landmarks(f.who.points)
    rims = []
    for eye, jaw, side in ((rest[36:42], f.points[0], -1), (rest[42:48], f.points[16], 1)):
        center = eye.mean(axis=0) + (0, 0.012)
        half = np.array([np.ptp(eye[:, 0]) * 0.5 + 0.020, 0.082 if round_ else 0.066])
        t = np.linspace(0, 2 * np.pi, 32, endpoint=False)
        power = 1.0 if round_ else 0.55
        unit = np.stack(
            [
                np.sign(np.cos(t)) * np.abs(np.cos(t)) ** power,
                np.sign(np.sin(t)) * np.abs(np.sin(t)) ** power,
            ],
            1,
        )
        outer, inner = center + unit * (half + 0.007), center + unit * (half - 0.007)
        canvas.fill(inner, (255, 255, 255), 0.05)
        shine = center + half * (0.30 * np.sign(f.light[0] + 1e-6), -0.30)
        canvas.glow(shine, 0.035, 0.02, (255, 255, 255), 0.22, clip=canvas.mask(inner))
        temple = ribbon([center + (side * half[0], -0.02), jaw + (0, -0.02)], (0.013, 0.011))
        canvas.fill([np.concatenate([outer, outer[:1], inner[:1], inner[::-1]]), temple], color, 0.95)
        rims.append(center - (side * half[0], 0.012))
    middle = (rims[0] + rims[1]) / 2 + (0, -0.014)
    canvas.stroke(np.stack([rims[0], middle, rims[1]]), (0.012, 0.010, 0.012), color, 0.95)
