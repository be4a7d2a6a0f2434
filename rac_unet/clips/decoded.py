"""What decoding a clip gives: its facts, its pictures, and what was damaged."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from rac_unet.clips.colours import Colours
from rac_unet.core.errors import UserError

# 8K. A frame of it takes 150 MB here, and several are kept at a time.
MAX_PIXELS = 8192 * 4320


class UnreadableClip(UserError):
    """A clip that cannot be read or is not supported; the others of a batch can be."""


@dataclass(frozen=True)
class Picture:
    """A decoded picture.

    Attributes:
        planes, pixels, duration: as of a `Frame`.
        pts: the time by the file, in units of its time base; None if the file says nothing.
    """

    planes: tuple[np.ndarray, ...]
    pixels: np.ndarray
    pts: int | None
    duration: int


@dataclass(frozen=True)
class Facts:
    """What is known of a clip before its frames are read.

    Attributes:
        width, height: in pixels, upright.
        rate: frames per second, the average; frames may have any times.
        time_base: unit of the frames' times in seconds.
        start: time of the first frame, in units of the time base.
        frame_count: number of frames by the file's header, which may be wrong; None if it says nothing.
        duration: in seconds, by the header; None if it says nothing.
        colours: how frames are stored.
        aspect: width of a pixel relative to its height.
        codec: name of the codec of its pictures.
        notes: what is converted or left out, for the user.
    """

    width: int
    height: int
    rate: Fraction
    time_base: Fraction
    start: int
    frame_count: int | None
    duration: float | None
    colours: Colours
    aspect: Fraction
    codec: str
    notes: tuple[str, ...] = ()


@dataclass
class Damage:
    """What went wrong while a clip was read.

    Attributes:
        packets: number of packets that could not be decoded.
        frames: number of frames that the decoder calls damaged.
        times: number of frames without a time, or with one that is not later than the one before.
        resized: number of frames of another size than the first, which were scaled.
        ends_early: whether reading ended with an error.
    """

    packets: int = 0
    frames: int = 0
    times: int = 0
    resized: int = 0
    ends_early: bool = False

    def describe(self) -> list[str]:
        """Return a remark for the user about each kind of damage."""
        kinds = [
            (self.packets, "packet", "could not be decoded"),
            (self.frames, "frame", "decoded with damage"),
            (self.times, "frame", "without a valid time, shown after the one before"),
            (self.resized, "frame", "of another size than the first, scaled to it"),
        ]
        return [f"{count:,} {noun}{'s' * (count != 1)} {what}" for count, noun, what in kinds if count]


def check_size(width: int, height: int) -> None:
    """Raise UnreadableClip when frames have no pixels, or too many."""
    if width < 1 or height < 1:
        raise UnreadableClip("its frames have no pixels", "unreadable")
    if width * height > MAX_PIXELS:
        raise UnreadableClip(
            f"frames of {width} x {height} pixels; the limit is {MAX_PIXELS / 1e6:.1f} megapixels (8K)", "unsupported"
        )


def plane_array(plane) -> np.ndarray:
    """Return a plane as an array that shares its memory, without the padding of its rows."""
    return np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)[: plane.height, : plane.width]
