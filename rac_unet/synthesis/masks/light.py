"""Estimate the light, sharpness and grain of a photo, so that a painted mask matches it.

Skin patches with known normals (nose, cheeks, temples, forehead; none near the mouth or brows) are fitted by
brightness = ambient + light . normal; the mask is then lit by the same terms and tinted by the same cast.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from rac_unet.synthesis.masks.geometry import HeadPose

LUMA = np.array([0.299, 0.587, 0.114], np.float32)

# Head positions of skin that is usually free of hair and moves little with the expression.
_HALF = [
    (0.30, 0.24, 0.60),
    (0.48, 0.30, 0.48),
    (0.68, 0.28, 0.22),
    (0.40, 0.48, 0.60),
    (0.58, 0.52, 0.42),
    (0.76, 0.50, 0.08),
    (0.60, 0.76, 0.34),
    (0.76, 0.78, -0.02),
    (0.22, -0.45, 0.62),
    (0.48, -0.42, 0.48),
    (0.14, 0.32, 0.80),
]
SKIN = np.array(_HALF + [(-x, y, z) for x, y, z in _HALF] + [(0, 0.18, 0.80), (0, 0.45, 0.98), (0, -0.42, 0.70)])
_normal = SKIN / np.array([0.95, 1.9, 1.0]) ** 2 - np.array([0, 0.25 / 1.9**2, 0])
SKIN_NORMALS = _normal / np.linalg.norm(_normal, axis=1, keepdims=True)

# Chroma of average sun-lit skin; half of the difference from it counts as complexion, half as the colour of the light.
_SKIN_CHROMA = np.array([1.24, 0.94, 0.78])
_NOSE_BASE = np.array([[0.0, 0.60, 0.75]])


@dataclass(frozen=True)
class Light:
    """Light and camera of one photo.

    Attributes:
        skin: (3,) colour of the face's skin, 0 to 255.
        exposure: brightness of a white sheet facing the camera, 1 = clipping.
        direction: (3,) change of relative brightness per unit of camera-space normal.
        ambient: relative brightness with no directional light; ambient + direction[2] = 1.
        cast: (3,) colour of the light, mean 1.
        saturation: 0 for a black-and-white photo, 1 for a colour one.
        blur: standard deviation in pixels that matches the photo's sharpness.
        grain: standard deviation of the photo's noise, in grey levels.
    """

    skin: np.ndarray
    exposure: float
    direction: np.ndarray
    ambient: float
    cast: np.ndarray
    saturation: float
    blur: float
    grain: float

    def shade(self, normals: np.ndarray) -> np.ndarray:
        """Relative brightness (...) of surfaces with camera-space normals (..., 3)."""
        return np.clip(self.ambient + normals @ self.direction, 0.22, 1.4)


def shoulder(brightness: np.ndarray) -> np.ndarray:
    """Map brightness 0..1+ to 0..255, compressed above 0.8 as film and cameras do instead of clipping hard."""
    above = np.maximum(brightness - 0.8, 0)
    return 255 * (np.minimum(brightness, 0.8) + above / (1 + 5 * above))


_FALLBACK = np.array([150.0, 120.0, 100.0])


def measure_light(image: np.ndarray, pose: HeadPose) -> Light:
    """Estimate `Light` from the skin of the face in `image` uint8 (H, W, 3); never fails."""
    height, width = image.shape[:2]
    spots = np.rint(pose.project(SKIN)).astype(int)
    normals = pose.rotate(SKIN_NORMALS)
    inside = (spots >= 0).all(1) & (spots[:, 0] < width) & (spots[:, 1] < height) & (normals[:, 2] > 0.15)
    side = 2 * max(1, round(0.05 * min(pose.scale, 400))) + 1
    soft = cv2.blur(image, (side, side))
    colours = soft[spots[inside, 1], spots[inside, 0]].astype(np.float64)
    keep = colours.max(1) > 12 if len(colours) else np.zeros(0, bool)  # black corners of a rotated photo
    colours, normals = colours[keep], normals[inside][keep]
    skin = np.sort(colours, 0)[len(colours) // 2] if len(colours) >= 4 else _FALLBACK
    bright = colours @ LUMA if len(colours) else np.empty(0)
    direction, ambient = _fit_direction(bright, normals)

    # Only the part above the mask is measured: the teeth of a smile must not brighten the mask that hides them.
    nose = int(np.clip(pose.project(_NOSE_BASE)[0, 1], 0, height))
    above = image[:nose] if nose > 8 else image
    grey = cv2.cvtColor(above, cv2.COLOR_RGB2GRAY)
    step = max(1, min(height, width) // 64)
    small = above[::step, ::step].reshape(-1, 3)
    spread = cv2.absdiff(small[:, :2], small[:, 1:]).mean()
    saturation = float(np.clip((spread - 2) / 4, 0, 1))
    highlight = _quantile(grey[::step, ::step], 0.96) / 255
    level = float(skin @ LUMA) / 255
    exposure = float(np.clip(0.66 * level / 0.58 + 0.38 * highlight, 0.32, 1.12))
    chroma = skin / max(float(skin.mean()), 1.0) / _SKIN_CHROMA
    cast = np.clip(chroma / chroma.mean(), 0.6, 1.5) ** 0.5
    if saturation < 1:
        cast = 1 + (cast - 1) * saturation
    blur, grain = _measure_camera(grey, spots[inside])
    return Light(skin, exposure, direction, ambient, cast / cast.mean(), saturation, blur, grain)


def _quantile(values: np.ndarray, share: float) -> float:
    """Return the value below which `share` of `values` are; much faster here than np.percentile."""
    rank = int(share * (values.size - 1))
    return float(np.partition(values, rank, axis=None)[rank])


def _fit_direction(bright: np.ndarray, normals: np.ndarray) -> tuple[np.ndarray, float]:
    """Fit directional and ambient light to skin brightness, with a weak prior for light from above and ahead."""
    prior = np.array([0.0, -0.22, 0.30])
    if len(bright) < 6:
        return prior, 0.70
    relative = bright / max(_quantile(bright, 0.5), 1.0)
    weight = np.ones(len(bright))
    matrix = np.column_stack([normals, np.ones(len(bright))])
    ridge = np.diag([0.6, 3.0, 3.0, 0.05])
    start = np.append(prior, 0.72)
    for _ in range(2):
        scaled = matrix * weight[:, None]
        fit = np.linalg.solve(scaled.T @ matrix + ridge, scaled.T @ relative + ridge @ start)
        # Hair, glasses and highlights are outliers.
        weight = 1 / (1 + (np.abs(relative - matrix @ fit) / 0.12) ** 2)
    direction = np.clip(fit[:3], [-0.7, -0.6, 0.05], [0.7, 0.25, 0.6])
    return direction, 1.0 - float(direction[2])


def _measure_camera(grey: np.ndarray, spots: np.ndarray) -> tuple[float, float]:
    """Return (blur, grain) of the photo near eyes and cheeks: the softness of edges and the noise of flat areas."""
    if len(spots) < 2:
        return 0.6, 2.0
    (x0, y0), (x1, y1) = spots.min(0), spots.max(0)
    face = grey[y0 : y1 + 1, x0 : x1 + 1].astype(np.float32)
    if min(face.shape) < 8:
        return 0.6, 2.0
    fine = face - cv2.GaussianBlur(face, (0, 0), 0.8)
    coarse = cv2.GaussianBlur(face, (0, 0), 1.0) - cv2.GaussianBlur(face, (0, 0), 2.0)
    sharpness = float(np.mean(np.abs(fine)) / (np.mean(np.abs(coarse)) + 0.3))
    blur = float(np.clip(1.25 - 1.1 * sharpness, 0.3, 1.1))
    grain = float(np.clip(1.6 * _quantile(np.abs(fine), 0.3), 0.4, 6.0))
    return blur, grain
