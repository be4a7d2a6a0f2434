"""One frame of a clip, as the two passes take it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Frame:
    """A frame of a clip.

    Attributes:
        index: number of the frame; consecutive, starting anywhere.
        time: seconds; increasing, not necessarily evenly.
        pixels: (H, W, 3) uint8 RGB, upright; never changed afterwards, by either side.
    """

    index: int
    time: float
    pixels: np.ndarray
