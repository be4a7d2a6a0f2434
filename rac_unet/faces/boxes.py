"""Detect face boxes in a picture with BlazeFace: prepare its input and decode its output.

Bazarevsky et al. 2019, arXiv:1907.05047: anchors on grids, boxes and eyes relative to them, and overlapping boxes
blended instead of suppressed.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np


@dataclass(frozen=True)
class Blaze:
    """One BlazeFace variant: its file, input side, and (stride, anchors per cell) of its grids."""

    file: str
    side: int
    grids: tuple[tuple[int, int], ...]

    @functools.cached_property
    def anchors(self) -> np.ndarray:
        """Anchor centres (N, 2) in units of the input side, in the order of the network's output rows."""
        rows = []
        for stride, per_cell in self.grids:
            cells = self.side // stride
            centre = (np.arange(cells, dtype=np.float32) + 0.5) / cells
            grid = np.stack(np.meshgrid(centre, centre), -1).reshape(-1, 2)
            rows.append(np.repeat(grid, per_cell, axis=0))
        return np.concatenate(rows)


# The near-range variant is faster and finds a portrait in nearly every photo; the other one finds smaller faces.
NEAR = Blaze("face_detection_short_range.tflite", 128, ((8, 2), (16, 6)))
FAR = Blaze("face_detection_full_range_sparse.tflite", 192, ((4, 1),))
# Input values of the networks by byte; a table is many times as fast as arithmetic.
_INPUTS = np.arange(256, dtype=np.float32) / np.float32(127.5) - 1


def find_boxes(
    run: Callable[[str, np.ndarray], list[np.ndarray]], blaze: Blaze, image: np.ndarray, min_score: float
) -> np.ndarray:
    """Return the boxes of the faces that one variant detects in a picture.

    Args:
        run: (file, (1, side, side, 3) float32 in [-1, 1]) -> the network's outputs.
        image: (H, W, 3) uint8 RGB of any size; it is resized to fit the network's square input.
        min_score: detections below this confidence, 0..1, are dropped.
    Returns: (N, 9) float32 rows, most confident first: score, x0, y0, x1, y1, image-left eye x, y, image-right eye x,
        y; pixels of the picture.
    """
    height, width = image.shape[:2]
    scale = blaze.side / max(height, width)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    small = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    left, top = (blaze.side - small.shape[1]) // 2, (blaze.side - small.shape[0]) // 2
    canvas = np.zeros((1, blaze.side, blaze.side, 3), np.float32)
    canvas[0, top : top + small.shape[0], left : left + small.shape[1]] = cv2.LUT(small, _INPUTS)
    regression, logits = run(blaze.file, canvas)
    # Most windows of a photo hold no face: return before the scores are computed.
    keep = logits[0, :, 0] >= np.log(min_score / (1 - min_score))
    if not keep.any():
        return np.zeros((0, 9), np.float32)
    scores = 1 / (1 + np.exp(-np.clip(logits[0, keep, 0], -60, 60)))
    raw = regression[0, keep] / blaze.side
    anchors = blaze.anchors[keep]
    centre, half = raw[:, 0:2] + anchors, raw[:, 2:4] / 2
    eyes = raw[:, 4:8] + np.tile(anchors, 2)
    rows = np.concatenate([centre - half, centre + half, eyes], axis=1) * blaze.side
    rows = (rows - np.tile([left, top], 4)) / scale
    return _blend_overlaps(np.concatenate([scores[:, None], rows], axis=1).astype(np.float32))


def _blend_overlaps(rows: np.ndarray, overlap: float = 0.3) -> np.ndarray:
    """Merge boxes of the same face into their score-weighted mean, BlazeFace's replacement of plain suppression."""
    rows = rows[np.argsort(-rows[:, 0], kind="stable")]
    merged = []
    while len(rows):
        first = rows[0, 1:5]
        low, high = np.maximum(rows[:, 1:3], first[:2]), np.minimum(rows[:, 3:5], first[2:])
        shared = np.clip(high - low, 0, None).prod(1)
        areas = (rows[:, 3:5] - rows[:, 1:3]).prod(1)
        same = shared / np.maximum(areas + areas[0] - shared, 1e-6) > overlap
        same[0] = True
        weights = rows[same, :1]
        mean = (rows[same, 1:] * weights).sum(0) / weights.sum()
        merged.append(np.r_[rows[0, 0], mean])
        rows = rows[~same]
    return np.array(merged, np.float32)
