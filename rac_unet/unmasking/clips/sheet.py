"""The contact sheet of a clip: moments spread over it, each before and after."""

from __future__ import annotations

import cv2
import numpy as np

MOMENTS = 12
_COLUMNS, _WIDTH, _HEIGHT, _LABEL = 4, 320, 320, 24
_FONT = cv2.FONT_HERSHEY_SIMPLEX


def moments(painted: np.ndarray) -> list[int]:
    """Return the numbers of up to `MOMENTS` frames for the sheet, evenly spread over those that are painted.

    Args:
        painted: (N,) bool, which frames are painted.
    """
    frames = np.flatnonzero(painted)
    if len(frames) <= MOMENTS:
        return frames.tolist()
    return frames[((np.arange(MOMENTS) + 0.5) * len(frames) / MOMENTS).astype(int)].tolist()


def draw_moment(before: np.ndarray, after: np.ndarray, seconds: float) -> np.ndarray:
    """Return a frame before (above) and after, reduced, with its time below; (h, w, 3) uint8 RGB.

    Args:
        before, after: (H, W, 3) uint8 RGB.
        seconds: the frame's time from the start of the clip.
    """
    scale = min(_WIDTH / before.shape[1], _HEIGHT / before.shape[0], 1.0)
    size = max(1, round(scale * before.shape[1])), max(1, round(scale * before.shape[0]))
    pair = np.vstack([cv2.resize(each, size, interpolation=cv2.INTER_AREA) for each in (before, after)])
    label = np.full((_LABEL, size[0], 3), 255, np.uint8)
    cv2.putText(label, clock(seconds), (4, 17), _FONT, 0.5, (0, 0, 0), 1, cv2.LINE_AA)
    return np.vstack([pair, label])


def draw_sheet(cells: list[np.ndarray]) -> np.ndarray:
    """Return the moments in rows of four, (H, W, 3) uint8 RGB; all `cells` have one size, (h, w, 3) uint8 RGB."""
    columns = min(_COLUMNS, len(cells))
    blank = np.full_like(cells[0], 255)
    padded = cells + [blank] * (-len(cells) % columns)
    return np.vstack([np.hstack(padded[start : start + columns]) for start in range(0, len(padded), columns)])


def clock(seconds: float) -> str:
    """`75.25` -> `1:15.25`: neighbouring frames of a short clip have different times."""
    hundredths = round(100 * seconds)
    return f"{hundredths // 6000}:{hundredths // 100 % 60:02d}.{hundredths % 100:02d}"
