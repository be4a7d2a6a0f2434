"""Which faces of a photo are inpainted: all, the largest ones, or those at one place."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from rac_unet.core.errors import UserError

ALL_FACES, LARGEST = "all", "largest"
Box = tuple[float, float, float, float]


@dataclass(frozen=True)
class FaceChoice:
    """A choice of faces; the default is all of them.

    Attributes:
        count: how many, largest first; None for all.
        box: x0, y0, x1, y1 in photo pixels; only faces there are chosen, and of these the `count` largest.
    """

    count: int | None = None
    box: Box | None = None

    @property
    def faces(self) -> str:
        """The count as the user writes it: `all`, `largest` or a number."""
        if self.count is None:
            return ALL_FACES
        return LARGEST if self.count == 1 else str(self.count)

    @property
    def place(self) -> str | None:
        """The box as the user writes it: `x0,y0,x1,y1`; None without one."""
        return None if self.box is None else ",".join(f"{side:g}" for side in self.box)

    @property
    def every(self) -> bool:
        """Whether every face is chosen."""
        return self.count is None and self.box is None

    def check(self, shape: Sequence[int]) -> None:
        """Raise UserError if the box is outside a photo of this shape, height first."""
        if self.box is None:
            return
        x0, y0, x1, y1 = self.box
        height, width = shape[:2]
        if x0 >= width or y0 >= height or x1 <= 0 or y1 <= 0:
            raise UserError(f"the box {self.place} is outside the picture of {width} x {height} pixels", "bad_value")

    def among(self, faces: Sequence[Box]) -> list[bool]:
        """Return which faces of a photo are chosen.

        Chosen by a box are the faces whose centre is inside; if there are none, those that contain the box's centre.

        Args:
            faces: x0, y0, x1, y1 of each, largest first.
        """
        there = [True] * len(faces)
        if self.box is not None:
            there = [_holds(self.box, face) for face in faces]
            if not any(there):
                there = [_holds(face, self.box) for face in faces]
        if self.count is None:
            return there
        rank = 0
        chosen = []
        for inside in there:
            chosen.append(inside and rank < self.count)
            rank += inside
        return chosen


def parse_choice(
    faces: str | int = ALL_FACES, box: str | Sequence[float] | None = None, wheres: tuple[str, str] = ("faces", "box")
) -> FaceChoice:
    """Return the choice of faces that a user made.

    Args:
        faces: `all`, `largest`, or how many of the largest.
        box: x0, y0, x1, y1 in pixels of the upright photo, as four numbers or with commas; None for the whole photo.
        wheres: the options or arguments, for the error message.
    Raises: UserError.
    """
    return FaceChoice(_parse_count(faces, wheres[0]), None if box is None else _parse_box(box, wheres[1]))


def _parse_count(faces: str | int, where: str) -> int | None:
    word = str(faces).strip().lower()
    if word in (ALL_FACES, LARGEST):
        return None if word == ALL_FACES else 1
    if isinstance(faces, bool) or not word.isascii() or not word.isdigit() or int(word) < 1:
        raise UserError(f"{where}: {str(faces)!r} is not {ALL_FACES}, {LARGEST} or a whole number from 1", "bad_value")
    return int(word)


def _parse_box(box: str | Sequence[float], where: str) -> Box:
    parts = box.split(",") if isinstance(box, str) else box
    try:
        x0, y0, x1, y1 = (float(part) for part in parts)
    except (TypeError, ValueError):
        raise UserError(
            f"{where}: {box!r} is not a box; give four numbers, x0,y0,x1,y1, in pixels", "bad_value"
        ) from None
    if not all(map(math.isfinite, (x0, y0, x1, y1))) or x0 >= x1 or y0 >= y1:
        raise UserError(f"{where}: {box!r} is an empty box; x0 must be below x1, and y0 below y1", "bad_value")
    return x0, y0, x1, y1


def _holds(box: Box, other: Box) -> bool:
    """Return whether the centre of the second box is inside the first."""
    x, y = (other[0] + other[2]) / 2, (other[1] + other[3]) / 2
    return box[0] <= x <= box[2] and box[1] <= y <= box[3]
