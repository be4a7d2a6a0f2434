"""One frame of a clip, from reading over both passes to writing."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np


@dataclass(frozen=True)
class Frame:
    """A frame of a clip. The two passes need number, time and pixels alone; the rest is for writing a video.

    Attributes:
        index: number of the frame; consecutive, and 0 for the first frame that is read from a file.
        time: seconds of the clip's own clock; increasing, not necessarily evenly.
        pixels: (H, W, 3) uint8 RGB, upright; never changed afterwards.
        planes: the same picture as it is stored: (H, W) uint8 of brightness and two of colour, whose height and width
            may be smaller, or one (H, W, 3) of RGB; upright, and never changed. Empty if it is not from a file.
        pts: the time in units of the file's time base.
        duration: how long the frame is shown, in the same units; 0 if it is not known.
    """

    index: int
    time: float
    pixels: np.ndarray = field(repr=False)
    planes: tuple[np.ndarray, ...] = field(default=(), repr=False)
    pts: int = 0
    duration: int = 0
