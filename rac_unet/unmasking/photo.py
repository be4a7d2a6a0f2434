"""Unmask one photo: `Unmasker.unmask` finds the faces, chooses emotions, inpaints the crops and pastes them back.

Each step is in a module of its own: `finding.py` (faces, crops, maps of the masks), `emotion_request.py`,
`networks.py` (runs the inpainting network) and `pasting.py` (light, grain and soft edge).
"""

from __future__ import annotations

import dataclasses
import functools
import os

import numpy as np

from rac_unet.core.emotions import EMOTIONS
from rac_unet.core.errors import UserError
from rac_unet.photos.reading import Photo, UnreadablePhoto, decode_photo, read_photo_bytes
from rac_unet.runtime.emotion_reader import EmotionReader, load_emotion_reader
from rac_unet.runtime.published import PUBLISHED_NETWORK
from rac_unet.unmasking.emotion_request import ALL, AUTO, NONE, check_supported, parse_request
from rac_unet.unmasking.finding import FaceFinder, FoundFace
from rac_unet.unmasking.framing import grey_outside
from rac_unet.unmasking.networks import inpaint, load_mask_aware, published_reader
from rac_unet.unmasking.pasting import matched_to_photo, paste_face
from rac_unet.unmasking.result import FaceResult, PhotoResult, SevenFaces


class Unmasker:
    """A network and a face detector, loaded once; not to be shared between threads.

    Args:
        model: a run directory or an export; by default the published network. With the published network, `auto`
            uses the published emotion reader; other networks read the emotion themselves.
        threads: see `load_runner`.
    Raises: UserError when the model is missing or damaged, or does not find masks.
    """

    def __init__(self, model: str | os.PathLike | None = None, threads: int | None = None):
        self.runner = load_mask_aware(PUBLISHED_NETWORK if model is None else model, threads)
        self.finder = FaceFinder(self.runner)
        self._reader_file = published_reader(model)
        self._threads = threads

    def check_request(self, request: str) -> str | None:
        """Return a note if the network ignores the requested emotion; raises UserError when it cannot be done."""
        return check_supported(request, self.runner)

    def unmask(self, photo: np.ndarray, emotion: str = AUTO) -> PhotoResult:
        """Inpaint every face mask in a photo.

        Args:
            photo: (H, W, 3) uint8 RGB; not changed.
            emotion: `auto` (read from the visible part of each face), `none`, or a name for all faces.
        """
        faces = self.find_faces(photo)
        masked = [face for face in faces if face.masked]
        emotions = self._choose_emotions(masked, emotion)
        painted = inpaint(self.runner, [face.crop for face in masked], [name for name, _ in emotions])
        image, occlusion = photo.copy(), np.zeros(photo.shape[:2], bool)
        for face, crop in zip(masked, painted, strict=True):
            _paste(image, occlusion, crop, face, face.matrix)
        chosen = {id(face): choice for face, choice in zip(masked, emotions, strict=True)}
        results = [_result(face, *chosen.get(id(face), (None, None))) for face in faces]
        return PhotoResult(image, occlusion, results, photo)

    def unmask_all(self, photo: np.ndarray) -> tuple[list[SevenFaces], list[FaceResult]]:
        """Inpaint each masked face of a photo with each of the seven emotions; return them, and a result per face."""
        sevens, results = [], []
        for face in self.find_faces(photo):
            results.append(_result(face, None, None))
            if not face.masked:
                continue
            painted = inpaint(self.runner, [face.crop] * len(EMOTIONS), list(EMOTIONS))
            before, pictures = np.rint(255 * face.crop).astype(np.uint8), {}
            for name, crop in zip(EMOTIONS, painted, strict=True):
                picture = before.copy()
                _paste(picture, np.zeros(picture.shape[:2], bool), crop, face, np.eye(2, 3))
                pictures[name] = grey_outside(picture, face.matrix, photo.shape)
            sevens.append(SevenFaces(grey_outside(before, face.matrix, photo.shape), pictures, results[-1]))
        return sevens, results

    def find_faces(self, photo: np.ndarray) -> list[FoundFace]:
        """Return the faces of a photo, largest first, each with its crop and the map of its mask."""
        return self.finder.find(photo)

    def _choose_emotions(self, faces: list[FoundFace], request: str) -> list[tuple[str | None, float | None]]:
        """Return the emotion of each face, and its probability if it was read from the face."""
        if request == NONE or not self.runner.conditioned:
            return [(None, None)] * len(faces)
        if request != AUTO:
            return [(request, None)] * len(faces)
        probabilities = [face.visible for face in faces]
        if faces and self._reader:
            probabilities = self._reader(np.stack([face.usual for face in faces]))
        return [(EMOTIONS[int(row.argmax())], float(row.max())) for row in probabilities]

    @functools.cached_property
    def _reader(self) -> EmotionReader | None:
        """The emotion reader, loaded on first use: only `auto` needs it."""
        return self._reader_file and load_emotion_reader(self._reader_file, self._threads)


def unmask(photo: str | os.PathLike | np.ndarray, emotion: str = AUTO, model: str | os.PathLike | None = None):
    """Inpaint every face mask in one photo; `rac_unet.unmask` calls this.

    The network stays loaded for the next call with the same model.

    Args:
        photo: a file, or (H, W, 3) uint8 RGB.
        emotion: `auto`, `none`, or the name of one of the seven.
        model: see `Unmasker`.
    Returns: PhotoResult.
    Raises: UserError when the photo, the emotion or the model cannot be used.
    """
    request = parse_request(emotion)
    if request == ALL:
        raise UserError(
            "one photo shows one emotion; for all seven call unmask once for each, or Unmasker.unmask_all", "usage"
        )
    if isinstance(photo, np.ndarray):
        if photo.dtype != np.uint8 or photo.ndim != 3 or photo.shape[2] != 3 or not photo.size:
            raise UserError(
                f"photo: expected uint8 RGB (H, W, 3), or a file. Received: {photo.dtype} {photo.shape}", "wrong_type"
            )
        read = Photo(photo)
    else:
        try:
            read = decode_photo(read_photo_bytes(photo), full_size=True)
        except UnreadablePhoto as reason:
            raise UserError(f"{os.fspath(photo)}: {reason}", "unreadable") from None
    unmasker = _unmasker(os.fspath(PUBLISHED_NETWORK if model is None else model))
    unmasker.check_request(request)
    return dataclasses.replace(unmasker.unmask(read.pixels, request), metadata=read.metadata, rgba=read.rgba)


@functools.lru_cache(maxsize=1)
def _unmasker(model: str) -> Unmasker:
    return Unmasker(model)


def _paste(image: np.ndarray, occlusion: np.ndarray, painted: np.ndarray, face: FoundFace, matrix: np.ndarray) -> None:
    """Match a painted crop to the photo's light, and paste it into `image` and `occlusion`, in place."""
    lit = matched_to_photo(painted, face.crop, face.where.ring)
    paste_face(image, occlusion, lit, face.where, matrix)


def _result(face: FoundFace, emotion: str | None, confidence: float | None) -> FaceResult:
    return FaceResult(tuple(face.face.box), face.masked, emotion, confidence, face.where.area)
