"""Three ways to unmask a clip: frame by frame, with landmarks filtered as they come, and in two passes."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from rac_unet.core.emotions import EMOTIONS, emotion_id
from rac_unet.faces.align import transform_points
from rac_unet.runtime.interface import OCCLUSION, PAINTED
from rac_unet.unmasking.clips.decisions import Track
from rac_unet.unmasking.clips.frame import Frame
from rac_unet.unmasking.clips.painting import ClipPainter
from rac_unet.unmasking.clips.tracking import find_tracks
from rac_unet.unmasking.finding import aligned_crop
from rac_unet.unmasking.pasting import face_map, matched_to_photo, paste_face
from rac_unet.unmasking.photo import Unmasker

# The one-euro filter (Casiez et al. 2012) with the settings of MediaPipe's face mesh: least cutoff and cutoff of the
# speed in hertz, and growth of the cutoff per face height and second.
_LEAST_CUTOFF, _SPEED_CUTOFF, _GROWTH = 0.05, 1.0, 80.0


@dataclass(frozen=True)
class Result:
    """An unmasked clip.

    Attributes:
        frames: (H, W, 3) uint8 RGB each.
        emotions: what was painted on the largest face of each frame; None for nothing.
        seconds: for all frames.
    """

    frames: list[np.ndarray]
    emotions: list[str | None]
    seconds: float

    @property
    def emotion_changes(self) -> int:
        """How often the emotion changed from a frame to the next."""
        return sum(a != b for a, b in zip(self.emotions, self.emotions[1:], strict=False))


def frame_by_frame(frames: list[Frame], unmasker: Unmasker) -> tuple[list[np.ndarray], list[str | None]]:
    """Unmask each frame as a photo."""
    results = [unmasker.unmask(frame.pixels) for frame in frames]
    return [each.image for each in results], [
        next((f.emotion for f in each.faces if f.masked), None) for each in results
    ]


def one_euro(frames: list[Frame], unmasker: Unmasker) -> tuple[list[np.ndarray], list[str | None]]:
    """Follow the faces, filter their landmarks by what came before, and paint each frame by itself."""
    decisions = find_tracks(frames, unmasker)
    painted = [frame.pixels.copy() for frame in frames]
    emotions: list[str | None] = [None] * len(frames)
    for track in decisions.tracks:
        for frame, points in zip(frames[track.first :], _filtered(track, decisions.times), strict=False):
            if track.masked[frame.index - track.first]:
                emotions[frame.index] = track.emotion
                _paint(frame.pixels, painted[frame.index], points, track.emotion, unmasker)
    return painted, emotions


def two_passes(frames: list[Frame], unmasker: Unmasker) -> tuple[list[np.ndarray], list[str | None]]:
    """Unmask as `predict` does."""
    decisions = find_tracks(frames, unmasker)
    emotions: list[str | None] = [None] * len(frames)
    for track in decisions.tracks:
        for index in np.flatnonzero(track.masked) + track.first:
            emotions[index] = track.emotion
    return list(ClipPainter(decisions, unmasker).paint(frames)), emotions


METHODS: dict[str, Callable] = {"frame by frame": frame_by_frame, "one-euro filter": one_euro, "two passes": two_passes}


def unmask_by(name: str, frames: list[Frame], unmasker: Unmasker) -> Result:
    """Unmask a clip by a method of `METHODS`; the numbers of the frames start at 0."""
    start = time.perf_counter()
    painted, emotions = METHODS[name](frames, unmasker)
    return Result(painted, emotions, time.perf_counter() - start)


def _filtered(track: Track, times: np.ndarray) -> np.ndarray:
    """Return (N, 68, 2), the landmarks filtered by the one-euro filter."""
    points = track.points.astype(np.float64)
    speed, filtered = np.zeros((68, 2)), [points[0]]
    for place in range(1, len(points)):
        step = times[track.first + place] - times[track.first + place - 1]
        face = max(float(np.ptp(points[place, :, 1])), 1.0)
        speed += _share(_SPEED_CUTOFF, step) * ((points[place] - points[place - 1]) / step / face - speed)
        share = _share(_LEAST_CUTOFF + _GROWTH * np.abs(speed), step)
        filtered.append(filtered[-1] + share * (points[place] - filtered[-1]))
    return np.array(filtered, np.float32)


def _share(cutoff, step: float):
    """Return the weight of the new value in an exponential average with a cutoff in hertz."""
    return 1 / (1 + 1 / (2 * np.pi * cutoff * step))


def _paint(
    pixels: np.ndarray, painted: np.ndarray, points: np.ndarray, emotion: str | None, unmasker: Unmasker
) -> None:
    """Paint one face of a frame by these landmarks, in place."""
    label = np.zeros((1, len(EMOTIONS)), np.float32)
    if emotion is not None:
        label[0, emotion_id(emotion)] = 1
    aligned = aligned_crop(pixels, points, unmasker.runner.image_size)
    crop = aligned.image.astype(np.float32) / 255
    outputs = unmasker.runner(crop[None], label)
    where = face_map(outputs[OCCLUSION][0, ..., 0], transform_points(aligned.matrix, points[36:48]).reshape(2, 6, 2))
    lit = matched_to_photo(outputs[PAINTED][0], crop, where.ring)
    paste_face(painted, np.zeros(painted.shape[:2], bool), lit, where, aligned.matrix)
