"""The result of unmasking a photo: the image and a record of each face, which can be edited and pasted again."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Sequence
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
from rac_unet.unmasking.choice.crop_maps import whole_map, with_own_map
from rac_unet.unmasking.choice.faces import ALL_FACES, parse_choice
from rac_unet.unmasking.choice.own_map import REPLACE, check_mode, make_own_map
from rac_unet.unmasking.choice.repasting import PaintedFace, kept_pixels, map_notes, paste_faces, unpainted_share
from rac_unet.unmasking.output import encode_result


@dataclass(frozen=True)
class FaceResult:
    """The result for one face.

    Attributes:
        box: x0, y0, x1, y1 of the detected face in photo pixels.
        masked: whether the network found a mask on it.
        emotion: the painted emotion; None if none was requested or nothing was painted.
        confidence: probability of an emotion read from the visible part (`auto`), 0 to 1; None for a requested emotion.
        occlusion_area: share of the face crop covered by the mask's map, 0 to 1; of a user's map where it was used.
        chosen: whether the face is among those that were chosen (`faces`, `box`).
        painted: whether it was painted: it was chosen, and it has a mask or is in a user's map.
        network: the network that painted it: lite, portrait, lite+portrait (a mix of both), or the name of a file; None
            if nothing was painted.
    """

    box: tuple[float, float, float, float]
    masked: bool
    emotion: str | None
    confidence: float | None
    occlusion_area: float
    chosen: bool = True
    painted: bool = False
    network: str | None = None


@dataclass(frozen=True)
class PhotoResult:
    """An unmasked photo.

    It keeps the painted crop of each face for `repaste`: 0.6 MB per painted face with a network of 128 pixels.

    Attributes:
        image: (H, W, 3) uint8 RGB; equal to the photo outside `occlusion`.
        occlusion: (H, W) bool, the painted pixels: the maps of the masks with their soft edges.
        faces: the faces, largest first.
        original: the photo as it was read, upright.
        metadata: metadata of the photo's file; empty for a photo given as an array.
        rgba: (H, W, 4) uint8, the photo with its transparency; None for an opaque photo. `image` is laid on white.
        paintings: for each of `faces` its painted crop; None for a face for which the network did not paint.
        kept: (H, W) bool, pixels that a user's map removed and that must not change; None if there are none.
        unpainted: share of the user's map outside the crops of the chosen faces, where nothing can be painted; None
            without a map to paint.
        notes: what the user should know of the map: it was resized, has colours, is empty, is partly out of reach.
    """

    image: np.ndarray
    occlusion: np.ndarray
    faces: list[FaceResult]
    original: np.ndarray = field(repr=False)
    metadata: PhotoMetadata = field(default=PhotoMetadata(), repr=False)
    rgba: np.ndarray | None = field(default=None, repr=False)
    paintings: Sequence[PaintedFace | None] = field(default=(), repr=False)
    kept: np.ndarray | None = field(default=None, repr=False)
    unpainted: float | None = None
    notes: tuple[str, ...] = ()

    @property
    def painted(self) -> int:
        """Number of painted faces."""
        return sum(face.painted for face in self.faces)

    @property
    def map(self) -> np.ndarray:
        """The map of the masks that were painted, (H, W) uint8: 255 is hidden, 0 is not, 128 is the edge.

        It is smaller than `occlusion`, which includes the soft edge. Edit a copy, and give it to `repaste`.
        """
        faces = zip(self.faces, self.paintings, strict=True)
        return whole_map([each.map for face, each in faces if each and face.painted], self.original.shape)

    def repaste(
        self,
        map: str | os.PathLike[str] | np.ndarray | None = None,
        map_mode: str = REPLACE,
        faces: str | int = ALL_FACES,
        box: Sequence[float] | None = None,
    ) -> PhotoResult:
        """Return the result with another map or other faces, without running the network again.

        Only faces with a painting can be pasted: those that `unmask` painted. The painting covers the whole crop, but
        where the network took a pixel for visible it is much like the photo. To inpaint another face, or a piece of a
        mask that the network did not see, call `unmask` with the map.

        Args:
            map: see `rac_unet.unmask`; None for this result's map.
            map_mode: `replace`, `add` to or `remove` from this result's map.
            faces, box: see `rac_unet.unmask`. By default all faces with a painting, also those not shown in this
                result.
        Raises: UserError for a map that does not fit the photo, and for wrong values.
        """
        mode, choice = check_mode(map_mode), parse_choice(faces, box)
        own = None if map is None else make_own_map(map, mode, self.original.shape)
        choice.check(self.original.shape)
        chosen = choice.among([face.box for face in self.faces])
        there = {number: each for number, each in enumerate(self.paintings) if each}
        maps = [each.map for each in there.values()]
        kept = kept_pixels(own, self.kept)
        if own is not None:
            maps = with_own_map(maps, own, kept)
        paintings = list(self.paintings)
        results = [
            dataclasses.replace(face, chosen=each, painted=False) for face, each in zip(self.faces, chosen, strict=True)
        ]
        for (number, painting), each in zip(there.items(), maps, strict=True):
            paintings[number] = dataclasses.replace(painting, map=each)
            results[number] = dataclasses.replace(
                results[number],
                occlusion_area=each.where.area,
                painted=chosen[number] and bool(each.hidden.any()),
            )
        shown = [painting for painting, face in zip(paintings, results, strict=True) if painting and face.painted]
        image, occlusion = paste_faces(self.original, shown, kept)
        return dataclasses.replace(
            self,
            image=image,
            occlusion=occlusion,
            faces=results,
            paintings=paintings,
            kept=kept,
            unpainted=unpainted_share(own, occlusion),
            notes=map_notes(own, occlusion),
        )

    def save(self, path: str | os.PathLike[str]) -> None:
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
