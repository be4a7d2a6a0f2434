"""Encode frames into segments: files of encoded packets, with the exact times, which `writing.py` joins.

Each segment has an encoder of its own, so segments do not depend on each other and can be made again after a kill.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import BinaryIO

import av
import numpy as np
from av.codec.context import Flags
from av.video.frame import PictureType

from rac_unet.clips.colours import BT601, BT709, FULL, RGB, STEPS, UNSPECIFIED, Colours
from rac_unet.clips.decoded import Facts
from rac_unet.clips.settings import QUALITY

H264, FFV1 = "libx264", "ffv1"
_PRESET = "veryfast"
# As long as x264's own longest distance between key frames: independent segments cost no quality.
SEGMENT_FRAMES = 250
_MAGIC = b"rac_unet packets 1\n"
_HEADER = struct.Struct("<qqBI")


@dataclass(frozen=True)
class Encoding:
    """How frames are encoded.

    Attributes:
        codec: `H264` or `FFV1`.
        quality: x264's constant rate factor; of no effect for FFV1.
        width, height: of the frames, in pixels.
        colours: format of the frames' planes.
        rate: average frames per second; the times are those of the frames.
        time_base: unit of the times in seconds.
        aspect: width of a pixel relative to its height.
    """

    codec: str
    quality: int
    width: int
    height: int
    colours: Colours
    rate: Fraction
    time_base: Fraction
    aspect: Fraction

    @classmethod
    def of_clip(cls, facts: Facts, lossless: bool, quality: int = QUALITY, width: int | None = None) -> Encoding:
        """Return the encoding of a clip, or of pictures of another width with its colours and times."""
        return cls(
            FFV1 if lossless else H264,
            quality,
            facts.width if width is None else width,
            facts.height,
            facts.colours,
            facts.rate,
            facts.time_base,
            facts.aspect,
        )

    @property
    def stored_size(self) -> tuple[int, int]:
        """Width and height in the file: H.264 with 4:2:0 has even sides only, so an odd one gets one pixel more."""
        if self.codec == FFV1:
            return self.width, self.height
        across, down = STEPS[self.colours.format]
        return self.width + -self.width % across, self.height + -self.height % down

    @property
    def options(self) -> dict[str, str]:
        """Options of the encoder by FFmpeg's names."""
        if self.codec == FFV1:
            # The number of slices is part of the file's header, so it may not depend on the machine.
            return {"level": "3", "coder": "1", "context": "0", "slicecrc": "1", "slices": "4", "g": "1"}
        # With x264's macroblock tree, the same small frames were encoded in different ways from call to call.
        return {"preset": _PRESET, "crf": str(self.quality), "mbtree": "0"}

    def apply(self, context) -> None:
        """Set up an encoder: a codec context that is not open yet."""
        context.width, context.height = self.stored_size
        context.pix_fmt = "bgr0" if self.colours.format == RGB else self.colours.format
        context.time_base, context.framerate = self.time_base, self.rate
        context.sample_aspect_ratio = self.aspect
        context.colorspace = self._matrix_tag
        context.color_range = self.colours.range
        context.color_trc, context.color_primaries = self.colours.transfer, self.colours.primaries
        context.options = self.options
        context.flags |= Flags.global_header

    @property
    def _matrix_tag(self) -> int:
        """Unspecified stays unspecified, unless players would take another matrix for these frames."""
        usual = BT709 if self.height >= 720 else BT601
        if self.colours.matrix == UNSPECIFIED and self.colours.used_matrix != usual:
            return self.colours.used_matrix
        return self.colours.matrix


class SegmentEncoder:
    """Encode frames, and write the packets into an open file.

    Args:
        file: open for writing bytes.
        encoding: how the frames are encoded.
    """

    def __init__(self, file: BinaryIO, encoding: Encoding):
        self._file, self._encoding = file, encoding
        self._context = av.CodecContext.create(encoding.codec, "w")
        encoding.apply(self._context)
        self._context.open()
        self._shown: list[int] = []
        file.write(_MAGIC)

    def add(self, planes: tuple[np.ndarray, ...], pts: int, duration: int) -> None:
        """Encode the next frame.

        Args:
            planes: as of a `Frame`.
            pts, duration: in units of the time base; pts larger than that of the frame before.
        """
        frame = self._frame(planes)
        frame.pts, frame.time_base, frame.duration = pts, self._encoding.time_base, duration
        frame.pict_type = PictureType.NONE
        self._write(self._context.encode(frame))

    def finish(self) -> int:
        """Write what is left in the encoder. Returns by how many places packets precede their order of display."""
        self._write(self._context.encode(None))
        rank = {pts: place for place, pts in enumerate(sorted(self._shown))}
        return max((place - rank[pts] for place, pts in enumerate(self._shown)), default=0)

    def _write(self, packets) -> None:
        for packet in packets:
            content = bytes(packet)
            self._shown.append(packet.pts)
            self._file.write(_HEADER.pack(packet.pts, packet.duration or 0, packet.is_keyframe, len(content)))
            self._file.write(content)

    def _frame(self, planes: tuple[np.ndarray, ...]):
        colours, (width, height) = self._encoding.colours, self._encoding.stored_size
        if colours.format == RGB:
            return av.VideoFrame.from_ndarray(np.ascontiguousarray(planes[0]), format=RGB).reformat(format="bgr0")
        frame = av.VideoFrame(width, height, colours.format)
        for plane, values in zip(frame.planes, planes, strict=True):
            rows = np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)[: plane.height, : plane.width]
            high, wide = values.shape
            rows[:high, :wide] = values
            rows[high:, :wide] = rows[high - 1, :wide]
            rows[:, wide:] = rows[:, wide - 1 : wide]
        frame.colorspace = self._context.colorspace
        frame.color_range = FULL if colours.used_range == FULL else colours.range
        return frame


def read_packets(path: Path) -> Iterator:
    """Return the packets of a segment in order, without decoding times."""
    with open(path, "rb") as file:
        if file.read(len(_MAGIC)) != _MAGIC:
            raise ValueError(f"{path} is not a segment")
        while header := file.read(_HEADER.size):
            pts, duration, is_key, size = _HEADER.unpack(header)
            packet = av.Packet(file.read(size))
            packet.pts, packet.duration, packet.is_keyframe = pts, duration, bool(is_key)
            yield packet
