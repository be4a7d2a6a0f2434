"""Smooth a track's landmarks over time, without lag and without flattening real motion.

Each frame's landmarks are averaged with those of its neighbours on both sides, after these were brought into the frame
by the measured motion of the face. What is averaged is therefore only the mesh's noise: a shaking camera or a nod is
followed exactly, however fast. Where the motion could not be measured, only neighbours at nearly the same place count.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from rac_unet.unmasking.clips.decisions import Track
from rac_unet.unmasking.clips.motion import as_matrices

# Standard deviation of the averages in seconds. They reach twice as far to both sides, and this many frames at most.
_SPREAD, _REACH, _MOST = 0.15, 2.0, 24
# Frames that are smoothed at a time.
_PART = 500
# Without measured motion a neighbour counts e^-0.5 of its weight if its landmarks are this far away on average, in
# shares of the face's height: twice the mesh's noise.
_SAME_PLACE = 0.01


def smooth_points(track: Track, times: np.ndarray) -> np.ndarray:
    """Return the smoothed landmarks of a track, (N, 68, 2) float32.

    Args:
        track: N frames.
        times: (N,) seconds of its frames.
    """
    parts = []
    # Long tracks in parts, to save memory; what is further away than the reach changes nothing.
    for start in range(0, len(times), _PART):
        low, high = max(start - _MOST, 0), min(start + _PART + _MOST, len(times))
        arrays = {name: getattr(track, name)[low:high] for name in ("points", "moves", "trust")}
        parts.append(_smooth(**arrays, times=times[low:high])[start - low :][:_PART])
    return np.concatenate(parts)


def _smooth(points: np.ndarray, moves: np.ndarray, trust: np.ndarray, times: np.ndarray) -> np.ndarray:
    """Return the smoothed landmarks, (N, 68, 2) float32; arguments as of `Track`, and (N,) seconds."""
    points = points.astype(np.float64)
    total, mean = np.zeros(len(points)), np.zeros_like(points)
    for direction in (1, -1):
        for here, brought, weight in _neighbours(points, moves, trust, times, direction):
            mean[here] += weight[:, None, None] * brought
            total[here] += weight
    # The frame itself; a place that was only interpolated counts little.
    own = np.where(np.isnan(trust), 1e-3, 1.0)
    mean += own[:, None, None] * points
    total += own
    return (mean / total[:, None, None]).astype(np.float32)


def _neighbours(
    points: np.ndarray, moves: np.ndarray, trust: np.ndarray, times: np.ndarray, direction: int
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Yield the neighbours on one side of all frames, the nearest first, until they are out of reach.

    Args:
        points, moves, trust, times: as of `_smooth`.
        direction: 1 for the frames after, -1 for those before.
    Yields: places of the M frames that have a neighbour at this distance, (M,); the neighbours' landmarks after they
        were brought into these frames, (M, 68, 2); their weights, (M,).
    """
    count, seen, known = len(points), ~np.isnan(trust), np.isfinite(moves).all(1)
    forward = as_matrices(np.where(known[:, None], moves, 0))
    back = np.linalg.inv(forward)
    # carry[t] brings places of the neighbour, `offset` frames away, into frame t.
    carry = np.tile(np.eye(3), (count, 1, 1))
    measured = np.ones(count, bool)
    for offset in range(1, min(_MOST, count - 1) + 1):
        here = np.arange(count - offset) if direction > 0 else np.arange(offset, count)
        there = here + direction * offset
        if direction > 0:
            carry[here] = carry[here] @ back[there]
            measured[here] &= known[there]
        else:
            carry[here] = carry[here] @ forward[there + 1]
            measured[here] &= known[there + 1]
        apart = np.abs(times[there] - times[here])
        if apart.min() > _REACH * _SPREAD:
            break
        brought = points[there] @ carry[here, :2, :2].transpose(0, 2, 1) + carry[here, None, :2, 2]
        brought = np.where(measured[here, None, None], brought, points[there])
        off = np.hypot(*np.moveaxis(brought - points[here], -1, 0)).mean(1) / np.maximum(
            np.ptp(points[here, :, 1], 1), 1
        )
        near = np.where(measured[here], 1, np.exp(-0.5 * (off / _SAME_PLACE) ** 2))
        weight = np.exp(-0.5 * (apart / _SPREAD) ** 2) * (apart <= _REACH * _SPREAD) * seen[there] * near
        yield here, brought, weight
