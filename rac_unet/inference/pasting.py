"""Put a painted face back into the photo: only inside the map of the mask, with a soft edge, in the photo's own light.

The map that a network predicts is cleaned and grown a little, since the rim of a mask throws shadows and is blurred in
most photos. The mask and its rim are painted over wholly; the soft edge lies around them, within the grown map, so
every pixel outside it stays as it was, bit for bit. The network's painting is also valid on the skin around the map,
where the photo is known: what it is off by there, spread smoothly, is taken off inside as well.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

import cv2
import numpy as np

# A pixel is in the map when it is likelier hidden than not; around such pixels less is enough.
SURELY_HIDDEN, MAYBE_HIDDEN = 0.5, 0.3
# Lengths in shares of the crop's side: the rim belongs to the mask, around it comes the soft edge, which is longer
# where a mask goes on beyond the crop.
_RIM, _EDGE, _CROP_EDGE, _RING, _REACH = 0.008, 0.02, 0.03, 0.11, 0.12
# Shares of the crop's pixels: islands below this are noise, and so are holes; a hand before the mask is larger, and the
# piece of a strap is hardly smaller than the first.
_SPECK, _HOLE = 0.002, 0.02
# A face's own mask has its middle in this ellipse, in shares of the crop's side: x, y, half its width, half its height.
# Outside are the masks of neighbours, collars and the like.
_FACE = (0.5, 0.58, 0.45, 0.37)
# The correction of light and colour is at most this, in units of the full range.
_MOST_CORRECTION = 0.3
# Mean difference between a pixel's largest and smallest channel, of the full range, in photos without colour.
_COLOURLESS = 0.01
# Standard deviation of added grain, of 255 grey levels: less is not seen, more is pattern and not grain.
_LEAST_GRAIN, _MOST_GRAIN = 0.3, 6.0


@dataclass(frozen=True)
class FaceMap:
    """Where in a face crop the painting goes.

    Attributes:
        weight: (S, S) float32 in [0, 1], share of the painting; 0 outside the grown map.
        ring: (S, S) float32 in {0, 1}, known pixels near the map, clear of its rim.
    """

    weight: np.ndarray
    ring: np.ndarray

    @property
    def area(self) -> float:
        """Share of the crop that may be changed, 0..1."""
        return float((self.weight > 0).mean())


def face_map(occlusion: np.ndarray, eyes: np.ndarray | None = None) -> FaceMap:
    """The map to paint in.

    Args:
        occlusion: (S, S) float32, a network's probabilities that a pixel is hidden by a mask.
        eyes: (2, N, 2) outlines of both eyes, x, y in crop pixels. The map does not grow into an eye: nothing is missed
            sooner in a face.
    """
    size = len(occlusion)
    hidden = _cleaned(occlusion)
    rim, edge = _RIM * size, max(1.5, _EDGE * size)
    away = _distance(~hidden)
    # Beyond the crop nothing is painted, so where the mask goes on there, the map ends too.
    cut = hidden.copy()
    cut[1:-1, 1:-1] = False
    fading = (1 + _distance(~cut)) / max(1.5, _CROP_EDGE * size)
    reach = rim + edge - away
    if eyes is not None:
        from_eyes = _distance(~_filled(eyes, size))
        reach = np.minimum(reach, np.maximum(_distance(hidden) - away + rim, from_eyes))
    weight = np.clip(np.minimum(reach / edge, fading), 0, 1)
    weight = (weight * weight * (3 - 2 * weight)).astype(np.float32)
    grown = weight > 0
    ring = _dilated(grown, max(2, round(_RING * size))) & ~_dilated(grown, 1)
    return FaceMap(weight, ring.astype(np.float32))


def matched_to_photo(painted: np.ndarray, crop: np.ndarray, ring: np.ndarray) -> np.ndarray:
    """The painting with its brightness and colour brought to the photo's.

    Args:
        painted: (S, S, 3) float32 in [0, 1].
        crop: (S, S, 3) float32 in [0, 1], the photo, right wherever `ring` is not 0.
        ring: (S, S) float32, how far a pixel may be believed.
    Returns: (S, S, 3) float32 in [0, 1].
    """
    if ring.sum() < 12:
        return painted
    known = ring > 0
    if np.ptp(crop[known], axis=-1).mean() < _COLOURLESS:
        # A photo in black and white stays one.
        painted = np.repeat(painted.mean(axis=-1, keepdims=True), 3, axis=-1)
    size, off = len(painted), crop - painted
    middle = np.median(off[known], axis=0)
    # Hair, background or a collar differ for reasons other than light: Tukey's weight leaves them out.
    distance = np.abs(off - middle).max(axis=-1)
    limit = 4 * max(float(np.median(distance[known])), 0.02)
    weight = ring * np.clip(1 - (distance / limit) ** 2, 0, None) ** 2
    sigma = _REACH * size
    spread = cv2.GaussianBlur(weight, (0, 0), sigma)
    smooth = cv2.GaussianBlur(off * weight[..., None], (0, 0), sigma)
    # Far from every known pixel the mean of all of them takes over.
    mean = (off * weight[..., None]).sum((0, 1)) / max(float(weight.sum()), 1e-6)
    little = np.float32(0.02)
    correction = (smooth + little * mean) / (spread[..., None] + little)
    return np.clip(painted + np.clip(correction, -_MOST_CORRECTION, _MOST_CORRECTION), 0, 1).astype(np.float32)


def paste_face(photo: np.ndarray, region: np.ndarray, painted: np.ndarray, where: FaceMap, matrix: np.ndarray) -> None:
    """Blend a painted crop into the photo, in place, at the photo's own resolution.

    Args:
        photo: (H, W, 3) uint8 RGB, changed where the map says so and nowhere else.
        region: (H, W) bool, set where the photo may have been changed.
        painted: (S, S, 3) float32 in [0, 1].
        matrix: (2, 3) photo pixel (x, y, 1) -> crop pixel, as `AlignedFace.matrix`.
    """
    box = _bounds(where.weight + where.ring, matrix, photo.shape)
    if box is None:
        return
    x0, y0, x1, y1 = box
    target = photo[y0:y1, x0:x1]
    back = cv2.invertAffineTransform(matrix)
    back[:, 2] -= (x0, y0)
    weight = _warped(where.weight, back, target.shape, cv2.INTER_LINEAR)
    inside = weight > 1 / 255
    weight *= inside
    new = _warped(255 * painted, back, target.shape, cv2.INTER_CUBIC)
    np.clip(new, 0, 255, out=new)
    ring = _warped(where.ring, back, target.shape, cv2.INTER_LINEAR) > 0.5
    grain = _missing_grain(target, new, ring, inside)
    # Where the weight is 0 this is the photo's own value, exactly; the conversion rounds and keeps to 0..255.
    off = cv2.subtract(new, target, dtype=cv2.CV_32F)
    if grain is not None:
        off += grain[..., None]
    cv2.add(target, cv2.multiply(off, cv2.merge([weight] * 3)), dst=target, dtype=cv2.CV_8U)
    region[y0:y1, x0:x1] |= inside


def _cleaned(occlusion: np.ndarray) -> np.ndarray:
    """(S, S) bool: what is surely hidden and what hangs together with it, without specks, small holes and masks that
    are not this face's."""
    pixels = occlusion.size
    maybe = (occlusion > MAYBE_HIDDEN).astype(np.uint8)
    count, labels, stats, middles = cv2.connectedComponentsWithStats(maybe)
    sure = np.bincount(labels[occlusion > SURELY_HIDDEN], minlength=count)
    keep = (stats[:, cv2.CC_STAT_AREA] >= _SPECK * pixels) & (sure >= _SPECK / 2 * pixels)
    x, y, wide, high = np.multiply(_FACE, len(occlusion))
    keep &= np.hypot((middles[:, 0] - x) / wide, (middles[:, 1] - y) / high) <= 1
    keep[0] = False
    hidden = keep[labels]
    count, labels, stats, _ = cv2.connectedComponentsWithStats((~hidden).astype(np.uint8), connectivity=4)
    small = stats[:, cv2.CC_STAT_AREA] < _HOLE * pixels
    border = np.unique(np.r_[labels[0], labels[-1], labels[:, 0], labels[:, -1]])
    small[border], small[0] = False, False
    return hidden | small[labels]


def _distance(where: np.ndarray) -> np.ndarray:
    """How far each pixel of `where` is from the nearest that is not; 0 outside, very large where there is none."""
    return cv2.distanceTransform(where.astype(np.uint8), cv2.DIST_L2, 5)


def _filled(outlines: np.ndarray, size: int) -> np.ndarray:
    # 4 binary digits of fractions of a pixel.
    corners = np.rint(16 * np.asarray(outlines)).astype(np.int32)
    return cv2.fillPoly(np.zeros((size, size), np.uint8), list(corners), 1, shift=4).astype(bool)


def _dilated(where: np.ndarray, pixels: int) -> np.ndarray:
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * pixels + 1, 2 * pixels + 1))
    return cv2.dilate(where.astype(np.uint8), disc).astype(bool)


def _bounds(where: np.ndarray, matrix: np.ndarray, shape: tuple[int, ...]) -> tuple[int, int, int, int] | None:
    """x0, y0, x1, y1 of the photo's pixels that the crop's pixels other than 0 can reach; None when there are none."""
    rows, columns = np.flatnonzero(where.any(1)), np.flatnonzero(where.any(0))
    if not len(rows):
        return None
    left, right, top, bottom = columns[0] - 1, columns[-1] + 1, rows[0] - 1, rows[-1] + 1
    back = cv2.invertAffineTransform(matrix)
    corners = np.array([(left, top), (right, top), (right, bottom), (left, bottom)]) @ back[:, :2].T + back[:, 2]
    low = np.clip(np.floor(corners.min(0)).astype(int) - 1, 0, None)
    high = np.minimum(np.ceil(corners.max(0)).astype(int) + 2, (shape[1], shape[0]))
    return (*low.tolist(), *high.tolist()) if (low < high).all() else None


def _warped(crop: np.ndarray, back: np.ndarray, shape: tuple[int, ...], interpolation: int) -> np.ndarray:
    """The crop in the photo's pixels, averaged where the photo is coarser than the crop."""
    zoom = float(np.hypot(back[0, 0], back[0, 1]))
    if zoom < 0.75:
        size = len(crop)
        small = cv2.resize(crop, (max(1, round(size * zoom)),) * 2, interpolation=cv2.INTER_AREA)
        ratio = size / len(small)
        # x_crop = (x_small + 0.5) * ratio - 0.5
        back = np.c_[back[:, :2] * ratio, back[:, 2] + back[:, :2].sum(1) * (ratio / 2 - 0.5)]
        crop, interpolation = small, cv2.INTER_LINEAR
    # Mirroring would bring the map's far side in; nothing is pasted beyond the crop, where the weight is 0.
    border = cv2.BORDER_REPLICATE if crop.ndim == 3 else cv2.BORDER_CONSTANT
    return cv2.warpAffine(crop, back, (shape[1], shape[0]), flags=interpolation, borderMode=border)


def _missing_grain(photo: np.ndarray, new: np.ndarray, ring: np.ndarray, inside: np.ndarray) -> np.ndarray | None:
    """(H, W) float32 grey levels of grain that the photo has around the map and the painting lacks in it, if any."""
    if ring.sum() < 64 or inside.sum() < 64:
        return None
    wanted, there = _grain(photo.astype(np.float32), ring), _grain(new, inside)
    amount = min(np.sqrt(max(wanted**2 - there**2, 0.0)), _MOST_GRAIN)
    if amount < _LEAST_GRAIN:
        return None
    rows, columns = (-(-side // 256) for side in ring.shape)
    return np.tile(amount * _grain_tile(), (rows, columns))[: ring.shape[0], : ring.shape[1]]


@functools.cache
def _grain_tile() -> np.ndarray:
    return np.random.default_rng(0).standard_normal((256, 256)).astype(np.float32)


def _grain(image: np.ndarray, where: np.ndarray) -> float:
    """Robust standard deviation of the finest detail, as of white noise, in the image's units."""
    grey = cv2.transform(image, np.full((1, 3), 1 / 3))
    # The mask of Immerkaer 1996: blind to planes and edges that are straight lines; noise of 1 comes out as 6.
    fine = cv2.filter2D(grey, -1, np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], np.float32))[where]
    return float(np.median(np.abs(fine[:: 1 + len(fine) // 20_000]))) / 0.6745 / 6
