"""Outline, ears, neck and clothes of a toy face."""

from __future__ import annotations

import numpy as np

from rac_unet.synthesis.toys.canvas import Canvas, curve, loop
from rac_unet.synthesis.toys.head import Portrait

NARROW = 0.92  # the skull and hair shapes below are for a wider head
_SKULL = [(0.117, 0.36), (0.118, 0.24), (0.160, 0.09), (0.28, -0.04), (0.5, -0.09)]
_NECK = np.array([(0.29, 0.75), (0.285, 0.95), (0.20, 1.1), (0.80, 1.1), (0.715, 0.95), (0.71, 0.75)])
_COLLAR = np.array(
    [
        (-0.1, 1.11),
        (-0.1, 0.995),
        (0.1, 0.975),
        (0.24, 0.955),
        (0.38, 1.005),
        (0.5, 1.02),
        (0.62, 1.005),
        (0.76, 0.955),
        (0.9, 0.975),
        (1.1, 0.995),
        (1.1, 1.11),
    ]
)


def both_halves(half) -> np.ndarray:
    """Return a left half (top middle last) and its mirror image as one open outline from left to right."""
    half = np.array(half, np.float64)
    half[:, 0] = 0.5 + (half[:, 0] - 0.5) * NARROW
    return np.concatenate([half, (half * (-1, 1) + (1, 0))[-2::-1]])


def face_outline(f: Portrait) -> np.ndarray:
    """Return the closed outline of the face: the jaw through landmarks 0..16 and the skull above."""
    skull = f.pose.project(both_halves(_SKULL), on_outline=True)[1:-1]
    skull[:, 1] = np.minimum(skull[:, 1], f.points[[0, 16], 1].min() - 0.02)
    return np.concatenate([curve(f.points[:17]), curve(np.concatenate([f.points[16:17], skull[::-1], f.points[:1]]))])


def paint_body(canvas: Canvas, f: Portrait, cloth: np.ndarray) -> None:
    """Paint the neck with the shadow of the jaw, clothes of colour `cloth` (or the scarf's), and the visible ears."""
    who = f.who
    covered = who.hair_style == "headscarf"
    axis = (f.pose.shift[0] * 0.8, 0)
    neck, collar = _NECK + axis, _COLLAR + axis
    # A scarf hides the neck; its inside is visible between jaw and rim.
    canvas.fill(neck, who.scarf * 0.62 * f.tint if covered else f.skin * 0.80, soft=0.002)
    under = np.concatenate([curve(f.points[3:14]), f.points[13:2:-1] + (0, 0.05)])
    canvas.fill(under, (0.60, 0.48, 0.46), 0.75, soft=0.02, multiply=True, clip=canvas.mask(neck))
    cloth = (who.scarf if covered else cloth) * f.tint
    canvas.fill(collar, cloth)
    canvas.stroke(collar[3:8], (0.01, 0.014, 0.01), cloth * 0.72, 0.8, soft=0.003)
    if covered:
        return
    for side, jaw in ((-1, f.points[1]), (1, f.points[15])):
        reach = 0.030 - 0.045 * side * f.pose.rotation[0, 2]  # the ear on the far side is hidden
        if reach < 0.008:
            continue
        ear = jaw + (side * 0.010, -0.005)
        rim = [
            (-0.02, -0.075),
            (reach, -0.085),
            (reach * 1.25, -0.03),
            (reach * 0.7, 0.05),
            (0, 0.085),
            (-0.03, 0.05),
        ]
        shell = [(0, -0.05), (reach * 0.8, -0.05), (reach * 0.5, 0.02)]
        flesh = f.skin * np.array((0.96, 0.86, 0.84), np.float32)[:, None, None]
        canvas.fill(loop(ear + np.array(rim) * (side, 1)), flesh)
        shade = who.skin * (0.6, 0.42, 0.4)
        canvas.stroke(ear + np.array(shell) * (side, 1), (0.002, 0.012, 0.002), shade, 0.6, soft=0.003)
