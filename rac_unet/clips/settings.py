"""What the result of a clip depends on, and how a user writes it; imports no PyAV."""

from __future__ import annotations

import argparse
from dataclasses import asdict, dataclass
from fractions import Fraction
from typing import Any

# x264's constant rate factor that most people cannot tell from the source; 0 is lossless, 51 the worst.
QUALITY = 16


@dataclass(frozen=True)
class ClipSettings:
    """What the result of a clip depends on.

    Attributes:
        emotion, model: as of a photo's `Settings`.
        lossless: FFV1 in Matroska instead of H.264.
        quality: x264's constant rate factor, 0 (lossless) to 51.
        start, end: seconds; None for the whole clip.
        side_by_side: whether to write the clip and the result next to each other, too.
        mark: whether to write 'synthetic' visibly into every frame.
        faces, box: which faces are painted, see `parse_choice`.
    """

    emotion: str = "auto"
    model: str = ""
    lossless: bool = False
    quality: int = QUALITY
    start: Fraction | None = None
    end: Fraction | None = None
    side_by_side: bool = False
    mark: bool = True
    faces: str = "all"
    box: str | None = None

    @property
    def is_cut(self) -> bool:
        """Whether only a part of the clip is unmasked."""
        return self.start is not None or self.end is not None

    def record(self) -> dict[str, Any]:
        """Return the settings for JSON."""
        times = {name: None if (time := getattr(self, name)) is None else float(time) for name in ("start", "end")}
        return {**asdict(self), **times}


def clip_time(text: str) -> Fraction:
    """Return seconds, written as `90`, `90.5`, `1:30` or `0:01:30.5`; an argparse type.

    Raises: argparse.ArgumentTypeError.
    """
    seconds = Fraction(0)
    parts = text.split(":")
    if len(parts) > 3 or not all(part and part.replace(".", "", 1).isdigit() for part in parts):
        raise argparse.ArgumentTypeError(f"{text!r} is not a time; use seconds (90.5), or 1:30, or 0:01:30")
    for part in parts:
        seconds = 60 * seconds + Fraction(part)
    return seconds
