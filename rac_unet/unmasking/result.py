"""The result of unmasking a photo: the image and a record of each face."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from rac_unet.core.errors import UserError
from rac_unet.core.files.whole import write_file
from rac_unet.core.registry import check_name
from rac_unet.photos.metadata import PhotoMetadata
from rac_unet.photos.pixels import with_transparency
from rac_unet.photos.reading import UnreadablePhoto
from rac_unet.photos.writing import ENDINGS, TRANSPARENT
from rac_unet.unmasking.output import encode_result


@dataclass(frozen=True)
class FaceResult:
    """The result for one face.

    Attributes:
        box: x0, y0, x1, y1 of the detected face in photo pixels.
        masked: whether it has a mask; if not, nothing was painted.
        emotion: the painted emotion; None if none was requested or nothing was painted.
        confidence: probability of an emotion read from the visible part (`auto`), 0 to 1; None for a requested emotion.
        occlusion_area: share of the face crop covered by the mask's map, 0 to 1.
    """

    box: tuple[float, float, float, float]
    masked: bool
    emotion: str | None
    confidence: float | None
    occlusion_area: float


@dataclass(frozen=True)
class PhotoResult:
    """An unmasked photo.

    Attributes:
        image: (H, W, 3) uint8 RGB; equal to the photo outside `occlusion`.
        occlusion: (H, W) bool, the painted pixels: the maps of the masks with their soft edges.
        faces: the faces, largest first.
        original: the photo as it was read, upright.
        metadata: metadata of the photo's file; empty for a photo given as an array.
        rgba: (H, W, 4) uint8, the photo with its transparency; None for an opaque photo. `image` is laid on white.
    """

    image: np.ndarray
    occlusion: np.ndarray
    faces: list[FaceResult]
    original: np.ndarray = field(repr=False)
    metadata: PhotoMetadata = field(default=PhotoMetadata(), repr=False)
    rgba: np.ndarray | None = field(default=None, repr=False)

    @property
    def painted(self) -> int:
        """Number of painted faces."""
        return sum(face.masked for face in self.faces)

    def save(self, path: str | os.PathLike) -> None:
        """Write `image` as .png (lossless), .jpg or .webp, with the photo's metadata and the synthetic mark.

        .png and .webp keep the photo's transparency.
        Raises: UserError for another suffix, and for an image that the format cannot store.
        """
        kinds = {".jpeg": "jpeg", **{ending: kind for kind, ending in ENDINGS.items()}}
        ending = Path(path).suffix.lower()
        check_name("ending of the file", ending, tuple(kinds))
        kind, image = kinds[ending], self.image
        if self.rgba is not None and kind in TRANSPARENT:
            image = with_transparency(image, self.occlusion, self.rgba)
        try:
            content = encode_result(image, kind, self.metadata, self.painted > 0)
        except UnreadablePhoto as reason:
            raise UserError(f"{os.fspath(path)}: {reason}", "bad_value") from None
        write_file(path, content)


@dataclass(frozen=True)
class SevenFaces:
    """One masked face painted with each emotion; `crop` and each of `painted` are (S, S, 3) uint8 RGB."""

    crop: np.ndarray
    painted: dict[str, np.ndarray]
    result: FaceResult
