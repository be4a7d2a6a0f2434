"""Locate the face in a photo by the source's landmarks if it has them, otherwise by the detector.

The source's landmarks select the face and its place; the 468-point mesh then gives the landmarks, so that faces of
all sources are cropped and masked in the same way. Only if the mesh finds no face, 68 given landmarks are used as they
are.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from data_prep.sources.loading import Loaded
from rac_unet.faces.detect import Face, FaceDetector, central_face

# Smaller faces have too little detail for a 128-pixel crop.
MIN_FACE_PIXELS = 24


@dataclass(frozen=True)
class Located:
    """Result of `locate`.

    Attributes:
        points: (68, 2) float32 iBUG landmarks in pixels; None when no face can be used.
        reason: why no face can be used.
        note: a remark on the face that is used.
    """

    points: np.ndarray | None
    reason: str = ""
    note: str | None = None


def locate(detector: FaceDetector, loaded: Loaded, tight: bool = False) -> Located:
    """Locate the labelled face of a photo.

    Args:
        tight: whether the face fills the picture from edge to edge; if none is detected, the whole picture is used.
    """
    image, note = loaded.image, None
    height, width = image.shape[:2]
    middle = None
    if loaded.points is not None:
        eyes, mouth = _eyes_and_mouth(loaded.points)
        if _plausible(eyes, mouth, width, height):
            if face := detector.face_at(image, eyes, mouth):
                return _sized(face)
            middle = (eyes.mean(0) + mouth) / 2
        else:
            note = "the given landmarks are not on the picture; the detector was used"
    elif loaded.box is not None:
        middle = np.array([loaded.box[0] + loaded.box[2], loaded.box[1] + loaded.box[3]]) / 2
    faces = detector.detect(image)
    if middle is not None:
        near = [face for face in faces if _holds(face, middle)]
        if near:
            return _sized(min(near, key=lambda face: float(np.hypot(*(_centre(face) - middle)))))
        if loaded.points is not None and len(loaded.points) == 68:
            points = np.ascontiguousarray(loaded.points, np.float32)
            pixels = float(np.ptp(points, axis=0).max())
            return _large_enough(points, pixels, "no face was detected at the given landmarks; they were used as given")
        if loaded.box is not None and (face := detector.face_in(image, loaded.box)):
            return _sized(face)
        return Located(None, "no face at the place given by the source")
    if not faces and tight and (face := detector.face_in(image, (0.0, 0.0, width, height))):
        return _sized(face)
    if not faces:
        return Located(None, "no face found")
    if len(faces) > 1:
        note = f"{len(faces)} faces; the most central one was used"
    return _sized(central_face(faces, width, height), note)


def _eyes_and_mouth(points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return (2, 2) eye centres and (2,) mouth centre of 68 or 5 landmarks."""
    if len(points) == 68:
        return np.array([points[36:42].mean(0), points[42:48].mean(0)]), (points[48] + points[54]) / 2
    return np.asarray(points[:2], np.float64), (points[3] + points[4]) / 2


def _plausible(eyes: np.ndarray, mouth: np.ndarray, width: int, height: int) -> bool:
    """Return whether landmarks are on the picture and form a face in any rotation."""
    every = np.vstack([eyes, mouth])
    if not np.isfinite(every).all():
        return False
    margin = 0.1 * np.array([width, height])
    inside = ((every >= -margin) & (every < np.array([width, height]) + margin)).all()
    return bool(inside) and float(np.hypot(*(mouth - eyes.mean(0)))) >= 4


def _centre(face: Face) -> np.ndarray:
    x0, y0, x1, y1 = face.box
    return np.array([x0 + x1, y0 + y1]) / 2


def _holds(face: Face, point: np.ndarray) -> bool:
    x0, y0, x1, y1 = face.box
    return x0 <= point[0] <= x1 and y0 <= point[1] <= y1


def _sized(face: Face, note: str | None = None) -> Located:
    x0, y0, x1, y1 = face.box
    return _large_enough(face.points, max(x1 - x0, y1 - y0), note)


def _large_enough(points: np.ndarray, pixels: float, note: str | None) -> Located:
    if pixels < MIN_FACE_PIXELS:
        return Located(None, f"face is {pixels:.0f} pixels wide, {MIN_FACE_PIXELS} are needed")
    return Located(points, note=note)
