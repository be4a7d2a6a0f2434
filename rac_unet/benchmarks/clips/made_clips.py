"""Make clips whose truth is known: a still is moved, turned, lit and masked by known paths, with noise and compression.

The same frames exist with the mask (the source) and without it (the truth), and the place of every pixel of the still
is known in each frame.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np

from rac_unet.core.errors import UserError
from rac_unet.synthesis.masks.painting import paint_mask
from rac_unet.synthesis.toys.face import draw_face
from rac_unet.unmasking.photo import Unmasker


@dataclass(frozen=True)
class Still:
    """A face with and without a mask.

    Attributes:
        masked: (H, W, 3) uint8 RGB.
        bare: the same without the mask; None if nobody knows it.
        hidden: (H, W) bool, the pixels that the mask hides.
        face: x, y of the middle of the face, and the side of its box, in pixels.
    """

    masked: np.ndarray
    bare: np.ndarray | None
    hidden: np.ndarray
    face: tuple[float, float, float]


@dataclass(frozen=True)
class MadeFrame:
    """A frame: the source, the truth (with the same noise; None without one), and still pixel -> frame pixel (3, 3)."""

    time: float
    source: np.ndarray
    truth: np.ndarray | None
    matrix: np.ndarray


# Name of a path -> amplitudes of its motion: sway and shake (shares of the frame's height), zoom, roll and turn
# (radians), and the strength of the light's change.
PATHS = {
    "still": {"sway": 0.002, "shake": 0.0, "zoom": 0.003, "roll": 0.004, "turn": 0.0, "light": 0.02},
    "talking": {"sway": 0.03, "shake": 0.0, "zoom": 0.03, "roll": 0.06, "turn": 0.10, "light": 0.05},
    "hand-held": {"sway": 0.04, "shake": 0.006, "zoom": 0.05, "roll": 0.04, "turn": 0.05, "light": 0.08},
    "fast": {"sway": 0.15, "shake": 0.0, "zoom": 0.15, "roll": 0.25, "turn": 0.25, "light": 0.15},
}


def drawn_still(identity: int = 12, style: str = "surgical", side: int = 480) -> Still:
    """Return a drawn person; number 12 with a surgical mask is the page's portrait."""
    face = draw_face(identity, "neutral", identity, side)
    return masked_still(face.image, face.points, style, identity)


def masked_still(bare: np.ndarray, points: np.ndarray, style: str, seed: int) -> Still:
    """Return a photo (H, W, 3) of a bare face with a drawn mask; `points` are its landmarks (68, 2)."""
    drawn = paint_mask(bare, points, style, seed)
    low, high = points.min(0), points.max(0)
    return Still(drawn.image, bare, drawn.occlusion > 0.5, (*((low + high) / 2).tolist(), float((high - low).max())))


def photographed_still(photo: np.ndarray, unmasker: Unmasker, style: str | None, seed: int = 0) -> Still:
    """Return a photo (H, W, 3) of one face, with a drawn mask, or with the real one that it has (`style` None).

    Raises: UserError when the photo shows no face, or no mask is found where there should be one.
    """
    if style is not None:
        faces = unmasker.finder.detector.detect_all(photo)
        if not faces:
            raise UserError("the photo shows no face", "empty")
        return masked_still(photo, faces[0].points, style, seed)
    found = next((face for face in unmasker.find_faces(photo) if face.masked), None)
    if found is None:
        raise UserError("the photo shows no face with a mask", "empty")
    size = photo.shape[1::-1]
    hidden = cv2.warpAffine(found.occlusion, found.matrix, size, flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP) > 0.5
    low, high = found.face.points.min(0), found.face.points.max(0)
    return Still(photo, None, hidden, (*((low + high) / 2).tolist(), float((high - low).max())))


def make_clip(
    still: Still,
    path: str = "talking",
    size: tuple[int, int] = (640, 480),
    count: int = 60,
    rate: float = 30.0,
    face_share: float = 0.45,
    noise: float = 2.5,
    quality: int = 85,
    seed: int = 0,
) -> Iterator[MadeFrame]:
    """Yield the frames of a clip.

    Args:
        still: the face.
        path: a name of `PATHS`.
        size: width and height of the frames.
        count, rate: number of frames, and frames per second.
        face_share: side of the face in shares of the frame's height.
        noise: standard deviation of the camera's noise in grey levels.
        quality: of the JPEG compression of each frame; 0 for none.
        seed: of phases and noise.
    """
    rng = np.random.default_rng(seed)
    phases = rng.uniform(0, 2 * np.pi, 8)
    for number in range(count):
        time = number / rate
        matrix, light = _pose(still, PATHS[path], size, face_share, time, phases)
        grain = rng.normal(0, noise, (size[1], size[0], 3)).astype(np.float32)
        images = [still.masked] if still.bare is None else [still.masked, still.bare]
        frames = [_shot(image, matrix, light, size, grain, quality) for image in images]
        yield MadeFrame(time, frames[0], frames[1] if len(frames) > 1 else None, matrix)


def _pose(still, path, size, face_share, time, phases) -> tuple[np.ndarray, np.ndarray]:
    """Return the homography still -> frame at a time, and the gain of the three channels."""

    def wave(which: int, hertz: float) -> float:
        return float(np.sin(2 * np.pi * hertz * time + phases[which]))

    width, height = size
    x, y, side = still.face
    zoom = face_share * height / side * (1 + path["zoom"] * wave(0, 0.4))
    roll, turn = path["roll"] * wave(1, 0.5), path["turn"] * wave(2, 0.6)
    sway = path["sway"] * height * np.array([wave(3, 0.7), 0.6 * wave(4, 0.9)])
    shake = path["shake"] * height * np.array([wave(5, 5.3) + 0.5 * wave(6, 9.1), wave(6, 6.7) + 0.5 * wave(7, 8.3)])
    cos, sin = np.cos(roll), np.sin(roll)
    centred = np.array([[1, 0, -x], [0, 1, -y], [0, 0, 1]])
    # Turned about the vertical axis through the face, seen from a distance of three faces.
    yaw = np.array([[np.cos(turn), 0, 0], [0, 1, 0], [np.sin(turn) / (3 * side), 0, 1]])
    rolled = np.array([[zoom * cos, -zoom * sin, 0], [zoom * sin, zoom * cos, 0], [0, 0, 1]])
    placed = np.array([[1, 0, width / 2 + (sway + shake)[0]], [0, 1, height / 2 + (sway + shake)[1]], [0, 0, 1]])
    gain = 1 + path["light"] * np.array([wave(1, 0.35), wave(1, 0.35), 0.7 * wave(2, 0.35)])
    return placed @ rolled @ yaw @ centred, gain.astype(np.float32)


def _shot(image, matrix, light, size, grain, quality) -> np.ndarray:
    frame = cv2.warpPerspective(image, matrix, size, flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    frame = np.clip(np.rint(frame * light + grain), 0, 255).astype(np.uint8)
    if not quality:
        return frame
    content = cv2.imencode(".jpg", frame, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
    return cv2.imdecode(content, cv2.IMREAD_COLOR)
