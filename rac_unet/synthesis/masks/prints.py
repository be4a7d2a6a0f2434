"""Small prints on cotton masks: stripes, checks, dots, flowers, camouflage, a logo (larger ones: `large_prints`)."""

from __future__ import annotations

import math

import numpy as np

from rac_unet.synthesis.masks.large_prints import picture_print
from rac_unet.synthesis.masks.sheet import Sheet, hsv, smooth_noise


def printed(rng: np.random.Generator, sheet: Sheet, first: np.ndarray) -> np.ndarray:
    """Return a random print (h, w, 3) over the ground colour `first`."""
    second = hsv(rng.uniform(0, 1), rng.uniform(0, 0.9), rng.uniform(0.05, 1.0))
    if np.abs(second - first).max() < 0.3:
        second = np.clip(1.0 - first, 0.05, 0.95)
    third = hsv(rng.uniform(0, 1), rng.uniform(0.1, 0.9), rng.uniform(0.2, 1.0))
    angle = float(rng.choice([0.0, math.pi / 2, rng.uniform(0, math.pi)]))
    cos, sin = math.cos(angle), math.sin(angle)
    x = sheet.u * cos + (sheet.v * sheet.tall) * sin
    y = -sheet.u * sin + (sheet.v * sheet.tall) * cos
    colour = sheet.fill(first)

    def ink(where: np.ndarray, tint: np.ndarray, window: tuple = ()) -> None:
        where = np.clip(where, 0, 1).astype(np.float32)[..., None]
        colour[window] += where * (tint - colour[window])

    kind = rng.integers(8)
    if kind >= 6:
        return picture_print(rng, sheet, colour, second, third)
    pitch = rng.uniform(0.09, 0.30) if rng.random() < 0.65 else rng.uniform(0.30, 0.75)
    soft = 6.0 * pitch / 0.2
    if kind == 0:  # stripes
        ink(soft * (np.sin(x * 2 * np.pi / pitch) - rng.uniform(-0.4, 0.6)), second)
    elif kind == 1:  # checks and tartan
        ink(0.55 * (np.sin(x * 2 * np.pi / pitch) > 0), second)
        ink(0.55 * (np.sin(y * 2 * np.pi / pitch) > 0), second)
        if rng.random() < 0.5:
            ink(
                0.8 * (np.cos(x * 2 * np.pi / pitch) > 0.94) + 0.8 * (np.cos(y * 2 * np.pi / pitch) > 0.94),
                third,
            )
    elif kind == 2:  # dots, every second row shifted by half
        row = np.floor(y / pitch)
        across = (x / pitch + 0.5 * (row % 2)) % 1 - 0.5
        down = y / pitch - row - 0.5
        ink(soft * (rng.uniform(0.2, 0.36) - np.sqrt(across**2 + down**2)) * 2, second)
    elif kind == 3:  # flowers: petals around scattered centres
        large = rng.choice([1.0, 1.0, 1.9])
        for cx, cy in rng.uniform([-1, 0], [1, sheet.tall], (int(sheet.tall * rng.integers(7, 16)), 2)):
            size = rng.uniform(0.07, 0.17) * large
            across = np.flatnonzero(np.abs(sheet.u[0] - float(cx)) < 1.1 * size)
            rows = sheet.rows((cy - 1.1 * size) / sheet.tall, (cy + 1.1 * size) / sheet.tall)
            if not len(across):
                continue
            window = (rows, slice(across[0], across[-1] + 1))
            dx, dy = sheet.u[:, window[1]] - float(cx), sheet.v[rows] * sheet.tall - float(cy)
            far = np.sqrt(dx**2 + dy**2) / size
            petals = 0.72 + 0.28 * np.cos(np.arctan2(dy, dx) * 5 + float(cx) * 9)
            outer, inner = (second, third) if cx * 7 % 1 < 0.6 else (third, second)
            ink((petals - far) * 6, outer, window)
            ink((0.25 - far) * 8, inner, window)
    elif kind == 4:  # camouflage
        cells = int(rng.choice([4, 8, 8, 16]))
        for tint in (second, third, 0.5 * (first + second)):
            ink(5 * (smooth_noise(rng, sheet.shape, (max(2, round(0.6 * cells * sheet.tall)), cells)) - 0.35), tint)
    else:  # a printed line of text or a logo on plain cloth
        place = np.clip((0.10 - np.abs(sheet.v - rng.uniform(0.45, 0.7))) / 0.01, 0, 1)
        part = (sheet.u > rng.uniform(-0.6, 0)) & (sheet.u < rng.uniform(0.2, 0.7))
        ink(place * part * (smooth_noise(rng, sheet.shape, (14, 30)) > 0.1), second)
    return colour
