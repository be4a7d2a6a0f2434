"""The plane a mask is drawn on before it is worn, and the prints that cotton masks carry.

Everything is drawn in texture space, u from image-left to image-right and v from the top edge down, so that
the head's turn, light and perspective are applied to it once, afterwards.
"""

from __future__ import annotations

import colorsys
import math

import cv2
import numpy as np


def hsv(hue: float, saturation: float, value: float) -> np.ndarray:
    """Reflectance (3,) float32; hue wraps round, saturation and value are clipped to [0, 1]."""
    return np.array(colorsys.hsv_to_rgb(hue % 1.0, min(max(saturation, 0), 1), min(max(value, 0), 1)), np.float32)


def smooth_noise(rng: np.random.Generator, size: tuple[int, int], cells: tuple[int, int]) -> np.ndarray:
    """(h, w) float32 noise of unit spread with about `cells` (down, across) bumps."""
    coarse = rng.standard_normal((cells[0] + 2, cells[1] + 2), np.float32)
    return cv2.resize(coarse, (size[1], size[0]), interpolation=cv2.INTER_CUBIC)


class Sheet:
    """The (u, v) plane of one texture: u in [-1, 1], v in [0, 1]; worn, v is `tall` units of u long."""

    def __init__(self, height: int, width: int, tall: float) -> None:
        self.shape = (height, width)
        self.tall = tall
        self.u = np.linspace(-1, 1, width, dtype=np.float32)[None]
        self.v = np.linspace(0, 1, height, dtype=np.float32)[:, None]

    def fill(self, colour: np.ndarray) -> np.ndarray:
        """(h, w, 3) of one colour."""
        return np.broadcast_to(colour.astype(np.float32), (*self.shape, 3)).copy()

    def rows(self, top: float, bottom: float) -> slice:
        """Rows between two heights v, so that a fold costs no work on the whole sheet."""
        count = self.shape[0]
        return slice(max(0, int(top * count)), min(count, int(bottom * count) + 1))

    def line(self, distance: np.ndarray, width: float) -> np.ndarray:
        """Soft ridge, 1 where `distance` is 0, gone at 2 x `width`."""
        near = np.maximum(0, 1 - (distance * (0.5 / width)) ** 2)
        return near * near


def printed(rng: np.random.Generator, sheet: Sheet, first: np.ndarray) -> np.ndarray:
    """(h, w, 3) print over the ground colour `first`."""
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

    kind = rng.integers(6)
    pitch = rng.uniform(0.09, 0.30)
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
    elif kind == 2:  # dots, every second row set over by half
        row = np.floor(y / pitch)
        across = (x / pitch + 0.5 * (row % 2)) % 1 - 0.5
        down = y / pitch - row - 0.5
        ink(soft * (rng.uniform(0.2, 0.36) - np.sqrt(across**2 + down**2)) * 2, second)
    elif kind == 3:  # flowers: petals round scattered centres
        for cx, cy in rng.uniform([-1, 0], [1, sheet.tall], (int(sheet.tall * rng.integers(7, 16)), 2)):
            size = rng.uniform(0.07, 0.17)
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
        for tint in (second, third, 0.5 * (first + second)):
            ink(5 * (smooth_noise(rng, sheet.shape, (round(5 * sheet.tall), 8)) - 0.35), tint)
    else:  # a printed line of text or a logo on plain cloth
        place = np.clip((0.10 - np.abs(sheet.v - rng.uniform(0.45, 0.7))) / 0.01, 0, 1)
        part = (sheet.u > rng.uniform(-0.6, 0)) & (sheet.u < rng.uniform(0.2, 0.7))
        ink(place * part * (smooth_noise(rng, sheet.shape, (14, 30)) > 0.1), second)
    return colour
