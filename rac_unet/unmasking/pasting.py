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
# A face is pasted in strips of so many rows, which stay in the processor's cache: memory for all of a large face at
# once takes as long to get as the work does. The side of the tile of grain is a multiple. Grain is measured in some
# strips, which have about so many pixels together.
_STRIP, _GRAIN_PIXELS = 32, 60_000
# From this magnification on the painting is enlarged so many times by the cubic and then placed by the linear, which
# looks the same and takes a fifth of the time.
_LARGE, _ENLARGED = 2.0, 3


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
    middle = _median(off[known])
    # Hair, background or a collar differ for reasons other than light: Tukey's weight leaves them out.
    distance = np.abs(off - middle).max(axis=-1)
    limit = 4 * max(float(_median(distance[known])), 0.02)
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
    box = _bounds(where.weight, matrix, photo.shape)
    if box is None:
        return
    weights, colours = _Layer(where.weight, matrix), _Layer(255 * painted, matrix, cv2.INTER_CUBIC)
    amount = _missing_grain(photo, colours, weights, where, matrix)
    x0, y0, x1, y1 = box
    grain = amount * np.tile(_grain_tile(), -(-(x1 - x0) // 256))[:, : x1 - x0] if amount else None
    for top in range(y0, y1, _STRIP):
        strip = x0, top, x1, min(top + _STRIP, y1)
        weight = weights.within(strip)
        inside = weight > 1 / 255
        if not inside.any():
            continue
        target = photo[top : strip[3], x0:x1]
        # Where the weight is 0 this is the photo's own value, exactly; the conversion rounds and keeps to 0..255.
        off = cv2.subtract(colours.within(strip), target, dtype=cv2.CV_32F)
        if grain is not None:
            first = (top - y0) % 256
            off = cv2.add(off, cv2.merge([grain[first : first + len(off)]] * 3))
        weight *= inside
        cv2.add(target, cv2.multiply(off, cv2.merge([weight] * 3)), dst=target, dtype=cv2.CV_8U)
        region[top : strip[3], x0:x1] |= inside


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
    border = np.r_[labels[0], labels[-1], labels[:, 0], labels[:, -1]]
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


class _Layer:
    """A crop's values, to be had in the photo's pixels, averaged where the photo is coarser than the crop.

    Args:
        crop: (S, S) or (S, S, 3) float32; colours stay in 0..255.
        matrix: (2, 3) photo pixel (x, y, 1) -> crop pixel.
        interpolation: OpenCV's, for a photo about as fine as the crop.
    """

    def __init__(self, crop: np.ndarray, matrix: np.ndarray, interpolation: int = cv2.INTER_LINEAR):
        size, back = len(crop), cv2.invertAffineTransform(matrix)
        zoom = float(np.hypot(back[0, 0], back[0, 1]))
        if zoom < 0.75:
            crop, interpolation = _resized(crop, max(1, round(size * zoom)), cv2.INTER_AREA), cv2.INTER_LINEAR
        elif zoom >= _LARGE and interpolation == cv2.INTER_CUBIC:
            crop, interpolation = _resized(crop, _ENLARGED * size, cv2.INTER_CUBIC), cv2.INTER_LINEAR
        if crop.ndim == 3:
            # The cubic swings over.
            crop = np.clip(crop, 0, 255)
        ratio = size / len(crop)
        # x_crop = (x_resized + 0.5) * ratio - 0.5
        self._back = np.c_[back[:, :2] * ratio, back[:, 2] + back[:, :2].sum(1) * (ratio / 2 - 0.5)]
        self._crop, self._interpolation = crop, interpolation

    def within(self, box: tuple[int, int, int, int]) -> np.ndarray:
        """(H, W) or (H, W, 3) float32 in the photo's pixels from x0, y0 to before x1, y1."""
        x0, y0, x1, y1 = box
        back = self._back - [[0, 0, x0], [0, 0, y0]]
        # Mirroring would bring the map's far side in; nothing is pasted beyond the crop, where the weight is 0.
        border = cv2.BORDER_REPLICATE if self._crop.ndim == 3 else cv2.BORDER_CONSTANT
        values = cv2.warpAffine(self._crop, back, (x1 - x0, y1 - y0), flags=self._interpolation, borderMode=border)
        if self._interpolation == cv2.INTER_CUBIC:
            np.clip(values, 0, 255, out=values)
        return values


def _resized(crop: np.ndarray, side: int, interpolation: int) -> np.ndarray:
    return cv2.resize(crop, (side, side), interpolation=interpolation)


def _missing_grain(photo: np.ndarray, colours: _Layer, weights: _Layer, where: FaceMap, matrix: np.ndarray) -> float:
    """Grey levels of grain that the photo has around the map and the painting lacks in it; 0 where there is none."""
    rings = _Layer(where.ring, matrix)
    x0, y0, x1, y1 = _bounds(where.weight + where.ring, matrix, photo.shape)
    every = max(1, (x1 - x0) * (y1 - y0) // _GRAIN_PIXELS)
    there, wanted = [], []
    for top in range(y0, y1, _STRIP * every):
        strip = x0, top, x1, min(top + _STRIP, y1)
        target = photo[top : strip[3], x0:x1].astype(np.float32)
        wanted.append(_fine(target)[rings.within(strip)[1:-1, 1:-1] > 0.5])
        there.append(_fine(colours.within(strip))[weights.within(strip)[1:-1, 1:-1] > 1 / 255])
    if min(sum(map(len, each)) for each in (there, wanted)) < 64:
        return 0.0
    least, most = (_deviation(np.concatenate(each)) for each in (there, wanted))
    amount = min(max(most**2 - least**2, 0.0) ** 0.5, _MOST_GRAIN)
    return amount if amount >= _LEAST_GRAIN else 0.0


@functools.cache
def _grain_tile() -> np.ndarray:
    return np.random.default_rng(0).standard_normal((256, 256)).astype(np.float32)


def _fine(image: np.ndarray) -> np.ndarray:
    """The finest detail of (H, W, 3) float32, without the outermost pixels; white noise of 1 comes out as 6.

    The mask of Immerkaer 1996: blind to planes and edges that are straight lines.
    """
    grey = cv2.transform(image, np.full((1, 3), 1 / 3))
    return cv2.filter2D(grey, -1, np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], np.float32))[1:-1, 1:-1]


def _deviation(fine: np.ndarray) -> float:
    """Robust standard deviation of the noise whose `_fine` detail this is."""
    return float(_median(np.abs(fine[:: 1 + len(fine) // 20_000]).ravel())) / 0.6745 / 6


def _median(values: np.ndarray) -> np.ndarray:
    """`np.median` over the first axis; that one imports numpy.ma, which takes longer than a photo."""
    ranked = np.sort(values, axis=0)
    return ranked[(len(ranked) - 1) // 2 : len(ranked) // 2 + 1].mean(axis=0)
