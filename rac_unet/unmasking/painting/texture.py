"""Match the sharpness and the grain of a painting to the photo's skin around it.

A painting whose edges are sharper than the photo's is blurred, and one with softer edges is sharpened within limits.
Then it gets noise at each level at which the skin around it has more texture: the photo's own pixels, and the photo
averaged down by 2, 4 and 8. The grain of a camera is finest, pores and the blocks of a JPEG file are coarser.
"""

from __future__ import annotations

import functools

import cv2
import numpy as np

# Largest difference of a known pixel to the painted skin, in [0, 1], at which it is compared as skin; the least share
# of known pixels that must be skin, or else all are compared.
_SKIN, _LEAST_SKIN = 0.2, 0.2
# Share of the pixels of a part whose edges are compared, and the largest amplification of a painting's finest detail.
_EDGES = 0.1
_MOST_SHARPENING = 0.4
_SOFT = np.array([1, 4, 6, 4, 1], np.float32) / 16
# Levels of detail, at most; side of a face crop in photo pixels up to which only camera noise is added.
LEVELS, _SMALL_FACE = 4, 128
# Standard deviation of a level's noise in grey levels of 255: less is invisible, more is a pattern and not grain. The
# two finest textures are at most some times as strong as camera noise; where they seem stronger, there are edges.
_LEAST_GRAIN, _MOST_GRAIN, _MOST_SCALE = 0.3, np.array([6.0, 5.0, 3.5, 3.5]), (2.5, 3.0)
# Detail that unit noise of a level (column) has at a level (row), as `measured_detail` has it, where the noise's blobs
# and the averaged blocks of pixels have any offset.
_RESPONSE = np.array(
    [
        [1.0, 0.234, 0.058, 0.015],
        [0.5, 0.401, 0.164, 0.05],
        [0.25, 0.351, 0.335, 0.157],
        [0.125, 0.223, 0.342, 0.328],
    ]
)
# Filters that keep the deviation of white noise. The first is that of Immerkaer 1996, which ignores planes and straight
# edges: camera noise. The second keeps all fine detail: texture.
_NOISE = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], np.float32) / 6
_TEXTURE = np.array([[-1, -2, -1], [-2, 12, -2], [-1, -2, -1]], np.float32) / 164**0.5
# Texture is measured by this quantile of its absolute values, and that of the normal distribution. Half of the skin
# next to a mask may have lids, creases or a shadow; only texture that is everywhere is wanted elsewhere.
_QUIET, _QUIET_NORMAL = 0.25, 0.3186
# Detail is not measured with fewer pixels.
_FEWEST = 64


def skin_around(painted: np.ndarray, crop: np.ndarray, weight: np.ndarray, ring: np.ndarray) -> np.ndarray:
    """Return the part of the ring of known pixels with skin, whose texture the painting should have.

    Hair, background and collars have other textures; skin is what has the colour of most of the painting.

    Args:
        painted: (S, S, 3) float32 in [0, 1], in the light of the photo.
        crop: (S, S, 3) float32 in [0, 1].
        weight, ring: of `FaceMap`.
    Returns: (S, S) float32 in {0, 1}; `ring` if hardly any of it is skin.
    """
    inside = painted[weight == 1]
    if not len(inside):
        return ring
    off = largest(np.abs(crop - median(inside[:: 1 + len(inside) // 2000])))
    skin = ring * (off < _SKIN)
    return skin if skin.sum() >= _LEAST_SKIN * ring.sum() else ring


def matched_sharpness(painted: np.ndarray, crop: np.ndarray, weight: np.ndarray, zoom: float) -> np.ndarray:
    """Blur or sharpen a painting until its edges are as sharp as those of the photo.

    Args:
        painted: (S, S, 3) float32 in [0, 1].
        crop: (S, S, 3) float32 in [0, 1].
        weight: (S, S) float32, 0 in the known part of the crop, 1 where the painting is opaque.
        zoom: photo pixels per crop pixel. Unchanged up to 1: such a crop is enlarged, and has not the photo's edges.
    Returns: (S, S, 3) float32 in [0, 1].
    """
    strength = min(max(2 * (zoom - 1), 0.0), 1.0)
    if not strength:
        return painted
    soft = cv2.sepFilter2D(painted, -1, _SOFT, _SOFT)
    wanted = edge_sharpness(crop, weight == 0)
    there, least = (edge_sharpness(each, weight == 1) for each in (painted, soft))
    if np.isnan([wanted, there, least]).any() or there <= least:
        return painted
    gain = min(max((wanted - there) / (there - least), -1.0), _MOST_SHARPENING)
    return np.clip(painted + np.float32(strength * gain) * (painted - soft), 0, 1)


def edge_sharpness(image: np.ndarray, where: np.ndarray) -> float:
    """Return the fine detail of an image over its coarser detail, at the strongest edges of a part of it.

    It depends on the blur of the edges, not on their contrast. NaN if the part is too small or has no edges.

    Args:
        image: (S, S, 3) float32.
        where: (S, S) bool, the part.
    """
    grey = _grey(image)
    coarse = np.abs(_filtered(_halved(grey), _TEXTURE))
    fine = _halved(np.abs(_filtered(grey, _TEXTURE))[1:-1, 1:-1])
    inside = _halved(where.astype(np.float32))[1:-1, 1:-1] > 0.99
    ranked = np.sort(coarse[inside])
    if len(ranked) < _FEWEST:
        return float("nan")
    edges = inside & (coarse >= ranked[int((1 - _EDGES) * len(ranked))])
    return float(fine[edges].sum() / coarse[edges].sum()) if coarse[edges].any() else float("nan")


def level_shares(zoom: float, size: int) -> np.ndarray:
    """Return for each level the share of its missing detail that is added, 0..1.

    Coarser levels count where the face is so large in the photo, whatever the network's size: its painting is softer
    than its pixels. Faces up to `_SMALL_FACE` get camera noise only.

    Args:
        zoom: photo pixels per crop pixel.
        size: side of the crop in its own pixels.
    Returns: (N,), N from 1 to `LEVELS`; the first is 0 for a small face.
    """
    times = zoom * size / _SMALL_FACE
    shares = np.clip([2 * (times - 1), *(times / 2**level - 1 for level in range(LEVELS - 1))], 0, 1)
    return shares[: max(1, np.count_nonzero(shares))]


def measured_detail(image: np.ndarray, where: np.ndarray, count: int) -> list[np.ndarray]:
    """Return the detail of a part of an image: camera noise, then texture at each level.

    Args:
        image: (H, W, 3) float32.
        where: (H, W) bool, the part.
        count: number of levels; 0 for noise only.
    Returns: for each the filtered pixels that are wholly in the part.
    """
    grey, share = _grey(image), where.astype(np.float32)
    found = [_filtered(grey, _NOISE)[where[1:-1, 1:-1]]]
    for _ in range(count):
        if min(grey.shape) < 3:
            break
        found.append(_filtered(grey, _TEXTURE)[share[1:-1, 1:-1] > 0.99])
        grey, share = _halved(grey), _halved(share)
    return found


def missing_grain(wanted: list[np.ndarray], there: list[np.ndarray], shares: np.ndarray) -> np.ndarray:
    """Return the standard deviations of the noise of each level that a painting lacks, in grey levels.

    Args:
        wanted, there: results of `measured_detail` for the photo's skin and for the painting.
        shares: result of `level_shares`.
    """
    pairs = list(zip(wanted, there, strict=False))
    few = [min(len(one), len(other)) < _FEWEST for one, other in pairs]
    pairs = pairs[: few.index(True)] if any(few) else pairs
    if not pairs:
        return np.zeros(1)
    noise, own_noise = map(noise_deviation, pairs[0])
    limits = [scale * (noise + 0.2) for scale in _MOST_SCALE] + [np.inf] * LEVELS
    goals = np.array(
        [
            min(texture_deviation(one), limit) ** 2 - texture_deviation(other) ** 2
            for limit, (one, other) in zip(limits, pairs[1:], strict=False)
        ]
        or [0.0]
    )
    # The first level's goal is a mix of noise and texture.
    goals *= shares[: len(goals)]
    goals[0] += (1 - shares[0]) * (noise**2 - own_noise**2)
    count = len(goals)
    response = _RESPONSE[:count, :count] ** 2
    amounts = np.zeros(count)
    # Noise of one level is also detail at the others, and what one may not add, its neighbours do.
    for _ in range(4):
        for level in range(count):
            others = response[level] @ amounts - response[level, level] * amounts[level]
            most = _MOST_GRAIN[level] ** 2
            amounts[level] = min(max((goals[level] - others) / response[level, level], 0.0), most)
    amounts = np.sqrt(amounts)
    return np.where(amounts >= _LEAST_GRAIN, amounts, 0.0)


def grain(amounts: np.ndarray) -> np.ndarray:
    """Return (256, 256) float32, noise with these standard deviations per level; it repeats without a seam."""
    return sum(np.float32(amount) * level for amount, level in zip(amounts, grain_levels(), strict=False) if amount)


@functools.cache
def grain_tile() -> np.ndarray:
    """Return (256, 256) float32, the standard normal noise of which all grain is made."""
    return np.random.default_rng(0).standard_normal((256, 256)).astype(np.float32)


@functools.cache
def grain_levels() -> list[np.ndarray]:
    """Return for each level (256, 256) float32, noise with blobs of 1, 2, 4 and 8 pixels."""
    levels = []
    for level in range(LEVELS):
        noise = grain_tile()[: 256 >> level, : 256 >> level]
        for _ in range(level):
            noise = _doubled(_doubled(noise, 0), 1)
        levels.append(noise)
    return levels


def texture_deviation(filtered: np.ndarray) -> float:
    """Return the standard deviation of the texture that is everywhere, from its filtered values."""
    ranked = np.sort(np.abs(_some(filtered)))
    return float(ranked[int(_QUIET * len(ranked))]) / _QUIET_NORMAL


def noise_deviation(filtered: np.ndarray) -> float:
    """Return a robust standard deviation of the noise from its filtered values."""
    return float(median(np.abs(_some(filtered)))) / 0.6745


def _some(values: np.ndarray) -> np.ndarray:
    return values[:: 1 + len(values) // 20_000].ravel()


def median(values: np.ndarray) -> np.ndarray:
    """Return the median over the first axis; `np.median` imports numpy.ma, which takes longer than a photo."""
    ranked = np.sort(values, axis=0)
    return ranked[(len(ranked) - 1) // 2 : len(ranked) // 2 + 1].mean(axis=0)


def largest(values: np.ndarray) -> np.ndarray:
    """Return the largest of three channels, the last axis; many times as fast as `max` over a short axis."""
    return np.maximum(np.maximum(values[..., 0], values[..., 1]), values[..., 2])


def _grey(image: np.ndarray) -> np.ndarray:
    return cv2.transform(image, np.full((1, 3), 1 / 3))


def _filtered(grey: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    """Return (H - 2, W - 2) float32, without the outermost pixels."""
    return cv2.filter2D(grey, -1, kernel)[1:-1, 1:-1]


def _halved(values: np.ndarray) -> np.ndarray:
    height, width = values.shape[0] // 2, values.shape[1] // 2
    return cv2.resize(values[: 2 * height, : 2 * width], (width, height), interpolation=cv2.INTER_AREA)


def _doubled(values: np.ndarray, axis: int) -> np.ndarray:
    """Return values enlarged by 2 along an axis with linear interpolation; the last pixel is next to the first."""
    before, after = (0.75 * values + 0.25 * np.roll(values, step, axis) for step in (1, -1))
    shape = list(values.shape)
    shape[axis] *= 2
    return np.stack([before, after], axis + 1).reshape(shape).astype(np.float32)
