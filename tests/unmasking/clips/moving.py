"""Short clips of drawn people in front of a patterned wall, and what is known about them."""

import cv2
import numpy as np

from rac_unet.synthesis.toys.face import draw_face
from rac_unet.unmasking.clips.decisions import Decisions, Track
from rac_unet.unmasking.clips.frame import Frame
from tests.drawn_masks import drawn_photo

SIDE, LEFT, TOP, RATE = 160, 60, 40, 25


def wall(seed=1, width=400, height=280):
    """Return (height, width, 3) uint8: soft coloured blobs."""
    blobs = np.random.default_rng(seed).uniform(60, 230, (14, 20, 3)).astype(np.float32)
    blobs[..., 1] = blobs[..., 0]  # no green
    return np.clip(cv2.resize(blobs, (width, height), interpolation=cv2.INTER_CUBIC), 0, 255).astype(np.uint8)


def scene(people=((0, LEFT, TOP),), masked=True, seed=1, width=400):
    """Return a picture with people, a number and the left upper corner of each."""
    picture = wall(seed, width)
    for number, left, top in people:
        # The photo of several people has them side by side; the last one is wanted.
        face = drawn_photo(number + 1, masked, SIDE, 0)[:, -SIDE:]
        picture[top : top + SIDE, left : left + SIDE] = face
    return picture


def shifted(picture, x, y):
    """Return a picture moved by a part of a pixel too."""
    matrix = np.float32([[1, 0, x], [0, 1, y]])
    return cv2.warpAffine(picture, matrix, picture.shape[1::-1], flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)


def frames_of(pictures, first=0, rate=RATE):
    """Return the pictures as frames."""
    return [Frame(first + i, (first + i) / rate, picture) for i, picture in enumerate(pictures)]


def landmarks(number=0, left=LEFT, top=TOP):
    """Return (68, 2) float32, where the landmarks of a drawn person are in a scene."""
    return draw_face(number, "neutral", number, SIDE).points + np.float32([left, top])


def known_track(places, points=None, emotion="happiness", masked=None):
    """Return decisions with one track, whose landmarks and moves are known.

    Args:
        places: (N, 2), where the scene is moved to in each frame.
        points: (N, 68, 2), the landmarks to write down; by default the true ones.
    """
    places = np.float32(places)
    moves = np.zeros((len(places), 4), np.float32)
    moves[1:, 2:] = np.diff(places, axis=0)
    points = landmarks() + places[:, None] if points is None else points
    masked = np.ones(len(places), bool) if masked is None else np.array(masked)
    track = Track(0, points.astype(np.float32), moves, np.ones(len(places), np.float32), masked, emotion=emotion)
    return Decisions(np.arange(len(places)) / RATE, [track])
