"""Paste a painted face into the photo, only inside the mask's map, with a soft edge and in the photo's light.

The network's map is cleaned and grown a little, since the edge of a mask casts a shadow and is blurred in most photos.
The mask and its rim are replaced completely. The soft edge is around them, inside the grown map; all pixels outside are
unchanged, bit for bit. The network also paints the skin around the map, where the photo is known: the difference there,
smoothly extended, corrects light and colour inside. Sharpness and grain are those of the skin there (`texture.py`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np

from rac_unet.unmasking.painting import texture
from rac_unet.unmasking.painting.texture import largest, median

# A region of pixels above the second probability is in the map if enough of them are above the first.
SURELY_HIDDEN, MAYBE_HIDDEN = 0.5, 0.3
# Lengths in shares of the crop's side: rim of the mask, soft edge around it, soft edge where a mask extends beyond the
# crop, width of the ring of known pixels, and reach of the light correction.
_RIM, _EDGE, _CROP_EDGE, _RING, _REACH = 0.008, 0.02, 0.03, 0.11, 0.12
# Islands and holes below these shares of the crop's pixels are noise. A hand in front of the mask is larger than the
# second, and a piece of a strap hardly smaller than the first.
_SPECK, _HOLE = 0.002, 0.02
# The centre of a face's own mask is in this ellipse, in shares of the crop's side: x, y, half width, half height.
# Masks of neighbours, collars and similar objects are outside.
_FACE = (0.5, 0.58, 0.45, 0.37)
# Largest correction of light and colour, relative to the full range.
_MOST_CORRECTION = 0.3
# A photo has no colour if a pixel's largest and smallest channel differ by less than this on average, relative to the
# full range.
_COLOURLESS = 0.01
# Grain fades within this many grey levels below white, as in a photo, whose white is cut off.
_HEADROOM = np.float32(32)
# From twice this size on, light is compared at about this size.
_LIGHT_SIZE = 128
# With fewer known pixels near the map, light and colour are left alone.
_FEWEST_KNOWN = 12
# A face is pasted in strips of this many rows, which fit the processor's cache; allocating memory for a large face at
# once would take as long as the work. The side of the grain tile is a multiple. Grain is measured in blocks of a strip
# of so many columns, and of about so many pixels in total.
_STRIP, _BLOCK, _GRAIN_PIXELS = 32, 64, 80_000
# The time of a dilation by a disc grows with its area; one with a larger radius is made of distances.
_LARGEST_DISC = 20
# From this magnification on, the painting is enlarged by this factor with cubic and then placed with linear
# interpolation, which looks the same and takes a fifth of the time.
_LARGE, _ENLARGED = 2.0, 3


@dataclass(frozen=True)
class FaceMap:
    """The region of a face crop that is replaced by the painting.

    Attributes:
        weight: (S, S) float32 in [0, 1], opacity of the painting; 0 outside the grown map.
        ring: (S, S) float32 in {0, 1}, known pixels near the map, without its rim.
    """

    weight: np.ndarray
    ring: np.ndarray

    @property
    def area(self) -> float:
        """Share of the crop that may be changed, 0..1."""
        return float((self.weight > 0).mean())


def face_map(occlusion: np.ndarray, eyes: np.ndarray | None = None) -> FaceMap:
    """Clean and grow a network's occlusion map to the region that is replaced.

    Args:
        occlusion: (S, S) float32, a network's probabilities that a pixel is hidden by a mask.
        eyes: (2, N, 2) outlines of both eyes, x, y in crop pixels. The map does not grow into an eye, where a change
            would be noticed most.
    """
    return grown_map(hidden_region(occlusion), eyes)


def grown_map(hidden: np.ndarray, eyes: np.ndarray | None = None) -> FaceMap:
    """Grow hidden pixels to the region that is replaced; see `face_map`.

    Args:
        hidden: (S, S) bool, the pixels hidden by a mask.
        eyes: see `face_map`.
    """
    size = len(hidden)
    rim, edge = _RIM * size, max(1.5, _EDGE * size)
    away = _distance(~hidden)
    # Nothing is painted outside the crop, so the map fades out where the mask extends beyond it.
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
    """Match the brightness and colour of the painting to the photo.

    Args:
        painted: (S, S, 3) float32 in [0, 1].
        crop: (S, S, 3) float32 in [0, 1], the photo, valid wherever `ring` is not 0.
        ring: (S, S) float32, weights of the known pixels.
    Returns: (S, S, 3) float32 in [0, 1].
    """
    if is_colourless(crop, ring):
        # Keep black-and-white photos without colour.
        painted = without_colour(painted)
    correction = light_correction(painted, crop, ring)
    return painted if correction is None else np.clip(painted + correction, 0, 1).astype(np.float32)


def is_colourless(crop: np.ndarray, ring: np.ndarray) -> bool:
    """Return whether the known pixels of a photo have no colour; arguments as of `matched_to_photo`."""
    if ring.sum() < _FEWEST_KNOWN:
        return False
    known = crop[ring > 0]
    return bool((largest(known) + largest(-known)).mean() < _COLOURLESS)


def without_colour(painted: np.ndarray) -> np.ndarray:
    """Return a painting (S, S, 3) in shades of grey."""
    return np.repeat(painted.mean(axis=-1, keepdims=True), 3, axis=-1)


def light_correction(painted: np.ndarray, crop: np.ndarray, ring: np.ndarray) -> np.ndarray | None:
    """Return what to add to a painting so that its light and colour match the photo's; None with too few known pixels.

    Args: as of `matched_to_photo`.
    Returns: (S, S, 3) float32, smooth.
    """
    if ring.sum() < _FEWEST_KNOWN:
        return None
    size, off = len(painted), crop - painted
    if size < 2 * _LIGHT_SIZE:
        return _light_correction(off, ring)
    # Light changes slowly, and the time grows with the fourth power of the size.
    small = size // (size // _LIGHT_SIZE)
    known = _resized(ring, small, cv2.INTER_AREA)
    correction = _light_correction(_resized(off, small, cv2.INTER_AREA), (known > 0.999).astype(np.float32))
    return _resized(correction, size, cv2.INTER_LINEAR)


def _light_correction(off: np.ndarray, ring: np.ndarray) -> np.ndarray:
    """Return (S, S, 3) float32, the difference between photo and painting in the ring, extended smoothly.

    Args:
        off: (S, S, 3) float32, photo minus painting.
        ring: (S, S) float32, weights of the known pixels.
    """
    known = ring > 0
    if not known.any():
        return np.zeros_like(off)
    middle = median(off[known])
    # Hair, background or a collar differ for other reasons than light; Tukey's biweight excludes them.
    distance = largest(np.abs(off - middle))
    limit = 4 * max(float(median(distance[known])), 0.02)
    weight = ring * np.clip(1 - (distance / limit) ** 2, 0, None) ** 2
    sigma = _REACH * len(off)
    spread = cv2.GaussianBlur(weight, (0, 0), sigma)
    smooth = cv2.GaussianBlur(off * weight[..., None], (0, 0), sigma)
    # Far from all known pixels, their mean takes over.
    mean = (off * weight[..., None]).sum((0, 1)) / max(float(weight.sum()), 1e-6)
    little = np.float32(0.02)
    correction = (smooth + little * mean) / (spread[..., None] + little)
    return np.clip(correction, -_MOST_CORRECTION, _MOST_CORRECTION).astype(np.float32)


def paste_painting(
    photo: np.ndarray, region: np.ndarray, painted: np.ndarray, crop: np.ndarray, where: FaceMap, matrix: np.ndarray
) -> None:
    """Paste a painting in the light of the photo, with the sharpness and the grain of the skin around it, in place.

    Args:
        photo, region, painted, where, matrix: see `paste_face`.
        crop: (S, S, 3) float32 in [0, 1], the crop of the photo that was painted.
    """
    skin = texture.skin_around(painted, crop, where.weight, where.ring)
    zoom = 1 / float(np.hypot(matrix[0, 0], matrix[0, 1]))
    sharp = texture.matched_sharpness(painted, crop, where.weight, zoom)
    paste_face(photo, region, sharp, FaceMap(where.weight, skin), matrix)


def paste_face(
    photo: np.ndarray,
    region: np.ndarray,
    painted: np.ndarray,
    where: FaceMap,
    matrix: np.ndarray,
    grain: np.ndarray | None = None,
) -> None:
    """Blend a painted crop into the photo, in place, at the photo's own resolution.

    Args:
        photo: (H, W, 3) uint8 RGB, changed only inside the map.
        region: (H, W) bool, set to True where the photo may have been changed.
        painted: (S, S, 3) float32 in [0, 1].
        where: the map.
        matrix: (2, 3) photo pixel (x, y, 1) -> crop pixel, as `AlignedFace.matrix`.
        grain: (256, 256) float32, a tile of grain in grey levels, which begins at the corner of the map's box; by
            default as much as `missing_grain` measures, at its place in the photo.
    """
    box = _bounds(where.weight, matrix, photo.shape)
    if box is None:
        return
    weights, colours = _Layer(where.weight, matrix), _Layer(255 * painted, matrix, cv2.INTER_CUBIC, where.weight > 0)
    x0, y0, x1, y1 = box
    if grain is None:
        amounts = _missing_grain(photo, colours, weights, where, matrix)
        # A tile that began at the box would shift as a whole with one pixel at the map's rim.
        grain = np.roll(texture.grain(amounts), (-y0, -x0), (0, 1)) if amounts.any() else None
    grain = None if grain is None else np.tile(grain, -(-(x1 - x0) // 256))[:, : x1 - x0]
    for top in range(y0, y1, _STRIP):
        strip = x0, top, x1, min(top + _STRIP, y1)
        weight = weights.within(strip)
        inside = weight > 1 / 255
        if not inside.any():
            continue
        target = photo[top : strip[3], x0:x1]
        # Where the weight is 0, adding keeps the photo's exact value; the conversion rounds and clips to 0..255.
        colour = colours.within(strip)
        off = cv2.subtract(colour, target, dtype=cv2.CV_32F)
        if grain is not None:
            first = (top - y0) % 256
            noise = grain[first : first + len(off)] * np.minimum((255 - colour[..., 1]) / _HEADROOM, 1)
            off = cv2.add(off, cv2.merge([noise] * 3))
        weight *= inside
        cv2.add(target, cv2.multiply(off, cv2.merge([weight] * 3)), dst=target, dtype=cv2.CV_8U)
        region[top : strip[3], x0:x1] |= inside


def hidden_region(occlusion: np.ndarray) -> np.ndarray:
    """Return (S, S) bool: connected regions with surely hidden pixels, without specks, holes and other faces' masks."""
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
    """Return each pixel's distance to the nearest pixel outside `where`; 0 outside, very large if there is none."""
    return cv2.distanceTransform(where.astype(np.uint8), cv2.DIST_L2, 5)


def _filled(outlines: np.ndarray, size: int) -> np.ndarray:
    # OpenCV takes coordinates in fixed point, here with 4 fractional bits.
    corners = np.rint(16 * np.asarray(outlines)).astype(np.int32)
    return cv2.fillPoly(np.zeros((size, size), np.uint8), list(corners), 1, shift=4).astype(bool)


def _dilated(where: np.ndarray, pixels: int) -> np.ndarray:
    if pixels > _LARGEST_DISC:
        return cv2.distanceTransform((~where).astype(np.uint8), cv2.DIST_L2, 5) <= pixels
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * pixels + 1, 2 * pixels + 1))
    return cv2.dilate(where.astype(np.uint8), disc).astype(bool)


def _bounds(where: np.ndarray, matrix: np.ndarray, shape: tuple[int, ...]) -> tuple[int, int, int, int] | None:
    """Return x0, y0, x1, y1 of the photo's pixels that non-zero crop pixels can affect; None if there are none."""
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
    """A crop resampled to the photo's pixels, averaged if the photo is coarser than the crop.

    Args:
        crop: (S, S) or (S, S, 3) float32; colours are clipped to 0..255.
        matrix: (2, 3) photo pixel (x, y, 1) -> crop pixel.
        interpolation: OpenCV's interpolation for a photo of about the crop's resolution.
        needed: (S, S) bool, the pixels whose values are needed; by default all.
    """

    def __init__(
        self,
        crop: np.ndarray,
        matrix: np.ndarray,
        interpolation: int = cv2.INTER_LINEAR,
        needed: np.ndarray | None = None,
    ):
        size, back, left, top = len(crop), cv2.invertAffineTransform(matrix), 0, 0
        zoom = float(np.hypot(back[0, 0], back[0, 1]))
        if zoom < 0.75:
            crop, interpolation = _resized(crop, max(1, round(size * zoom)), cv2.INTER_AREA), cv2.INTER_LINEAR
        elif zoom >= _LARGE and interpolation == cv2.INTER_CUBIC:
            if needed is not None:
                # Cubic interpolation reads two pixels around.
                (top, bottom), (left, right) = (_span(needed.any(axis), 3) for axis in (1, 0))
                crop = crop[top:bottom, left:right]
            shape = _ENLARGED * crop.shape[1], _ENLARGED * crop.shape[0]
            crop, interpolation = cv2.resize(crop, shape, interpolation=cv2.INTER_CUBIC), cv2.INTER_LINEAR
            size = len(crop) // _ENLARGED
        if crop.ndim == 3:
            # Cubic interpolation overshoots.
            crop = np.clip(crop, 0, 255)
        ratio = size / len(crop)
        # x_crop = left + (x_resized + 0.5) * ratio - 0.5
        corner = np.array([left, top]) + ratio / 2 - 0.5
        self._back = np.c_[back[:, :2] * ratio, back[:, 2] + back[:, :2] @ corner]
        self._crop, self._interpolation = crop, interpolation

    def within(self, box: tuple[int, int, int, int]) -> np.ndarray:
        """Return (H, W) or (H, W, 3) float32 in the photo's pixels from x0, y0 to x1, y1 (exclusive)."""
        x0, y0, x1, y1 = box
        back = self._back - [[0, 0, x0], [0, 0, y0]]
        # Weights are 0 outside the crop, so that nothing is pasted there; colours repeat the border.
        border = cv2.BORDER_REPLICATE if self._crop.ndim == 3 else cv2.BORDER_CONSTANT
        values = cv2.warpAffine(self._crop, back, (x1 - x0, y1 - y0), flags=self._interpolation, borderMode=border)
        if self._interpolation == cv2.INTER_CUBIC:
            np.clip(values, 0, 255, out=values)
        return values


def _span(where: np.ndarray, margin: int) -> tuple[int, int]:
    """Return the first index and the end of the True values, with a margin on both sides within the array."""
    there = np.flatnonzero(where)
    return max(int(there[0]) - margin, 0), min(int(there[-1]) + 1 + margin, len(where))


def _resized(crop: np.ndarray, side: int, interpolation: int) -> np.ndarray:
    return cv2.resize(crop, (side, side), interpolation=interpolation)


def missing_grain(photo: np.ndarray, painted: np.ndarray, where: FaceMap, matrix: np.ndarray) -> np.ndarray:
    """Return for each level the standard deviation in grey levels of the grain that a painted crop lacks.

    Args: as of `paste_face`.
    Returns: (LEVELS,), see `texture.grain`.
    """
    amounts = np.zeros(texture.LEVELS)
    if _bounds(where.weight, matrix, photo.shape) is not None:
        weights, colours = _Layer(where.weight, matrix), _Layer(255 * painted, matrix, cv2.INTER_CUBIC)
        found = _missing_grain(photo, colours, weights, where, matrix)
        amounts[: len(found)] = found
    return amounts


def _missing_grain(
    photo: np.ndarray, colours: _Layer, weights: _Layer, where: FaceMap, matrix: np.ndarray
) -> np.ndarray:
    """Return for each level the standard deviation in grey levels of the grain that the painting lacks."""
    rings = _Layer(where.ring, matrix)
    x0, y0, x1, y1 = _bounds(where.weight + where.ring, matrix, photo.shape)
    shares = texture.level_shares(1 / float(np.hypot(matrix[0, 0], matrix[0, 1])), len(where.weight))
    count = len(shares) if shares.any() else 0
    there: list[list[np.ndarray]] = [[] for _ in range(count + 1)]
    wanted: list[list[np.ndarray]] = [[] for _ in range(count + 1)]
    for strip in _sample((x0, y0, x1, y1)):
        known, inside = rings.within(strip) > 0.5, weights.within(strip) > 1 / 255
        if known.any():
            target = photo[strip[1] : strip[3], strip[0] : strip[2]].astype(np.float32)
            for level, detail in enumerate(texture.measured_detail(target, known, count)):
                wanted[level].append(detail)
        if inside.any():
            for level, detail in enumerate(texture.measured_detail(colours.within(strip), inside, count)):
                there[level].append(detail)
    joined = ([np.concatenate(each) for each in found if each] for found in (wanted, there))
    return texture.missing_grain(*joined, shares)


def _sample(box: tuple[int, int, int, int]) -> Iterator[tuple[int, int, int, int]]:
    """Yield parts of a box, of about `_GRAIN_PIXELS` in total: strips, or blocks in a diagonal pattern."""
    x0, y0, x1, y1 = box
    every = max(1, (x1 - x0) * (y1 - y0) // _GRAIN_PIXELS)
    width = x1 - x0 if every == 1 else _BLOCK
    for number, top in enumerate(range(y0, y1, _STRIP)):
        for left in range(x0 + width * (number % every), x1, width * every):
            yield left, top, min(left + width, x1), min(top + _STRIP, y1)
