"""Measure how steady, sharp and true the painted half of a face is in a clip whose motion is known."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

# Side in pixels of the picture in which a face is measured, wherever it is in the frame.
_SIDE = 192
# The face's box is this share of it.
_BOX = 0.8


def still_view(still_face: tuple[float, float, float]) -> np.ndarray:
    """Return the matrix (3, 3), still pixel -> pixel of the square picture in which a face is measured."""
    x, y, side = still_face
    zoom = _BOX * _SIDE / side
    return np.array([[zoom, 0, _SIDE / 2 - zoom * x], [0, zoom, _SIDE / 2 - zoom * y], [0, 0, 1]])


def stabilised(frames: Sequence[np.ndarray], matrices: Sequence[np.ndarray], view: np.ndarray) -> np.ndarray:
    """Return (N, S, S) float32, the frames in grey as seen with the face standing still.

    Args:
        frames: (H, W, 3) uint8 RGB each.
        matrices: (3, 3) each, still pixel -> frame pixel.
        view: result of `still_view`.
    """
    pairs = zip(frames, matrices, strict=True)
    return np.stack(
        [in_view(cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY).astype(np.float32), m, view) for frame, m in pairs]
    )


def in_view(frame: np.ndarray, matrix: np.ndarray, view: np.ndarray) -> np.ndarray:
    """Return the face of one frame, (S, S) or (S, S, 3), as seen standing still; see `stabilised`."""
    flags = cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
    return cv2.warpPerspective(frame, matrix @ np.linalg.inv(view), (_SIDE, _SIDE), flags=flags)


def region_in_view(hidden: np.ndarray, view: np.ndarray, margin: int = 4) -> np.ndarray:
    """Return (S, S) bool, the hidden pixels of a still as seen in the view, without a margin along their edge."""
    seen = cv2.warpPerspective(hidden.astype(np.uint8), view, (_SIDE, _SIDE), flags=cv2.INTER_NEAREST)
    return cv2.erode(seen, np.ones((2 * margin + 1, 2 * margin + 1), np.uint8)) > 0


def flicker(seen: np.ndarray, region: np.ndarray) -> float:
    """Return the mean change from a frame to the next in grey levels, inside a region.

    Args:
        seen: result of `stabilised`.
        region: (S, S) bool.
    """
    return float(np.abs(np.diff(seen[:, region], axis=0)).mean())


def slow_flicker(seen: np.ndarray, region: np.ndarray) -> float:
    """Return `flicker` of the frames blurred in space: of wandering features, without noise and grain."""
    return flicker(np.stack([cv2.GaussianBlur(frame, (0, 0), 2.0) for frame in seen]), region)


def sharpness(seen: np.ndarray, region: np.ndarray) -> float:
    """Return the strength of fine features in grey levels, the mean over the frames; noise and grain hardly count.

    The standard deviation of the band between blurs of 1 and of 4 pixels.
    """
    bands = [cv2.GaussianBlur(frame, (0, 0), 1.0) - cv2.GaussianBlur(frame, (0, 0), 4.0) for frame in seen]
    return float(np.mean([band[region].std() for band in bands]))


def likeness(seen: np.ndarray, truth: np.ndarray, region: np.ndarray) -> float:
    """Return the PSNR in dB inside a region, over all frames."""
    error = float(((seen[:, region] - truth[:, region]) ** 2).mean())
    return float(10 * np.log10(255**2 / max(error, 1e-9)))
