"""Metrics on photos of real masks, which have no ground truth, and a sheet of the results.

They count faces and masks found, the share of the mask that is left, and pixels changed outside the map. *Left* is the
map found on the result over the map found on the photo, both by the same network in the same crop. A network that does
not detect what it leaves is overrated by it, so look at the sheet, too.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from rac_unet.core.errors import UserError
from rac_unet.faces.align import align_face
from rac_unet.photos.reading import UnreadablePhoto, read_photo
from rac_unet.runtime.interface import OCCLUSION
from rac_unet.scoring.statistics import summarise
from rac_unet.unmasking.emotion_request import AUTO
from rac_unet.unmasking.framing import grey_outside
from rac_unet.unmasking.inputs import PhotoFile
from rac_unet.unmasking.photo import Unmasker

# Side of a face on the sheet in pixels, and faces in a row, each before and after.
TILE, IN_A_ROW = 160, 6


@dataclass(frozen=True)
class JudgedFace:
    """Scores of a face in a photo.

    Attributes:
        photo: name of the photo.
        masked: whether a mask was found.
        emotion, confidence: as in `FaceResult`.
        map: share of the crop that the network marks as masked in the photo, 0..1.
        left: the same share in the result, over `map`; NaN if no mask was found.
        before, after: (TILE, TILE, 3) uint8 RGB.
    """

    photo: str
    masked: bool
    emotion: str | None
    confidence: float | None
    map: float
    left: float
    before: np.ndarray
    after: np.ndarray


@dataclass(frozen=True)
class JudgedPhoto:
    """Scores of a photo.

    Attributes:
        photo: its name.
        faces: number of faces found.
        changed_outside: number of pixels changed outside the maps.
        skipped: why it could not be read; empty if it was.
    """

    photo: str
    faces: int
    changed_outside: int
    skipped: str = ""


def judge_photo(unmasker: Unmasker, file: PhotoFile, emotion: str = AUTO) -> tuple[JudgedPhoto, list[JudgedFace]]:
    """Unmask one photo, and search the result for remaining masks."""
    name = str(file.place)
    try:
        photo = read_photo(file.path)
    except UnreadablePhoto as reason:
        return JudgedPhoto(name, 0, 0, str(reason)), []
    result = unmasker.unmask(photo, emotion)
    changed = int((result.image != photo).any(-1)[~result.occlusion].sum())
    faces = []
    for face, cut in zip(result.faces, unmasker.find_faces(photo), strict=True):
        crop = align_face(result.image, cut.points, unmasker.runner.image_size).image
        maps = [_masked_share(unmasker, each) for each in (np.rint(cut.crop * 255).astype(np.uint8), crop)]
        left = maps[1] / maps[0] if face.masked and maps[0] else np.nan
        tiles = [align_face(image, cut.points, TILE) for image in (photo, result.image)]
        sides = [grey_outside(tile.image, tile.matrix, photo.shape) for tile in tiles]
        faces.append(JudgedFace(name, face.masked, face.emotion, face.confidence, maps[0], left, *sides))
    return JudgedPhoto(name, len(faces), changed), faces


def summarise_real_masks(photos: list[JudgedPhoto], faces: list[JudgedFace]) -> dict[str, Any]:
    """Summarise scores of photos and faces, with 95 % intervals over photos; the content of metrics.json.

    Raises: UserError when no photo could be read.
    """
    readable = [photo for photo in photos if not photo.skipped]
    if not readable:
        raise UserError(
            f"none of {len(photos)} photos could be read; first: {photos[0].photo}: {photos[0].skipped}", "unreadable"
        )
    names = np.array([photo.photo for photo in readable])
    masked = [face for face in faces if face.masked]
    with_mask = {face.photo for face in masked}
    found = summarise(np.array([photo.faces > 0 for photo in readable], float), names)
    mask_found = summarise(np.array([photo.photo in with_mask for photo in readable], float), names)
    left = summarise(np.array([face.left for face in masked]), np.array([face.photo for face in masked]))
    return {
        "photos": len(readable),
        "skipped": len(photos) - len(readable),
        "faces": len(faces),
        "masked_faces": len(masked),
        "photos_with_a_face": found and found.as_dict(),
        "photos_with_a_mask_seen": mask_found and mask_found.as_dict(),
        "mask_left": left and left.as_dict(),
        "faces_with_over_a_tenth_left": float(np.mean([face.left > 0.1 for face in masked])) if masked else None,
        "pixels_changed_outside_the_map": sum(photo.changed_outside for photo in readable),
        "interval": "95 %, percentile bootstrap over photos",
    }


def face_table(faces: list[JudgedFace]) -> pd.DataFrame:
    """Return a row for each face with all attributes except images; without faces an empty table with these columns."""
    columns = [field.name for field in dataclasses.fields(JudgedFace) if field.name not in ("before", "after")]
    return pd.DataFrame([[getattr(face, name) for name in columns] for face in faces], columns=columns)


def write_real_mask_sheet(path: Path, faces: list[JudgedFace]) -> None:
    """Write a JPEG of faces, before and after side by side, in the given order."""
    import cv2

    from rac_unet.core.files.whole import replace_file
    from rac_unet.photos.metadata import PhotoMetadata
    from rac_unet.unmasking.output import encode_result

    pairs = [np.concatenate([face.before, face.after], axis=1) for face in faces]
    blank = np.full_like(pairs[0], 255)
    pairs += [blank] * (-len(pairs) % IN_A_ROW)
    framed = [cv2.copyMakeBorder(pair, 2, 2, 3, 3, cv2.BORDER_CONSTANT, value=(255, 255, 255)) for pair in pairs]
    rows = [np.concatenate(framed[i : i + IN_A_ROW], axis=1) for i in range(0, len(framed), IN_A_ROW)]
    # The sheet is marked as synthetic, so that it is not read as a photo when the folder is scored again.
    content = encode_result(np.concatenate(rows), "jpeg", PhotoMetadata(), synthetic=True, quality=85)
    replace_file(path, lambda temporary: temporary.write_bytes(content))


def choose_faces(faces: list[JudgedFace], count: int) -> list[JudgedFace]:
    """Return up to `count` masked faces, evenly spaced in the order of the photos' names, whatever their scores."""
    masked = sorted((face for face in faces if face.masked), key=lambda face: face.photo)
    places = np.unique(np.linspace(0, len(masked) - 1, min(count, len(masked))).round().astype(int)) if masked else []
    return [masked[i] for i in places]


def _masked_share(unmasker: Unmasker, crop: np.ndarray) -> float:
    """Return the share of a crop, (S, S, 3) uint8, that the network marks as masked."""
    given = crop[None].astype(np.float32) / 255
    return float((unmasker.runner(given, np.zeros((1, 7), np.float32))[OCCLUSION] >= 0.5).mean())
