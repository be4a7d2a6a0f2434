"""A user's map of the pixels to inpaint: read it from a file or an array, and fit it to the photo."""

from __future__ import annotations

import os
from dataclasses import dataclass

import cv2
import numpy as np

from rac_unet.core.errors import UserError
from rac_unet.core.registry import check_name
from rac_unet.photos.reading import UnreadablePhoto, decode_photo, read_photo_bytes

REPLACE, ADD, REMOVE = "replace", "add", "remove"
MODES = (REPLACE, ADD, REMOVE)
# A pixel at least this bright is in the map.
_WHITE = 128
# A map has hardly any pixels between these levels; a photo given by mistake has little else.
_DARK, _BRIGHT, _MOST_GREY = 32, 223, 0.5
# Channels differ less than this in a grey map that was saved as a JPEG.
_COLOURED = 48


@dataclass(frozen=True)
class OwnMap:
    """A user's map in the pixels of one photo.

    Attributes:
        hidden: (H, W) bool, the pixels in the map.
        mode: `replace` (this map instead of the found one), `add` (to the found one) or `remove` (from the found one).
        notes: what the user should know: the map was resized, has colours, is empty.
    """

    hidden: np.ndarray
    mode: str
    notes: tuple[str, ...] = ()


def check_mode(mode: str | None, where: str = "map_mode") -> str:
    """Return the mode of a map, `replace` by default; raises UserError for another word."""
    if mode is None:
        return REPLACE
    check_name(where, mode, MODES)
    return mode


def check_map_file(path: str | os.PathLike, where: str = "map") -> None:
    """Raise UserError if a file cannot be read as a map of any photo."""
    _grey_map(path, where)


def make_own_map(
    given: str | os.PathLike | np.ndarray, mode: str | None, shape: tuple[int, ...], where: str = "map"
) -> OwnMap:
    """Return a user's map in the pixels of a photo.

    Args:
        given: a file of any format that photos can have, or an array: (H, W) bool, (H, W) float in [0, 1], or uint8
            (H, W), (H, W, 1), (H, W, 3) or (H, W, 4). What is at least half bright is in the map. Of colours the
            brightest channel counts, and transparent pixels are dark.
        mode: see `OwnMap`.
        shape: shape of the photo, height first. A map of another size is resized if its aspect ratio is the same.
        where: the option or argument, for messages.
    Raises: UserError when the map cannot be read, is a picture of another kind, or does not fit the photo.
    """
    name, values, notes = _grey_map(given, where)
    values, resized = _fitted(values, shape, name)
    hidden = values >= _WHITE
    if not hidden.any():
        notes.append(f"the map is empty: its brightest pixel is {int(values.max())} of 255")
    return OwnMap(hidden, check_mode(mode), (*resized, *notes))


def _grey_map(given: str | os.PathLike | np.ndarray, where: str) -> tuple[str, np.ndarray, list[str]]:
    """Return a map's name for messages, its (H, W) uint8 values, and notes about its colours."""
    if isinstance(given, np.ndarray):
        name, picture = where, _checked(given, where)
    elif not isinstance(given, (str, os.PathLike)):
        raise UserError(f"{where}: expected a file or an array (H, W). Received: {type(given).__name__}", "wrong_type")
    else:
        name, picture = f"{where} {os.fspath(given)}", _read(given, where)
    values, notes = _as_grey(picture)
    grey = float(((values > _DARK) & (values < _BRIGHT)).mean())
    if grey > _MOST_GREY:
        raise UserError(
            f"{name}: {100 * grey:.0f} % of it is neither dark nor bright, so it is a picture and not a map; a map is "
            "white where to inpaint and black elsewhere",
            "wrong_type",
        )
    return name, values, notes


def _read(path: str | os.PathLike, where: str) -> np.ndarray:
    """Return the picture of a map file, (H, W, 3) or (H, W, 4) uint8."""
    try:
        read = decode_photo(read_photo_bytes(path), full_size=True)
    except UnreadablePhoto as reason:
        raise UserError(f"{where} {os.fspath(path)}: {reason}", "unreadable") from None
    return read.pixels if read.rgba is None else read.rgba


def _checked(array: np.ndarray, where: str) -> np.ndarray:
    """Return a map given as an array as uint8, (H, W), (H, W, 3) or (H, W, 4)."""
    if array.ndim == 3 and array.shape[2] == 1:
        array = array[..., 0]
    flat = array.ndim == 2 and array.size > 0
    if flat and array.dtype == bool:
        return array.astype(np.uint8) * 255
    if flat and array.dtype.kind == "f" and np.isfinite(array).all() and array.min() >= 0 and array.max() <= 1:
        return np.rint(255 * array).astype(np.uint8)
    if array.dtype == np.uint8 and (flat or (array.ndim == 3 and array.shape[2] in (3, 4) and array.size > 0)):
        return array
    raise UserError(
        f"{where}: expected (H, W) bool, float in [0, 1] or uint8, or a file. Received: {array.dtype} {array.shape}",
        "wrong_type",
    )


def _as_grey(picture: np.ndarray) -> tuple[np.ndarray, list[str]]:
    """Return (H, W) uint8, and notes about colours and transparency."""
    if picture.ndim == 2:
        return picture, []
    notes = []
    values = picture[..., :3].max(-1)
    opacity = picture[..., 3] if picture.shape[2] == 4 else np.uint8(255)
    spread = np.where(opacity > 0, values - picture[..., :3].min(-1), 0)
    if spread.max() >= _COLOURED:
        notes.append("the map has colours: its brightest channel is used")
    if opacity.min() < 255:
        notes.append("the map has transparent parts: they count as black")
        values = (values.astype(np.uint16) * opacity // 255).astype(np.uint8)
    return values, notes


def _fitted(values: np.ndarray, shape: tuple[int, ...], name: str) -> tuple[np.ndarray, list[str]]:
    """Return the map at the photo's size, and a note if it was resized."""
    (height, width), (high, wide) = values.shape, shape[:2]
    if (height, width) == (high, wide):
        return values, []
    # Less than a pixel of the smaller picture is rounding.
    off = min(abs(high * width / wide - height), abs(wide * height / high - width))
    if off >= 1 or abs(height * wide / (width * high) - 1) > 0.05:
        raise UserError(
            f"{name}: the map has {width} x {height} pixels, the photo {wide} x {high} (upright); give a map of this "
            "size or aspect ratio",
            "mismatch",
        )
    shrinks = height * width > high * wide
    fitted = cv2.resize(values, (wide, high), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)
    return fitted, [f"the map was resized from {width} x {height} to the photo's {wide} x {high} pixels"]
