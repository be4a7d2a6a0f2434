"""The second pass: masks go, nothing else changes, and the painting is steady without smearing."""

import numpy as np
import pytest

from rac_unet.faces.align import align_face
from rac_unet.unmasking.clips.painting import ClipPainter
from rac_unet.unmasking.pasting import face_map, matched_to_photo, paste_face
from tests.drawn_masks import is_green
from tests.unmasking.clips.moving import frames_of, known_track, landmarks, scene, shifted

PLACES = [(2.6 * i, 4 * np.sin(i)) for i in range(12)]


@pytest.fixture(scope="module")
def moving():
    """A masked face that moves, before an unmoved clip of the same."""
    picture = scene()
    return frames_of([shifted(picture, *place) for place in PLACES])


def test_the_mask_goes_and_nothing_else_changes(unmasker, moving):
    given = [frame.pixels.copy() for frame in moving]
    painted = list(ClipPainter(known_track(PLACES), unmasker).paint(moving))
    assert len(painted) == len(moving)
    for frame, before, after in zip(moving, given, painted, strict=True):
        assert (frame.pixels == before).all()
        assert is_green(before).sum() > 3000 and is_green(after).sum() < 20
        changed = (before != after).any(-1)
        assert is_green(before).sum() < changed.sum() < 1.5 * is_green(before).sum()


def test_unmasked_times_and_clips_without_faces_pass_through(unmasker, moving):
    decisions = known_track(PLACES, masked=[4 <= i < 9 for i in range(12)])
    painted = list(ClipPainter(decisions, unmasker).paint(moving))
    same = [after is frame.pixels for frame, after in zip(moving, painted, strict=True)]
    assert same == [not 4 <= i < 9 for i in range(12)]
    decisions = known_track(PLACES, masked=[False] * 12)
    assert all(a is f.pixels for f, a in zip(moving, ClipPainter(decisions, unmasker).paint(moving), strict=True))


def test_parts_are_painted_as_the_whole(unmasker, moving):
    decisions = known_track(PLACES, landmarks() + np.float32(PLACES)[:, None] + jitter())
    painter = ClipPainter(decisions, unmasker)
    whole = list(painter.paint(moving))
    parts = []
    for first, last in ((0, 3), (4, 4), (5, 11)):
        needed = moving[max(first - painter.context, 0) : last + painter.context + 1]
        # A painter of another process.
        parts += list(ClipPainter(decisions, unmasker).paint(needed, first, last))
    assert len(parts) == 12 and all((a == b).all() for a, b in zip(whole, parts, strict=True))
    assert 1 <= painter.context <= 12


def test_frames_are_read_only_as_far_ahead_as_needed(unmasker, moving):
    read = []
    painter = ClipPainter(known_track(PLACES), unmasker)
    painted = painter.paint(read.append(frame.index) or frame for frame in moving)
    next(painted)
    assert read == list(range(painter.context + 1))


def jitter(size=1.5):
    """Noise of the landmarks, the same for all of a frame, as it moves the crop most."""
    return np.random.default_rng(1).normal(0, size, (len(PLACES), 1, 2)).astype(np.float32)


def frame_by_frame(frames, points, runner):
    """Paint every frame by its own landmarks, as photos."""
    for frame, own in zip(frames, points, strict=True):
        aligned = align_face(frame.pixels, own.astype(np.float32))
        crop = aligned.image.astype(np.float32) / 255
        outputs = runner(crop[None], np.eye(7, dtype=np.float32)[3:4])
        where = face_map(outputs["occlusion"][0, ..., 0], aligned.points[36:48].reshape(2, 6, 2))
        image = frame.pixels.copy()
        lit = matched_to_photo(outputs["painted_image"][0], crop, where.ring)
        paste_face(image, np.zeros(image.shape[:2], bool), lit, where, aligned.matrix)
        yield image


def test_flicker_is_less_than_frame_by_frame(unmasker, moving):
    points = landmarks() + np.float32(PLACES)[:, None] + jitter()
    steady = ClipPainter(known_track(PLACES, points), unmasker).paint(moving)
    single = frame_by_frame(moving, points, unmasker.runner)
    region = is_green(scene())

    def flicker(painted):
        still = np.array([shifted(p, -x, -y)[region].mean(-1) for p, (x, y) in zip(painted, PLACES, strict=True)])
        return np.abs(np.diff(still, axis=0)).mean()

    assert flicker(steady) < 0.5 * flicker(single)


def test_nothing_smears_where_the_face_changes(unmasker, changed_network, moving):
    """The painting shows how dark the eyes are; they are covered from one frame to the next."""

    def by_eyes(inputs, outputs):
        image = inputs["masked_image"]
        dark = image[:, 36:50, 30:98].mean((1, 2, 3)) < 0.2
        return outputs | {
            "painted_image": np.where(dark[:, None, None, None], np.float32(0.2), 0.8) * np.ones_like(image)
        }

    changed_network(by_eyes)
    points = landmarks()[36:48]
    covered = scene()
    (left, top), (right, bottom) = points.min(0).astype(int) - 14, points.max(0).astype(int) + 14
    covered[top:bottom, left:right] = 8
    frames = frames_of([scene()] * 4 + [covered] * 4)
    painted = list(ClipPainter(known_track([(0, 0)] * 8), unmasker).paint(frames))
    inside = is_green(scene())
    levels = [float(np.median(each[inside])) for each in painted]
    assert levels[:3] == pytest.approx([levels[0]] * 3, abs=2) and levels[5:] == pytest.approx([levels[7]] * 3, abs=2)
    assert levels[3] == pytest.approx(levels[0], abs=4) and levels[4] == pytest.approx(levels[7], abs=4)
    assert abs(levels[0] - levels[7]) > 12
