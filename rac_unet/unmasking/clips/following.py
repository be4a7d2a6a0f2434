"""Follow one face from frame to frame: its landmarks, trust, motion and votes, until it is lost."""

from __future__ import annotations

import dataclasses
import itertools
from dataclasses import dataclass, field

import numpy as np

from rac_unet.faces.detect import Face, FaceDetector, box_in_mesh
from rac_unet.unmasking.clips.frame import Frame
from rac_unet.unmasking.clips.motion import as_numbers, inverted, measure_move, moved
from rac_unet.unmasking.clips.voting import Vote

# A face with less trust is not seen in this frame.
LOST = 0.35
# Least overlap of two boxes of one face.
SAME = 0.3
# A detection with this much more trust than the followed face replaces it; or with at least the second value, if their
# eyes are further apart than the third, in sides of the box.
_SURER, _SURE, _ELSEWHERE = 0.25, 0.6, 0.12


@dataclass(eq=False)
class Follower:
    """A face that is being followed; made from a detection.

    Attributes:
        face: as it was last seen.
        place: of the detector's box relative to the mesh, a mean over the detections.
        seen: number of the frame in which it was last seen.
        seen_at: the time of that frame.
        votes: what was read in some of its frames.
        missed: how many detections in a row did not find it.
    """

    face: Face
    place: np.ndarray
    first: int
    seen: int
    seen_at: float
    votes: list[Vote] = field(default_factory=list)
    missed: int = 0
    _points: list[np.ndarray] = field(default_factory=list)
    _moves: list[np.ndarray] = field(default_factory=list)
    _trust: list[float] = field(default_factory=list)
    _detected: list[float] = field(default_factory=list)

    @classmethod
    def start(cls, frame: Frame, face: Face) -> Follower:
        """Return a follower of a face that was detected in this frame."""
        new = cls(face, box_in_mesh(face), frame.index, frame.index, frame.time)
        new._note(face, np.zeros(4, np.float32))
        new._detected.append(face.trust)
        return new

    def follow(self, detector: FaceDetector, before: Frame, frame: Frame) -> bool:
        """Look for the face in the next frame; return whether it is seen there.

        Args:
            before: the frame before.
        """
        is_known = self.seen == before.index
        unknown = np.full((2, 3), np.nan)
        move = measure_move(before.pixels, frame.pixels, self.face.points) if is_known else unknown
        found = detector.follow(frame.pixels, moved(self.face.mesh, move), self.place, self.face.score)
        if found.trust < LOST or not _is_inside(found, frame.pixels.shape):
            self._note(None, as_numbers(unknown))
            return False
        self._see(frame, found)
        self._note(found, as_numbers(move))
        return True

    def trace_back(self, detector: FaceDetector, frames: list[Frame], others: list[Follower]) -> None:
        """Follow a face that was detected just now back to where it appeared.

        Args:
            frames: the frames before it was detected, the latest first, and the frame of the detection before them.
            others: faces that were followed in these frames; where one of them is, this one was not.
        """
        face = self.face
        for after, frame in itertools.pairwise(frames):
            move = measure_move(after.pixels, frame.pixels, face.points)
            face = detector.follow(frame.pixels, moved(face.mesh, move), self.place, self.face.score)
            taken = any(overlap(face.box, box) > SAME for each in others if (box := each.box_at(frame.index)))
            if face.trust < LOST or taken or not _is_inside(face, frame.pixels.shape):
                return
            self._moves[0] = as_numbers(inverted(move))
            self._points.insert(0, face.points)
            self._moves.insert(0, np.zeros(4, np.float32))
            self._trust.insert(0, face.trust)
            self.first = frame.index

    def box_at(self, index: int) -> tuple[float, ...] | None:
        """Return the box around the landmarks in a frame; None where the face was not seen."""
        place = index - self.first
        points = self._points[place] if 0 <= place < len(self._points) else None
        return None if points is None else (*points.min(0).tolist(), *points.max(0).tolist())

    def correct(self, frame: Frame, detected: Face) -> None:
        """Take note of a detection of this face in the present frame, which `follow` has seen already."""
        self.missed = 0
        self.place = (self.place + box_in_mesh(detected)) / 2
        self._detected.append(detected.trust)
        lost = self.seen != frame.index
        if lost or detected.trust > self.face.trust + _SURER or self._is_elsewhere(detected):
            move = self._moves[-1]
            self._points.pop(), self._moves.pop(), self._trust.pop()
            self._see(frame, detected)
            self._note(detected, move)
        else:
            self.face = dataclasses.replace(self.face, score=detected.score)

    def evidence(self) -> Face:
        """Return the face with the mean trust of its detections, if that is less: following gives trust too easily.

        What is no face was never detected with much trust, but can be followed well.
        """
        return dataclasses.replace(self.face, trust=min(self.face.trust, float(np.mean(self._detected))))

    def ended(self) -> dict[str, np.ndarray]:
        """Return `points`, `moves` and `trust` of a `Track`, until the face was last seen."""
        count = self.seen - self.first + 1
        trust = np.array(self._trust[:count], np.float32)
        seen = np.flatnonzero(~np.isnan(trust))
        empty = np.zeros((68, 2), np.float32)
        points = np.array([empty if each is None else each for each in self._points[:count]])
        # Places in a gap are on a straight line between those at its ends.
        gaps = np.flatnonzero(np.isnan(trust))
        after = np.searchsorted(seen, gaps)
        left, right = seen[after - 1], seen[after]
        share = ((gaps - left) / (right - left)).astype(np.float32)[:, None, None]
        points[gaps] = (1 - share) * points[left] + share * points[right]
        return {"points": points, "moves": np.array(self._moves[:count], np.float32), "trust": trust}

    def _is_elsewhere(self, detected: Face) -> bool:
        off = detected.points[36:48].mean(0) - self.face.points[36:48].mean(0)
        return detected.trust >= _SURE and float(np.hypot(*off)) > _ELSEWHERE * (detected.box[2] - detected.box[0])

    def _see(self, frame: Frame, face: Face) -> None:
        self.face, self.seen, self.seen_at = face, frame.index, frame.time

    def _note(self, face: Face | None, move: np.ndarray) -> None:
        self._points.append(None if face is None else face.points)
        self._trust.append(float("nan") if face is None else face.trust)
        self._moves.append(move)


def overlap(box: tuple[float, ...], other: tuple[float, ...]) -> float:
    """Return the intersection over union of two boxes x0, y0, x1, y1."""
    one, two = np.array(box, np.float64), np.array(other, np.float64)
    shared = np.clip(np.minimum(one[2:], two[2:]) - np.maximum(one[:2], two[:2]), 0, None).prod()
    return float(shared / max((one[2:] - one[:2]).prod() + (two[2:] - two[:2]).prod() - shared, 1e-6))


def _is_inside(face: Face, shape: tuple[int, ...]) -> bool:
    """Return whether the middle of the eyes is in the frame."""
    x, y = face.points[36:48].mean(0)
    return 0 <= x < shape[1] and 0 <= y < shape[0]
