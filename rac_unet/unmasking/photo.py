"""Unmask one photo: `Unmasker.unmask` finds the faces, chooses emotions, inpaints the crops and pastes them back.

Each step is in a module of its own: `finding.py` (faces, crops, maps of the masks), `choice/` (which faces, and a
user's map), `emotion_request.py`, `painting/painter.py` (runs the inpainting networks) and `pasting.py` (light, texture
and soft edge).
"""

from __future__ import annotations

import dataclasses
import functools
import os
from collections.abc import Sequence

import numpy as np

from rac_unet.core.emotions import EMOTIONS
from rac_unet.core.errors import UserError
from rac_unet.photos.reading import Photo, UnreadablePhoto, decode_photo, read_photo_bytes
from rac_unet.runtime.emotion_reader import EmotionReader, load_emotion_reader
from rac_unet.unmasking.choice.crop_maps import CropMap, found_map, with_own_map
from rac_unet.unmasking.choice.faces import ALL_FACES, parse_choice
from rac_unet.unmasking.choice.hiding import crops_to_paint
from rac_unet.unmasking.choice.own_map import OwnMap, make_own_map
from rac_unet.unmasking.choice.repasting import (
    PaintedFace,
    kept_pixels,
    map_notes,
    paste_face_lit,
    paste_faces,
    unpainted_share,
)
from rac_unet.unmasking.emotion_request import ALL, AUTO, NONE, check_supported, parse_request
from rac_unet.unmasking.finding import FaceFinder, FoundFace
from rac_unet.unmasking.framing import grey_outside, runs_out
from rac_unet.unmasking.networks import AUTO_MODEL, NetworkFiles, load_mask_aware, network_files, published_reader
from rac_unet.unmasking.painting.painter import FacePainter
from rac_unet.unmasking.result import FaceResult, PhotoResult, SevenFaces


class Unmasker:
    """The networks and a face detector, loaded once; not to be shared between threads.

    Args:
        model: `auto` (default: the published networks, chosen by the size of each face), `lite` or `portrait` (one of
            them), a run directory or an export, or `NetworkFiles`. With the published networks, the emotion `auto` is
            read by the published emotion reader; other networks read the emotion themselves.
        threads: see `load_runner`.
    Raises: UserError when the model is missing or damaged, or does not find masks.
    """

    def __init__(self, model: str | os.PathLike[str] | NetworkFiles | None = None, threads: int | None = None):
        files = network_files(model)
        self.runner = load_mask_aware(files.finder, threads)
        self.finder = FaceFinder(self.runner)
        self.painter = FacePainter(files, self.runner, threads)
        self._reader_file = published_reader(model)
        self._threads = threads

    def check_request(self, request: str) -> str | None:
        """Return a note if the network ignores the requested emotion; raises UserError when it cannot be done."""
        return check_supported(request, self.runner)

    def unmask(
        self,
        photo: np.ndarray,
        emotion: str = AUTO,
        *,
        map: str | os.PathLike[str] | np.ndarray | OwnMap | None = None,
        map_mode: str | None = None,
        faces: str | int = ALL_FACES,
        box: str | Sequence[float] | None = None,
    ) -> PhotoResult:
        """Inpaint every face mask in a photo, or only chosen faces, or what a map says.

        Args:
            photo: (H, W, 3) uint8 RGB; not changed.
            emotion: `auto` (read from the visible part of each face), `none`, or a name for all faces.
            map: the pixels to inpaint, a file or an array (see `make_own_map`): inside the face crops they are painted
                whether or not the network finds a mask there. None for the maps that the network finds.
            map_mode: `replace` (default), `add` or `remove`: what `map` does to the maps that the network finds.
            faces: `all`, `largest`, or how many of the largest faces, with or without masks.
            box: x0, y0, x1, y1 in photo pixels, for the faces at this place only; None for the whole photo.
        Raises: UserError when the map does not fit the photo, the box is outside it, or a value is wrong.
        """
        if map is None and map_mode is not None:
            raise UserError(f"map_mode {map_mode!r} is of no use without a map; give one with map=", "usage")
        choice = parse_choice(faces, box)
        choice.check(photo.shape)
        own = map if map is None or isinstance(map, OwnMap) else make_own_map(map, map_mode, photo.shape)
        kept = kept_pixels(own)
        found, maps = self._with_maps(photo, self.find_faces(photo), own, kept)
        chosen = choice.among([face.face.box for face in found])
        todo = [number for number, each in enumerate(maps) if chosen[number] and each.hidden.any()]
        masked = [found[number] for number in todo]
        emotions = self._choose_emotions(masked, emotion)
        hidden = None if own is None else crops_to_paint(self.runner, masked, [maps[number] for number in todo])
        done = self.painter.paint(photo, masked, [name for name, _ in emotions], hidden)
        # A face painted by the network for large ones has a larger crop and map.
        larger = {number: each.face for number, each in zip(todo, done, strict=True) if each.face is not found[number]}
        if larger and own is not None:
            maps = with_own_map([found_map(larger.get(number, face)) for number, face in enumerate(found)], own, kept)
        else:
            maps = [found_map(larger[number]) if number in larger else each for number, each in enumerate(maps)]
        paintings: list[PaintedFace | None] = [None] * len(found)
        for number, painting in zip(todo, done, strict=True):
            paintings[number] = PaintedFace(painting.face.crop, painting.painted, maps[number], painting.network)
        image, occlusion = paste_faces(photo, filter(None, paintings), kept)
        named = dict(zip(todo, emotions, strict=True))
        results = [
            _result(face, *named.get(number, (None, None)), chosen[number], paintings[number])
            for number, face in enumerate(found)
        ]
        share, notes = unpainted_share(own, occlusion), map_notes(own, occlusion)
        return PhotoResult(
            image, occlusion, results, photo, paintings=paintings, kept=kept, unpainted=share, notes=notes
        )

    def unmask_all(
        self, photo: np.ndarray, *, faces: str | int = ALL_FACES, box: str | Sequence[float] | None = None
    ) -> tuple[list[SevenFaces], list[FaceResult]]:
        """Inpaint each masked face of a photo with each of the seven emotions; return them, and a result per face.

        Args:
            faces, box: see `unmask`.
        """
        choice, sevens, results = parse_choice(faces, box), [], []
        choice.check(photo.shape)
        found = self.find_faces(photo)
        chosen = choice.among([face.face.box for face in found])
        for face, each in zip(found, chosen, strict=True):
            results.append(dataclasses.replace(_result(face, None, None, each), painted=face.masked and each))
            if not results[-1].painted:
                continue
            paintings = self.painter.paint(photo, [face] * len(EMOTIONS), list(EMOTIONS))
            # For a large face, the crop of the network for large faces.
            crop, matrix = paintings[0].face.crop, paintings[0].face.matrix
            before, pictures = np.rint(255 * crop).astype(np.uint8), {}
            for name, painting in zip(EMOTIONS, paintings, strict=True):
                picture = before.copy()
                region, where = np.zeros(picture.shape[:2], bool), painting.face.where
                paste_face_lit(picture, region, painting.painted, crop, where, np.eye(2, 3))
                pictures[name] = grey_outside(picture, matrix, photo.shape)
            results[-1] = dataclasses.replace(results[-1], network=paintings[0].network)
            sevens.append(SevenFaces(grey_outside(before, matrix, photo.shape), pictures, results[-1]))
        return sevens, results

    def find_faces(self, photo: np.ndarray) -> list[FoundFace]:
        """Return the faces of a photo, largest first, each with its crop and the map of its mask."""
        return self.finder.find(photo)

    def _with_maps(
        self, photo: np.ndarray, found: list[FoundFace], own: OwnMap | None, kept: np.ndarray | None
    ) -> tuple[list[FoundFace], list[CropMap]]:
        """Return the faces, in wider crops where a user's map needs them, and the pixels to replace in each."""
        maps = [found_map(face) for face in found]
        if own is None:
            return found, maps
        maps = with_own_map(maps, own, kept)
        wider = [
            self.finder.widened(photo, face) if runs_out(each.where, each.matrix, photo.shape) else face
            for face, each in zip(found, maps, strict=True)
        ]
        return wider, with_own_map([found_map(face) for face in wider], own, kept)

    def read_emotions(self, faces: list[FoundFace]) -> np.ndarray:
        """Return (N, 7) float32, the probabilities of the emotions, read from the visible part of each face."""
        if not faces:
            return np.zeros((0, len(EMOTIONS)), np.float32)
        if self._reader:
            return self._reader(np.stack([face.usual for face in faces]))
        return np.stack([face.visible for face in faces])

    def _choose_emotions(self, faces: list[FoundFace], request: str) -> list[tuple[str | None, float | None]]:
        """Return the emotion of each face, and its probability if it was read from the face."""
        if request == NONE or not self.runner.conditioned:
            return [(None, None)] * len(faces)
        if request != AUTO:
            return [(request, None)] * len(faces)
        return [(EMOTIONS[int(row.argmax())], float(row.max())) for row in self.read_emotions(faces)]

    @functools.cached_property
    def _reader(self) -> EmotionReader | None:
        """The emotion reader, loaded on first use: only `auto` needs it."""
        return load_emotion_reader(self._reader_file, self._threads) if self._reader_file else None


def unmask(
    photo: str | os.PathLike[str] | np.ndarray,
    emotion: str = AUTO,
    model: str | os.PathLike[str] | None = None,
    *,
    map: str | os.PathLike[str] | np.ndarray | None = None,
    map_mode: str | None = None,
    faces: str | int = ALL_FACES,
    box: str | Sequence[float] | None = None,
) -> PhotoResult:
    """Inpaint every face mask in one photo; `rac_unet.unmask` calls this.

    The network stays loaded for the next call with the same model.

    Args:
        photo: a file, or (H, W, 3) uint8 RGB.
        emotion: `auto`, `none`, or the name of one of the seven.
        model: see `Unmasker`.
        map, map_mode, faces, box: see `Unmasker.unmask`.
    Raises: UserError when the photo or an argument cannot be used.
    """
    request = parse_request(emotion)
    parse_choice(faces, box)
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
            read = decode_photo(read_photo_bytes(os.fspath(photo)), full_size=True)
        except UnreadablePhoto as reason:
            raise UserError(f"{os.fspath(photo)}: {reason}", "unreadable") from None
    unmasker = _unmasker(os.fspath(AUTO_MODEL if model is None else model))
    unmasker.check_request(request)
    result = unmasker.unmask(read.pixels, request, map=map, map_mode=map_mode, faces=faces, box=box)
    return dataclasses.replace(result, metadata=read.metadata, rgba=read.rgba)


@functools.lru_cache(maxsize=1)
def _unmasker(model: str) -> Unmasker:
    return Unmasker(model)


def _result(
    face: FoundFace, emotion: str | None, confidence: float | None, chosen: bool, painted: PaintedFace | None = None
) -> FaceResult:
    area = painted.map.where.area if painted else face.where.area
    network = painted.network if painted else None
    return FaceResult(face.face.box, face.masked, emotion, confidence, area, chosen, painted is not None, network)
