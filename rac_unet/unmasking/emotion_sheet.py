"""Draw sheets of a face with each of the seven emotions, side-by-side images and the visible mark."""

from __future__ import annotations

import cv2
import numpy as np

from rac_unet.core.emotions import EMOTIONS
from rac_unet.unmasking.result import SevenFaces

# One face per row; further faces are on further pages.
FACES_PER_PAGE = 8
# Side of a picture and height of the row of names above it, in pixels.
_CELL, _HEAD = 160, 28
_FONT = cv2.FONT_HERSHEY_SIMPLEX


def draw_emotion_sheets(faces: list[SevenFaces], mark: bool = False) -> list[np.ndarray]:
    """Draw pages of up to `FACES_PER_PAGE` faces, one per row: the photo's crop, then the seven emotions by name.

    Args:
        mark: whether to write 'synthetic' into each painted image.
    Returns: pages (H, 1280, 3) uint8 RGB.
    """
    pages = []
    for start in range(0, len(faces), FACES_PER_PAGE):
        rows = []
        for number, face in enumerate(faces[start : start + FACES_PER_PAGE], start + 1):
            label = "photo" if len(faces) == 1 else f"face {number}"
            rows += [
                np.hstack([_heading(name) for name in (label, *EMOTIONS)]),
                np.hstack([_cell(face.crop), *(_painted(face.painted[name], mark) for name in EMOTIONS)]),
            ]
        pages.append(np.vstack(rows))
    return pages


def draw_side_by_side(photo: np.ndarray, result: np.ndarray) -> np.ndarray:
    """Return the photo on the left and the result on the right, (H, 2 W, 3) uint8 RGB or (H, 2 W, 4) RGBA."""
    return np.hstack([photo, result])


def draw_mark(image: np.ndarray, text: str = "synthetic") -> None:
    """Write a word into the lower left corner, in place, with letters of a thirtieth of the shorter side.

    Args:
        image: (H, W, 3) or (H, W, 4) uint8; the word and its background become opaque.
    """
    height = max(8, min(image.shape[:2]) // 30)
    scale = cv2.getFontScaleFromHeight(_FONT, height, 1)
    (width, _), base = cv2.getTextSize(text, _FONT, scale, 1)
    edge = max(2, height // 3)
    bottom = image.shape[0]
    ground = image[max(0, bottom - height - base - 2 * edge) :, : width + 2 * edge]
    ground[..., :3] //= 3
    ground[..., 3:] = 255
    white = (255,) * image.shape[2]
    cv2.putText(image, text, (edge, bottom - base - edge), _FONT, scale, white, max(1, height // 14), cv2.LINE_AA)


def _cell(picture: np.ndarray) -> np.ndarray:
    shrinks = len(picture) > _CELL
    return cv2.resize(picture, (_CELL, _CELL), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC)


def _painted(picture: np.ndarray, mark: bool) -> np.ndarray:
    cell = _cell(picture)
    if mark:
        draw_mark(cell)
    return cell


def _heading(text: str) -> np.ndarray:
    strip = np.full((_HEAD, _CELL, 3), 255, np.uint8)
    (width, _), _ = cv2.getTextSize(text, _FONT, 0.55, 1)
    cv2.putText(strip, text, ((_CELL - width) // 2, 20), _FONT, 0.55, (0, 0, 0), 1, cv2.LINE_AA)
    return strip
