"""The second pass over a clip: paint the masked faces, steady from frame to frame.

Each face is cut with its smoothed landmarks, so that it stands still in its crops. There, the network's painting and
its map of the mask are averaged over neighbouring frames; a neighbour in which the face looks different counts less,
so that nothing smears. The correction of the light and the grain are averaged as well. All averages have a fixed
reach, so that the parts of a clip can be painted independently, with the same result.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import cv2
import numpy as np

from rac_unet.core.emotions import EMOTIONS, emotion_id
from rac_unet.faces.align import fitted_matrix, transform_points
from rac_unet.runtime.interface import OCCLUSION, PAINTED
from rac_unet.unmasking.clips.decisions import Decisions, Track
from rac_unet.unmasking.clips.frame import Frame
from rac_unet.unmasking.clips.smoothing import smooth_points
from rac_unet.unmasking.finding import aligned_crop
from rac_unet.unmasking.framing import wider_frame
from rac_unet.unmasking.painting import texture
from rac_unet.unmasking.pasting import (
    FaceMap,
    face_map,
    is_colourless,
    light_correction,
    missing_grain,
    paste_face,
    without_colour,
)
from rac_unet.unmasking.photo import Unmasker

# Reach of the averages to each side, in seconds and in frames at most: of painting and map; of light and grain.
_PAINTING, _LIGHT, _MOST = 0.1, 0.07, 8
# A neighbour counts e^-0.5 of its weight if the visible part of its crop differs by this much, in the full range.
_DIFFERENT = 0.03
# A correction of the light counts e^-0.5 of its weight if it differs by this much on average, in the full range.
_LIGHT_DIFFERENT = 0.02
# Side of the reduced crops by which frames are compared; probability up to which a pixel is visible.
_TINY, _VISIBLE_BELOW = 32, 0.3
# The light's correction is computed at this share of the crop's side: it is smooth.
_LIGHT_SHARE = 0.5
# Grain is measured in every n-th frame.
_GRAIN_EVERY = 3


class ClipPainter:
    """Paint the masked faces of a clip as the first pass decided.

    Args:
        decisions: result of `find_tracks`.
        unmasker: the networks; only `runner` is used.
    """

    def __init__(self, decisions: Decisions, unmasker: Unmasker):
        self._decisions, self._unmasker = decisions, unmasker
        self._near = _reach(_PAINTING, decisions.rate)
        self._light = _reach(_LIGHT, decisions.rate)
        offset = decisions.first
        self._tracks = [
            (track, smooth_points(track, decisions.times[track.first - offset : track.last + 1 - offset]))
            for track in decisions.tracks
            if track.masked.any()
        ]

    @property
    def context(self) -> int:
        """Number of frames before and after a part of the clip that `paint` needs to paint this part."""
        return self._near + self._light

    def paint(self, frames: Iterable[Frame], first: int | None = None, last: int | None = None) -> Iterator[np.ndarray]:
        """Yield (H, W, 3) uint8 RGB for the frames from `first` to `last`; the frame's own array if nothing is painted.

        At most `2 * context + 1` frames are kept at a time.

        Args:
            frames: consecutive ones; among them those from `first - context` to `last + context`, as far as the clip
                has them. More are not needed.
            first, last: numbers of the first and of the last frame to paint; by default all frames.
        """
        strips = [_Strip(track, points, self._unmasker, self._near, self._light) for track, points in self._tracks]
        waiting: dict[int, Frame] = {}
        newest = None
        for frame in frames:
            newest = frame.index
            waiting[newest] = frame
            for strip in strips:
                strip.look(frame)
                if middle := waiting.get(newest - self._near):
                    strip.average(middle)
            if newest - self.context in waiting:
                yield from _finished(strips, waiting.pop(newest - self.context), first, last)
        if newest is None:
            return
        for index in sorted(waiting):
            if index > newest - self._near:
                for strip in strips:
                    strip.average(waiting[index])
        for index in sorted(waiting):
            yield from _finished(strips, waiting.pop(index), first, last)


def _finished(strips: list[_Strip], frame: Frame, first: int | None, last: int | None) -> Iterator[np.ndarray]:
    """Yield a frame's pixels, with the faces painted, if it is among those wanted."""
    if (first is None or frame.index >= first) and (last is None or frame.index <= last):
        pixels = frame.pixels
        for strip in strips:
            pixels = strip.paste(frame, pixels)
        yield pixels
    for strip in strips:
        strip.forget(frame.index)


@dataclass(frozen=True)
class _Look:
    """What the network finds in one frame of a track, in the crop of its smoothed landmarks.

    Attributes:
        crop: (S, S, 3) float32 RGB in [0, 1]; S is the side of the network's images.
        matrix: (2, 3), from pixels of the frame to pixels of the crop.
        eyes: (2, 6, 2), the outlines of both eyes in pixels of the crop.
        occlusion: (S, S) float32, the probability that a pixel is hidden.
        painted: (S, S, 3) float32 in [0, 1], the inpainted crop.
        tiny: (T, T) float32, the crop in grey, reduced.
        visible: (T, T) bool, where the reduced crop shows the face and not the mask.
    """

    crop: np.ndarray
    matrix: np.ndarray
    eyes: np.ndarray
    occlusion: np.ndarray
    painted: np.ndarray
    tiny: np.ndarray
    visible: np.ndarray


@dataclass(frozen=True)
class _Average:
    """A frame's painting and map, averaged over its neighbours, and what is still to be averaged.

    Attributes:
        painted: (S, S, 3) float32 in [0, 1].
        where: the pixels to paint, in the crop.
        light: correction of the light, (S / 2, S / 2, 3), to add to a painting of this size; None if it is not known.
        grain: standard deviation of each level in grey levels; None if it was not measured in this frame.
    """

    painted: np.ndarray
    where: FaceMap
    light: np.ndarray | None
    grain: np.ndarray | None


class _Strip:
    """The frames of one track between reading and pasting.

    Args:
        track: N frames.
        points: (N, 68, 2), its smoothed landmarks in pixels of the frame.
        unmasker: the networks; only `runner` is used.
        near, light: reach of the averages to each side in frames: of painting and map, of light and grain.
    """

    def __init__(self, track: Track, points: np.ndarray, unmasker: Unmasker, near: int, light: int):
        self._track, self._points, self._runner = track, points, unmasker.runner
        self._near, self._light = near, light
        self._looks: dict[int, _Look] = {}
        self._averages: dict[int, _Average] = {}
        self._label = np.zeros((1, len(EMOTIONS)), np.float32)
        if track.emotion is not None:
            self._label[0, emotion_id(track.emotion)] = 1

    def look(self, frame: Frame) -> None:
        """Cut the face from a frame and run the network, if it is masked there."""
        if not self._is_masked(frame.index):
            return
        size, points = self._runner.image_size, self._points[frame.index - self._track.first]
        framing = wider_frame(points, fitted_matrix(points, size), size) if self._track.wide else points
        aligned = aligned_crop(frame.pixels, framing, size)
        crop = aligned.image.astype(np.float32) / 255
        outputs = self._runner(crop[None], self._label)
        occlusion = outputs[OCCLUSION][0, ..., 0]
        tiny = _resized(cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY), _TINY)
        visible = _FACE & (_resized(occlusion, _TINY) < _VISIBLE_BELOW)
        eyes = transform_points(aligned.matrix, points[36:48]).reshape(2, 6, 2)
        self._looks[frame.index] = _Look(crop, aligned.matrix, eyes, occlusion, outputs[PAINTED][0], tiny, visible)

    def average(self, frame: Frame) -> None:
        """Average a frame's painting and map over its neighbours; all of them have been looked at."""
        look = self._looks.get(frame.index)
        if look is None:
            return
        near = [index for index in self._around(frame.index, self._near) if index in self._looks]
        weights = [_likeness(look, self._looks[i]) * _bell(i - frame.index, self._near) for i in near]
        weights = np.array(weights, np.float32) / sum(weights)
        occlusion, painted = np.zeros_like(look.occlusion), np.zeros_like(look.painted)
        for weight, index in zip(weights.tolist(), near, strict=True):
            cv2.scaleAdd(self._looks[index].occlusion, weight, occlusion, dst=occlusion)
            cv2.scaleAdd(self._looks[index].painted, weight, painted, dst=painted)
        where = face_map(occlusion, look.eyes)
        if is_colourless(look.crop, where.ring):
            painted = without_colour(painted)
        light = _light(painted, look.crop, where.ring)
        grain = None
        if self._measures_grain(frame.index):
            lit = _lit(painted, light)
            skin = FaceMap(where.weight, texture.skin_around(lit, look.crop, where.weight, where.ring))
            grain = missing_grain(frame.pixels, lit, skin, look.matrix)
        self._averages[frame.index] = _Average(painted, where, light, grain)

    def paste(self, frame: Frame, pixels: np.ndarray) -> np.ndarray:
        """Return a copy of the frame with this face painted; `pixels` themselves if it is not."""
        own = self._averages.get(frame.index)
        if own is None:
            return pixels
        pixels = pixels.copy() if pixels is frame.pixels else pixels
        near = [(i, self._averages[i]) for i in self._around(frame.index, self._light) if i in self._averages]
        lit = _lit(own.painted, self._steady_light(frame.index, near))
        grains = [(_bell(i - frame.index, self._light), each.grain) for i, each in near if each.grain is not None]
        amounts = sum(weight * grain for weight, grain in grains) / max(sum(weight for weight, _ in grains), 1e-6)
        region = np.zeros(pixels.shape[:2], bool)
        paste_face(pixels, region, lit, own.where, self._looks[frame.index].matrix, _tile(amounts, frame.index))
        return pixels

    def forget(self, index: int) -> None:
        """Drop what no frame after this one needs."""
        self._looks.pop(index - self._near, None)
        self._averages.pop(index - self._light, None)

    def _steady_light(self, index: int, near: list[tuple[int, _Average]]) -> np.ndarray | None:
        own = self._averages[index].light
        if own is None:
            return None
        total, mean = 0.0, np.zeros_like(own)
        for i, each in near:
            if each.light is not None:
                # A flash is no noise: corrections that differ much are not mixed.
                alike = np.exp(-0.5 * (float(np.abs(each.light - own).mean()) / _LIGHT_DIFFERENT) ** 2)
                weight = float(_bell(i - index, self._light) * alike)
                mean += weight * each.light
                total += weight
        return mean / total

    def _is_masked(self, index: int) -> bool:
        place = index - self._track.first
        return 0 <= place < len(self._points) and bool(self._track.masked[place])

    def _measures_grain(self, index: int) -> bool:
        at_end = not (self._is_masked(index - 1) and self._is_masked(index + 1))
        return index % _GRAIN_EVERY == 0 or at_end

    @staticmethod
    def _around(index: int, reach: int) -> range:
        return range(index - reach, index + reach + 1)


def _reach(seconds: float, rate: float) -> int:
    """Return a number of frames, 1 at least and `_MOST` at most."""
    return int(np.clip(round(seconds * rate), 1, _MOST))


def _bell(offset: int, reach: int) -> float:
    """Return the weight of a neighbour: Gaussian, two standard deviations within the reach and a half."""
    return float(np.exp(-0.5 * (2 * offset / (reach + 0.5)) ** 2))


def _likeness(look: _Look, other: _Look) -> float:
    """Return how alike the visible part of a face is in two crops, 0..1, whatever the light."""
    both = look.visible & other.visible
    if both.sum() < 16:
        return 1.0 if look is other else 0.0
    off = (look.tiny - other.tiny)[both]
    return float(np.exp(-0.5 * (off.std() / _DIFFERENT) ** 2))


def _light(painted: np.ndarray, crop: np.ndarray, ring: np.ndarray) -> np.ndarray | None:
    """Return `light_correction` at a reduced size, since it is smooth."""
    side = round(_LIGHT_SHARE * len(crop))
    known = (_resized(ring, side) > 0.99).astype(np.float32)
    return light_correction(_resized(painted, side), _resized(crop, side), known)


def _lit(painted: np.ndarray, light: np.ndarray | None) -> np.ndarray:
    if light is None:
        return painted
    size = (len(painted), len(painted))
    return np.clip(painted + cv2.resize(light, size, interpolation=cv2.INTER_LINEAR), 0, 1)


def _tile(amounts: np.ndarray | float, index: int) -> np.ndarray:
    """Return the tile of grain, shifted differently in each frame: grain that stands still looks like a dirty lens.

    Only the finest level is added: coarser texture belongs to the skin, and would flicker if it changed with the frame.

    Args:
        amounts: standard deviation of each level in grey levels; 0 if it was not measured.
    """
    finest = np.ravel(amounts)[:1]
    if not finest.any():
        return np.zeros((256, 256), np.float32)
    return np.roll(texture.grain(finest), (97 * index % 256, 57 * index % 256), (0, 1))


def _resized(image: np.ndarray, side: int) -> np.ndarray:
    return cv2.resize(image, (side, side), interpolation=cv2.INTER_AREA)


# The part of a reduced crop that shows the face, without the background.
_FACE = cv2.ellipse(np.zeros((_TINY, _TINY), np.uint8), (16, 15), (11, 13), 0, 0, 360, 1, -1).astype(bool)
