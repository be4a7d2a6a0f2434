"""What comes out of a photo: the unmasked picture and what is to be said of each face."""

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
    """What was done with one face.

    Attributes:
        box: x0, y0, x1, y1 of the face in photo pixels, as the detector found it.
        masked: whether a mask was seen on it; if not, nothing was painted.
        emotion: the emotion that was painted; None where none was asked for, or nothing painted.
        confidence: of an emotion that was read from the visible part (`auto`), 0..1; None for a chosen one.
        occlusion_area: share of the face crop that lies in the map of the mask, 0..1.
    """

    box: tuple[float, float, float, float]
    masked: bool
    emotion: str | None
    confidence: float | None
    occlusion_area: float


@dataclass(frozen=True)
class PhotoResult:
    """A photo without masks.

    Attributes:
        image: (H, W, 3) uint8 RGB; outside `occlusion` every pixel is the photo's own.
        occlusion: (H, W) bool, where something was painted: the maps of the masks, with their soft edges.
        faces: largest first.
        original: the photo as it was read, upright.
        metadata: the photo's file's own; empty for a photo that came as an array.
        rgba: (H, W, 4) uint8, the photo with its own transparency; None for an opaque one. `image` lies on white.
    """

    image: np.ndarray
    occlusion: np.ndarray
    faces: list[FaceResult]
    original: np.ndarray = field(repr=False)
    metadata: PhotoMetadata = field(default=PhotoMetadata(), repr=False)
    rgba: np.ndarray | None = field(default=None, repr=False)

    @property
    def painted(self) -> int:
        """How many faces were painted."""
        return sum(face.masked for face in self.faces)

    def save(self, path: str | os.PathLike) -> None:
        """Write `image` as .png (lossless), .jpg or .webp, with the photo's metadata and the mark that it is synthetic.

        The photo's transparency is kept in .png and .webp.
        Raises: UserError for another ending, and for a picture that the format cannot hold.
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
    """One masked face asked for each emotion; `crop` and each of `painted` are (S, S, 3) uint8 RGB."""

    crop: np.ndarray
    painted: dict[str, np.ndarray]
    result: FaceResult
