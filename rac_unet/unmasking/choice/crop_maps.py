"""The map of the mask in each face crop, as the network found it or as the user wants it, and in the whole photo."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np

from rac_unet.faces.align import transform_points
from rac_unet.unmasking.choice.own_map import ADD, REMOVE, REPLACE, OwnMap
from rac_unet.unmasking.finding import FoundFace
from rac_unet.unmasking.pasting import MAYBE_HIDDEN, FaceMap, grown_map, hidden_region

# A crop's pixel is in a user's map if this share of it is: lines of half a pixel should not get lost.
_COVERED = 0.4
# A pixel of a user's map belongs to the face to whose middle it is nearest, in shares of the crop's side.
_MIDDLE = (0.5, 0.58)
# Pixels this near to a visible mask, in shares of the crop's side, may show its shadow.
_SHADOW = 0.035
# Soft edge towards pixels that must not change, in shares of the crop's side.
_EDGE = 0.02
# Blur of a crop's map before it is enlarged to the photo's pixels, in pixels of the crop: without it, edges have steps.
_BLUR = 0.7


@dataclass(frozen=True)
class CropMap:
    """The pixels of a face crop that are replaced.

    Attributes:
        matrix: (2, 3), photo pixel (x, y, 1) -> crop pixel.
        eyes: (2, 6, 2) outlines of both eyes, x, y in crop pixels.
        seen: (S, S) bool, pixels in which the network may see a mask.
        hidden: (S, S) bool, pixels to replace; none where nothing is painted.
        where: `hidden`, grown and with its soft edge.
    """

    matrix: np.ndarray
    eyes: np.ndarray
    seen: np.ndarray
    hidden: np.ndarray
    where: FaceMap


def found_map(face: FoundFace) -> CropMap:
    """Return the map that the network found; empty for a face without a mask."""
    eyes = transform_points(face.matrix, face.face.points[36:48]).reshape(2, 6, 2)
    mask = hidden_region(face.occlusion)
    seen = mask | (face.occlusion > MAYBE_HIDDEN)
    return CropMap(face.matrix, eyes, seen, mask & face.masked, face.where)


def with_own_map(maps: Sequence[CropMap], own: OwnMap, kept: np.ndarray | None = None) -> list[CropMap]:
    """Return the maps of all faces of a photo after a user's map has replaced or changed them.

    Where crops overlap, each pixel of the user's map belongs to one face.

    Args:
        kept: (H, W) bool, pixels of the photo that must not change; None if there are none.
    """
    changed = []
    for number, each in enumerate(maps):
        size = len(each.hidden)
        part = _in_crop(own.hidden, each.matrix, size)
        if own.mode != REMOVE and part.any():
            part &= _belongs(maps, number)
        if own.mode != REPLACE and not part.any():
            changed.append(each)
            continue
        hidden = {REPLACE: part, ADD: each.hidden | part, REMOVE: _without(each.hidden, part)}[own.mode]
        where = _where(each, hidden, None if kept is None else _in_crop(kept, each.matrix, size))
        changed.append(replace(each, hidden=hidden, where=where))
    return changed


def whole_map(maps: Sequence[CropMap], shape: tuple[int, ...]) -> np.ndarray:
    """Return the maps of a photo's faces in its own pixels.

    Args:
        shape: shape of the photo, height first.
    Returns: (H, W) uint8: 255 is hidden, 0 is not, 128 is the edge; without the soft edge of the painting.
    """
    whole = np.zeros(shape[:2], np.uint8)
    for each in maps:
        if not each.hidden.any():
            continue
        x0, y0, x1, y1 = _bounds(each.matrix, len(each.hidden), shape)
        if x0 >= x1 or y0 >= y1:
            continue
        soft = cv2.GaussianBlur(each.hidden.astype(np.uint8) * 255, (0, 0), _BLUR, borderType=cv2.BORDER_REPLICATE)
        there = np.c_[each.matrix[:, :2], each.matrix[:, 2] + each.matrix[:, :2] @ [x0, y0]]
        part = cv2.warpAffine(soft, there, (x1 - x0, y1 - y0), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP)
        np.maximum(whole[y0:y1, x0:x1], part, out=whole[y0:y1, x0:x1])
    return whole


def _in_crop(hidden: np.ndarray, matrix: np.ndarray, size: int) -> np.ndarray:
    """Return the pixels of a crop that are in a map of the photo, (S, S) bool."""
    x0, y0, x1, y1 = _bounds(matrix, size, hidden.shape)
    if x0 >= x1 or y0 >= y1:
        return np.zeros((size, size), bool)
    values = hidden[y0:y1, x0:x1].astype(np.float32)
    matrix = np.c_[matrix[:, :2], matrix[:, 2] + matrix[:, :2] @ [x0, y0]]
    zoom = np.hypot(matrix[0, 0], matrix[0, 1])
    if zoom < 1:
        # warpAffine takes single pixels; each crop pixel must be a mean of those that it covers.
        values = cv2.blur(values, [round(1 / zoom)] * 2, borderType=cv2.BORDER_REPLICATE)
    # Beyond the photo's border its edge pixels are repeated, as in the crop.
    crop = cv2.warpAffine(values, matrix, (size, size), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return crop >= _COVERED


def _without(hidden: np.ndarray, part: np.ndarray) -> np.ndarray:
    """Return the hidden pixels that are not removed, without the slivers that are left where two borders differ."""
    left = hidden & ~part
    _, labels = cv2.connectedComponents(left.astype(np.uint8))
    broad = np.unique(labels[cv2.erode(left.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0])
    return left & np.isin(labels, broad)


def _bounds(matrix: np.ndarray, size: int, shape: tuple[int, ...]) -> tuple[int, int, int, int]:
    """Return x0, y0, x1, y1 of the photo's pixels around a crop, with a margin; empty if the crop is outside."""
    back = cv2.invertAffineTransform(matrix)
    corners = np.array([(-1, -1), (size, -1), (size, size), (-1, size)]) @ back[:, :2].T + back[:, 2]
    low = np.clip(np.floor(corners.min(0)).astype(int) - 1, 0, None)
    high = np.minimum(np.ceil(corners.max(0)).astype(int) + 2, (shape[1], shape[0]))
    return (*low.tolist(), *high.tolist())


def _belongs(maps: Sequence[CropMap], number: int) -> np.ndarray:
    """Return the pixels of a crop that are nearer to its own face than to any other whose crop shows them."""
    own = maps[number]
    size = len(own.hidden)
    y, x = np.mgrid[:size, :size]
    pixels = np.stack([x.ravel(), y.ravel(), np.ones(size * size)])
    back = cv2.invertAffineTransform(own.matrix)
    in_photo = np.vstack([back @ pixels, np.ones(size * size)])
    distance = _from_middle(pixels[:2], size)
    mine = np.ones(size * size, bool)
    for other, each in enumerate(maps):
        side = len(each.hidden)
        if other == number or not _overlap(own.matrix @ _corners(each.matrix, side), size):
            continue
        there = each.matrix @ in_photo
        inside = ((there > -0.5) & (there < side - 0.5)).all(0)
        theirs = _from_middle(there, side)
        mine &= ~(inside & ((theirs < distance) | ((theirs == distance) & (other < number))))
    return mine.reshape(size, size)


def _corners(matrix: np.ndarray, size: int) -> np.ndarray:
    """Return (3, 4), the corners of a crop in the photo, x, y, 1."""
    corners = np.array([(0, 0, 1), (size, 0, 1), (size, size, 1), (0, size, 1)], float).T
    return np.vstack([cv2.invertAffineTransform(matrix) @ corners, np.ones(4)])


def _overlap(corners: np.ndarray, size: int) -> bool:
    """Return whether the rectangle around these corners (2, 4) is partly in a crop."""
    return bool((corners.max(1) >= 0).all() and (corners.min(1) <= size).all())


def _from_middle(places: np.ndarray, size: int) -> np.ndarray:
    x, y = (places + 0.5) / size - np.reshape(_MIDDLE, (2, 1))
    return np.hypot(x, y)


def _where(crop: CropMap, hidden: np.ndarray, kept: np.ndarray | None) -> FaceMap:
    """Return the region to replace for a user's map."""
    grown = grown_map(hidden, crop.eyes)
    size, weight = len(hidden), grown.weight
    # Light and colour are matched to known pixels; a mask that stays visible is none of them.
    shadow = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, [2 * round(_SHADOW * size) + 1] * 2)
    known = cv2.dilate(crop.seen.astype(np.uint8), shadow) == 0
    if kept is not None:
        away = cv2.distanceTransform((~kept).astype(np.uint8), cv2.DIST_L2, 5)
        soft = np.clip(away / max(1.5, _EDGE * size), 0, 1)
        weight = weight * (soft * soft * (3 - 2 * soft)).astype(np.float32)
    return FaceMap(weight, grown.ring * known)
