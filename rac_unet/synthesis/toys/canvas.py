"""A small planar canvas for painting toy faces: smooth curves, anti-aliased soft shapes, glows.

Toy faces are made by the ten thousand, so every layer changes only its own bounding box,
and the canvas is planar (3, S, S), where NumPy blends several times faster than in interleaved RGB.
Coordinates are *crop units*: (0, 0) is the image's top left corner and (1, 1) its bottom right, for any
number of pixels.
"""

from __future__ import annotations

from functools import lru_cache
from math import ceil, floor

import cv2
import numpy as np

_STEPS = 6  # spline samples per control point: beyond this no pixel changes at 512 px


def _catmull_rom_basis(steps: int) -> np.ndarray:
    t = np.arange(steps, dtype=np.float32)[:, None] / steps
    powers = np.concatenate([np.ones_like(t), t, t * t, t**3], axis=1)
    matrix = np.array([[0, 2, 0, 0], [-1, 0, 1, 0], [2, -5, 4, -1], [-1, 3, -3, 1]], np.float32) / 2
    return powers @ matrix


_BASIS = _catmull_rom_basis(_STEPS)


@lru_cache(maxsize=64)
def _windows(count: int) -> np.ndarray:
    return np.arange(count)[:, None] + np.arange(4)


@lru_cache(maxsize=64)
def _unit_circle(count: int) -> np.ndarray:
    t = np.linspace(0, 2 * np.pi, count, endpoint=False, dtype=np.float32)
    return np.stack([np.cos(t), np.sin(t)], axis=1)


@lru_cache(maxsize=64)
def _unit_steps(count: int) -> np.ndarray:
    return np.linspace(0, 1, count)


def curve(points) -> np.ndarray:
    """Return a smooth open curve through (N, 2) points: ((N-1)*6+1, 2) float32."""
    p = np.asarray(points, np.float32)
    n = len(p)
    padded = np.empty((n + 2, 2), np.float32)
    padded[1:-1], padded[0], padded[-1] = p, 2 * p[0] - p[1], 2 * p[-1] - p[-2]
    line = np.empty(((n - 1) * _STEPS + 1, 2), np.float32)
    line[:-1] = (_BASIS @ padded[_windows(n - 1)]).reshape(-1, 2)
    line[-1] = p[-1]
    return line


def loop(points) -> np.ndarray:
    """Return a smooth closed curve through (N, 2) points: (N*6, 2) float32."""
    p = np.asarray(points, np.float32)
    padded = np.concatenate([p[-1:], p, p[:2]])
    return (_BASIS @ padded[_windows(len(p))]).reshape(-1, 2)


def ellipse(center, rx: float, ry: float, count: int = 24) -> np.ndarray:
    """Return the (count, 2) outline of an axis-aligned ellipse."""
    return _unit_circle(count) * np.array((rx, ry), np.float32) + np.asarray(center, np.float32)


def ribbon(points, widths) -> np.ndarray:
    """Return the outline of a stroke along `points` whose width is interpolated between `widths` (crop units)."""
    line = curve(points)
    tangent = np.empty_like(line)
    tangent[1:-1] = line[2:] - line[:-2]
    tangent[0], tangent[-1] = line[1] - line[0], line[-1] - line[-2]
    length = np.maximum(np.sqrt(tangent[:, 0] ** 2 + tangent[:, 1] ** 2), 1e-6)
    half = np.interp(_unit_steps(len(line)), _unit_steps(len(widths)), widths) / (2 * length)
    offset = np.empty_like(line)
    offset[:, 0], offset[:, 1] = -tangent[:, 1] * half, tangent[:, 0] * half
    return np.concatenate([line + offset, (line - offset)[::-1]])


class Canvas:
    """A square picture for painting.

    `pixels` is (3, S, S) float32, 0..255. While `window` (an (S, S) float32 map, 0..1) is set, every layer
    is limited to it: where it is 0, painting changes no bit.
    """

    def __init__(self, side: int):
        self.side = side
        self.pixels = np.zeros((3, side, side), np.float32)
        self.window: np.ndarray | None = None

    def _box(self, low, high, pad: float) -> tuple[int, int, int, int] | None:
        x0, y0 = max(floor(low[0] - pad), 0), max(floor(low[1] - pad), 0)
        x1, y1 = min(ceil(high[0] + pad) + 1, self.side), min(ceil(high[1] + pad) + 1, self.side)
        return (x0, y0, x1, y1) if x0 < x1 and y0 < y1 else None

    def _coverage(self, outlines, soft: float):
        """Return the coverage of a polygon or a list of polygons: (box, uint8 array); None outside the picture."""
        outlines = outlines if isinstance(outlines, list) else [outlines]
        every = outlines[0] if len(outlines) == 1 else np.concatenate(outlines)
        sigma = soft * self.side
        low, high = (every.min(axis=0) * self.side).tolist(), (every.max(axis=0) * self.side).tolist()
        box = self._box(low, high, 3 * sigma + 2)
        if box is None:
            return None
        x0, y0, x1, y1 = box
        cover = np.zeros((y1 - y0, x1 - x0), np.uint8)
        scale, corner = self.side * 16.0, ((x0 + 0.5) * 16, (y0 + 0.5) * 16)
        for outline in outlines:  # one by one: in one call, overlaps would cancel out
            cv2.fillPoly(cover, [np.rint(outline * scale - corner).astype(np.int32)], 255, cv2.LINE_AA, 4)
        if sigma > 0.3:
            width = 2 * ceil(2.6 * sigma) + 1
            cover = cv2.GaussianBlur(cover, (width, width), sigma)
        return box, cover

    def mask(self, outline, soft: float = 0.0) -> np.ndarray:
        """Return the (S, S) float32 coverage in [0, 1] of a polygon, for use as `clip`."""
        full = np.zeros((self.side, self.side), np.float32)
        found = self._coverage(outline, soft)
        if found is not None:
            (x0, y0, x1, y1), cover = found
            full[y0:y1, x0:x1] = cover * np.float32(1 / 255)
        return full

    def fill(self, outlines, color, opacity: float = 1.0, soft: float = 0.0, clip=None, multiply: bool = False):
        """Paint a polygon, or a list of polygons as one layer.

        Args:
            outlines: (N, 2) crop units, or a list of these.
            color: three numbers 0..255 or a (3, S, S) picture; with `multiply`, three factors instead.
            opacity: 0..1.
            soft: blur of the edge, standard deviation in crop units.
            clip: (S, S) map in [0, 1].
        """
        found = self._coverage(outlines, soft) if opacity > 0.01 else None
        if found is not None:
            box, cover = found
            self._blend(box, cover * np.float32(opacity / 255), color, clip, multiply)

    def stroke(self, lines, widths, color, opacity: float = 1.0, soft: float = 0.0, clip=None, multiply=False):
        """Paint a tapered stroke along a smooth curve, or along a list of curves; see `ribbon` and `fill`."""
        if opacity > 0.01:
            # OpenCV draws every edge about half a pixel outwards; hairlines must look the same at every size.
            widths = np.asarray(widths) + (1 / 256 - 1 / self.side)
            many = isinstance(lines, list)
            outlines = [ribbon(line, widths) for line in lines] if many else ribbon(lines, widths)
            self.fill(outlines, color, opacity, soft, clip, multiply)

    def glow(self, center, sx: float, sy: float, color, opacity: float = 1.0, clip=None, multiply: bool = False):
        """Paint a Gaussian spot with standard deviations sx, sy, cut off at 2.5 of them."""
        c = np.asarray(center, np.float32) * self.side - 0.5
        reach = np.array([sx, sy], np.float32) * self.side * 2.5
        box = self._box(c - reach, c + reach, 0) if opacity > 0.01 else None
        if box is None:
            return
        x0, y0, x1, y1 = box
        gx = np.exp(-0.5 * ((np.arange(x0, x1) - c[0]) / (sx * self.side)) ** 2).astype(np.float32)
        gy = np.exp(-0.5 * ((np.arange(y0, y1) - c[1]) / (sy * self.side)) ** 2).astype(np.float32)
        alpha = np.maximum(gy[:, None] * gx[None] - 0.044, 0) * (opacity / 0.956)
        self._blend(box, alpha.astype(np.float32), color, clip, multiply)

    def _blend(self, box, alpha, color, clip, multiply):
        x0, y0, x1, y1 = box
        for limit in (clip, self.window):
            if limit is not None:
                alpha = alpha * limit[y0:y1, x0:x1]
        region = self.pixels[:, y0:y1, x0:x1]
        color = np.asarray(color, np.float32)
        color = color[:, None, None] if color.ndim == 1 else color[:, y0:y1, x0:x1]
        if multiply:
            region *= 1 + alpha * (color - 1)
        else:
            change = color - region
            change *= alpha
            region += change
