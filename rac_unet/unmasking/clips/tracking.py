"""The first pass over a clip: follow every face, and decide what is painted.

Faces are detected now and then, when a face is lost and when a scene starts; in between, the mesh follows each face
from frame to frame. Whether a face is masked and which emotion it gets is read every fifth of a second and decided by
vote, so that a single frame changes nothing.
"""

from __future__ import annotations

import dataclasses
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np

from rac_unet.core.errors import UserError
from rac_unet.faces.detect import Face
from rac_unet.unmasking.choice.faces import FaceChoice
from rac_unet.unmasking.clips.decisions import Decisions, Track
from rac_unet.unmasking.clips.following import SAME, Follower, overlap
from rac_unet.unmasking.clips.frame import Frame
from rac_unet.unmasking.clips.scene_cuts import SceneCuts
from rac_unet.unmasking.clips.voting import Vote, chosen_emotion, is_wide, masked_frames
from rac_unet.unmasking.emotion_request import AUTO, NONE
from rac_unet.unmasking.photo import Unmasker

# Seconds between two detections, and while a face is lost; between two votes; longest gap that is bridged.
_DETECT, _DETECT_LOST, _VOTE, _GAP = 0.5, 0.1, 0.2, 0.5
# A track is dropped if it is seen in fewer frames, or if its median trust is below.
_FEWEST, _LEAST_TRUST = 3, 0.45
# Of every n-th frame the faces are compared, to choose some of them.
_CHOOSE_EVERY = 5
# Most bytes of frames that are kept to follow a new face back to where it appeared.
_MOST_BYTES = 96_000_000
# A detection needs this much trust to start a track, and a face this much to stay after two detections missed it.
_START, _SURE = 0.3, 0.6


def find_tracks(
    frames: Iterable[Frame], unmasker: Unmasker, emotion: str = AUTO, faces: FaceChoice | None = None
) -> Decisions:
    """Follow the faces of a clip, and decide which are masked and what is painted.

    Args:
        frames: all frames of the clip, or of the part of it that is unmasked, in order. Read once; the pixels of half
            a second are kept, or 96 MB.
        unmasker: the networks.
        emotion: `auto`, `none` or a name, as `Unmasker.unmask` takes it.
        faces: a choice of faces; a track is painted if it is chosen in most of its frames. None for all.
    Raises: UserError when the numbers of the frames are not consecutive.
    """
    search = _Search(unmasker, emotion)
    times, cuts, before, first = [], [], None, 0
    scenes = SceneCuts()
    for given in frames:
        # The planes are not kept, which would take half as much memory again.
        frame = Frame(given.index, given.time, given.pixels)
        if times and frame.index != first + len(times):
            raise UserError(
                f"frame {frame.index} follows frame {first + len(times) - 1}; number the frames without gaps",
                "bad_value",
            )
        if scenes.is_cut(frame.pixels) or (before is not None and before.pixels.shape != frame.pixels.shape):
            cuts.append(frame.index)
            search.end_scene()
            before = None
        search.advance(before, frame)
        first = first if times else frame.index
        times.append(frame.time)
        before = frame
    search.end_scene()
    tracks = sorted(search.tracks, key=lambda track: (track.first, track.box[0] - track.box[2]))
    if faces is not None:
        tracks = [
            track if chosen else _unpainted(track) for track, chosen in zip(tracks, _chosen(tracks, faces), strict=True)
        ]
    return Decisions(np.array(times, np.float64), tracks, tuple(cuts), first)


def _chosen(tracks: list[Track], faces: FaceChoice) -> list[bool]:
    """Return which tracks are chosen in most of the frames that are looked at."""
    votes = [[0, 0] for _ in tracks]
    for index in {index for track in tracks for index in range(track.first, track.last + 1, _CHOOSE_EVERY)}:
        there = [(number, track.points[index - track.first]) for number, track in enumerate(tracks) if track.has(index)]
        boxes = [(number, (*points.min(0).tolist(), *points.max(0).tolist())) for number, points in there]
        boxes.sort(key=lambda pair: pair[1][0] - pair[1][2])
        for (number, _), chosen in zip(boxes, faces.among([box for _, box in boxes]), strict=True):
            votes[number][chosen] += 1
    return [yes > no for no, yes in votes]


def _unpainted(track: Track) -> Track:
    nothing = np.zeros_like(track.masked)
    return dataclasses.replace(track, masked=nothing, emotion=None, confidence=None, votes={})


@dataclass
class _Search:
    """The faces that are followed at present, and the tracks that have ended."""

    unmasker: Unmasker
    emotion: str
    tracks: list[Track] = field(default_factory=list)
    followers: list[Follower] = field(default_factory=list)
    detected_at: float | None = None
    voted_at: float | None = None
    scene_length: int = 0
    recent: deque[Frame] = field(default_factory=deque)
    ended: list[Follower] = field(default_factory=list)

    def advance(self, before: Frame | None, frame: Frame) -> None:
        """Follow all faces into the next frame; `before` is the frame before, None at the start of a scene."""
        detector = self.unmasker.finder.detector
        self.scene_length += 1
        self.recent.append(frame)
        while len(self.recent) * frame.pixels.nbytes > _MOST_BYTES and len(self.recent) > 1:
            self.recent.popleft()
        lost = False
        for follower in list(self.followers):
            lost |= not follower.follow(detector, before, frame)
            if frame.time - follower.seen_at > _GAP:
                self._end(follower)
        self._end_doubles(frame)
        wait = _DETECT_LOST if lost else _DETECT
        if self.detected_at is None or frame.time - self.detected_at >= wait - 1e-6:
            self.detected_at = frame.time
            self._detect(frame)
        if self.voted_at is None or frame.time - self.voted_at >= _VOTE - 1e-6:
            self.voted_at = frame.time
            self._vote([each for each in self.followers if each.seen == frame.index], frame)

    def end_scene(self) -> None:
        """End all tracks; the next frame is the first of a new scene."""
        for follower in list(self.followers):
            self._end(follower)
        self.detected_at = self.voted_at = None
        self.scene_length = 0
        self.recent.clear()
        self.ended.clear()

    def _detect(self, frame: Frame) -> None:
        found = self.unmasker.finder.detector.detect_all(frame.pixels)
        pairs = [
            (overlap(each.face.box, face.box), i, j)
            for i, each in enumerate(self.followers)
            for j, face in enumerate(found)
        ]
        free, unmatched = set(range(len(self.followers))), set(range(len(found)))
        for shared, i, j in sorted(pairs, reverse=True):
            if shared >= SAME and i in free and j in unmatched:
                free.remove(i), unmatched.remove(j)
                self.followers[i].correct(frame, found[j])
        for follower in [self.followers[i] for i in sorted(free)]:
            follower.missed += 1
            if follower.missed >= 2 and follower.face.trust < _SURE:
                self._end(follower)
        fresh = [found[j] for j in sorted(unmatched) if _is_new(found[j], self.followers)]
        started = [Follower.start(frame, face) for face in fresh if face.trust >= _START]
        for follower in started:
            follower.trace_back(self.unmasker.finder.detector, list(self.recent)[::-1], self.followers + self.ended)
            self.followers.append(follower)
        while len(self.recent) > 1:
            self.recent.popleft()
        self.ended.clear()
        # Every track has a vote of its first frame, however short it is.
        if self.voted_at != frame.time:
            self._vote(started, frame)

    def _vote(self, followers: list[Follower], frame: Frame) -> None:
        followers = [each for each in followers if not each.votes or each.votes[-1].index != frame.index]
        if not followers:
            return
        faces = self.unmasker.finder.with_maps(frame.pixels, [each.evidence() for each in followers])
        read: list[np.ndarray | None] = [None] * len(faces)
        if self.emotion == AUTO and self.unmasker.runner.conditioned:
            masked = [i for i, face in enumerate(faces) if face.masked]
            for i, emotions in zip(masked, self.unmasker.read_emotions([faces[i] for i in masked]), strict=True):
                read[i] = emotions
        for follower, face, emotions in zip(followers, faces, read, strict=True):
            follower.votes.append(Vote(frame.index, face.masked, face.usual is not face.crop, emotions))

    def _end_doubles(self, frame: Frame) -> None:
        """End the younger of two followers that have come to the same face."""
        seen = [each for each in self.followers if each.seen == frame.index]
        for i, older in enumerate(seen):
            for younger in seen[i + 1 :]:
                if younger in self.followers and overlap(older.face.box, younger.face.box) > 0.6:
                    self._end(younger)

    def _end(self, follower: Follower) -> None:
        self.followers.remove(follower)
        self.ended.append(follower)
        arrays = follower.ended()
        count, trust = len(arrays["trust"]), arrays["trust"]
        votes = [vote for vote in follower.votes if vote.index <= follower.seen]
        if (~np.isnan(trust)).sum() < min(_FEWEST, self.scene_length) or float(np.nanmedian(trust)) < _LEAST_TRUST:
            return
        masked = masked_frames(votes, follower.first, count)
        name, confidence, counts = chosen_emotion(votes)
        if self.emotion != AUTO:
            requested = None if self.emotion == NONE else self.emotion
            name, confidence, counts = requested, None, {}
        if not masked.any() or not self.unmasker.runner.conditioned:
            name, confidence = None, None
        self.tracks.append(
            Track(
                follower.first,
                **arrays,
                masked=masked,
                wide=is_wide(votes),
                emotion=name,
                confidence=confidence,
                votes=counts,
            )
        )


def _is_new(face: Face, followers: list[Follower]) -> bool:
    return all(overlap(face.box, each.face.box) < SAME for each in followers)
