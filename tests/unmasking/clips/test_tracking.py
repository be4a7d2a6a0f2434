"""The first pass: which faces are found in a clip, where, from when to when, and what is decided about them."""

import dataclasses

import numpy as np
import pytest

from rac_unet.core.emotions import EMOTIONS
from rac_unet.unmasking.clips.decisions import Decisions
from rac_unet.unmasking.clips.tracking import find_tracks
from tests.refusals import refused
from tests.unmasking.clips.moving import LEFT, TOP, frames_of, landmarks, scene, shifted, wall

# Another person at another place.
OTHER = scene(((1, LEFT + 160, TOP + 50),), seed=5)


@pytest.fixture
def detections(unmasker, monkeypatch):
    """The frames, by their pixels, in which faces were detected."""
    seen, detector = [], unmasker.finder.detector
    detect = detector.detect_all
    monkeypatch.setattr(detector, "detect_all", lambda image: seen.append(image) or detect(image))
    return seen


def test_a_face_is_followed_without_detecting_it_again(unmasker, detections):
    picture = scene()
    places = [(3.3 * i, 1.7 * i) for i in range(10)]
    decisions = find_tracks(frames_of([shifted(picture, *place) for place in places]), unmasker)
    (track,) = decisions.tracks
    assert len(detections) == 1
    assert (track.first, track.last, track.painted_share, decisions.cuts) == (0, 9, 1.0, ())
    assert track.emotion == "happiness" and track.votes == {"happiness": 2} and track.confidence == pytest.approx(0.7)
    eyes = track.points[:, 36:48].mean(1)
    assert np.abs(eyes - eyes[0] - places).max() < 1.5
    assert np.abs(track.moves[1:] - [0, 0, 3.3, 1.7]).max() < 0.25


def test_two_faces_keep_their_own_tracks(unmasker):
    people = [[(0, 20 + 6 * i, TOP), (1, 420 - 6 * i, TOP)] for i in range(8)]
    decisions = find_tracks(frames_of([scene(each, width=600) for each in people]), unmasker)
    assert [(track.first, track.last) for track in decisions.tracks] == [(0, 7)] * 2
    moved = sorted(float(np.diff(track.points[[0, -1], 36:48, 0].mean(1))[0]) for track in decisions.tracks)
    assert moved == pytest.approx([-42, 42], abs=3)


def test_a_face_is_painted_from_the_frame_in_which_it_appears(unmasker, detections):
    """It is detected half a second later, and followed back."""
    picture = scene()
    pictures = [covered(picture)] * 4 + [shifted(picture, 2 * i, 0) for i in range(10)]
    (track,) = find_tracks(frames_of(pictures), unmasker).tracks
    assert (track.first, track.last) == (4, 13) and len(detections) == 2
    eyes = track.points[:, 36:48].mean(1)
    assert np.diff(eyes[:, 0]) == pytest.approx([2] * 9, abs=1) and np.isfinite(track.moves).all()


class Leftmost:
    """A choice: the face that is furthest to the left; like `FaceChoice` of photos."""

    def among(self, faces):
        return [box == min(faces) for box in faces]


def test_only_chosen_faces_are_painted(unmasker):
    pictures = [scene(((0, 20 + 6 * i, TOP), (1, 300, TOP)), width=500) for i in range(3)]
    decisions = find_tracks(frames_of(pictures), unmasker, faces=Leftmost())
    left, right = sorted(decisions.tracks, key=lambda track: track.box)
    assert left.masked.all() and left.emotion == "happiness"
    assert not right.masked.any() and (right.emotion, right.votes) == (None, {})


def covered(picture):
    """The scene with the face hidden behind a plain board."""
    picture = picture.copy()
    picture[TOP : TOP + 160, LEFT : LEFT + 160] = (110, 120, 130)
    return picture


def test_a_short_gap_is_bridged_and_a_long_one_not(unmasker):
    picture = scene()
    hidden = covered(picture)
    pictures = [picture] * 4 + [hidden] * 3 + [shifted(picture, 8.3, 0)] * 4
    (track,) = find_tracks(frames_of(pictures, first=7), unmasker).tracks
    assert (track.first, track.last) == (7, 17) and np.isnan(track.trust).tolist() == [False] * 4 + [True] * 3 + [
        False
    ] * 4
    eyes = track.points[:, 36:48].mean(1)[:, 0]
    assert np.diff(eyes[3:8]) == pytest.approx([2.1] * 4, abs=0.6)
    assert track.masked.all()
    # The same frames, four times as slow.
    tracks = find_tracks(frames_of(pictures, rate=25 / 5), unmasker).tracks
    assert [(track.first, track.last) for track in tracks] == [(0, 3), (7, 10)]


def test_a_cut_ends_the_track_and_a_flash_does_not(unmasker):
    first, second = scene(), OTHER
    decisions = find_tracks(frames_of([first] * 4 + [second] * 4), unmasker)
    assert decisions.cuts == (4,)
    assert [(track.first, track.last) for track in decisions.tracks] == [(0, 3), (4, 7)]
    bright = np.clip(first.astype(int) + 50, 0, 255).astype(np.uint8)
    decisions = find_tracks(frames_of([first] * 3 + [bright] + [first] * 3), unmasker)
    assert decisions.cuts == () and len(decisions.tracks) == 1


def test_the_emotion_is_one_for_a_track_by_vote(unmasker, changed_network):
    """Every fourth frame reads as anger, the others as sadness."""
    calls = []

    def moody(inputs, outputs):
        calls.append(1)
        visible = np.full((len(inputs["masked_image"]), 7), 0.05, np.float32)
        # The network runs twice for each vote, the second time on the mirrored crop.
        visible[:, EMOTIONS.index("anger" if len(calls) // 2 % 4 == 0 else "sadness")] = 0.7
        return outputs | {"visible_emotion": visible}

    changed_network(moody)
    (track,) = find_tracks(frames_of([scene()] * 9, rate=5), unmasker).tracks
    assert track.emotion == "sadness" and set(track.votes) == {"anger", "sadness"} and sum(track.votes.values()) == 9
    assert 0.4 < track.confidence < 0.7
    for request, expected in (("fear", "fear"), ("none", None)):
        (track,) = find_tracks(frames_of([scene()] * 2), unmasker, request).tracks
        assert (track.emotion, track.confidence, track.votes) == (expected, None, {})


def test_faces_without_masks_and_frames_without_faces(unmasker):
    (track,) = find_tracks(frames_of([scene(masked=False)] * 3), unmasker).tracks
    assert not track.masked.any() and (track.emotion, track.votes) == (None, {})
    decisions = find_tracks(frames_of([wall()] * 3), unmasker)
    assert decisions.tracks == [] and len(decisions.times) == 3
    assert find_tracks([], unmasker).tracks == []


def test_a_track_of_little_trust_is_dropped(unmasker, monkeypatch):
    detector, follow = unmasker.finder.detector, unmasker.finder.detector.follow

    def doubtful(*arguments):
        face = follow(*arguments)
        return type(face)(face.box, face.score, face.mesh, 0.4)

    monkeypatch.setattr(detector, "follow", doubtful)
    assert find_tracks(frames_of([scene()] * 6), unmasker).tracks == []


def test_what_was_detected_with_little_trust_is_not_painted_however_well_it_is_followed(unmasker, monkeypatch):
    detector, detect = unmasker.finder.detector, unmasker.finder.detector.detect_all
    doubtful = [dataclasses.replace(face, score=0.5, trust=0.31) for face in detect(scene())]
    monkeypatch.setattr(detector, "detect_all", lambda image: doubtful)
    (track,) = find_tracks(frames_of([scene()] * 4), unmasker).tracks
    assert track.trust[1:].min() > 0.9 and not track.masked.any()


def test_a_face_followed_to_a_wrong_place_is_corrected(unmasker, monkeypatch):
    detector, follow = unmasker.finder.detector, unmasker.finder.detector.follow

    def astray(*arguments):
        face = follow(*arguments)
        return dataclasses.replace(face, mesh=face.mesh + np.float32([20, 0, 0]))

    monkeypatch.setattr(detector, "follow", astray)
    (track,) = find_tracks(frames_of([scene()] * 5, rate=5), unmasker).tracks
    eyes = track.points[:, 36:48, 0].mean(1) - landmarks()[36:48, 0].mean()
    assert eyes[2] > 14 and abs(eyes[3]) < 5


def test_decisions_are_written_and_read(unmasker):
    decisions = find_tracks(frames_of([scene()] * 3 + [OTHER] * 3, first=4), unmasker)
    content = decisions.to_bytes()
    again = Decisions.from_bytes(content)
    assert again.to_bytes() == content and again.first == 4 and again.cuts == decisions.cuts == (7,)
    for one, other in zip(decisions.tracks, again.tracks, strict=True):
        assert one.record() == other.record() and (one.points == other.points).all() and one.wide == other.wide
    for damaged in (b"", content[: len(content) // 2], b"PK" + bytes(100)):
        with refused("unreadable"):
            Decisions.from_bytes(damaged)


def test_frames_have_consecutive_numbers(unmasker):
    first, _, third = frames_of([wall()] * 3)
    with refused("bad_value", "frame 2", "frame 0"):
        find_tracks([first, third], unmasker)


def test_landmarks_are_where_the_face_is(unmasker):
    (track,) = find_tracks(frames_of([scene()] * 2), unmasker).tracks
    assert np.abs(track.points[-1, 36:48].mean(0) - landmarks()[36:48].mean(0)).max() < 6
