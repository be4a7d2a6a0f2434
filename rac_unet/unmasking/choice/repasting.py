"""Paste painted face crops into a photo, with the found maps or with edited ones."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from rac_unet.unmasking.choice.crop_maps import CropMap
from rac_unet.unmasking.choice.own_map import ADD, REMOVE, OwnMap
from rac_unet.unmasking.pasting import FaceMap, matched_to_photo, paste_painting


@dataclass(frozen=True)
class PaintedFace:
    """A painted face crop; it can be pasted again with any map.

    With a network of 128 pixels it takes 0.6 MB, with one of 256 pixels 2.2 MB.

    Attributes:
        crop: (S, S, 3) float32 in [0, 1], the photo.
        painted: (S, S, 3) float32 in [0, 1], the painting of the whole crop.
        map: the pixels that are replaced.
        network: the network that painted it, or both.
    """

    crop: np.ndarray
    painted: np.ndarray
    map: CropMap
    network: str


def paste_faces(
    photo: np.ndarray, faces: Iterable[PaintedFace], kept: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Paste faces into a copy of a photo, matched to its light.

    Args:
        photo: (H, W, 3) uint8 RGB.
        kept: (H, W) bool, pixels that must not change; None if there are none.
    Returns: the picture, and (H, W) bool, the pixels that may have changed.
    """
    image, occlusion = photo.copy(), np.zeros(photo.shape[:2], bool)
    for face in faces:
        paste_face_lit(image, occlusion, face.painted, face.crop, face.map.where, face.map.matrix)
    if kept is not None:
        image[kept] = photo[kept]
        occlusion &= ~kept
    return image, occlusion


def paste_face_lit(
    image: np.ndarray, region: np.ndarray, painted: np.ndarray, crop: np.ndarray, where: FaceMap, matrix: np.ndarray
) -> None:
    """Match a painting to the photo's light, sharpness and grain, and paste it, in place; see `paste_painting`.

    Args:
        image: (H, W, 3) uint8 RGB, the photo.
    """
    lit = matched_to_photo(painted, crop, where.ring)
    paste_painting(image, region, lit, crop, where, matrix)


def kept_pixels(own: OwnMap | None, before: np.ndarray | None = None) -> np.ndarray | None:
    """Return the pixels that must not change after a user's map, (H, W) bool; None if there are none.

    Args:
        before: those of the maps before.
    """
    if own is None:
        return before
    if own.mode == REMOVE:
        return own.hidden if before is None else own.hidden | before
    if own.mode == ADD and before is not None:
        return before & ~own.hidden
    return None


def unpainted_share(own: OwnMap | None, occlusion: np.ndarray) -> float | None:
    """Return the share of a user's map that was not painted, since no face crop shows it.

    Args:
        occlusion: (H, W) bool, the painted pixels.
    Returns: 0..1; None without a map, for an empty map, and for one that removes.
    """
    if own is None or own.mode == REMOVE or not (area := int(own.hidden.sum())):
        return None
    return int((own.hidden & ~occlusion).sum()) / area


def map_notes(own: OwnMap | None, occlusion: np.ndarray) -> tuple[str, ...]:
    """Return what the user should know of a map after painting."""
    if own is None:
        return ()
    share = unpainted_share(own, occlusion)
    if not share:
        return own.notes
    part = "all" if share == 1 else f"{max(0.1, 100 * share):.{0 if share >= 0.1 else 1}f} %"
    return (*own.notes, f"{part} of the map is outside the chosen faces' crops, where nothing can be painted")
