"""Decide about a whole track from what was read in some of its frames: masked from when to when, emotion, crop."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rac_unet.core.emotions import EMOTIONS

# How many votes against it keep a face from being masked, or not masked, for a time: single votes never do.
_PER_CHANGE = 2.5


@dataclass(frozen=True)
class Vote:
    """What was read in one frame.

    Attributes:
        index: number of the frame.
        masked: whether the face has a mask there.
        wide: whether the mask reaches out of the usual crop.
        emotions: (7,) probabilities; None if they were not read.
    """

    index: int
    masked: bool
    wide: bool
    emotions: np.ndarray | None = None


def masked_frames(votes: list[Vote], first: int, count: int) -> np.ndarray:
    """Return (count,) bool: whether the face is masked in each frame from `first` on; all False without votes.

    The sequence that contradicts the fewest votes, where every change costs as much as `_PER_CHANGE` votes. Frames
    between two votes follow the nearer one.
    """
    if not votes:
        return np.zeros(count, bool)
    costs = np.zeros(2)
    came_from = []
    for vote in votes:
        change = costs[::-1] + _PER_CHANGE
        came_from.append(np.where(change < costs, [1, 0], [0, 1]))
        costs = np.minimum(costs, change) + [vote.masked, not vote.masked]
    state = int(costs[1] <= costs[0])
    states = [state]
    for before in reversed(came_from[1:]):
        state = int(before[state])
        states.append(state)
    places = np.array([vote.index - first for vote in votes])
    middles = (places[1:] + places[:-1]) / 2
    return np.array(states[::-1], bool)[np.searchsorted(middles, np.arange(count), side="left")]


def chosen_emotion(votes: list[Vote]) -> tuple[str | None, float | None, dict[str, int]]:
    """Return the emotion with the highest mean probability over the masked votes, that mean, and emotion -> votes."""
    read = np.array([vote.emotions for vote in votes if vote.masked and vote.emotions is not None])
    if not len(read):
        return None, None, {}
    counts = np.bincount(read.argmax(1), minlength=len(EMOTIONS))
    mean = read.mean(0)
    best = int(mean.argmax())
    return EMOTIONS[best], float(mean[best]), {EMOTIONS[i]: int(counts[i]) for i in np.flatnonzero(counts)}


def is_wide(votes: list[Vote]) -> bool:
    """Return whether most masked votes are for the wider crop: one framing for a track, since a change would jump."""
    masked = [vote.wide for vote in votes if vote.masked]
    return 2 * sum(masked) > len(masked)
