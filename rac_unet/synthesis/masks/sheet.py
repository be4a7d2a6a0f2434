"""The texture space of a mask, in which its cloth is drawn flat.

u runs from image-left to image-right and v from the top edge down; the head's rotation, light and perspective are
applied afterwards.
"""

from __future__ import annotations

import colorsys

import cv2
import numpy as np


def hsv(hue: float, saturation: float, value: float) -> np.ndarray:
    """Convert HSV to an RGB reflectance (3,) float32; hue wraps around, saturation and value are clipped to [0, 1]."""
    return np.array(colorsys.hsv_to_rgb(hue % 1.0, min(max(saturation, 0), 1), min(max(value, 0), 1)), np.float32)


def smooth_noise(rng: np.random.Generator, size: tuple[int, int], cells: tuple[int, int]) -> np.ndarray:
    """Return (h, w) float32 noise with a standard deviation of about 1 and about `cells` (down, across) bumps."""
    coarse = rng.standard_normal((cells[0] + 2, cells[1] + 2), np.float32)
    return cv2.resize(coarse, (size[1], size[0]), interpolation=cv2.INTER_CUBIC)


class Sheet:
    """The (u, v) plane of one texture: u in [-1, 1], v in [0, 1]; on the head v is as long as `tall` units of u."""

    def __init__(self, height: int, width: int, tall: float) -> None:
        self.shape = (height, width)
        self.tall = tall
        self.u = np.linspace(-1, 1, width, dtype=np.float32)[None]
        self.v = np.linspace(0, 1, height, dtype=np.float32)[:, None]

    def fill(self, colour: np.ndarray) -> np.ndarray:
        """Return (h, w, 3) filled with one colour."""
        return np.broadcast_to(colour.astype(np.float32), (*self.shape, 3)).copy()

    def rows(self, top: float, bottom: float) -> slice:
        """Return the rows between two heights v, so that a fold is computed only where it is."""
        count = self.shape[0]
        return slice(max(0, int(top * count)), min(count, int(bottom * count) + 1))

    def line(self, distance: np.ndarray, width: float) -> np.ndarray:
        """Return a soft ridge: 1 where `distance` is 0, 0 from 2 x `width` on."""
        near = np.maximum(0, 1 - (distance * (0.5 / width)) ** 2)
        return near * near
