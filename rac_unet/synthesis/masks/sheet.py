"""The plane a mask is drawn on before it is worn.

Everything is drawn in texture space, u from image-left to image-right and v from the top edge down, so that
the head's turn, light and perspective are applied to it once, afterwards.
"""

from __future__ import annotations

import colorsys

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
