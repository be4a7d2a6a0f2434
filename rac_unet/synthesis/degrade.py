"""Degrade a pair to a poor photograph: dim, blurred, small, noisy, compressed, half in shadow, cut off at its edge.

Both pictures of a pair go through the same steps. The occlusion map goes through those that move pixels. Where nothing
is hidden, both pictures stay equal bit for bit.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np

from rac_unet.synthesis.masks.light import LUMA


@dataclass
class _Pair:
    """Both pictures (H, W, 3) float32, 0 to 255, and the occlusion (H, W) float32, 0 to 1."""

    unmasked: np.ndarray
    masked: np.ndarray
    hidden: np.ndarray

    def recolour(self, change: Callable[[np.ndarray], np.ndarray]) -> None:
        """Change the colours of both pictures; the occlusion stays as it is."""
        self.unmasked, self.masked = (
            np.clip(change(image), 0, 255).astype(np.float32) for image in (self.unmasked, self.masked)
        )

    def resample(self, change: Callable[[np.ndarray], np.ndarray]) -> None:
        """Resample both pictures and the occlusion with a linear operation."""
        self.recolour(change)
        self.hidden = np.clip(change(self.hidden), 0, 1).astype(np.float32)


def degrade(
    unmasked: np.ndarray, masked: np.ndarray, occlusion: np.ndarray, seed: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return a pair degraded by a random choice of steps.

    Args:
        unmasked, masked: (H, W, 3) uint8 RGB, equal where `occlusion` is 0.
        occlusion: (H, W) uint8, from 0 (nothing is hidden) to 255 (only the mask is visible).
        seed: chooses the steps and their strength; the same arguments give the same bytes.
    Returns: unmasked, masked, occlusion of the same shapes; equal bit for bit where occlusion is 0.
    """
    rng = np.random.default_rng([int(seed) % 2**63, 7])
    pair = _Pair(unmasked.astype(np.float32), masked.astype(np.float32), occlusion.astype(np.float32) / 255)
    wanted = [step for step, share in _STEPS if rng.random() < share] or [_compress]
    for step in wanted:
        step(pair, rng)
    if rng.random() < _CUT_SHARE:
        _cut_off(pair, rng)
    occlusion = np.rint(255 * pair.hidden).astype(np.uint8)
    unmasked, masked = (np.rint(image).astype(np.uint8) for image in (pair.unmasked, pair.masked))
    return unmasked, np.where(occlusion[..., None] == 0, unmasked, masked), occlusion


def _shadow(pair: _Pair, rng: np.random.Generator) -> None:
    """Add a shadow: a soft edge across the face, a bar of light, or leaves."""
    height, width = pair.hidden.shape
    angle = rng.uniform(0, 2 * np.pi)
    row, column = np.mgrid[:height, :width].astype(np.float32) / max(height, width) - 0.5
    along = column * np.float32(np.cos(angle)) + row * np.float32(np.sin(angle))
    kind, soft = rng.random(), rng.uniform(0.01, 0.25)
    if kind < 0.6:
        dark = 1 / (1 + np.exp(-(along - rng.uniform(-0.2, 0.2)) / soft))
    elif kind < 0.8:
        dark = np.clip(1.5 - np.abs(along - rng.uniform(-0.2, 0.2)) / rng.uniform(0.08, 0.25), 0, 1)
    else:
        cells = rng.integers(3, 7)
        spots = cv2.resize(
            rng.standard_normal((cells, cells), np.float32), (width, height), interpolation=cv2.INTER_CUBIC
        )
        dark = 1 / (1 + np.exp(-(spots - rng.uniform(-0.3, 0.5)) / (4 * soft)))
    deep = rng.uniform(0.2, 0.6)
    tint = 1 - deep * np.array([1.0, 0.97, 0.92])  # shadows are lit by the sky
    gain = (1 + dark[..., None] * (tint - 1)).astype(np.float32)
    pair.recolour(lambda image: image * gain)


def _expose(pair: _Pair, rng: np.random.Generator) -> None:
    """Change exposure, gamma, contrast and white balance."""
    gain = np.exp(rng.normal(0, 0.2)) * np.exp(rng.normal(0, [0.08, 0.04, 0.10]))
    gamma, contrast, lift = np.exp(rng.normal(0, 0.18)), rng.uniform(0.65, 1.25), rng.normal(0, 8)

    def change(image: np.ndarray) -> np.ndarray:
        bright = 255 * np.clip(image * (gain / 255).astype(np.float32), 0, 1) ** np.float32(gamma)
        return (bright - 120) * np.float32(contrast) + np.float32(120 + lift)

    pair.recolour(change)


def _tint(pair: _Pair, rng: np.random.Generator) -> None:
    """Change saturation (grey, faded or oversaturated), or add coloured light."""
    kind = rng.random()
    rich = 0.0 if kind < 0.4 else rng.uniform(0.2, 0.7) if kind < 0.7 else rng.uniform(1.2, 1.7)
    colour = np.float32([1, 1, 1]) if kind > 0.4 else np.exp(rng.normal(0, rng.choice([0.0, 0.12]), 3))

    def change(image: np.ndarray) -> np.ndarray:
        grey = (image @ LUMA)[..., None]
        return (grey + np.float32(rich) * (image - grey)) * colour.astype(np.float32)

    pair.recolour(change)


def _blur(pair: _Pair, rng: np.random.Generator) -> None:
    """Blur by defocus or by motion."""
    unit = max(pair.hidden.shape) / 128
    if rng.random() < 0.65:
        sigma = unit * rng.uniform(0.5, 2.0)
        pair.resample(lambda image: cv2.GaussianBlur(image, (0, 0), sigma))
        return
    length, angle = unit * rng.uniform(2, 7), rng.uniform(0, np.pi)
    side = 2 * int(np.ceil(length / 2)) + 1
    way = np.linspace(-length / 2, length / 2, 33)[:, None] * [np.cos(angle), np.sin(angle)] + side // 2
    kernel = np.zeros((side, side), np.float32)
    np.add.at(kernel, tuple(np.rint(way[:, ::-1]).astype(int).T), 1 / len(way))
    pair.resample(lambda image: cv2.filter2D(image, -1, kernel, borderType=cv2.BORDER_REFLECT_101))


def _shrink(pair: _Pair, rng: np.random.Generator) -> None:
    """Downscale and enlarge again, as for a face that is small in its photograph."""
    height, width = pair.hidden.shape
    share = rng.uniform(0.25, 0.8)
    small = max(8, round(width * share)), max(8, round(height * share))
    down = (cv2.INTER_AREA, cv2.INTER_LINEAR)[rng.integers(2)]
    up = (cv2.INTER_LINEAR, cv2.INTER_CUBIC)[rng.integers(2)]
    pair.resample(
        lambda image: cv2.resize(cv2.resize(image, small, interpolation=down), (width, height), interpolation=up)
    )


def _noise(pair: _Pair, rng: np.random.Generator) -> None:
    """Add sensor noise: more in the dark, partly coloured, fine or coarse."""
    strength, coloured = rng.uniform(2, 11), rng.uniform(0, 1)
    shape = pair.unmasked.shape
    noise = rng.standard_normal(shape[:2], np.float32)[..., None] + np.float32(coloured) * rng.standard_normal(
        shape, np.float32
    )
    if rng.random() < 0.4:
        noise = 2 * cv2.GaussianBlur(noise, (0, 0), 0.7)
    noise *= np.float32(strength)
    pair.recolour(lambda image: image + noise * (1.2 - image / 255))


def _compress(pair: _Pair, rng: np.random.Generator) -> None:
    """Compress as JPEG of low quality."""
    quality = int(rng.integers(25, 91))

    def change(image: np.ndarray) -> np.ndarray:
        coded = cv2.imencode(".jpg", np.rint(image[..., ::-1]).astype(np.uint8), [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
        return cv2.imdecode(coded, cv2.IMREAD_COLOR)[..., ::-1].astype(np.float32)

    pair.recolour(change)


def _cut_off(pair: _Pair, rng: np.random.Generator) -> None:
    """Cut the photograph off at the face; its edge pixels are repeated beyond it, as `align.align_face` does."""
    height, width = pair.hidden.shape
    # Most are cut off at one or two sides, close crops at all four.
    close = rng.random() < 0.4
    reach = [rng.uniform(0.02, 0.22) if close or rng.random() < 0.4 else 0.0 for _ in range(4)]
    left, right, top, bottom = np.array(reach) * [width, width, height, 0.9 * height]
    angle = np.radians(np.clip(rng.normal(0, 5), -12, 12))
    cos, sin = np.float32(np.cos(angle)), np.float32(np.sin(angle))
    row, column = np.mgrid[:height, :width].astype(np.float32)
    middle_x, middle_y = np.float32((width - 1) / 2), np.float32((height - 1) / 2)
    x = cos * (column - middle_x) + sin * (row - middle_y) + middle_x
    y = -sin * (column - middle_x) + cos * (row - middle_y) + middle_y
    x_in = _within(x, left, width - 1 - right) if reach[0] or reach[1] else x
    y_in = _within(y, top, height - 1 - bottom) if reach[2] or reach[3] else y
    source_x = np.where((x_in == x) & (y_in == y), column, cos * (x_in - middle_x) - sin * (y_in - middle_y) + middle_x)
    source_y = np.where((x_in == x) & (y_in == y), row, sin * (x_in - middle_x) + cos * (y_in - middle_y) + middle_y)
    pair.resample(lambda image: cv2.remap(image, source_x, source_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE))


def _within(place: np.ndarray, low: float, high: float) -> np.ndarray:
    """Clip positions to [low, high]; those inside stay equal bit for bit."""
    return np.clip(place, np.float32(low), np.float32(high))


# In the order in which a photograph is degraded: light, lens, distance, sensor, file.
_STEPS = (
    (_shadow, 0.25),
    (_expose, 0.40),
    (_tint, 0.15),
    (_blur, 0.30),
    (_shrink, 0.30),
    (_noise, 0.30),
    (_compress, 0.55),
)
_CUT_SHARE = 0.55
