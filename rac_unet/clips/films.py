"""Decode the pictures of a video file with PyAV: upright, in one pixel format, whatever the file changes on its way.

Interlaced frames are deinterlaced, one picture a frame. HDR (PQ and HLG) is converted to BT.709 of standard range, and
more than 8 bits to 8.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from fractions import Fraction

import av
import av.error
import av.filter
import numpy as np
from av.sidedata.sidedata import Type
from av.video.reformatter import VideoReformatter

from rac_unet.clips.colours import BT709, FULL, LIMITED, RGB, STEPS, UNSPECIFIED, Colours, is_known_matrix
from rac_unet.clips.decoded import Damage, Facts, Picture, UnreadableClip, check_size, plane_array
from rac_unet.core.errors import one_line

_ATTACHED_PICTURE = 0x400
# Transfer functions of HDR in ITU-T H.273: PQ and HLG.
_HDR = {16: "PQ", 18: "HLG"}
# Frames per second, where a file says nothing or the unit of its clock instead.
_DEFAULT_RATE, _MOST_RATE = Fraction(25), 1000
# Seeking ends this many frames before the wanted one, since deinterlacing looks at the frames before.
_MARGIN = 4


class Film:
    """A video file.

    Args:
        path: its path.
        lossless: whether to keep formats that only lossless files can store: 4:2:2, RGB.
    Raises: UnreadableClip.
    """

    def __init__(self, path: str | os.PathLike, lossless: bool = False):
        self.path = os.fspath(path)
        with self._opened() as container:
            stream = self._stream(container)
            frame = next(_frames(container, stream, Damage()), None)
            if frame is None:
                raise UnreadableClip("none of its frames can be decoded", "unreadable")
            check_size(frame.width, frame.height)
            self._turn = _turn_of(frame)
            self._interlaced = bool(frame.interlaced_frame)
            self._hdr = frame.color_trc in _HDR
            self._size = frame.width, frame.height
            self.facts = self._facts(container, stream, frame, lossless)

    def pictures(self, target: int | None, damage: Damage) -> Iterator[Picture]:
        """Return the pictures from a time on, or all.

        Args:
            target: the time in units of the time base; reading starts at the key frame before. None for the beginning.
            damage: receives what goes wrong.
        """
        reformatter, to_rgb = VideoReformatter(), VideoReformatter()
        with self._opened() as container:
            stream = self._stream(container)
            frames = None if target is None else self._from(container, stream, target, damage)
            if frames is None:
                container.close()
                with self._opened() as fresh:
                    yield from self._pictures(_frames(fresh, self._stream(fresh), damage), damage, reformatter, to_rgb)
            else:
                yield from self._pictures(frames, damage, reformatter, to_rgb)

    def _pictures(self, frames, damage: Damage, reformatter, to_rgb) -> Iterator[Picture]:
        colours, transposed = self.facts.colours, self._turn[0]
        for frame in self._filtered(frames, damage):
            damage.frames += frame.is_corrupt
            whole = self._stored(frame, reformatter)
            pts, duration = self._in_units(frame, frame.pts), self._in_units(frame, frame.duration) or 0
            if colours.format == RGB:
                pixels = np.ascontiguousarray(_turned(whole.to_ndarray(), self._turn))
                yield Picture((pixels,), pixels, pts, duration)
                continue
            planes = tuple(_turned(plane_array(plane), self._turn) for plane in whole.planes)
            shown = to_rgb.reformat(
                whole,
                format=RGB,
                src_colorspace=colours.used_matrix,
                src_color_range=colours.used_range,
                dst_color_range=FULL,
            )
            pixels = shown.to_ndarray()
            if transposed or any(self._turn):
                pixels = np.ascontiguousarray(_turned(pixels, self._turn))
            yield Picture(planes, pixels, pts, duration)

    def _in_units(self, frame, ticks: int | None) -> int | None:
        if ticks is None:
            return None
        return round(ticks * Fraction(frame.time_base) / self.facts.time_base)

    def _opened(self):
        try:
            return av.open(self.path, metadata_errors="replace")
        except (FileNotFoundError, PermissionError, IsADirectoryError) as error:
            raise UnreadableClip(f"file cannot be opened: {error.strerror}", "unreadable") from None
        except (av.error.FFmpegError, OSError) as error:
            raise UnreadableClip(f"file is not a video, or damaged ({_words(error)})", "unreadable") from None

    def _stream(self, container):
        streams = [each for each in container.streams.video if not each.disposition & _ATTACHED_PICTURE]
        if not streams:
            sound = ", only sound" if container.streams.audio else ""
            raise UnreadableClip(f"file has no video stream{sound}", "unsupported")
        best = container.streams.best("video")
        stream = best if best in streams else streams[0]
        if stream.codec_context is None:
            raise UnreadableClip("its video codec is unknown", "unsupported")
        stream.thread_type = "AUTO"
        return stream

    def _from(self, container, stream, target: int, damage: Damage) -> Iterator | None:
        """Return frames from a key frame at least `_MARGIN` frames before a time; None if there is none."""
        step = round(1 / (self.facts.rate * self.facts.time_base))
        before = target - _MARGIN * max(step, 1)
        if before <= self.facts.start:
            return None
        try:
            container.seek(before, stream=stream)
        except (av.error.FFmpegError, OSError):
            return None
        frames = _frames(container, stream, damage)
        # Frames before the key frame in display order may refer to frames that were not read.
        key = next((frame for frame in frames if frame.key_frame), None)
        if key is None or key.pts is None or key.pts > before:
            return None
        return _chained(key, frames)

    def _facts(self, container, stream, frame, lossless: bool) -> Facts:
        notes = []
        rates = (stream.average_rate, stream.guessed_rate, stream.base_rate)
        rate = next((Fraction(each) for each in rates if each and 0 < each <= _MOST_RATE), _DEFAULT_RATE)
        time_base = Fraction(frame.time_base)
        colours = self._colours(frame, lossless, notes)
        width, height = reversed(self._size) if self._turn[0] else self._size
        aspect = Fraction(stream.sample_aspect_ratio or 1) or Fraction(1)
        if self._interlaced:
            notes.append("interlaced frames were deinterlaced, one picture a frame")
        if len(container.streams.video) > 1:
            notes.append("of several video streams, only one is used")
        duration = stream.duration * stream.time_base if stream.duration else None
        if duration is None and container.duration:
            duration = Fraction(container.duration, 1_000_000)
        return Facts(
            width=width,
            height=height,
            rate=rate,
            time_base=time_base,
            start=frame.pts or 0,
            frame_count=stream.frames or (round(duration * rate) if duration else None),
            duration=None if duration is None else float(duration),
            colours=colours,
            aspect=1 / aspect if self._turn[0] else aspect,
            codec=stream.codec_context.name,
            notes=tuple(notes),
        )

    def _colours(self, frame, lossless: bool, notes: list[str]) -> Colours:
        form = frame.format
        if not is_known_matrix(frame.colorspace):
            raise UnreadableClip(
                f"its colours have the matrix {frame.colorspace}, which is not supported", "unsupported"
            )
        deep = max(component.bits for component in form.components) > 8
        if frame.color_trc in _HDR:
            notes.append(f"{_HDR[frame.color_trc]} HDR was converted to 8-bit BT.709")
            return Colours("yuv420p", BT709, LIMITED, BT709, BT709, frame.height)
        if deep:
            notes.append("its colours were reduced to 8 bits")
        if any(component.is_alpha for component in form.components):
            notes.append("its transparency is lost")
        if form.is_rgb or form.has_palette:
            if lossless:
                return Colours(RGB, 0, FULL, frame.color_trc, frame.color_primaries, frame.height)
            return Colours("yuv420p", BT709, LIMITED, BT709, BT709, frame.height)
        # yuvj… are the names of full range in older versions.
        full = frame.color_range == FULL or form.name.startswith("yuvj")
        return Colours(
            self._planar(form, lossless, notes),
            frame.colorspace if frame.colorspace != 0 else UNSPECIFIED,
            FULL if full else frame.color_range if frame.color_range in (0, LIMITED) else 0,
            frame.color_trc,
            frame.color_primaries,
            frame.height,
        )

    def _planar(self, form, lossless: bool, notes: list[str]) -> str:
        """Return the format of the planes: 4:2:0 or 4:4:4; in a lossless file also other 8-bit formats."""
        width, height = self._size
        steps = -(-width // form.chroma_width(width)), -(-height // form.chroma_height(height))
        if len(form.components) < 3 or min(width, height) < 4:
            steps = (2, 2)
        name = next((name for name, each in STEPS.items() if each == steps), "yuv444p")
        if steps[0] != steps[1] and self._turn[0] and lossless:
            # Turned, its colours would have a format that hardly any program reads.
            return "yuv444p"
        if name in ("yuv420p", "yuv444p") or lossless:
            return name
        notes.append("its colours were reduced to 4:2:0")
        return "yuv420p"

    def _stored(self, frame, reformatter):
        """Return a frame with the size, format, matrix and range of the clip."""
        colours, (width, height) = self.facts.colours, self._size
        if colours.format == RGB:
            return reformatter.reformat(frame, width=width, height=height, format=RGB, dst_color_range=FULL)
        rgb = frame.format.is_rgb or frame.format.has_palette
        matrix = colours.used_matrix if frame.colorspace in (0, UNSPECIFIED) else frame.colorspace
        full = frame.color_range == FULL or frame.format.name.startswith("yuvj") or rgb
        name = frame.format.name.replace("yuvj", "yuv")
        same = (frame.width, frame.height, name) == (width, height, colours.format)
        if same and matrix == colours.used_matrix and (FULL if full else LIMITED) == colours.used_range:
            return frame
        return reformatter.reformat(
            frame,
            width=width,
            height=height,
            format=colours.format,
            src_colorspace=matrix,
            dst_colorspace=colours.used_matrix,
            src_color_range=FULL if full else LIMITED,
            dst_color_range=colours.used_range,
        )

    def _filtered(self, frames, damage: Damage) -> Iterator:
        """Deinterlace, and convert from HDR; frames pass through as they are where neither is needed."""
        graph, form = None, None
        for frame in frames:
            damage.resized += (frame.width, frame.height) != self._size
            if frame.interlaced_frame or self._hdr or graph:
                now = (frame.width, frame.height, frame.format.name, frame.colorspace, frame.color_range)
                if now != form:
                    if graph:
                        yield from graph.flush()
                    check_size(frame.width, frame.height)
                    graph, form = _Graph(frame, self._hdr), now
                yield from graph.push(frame)
            else:
                yield frame
        if graph:
            yield from graph.flush()


class _Graph:
    """FFmpeg's filters that deinterlace frames marked as interlaced, and convert HDR to BT.709."""

    def __init__(self, frame, hdr: bool):
        self._graph = av.filter.Graph()
        known = f"width={frame.width}:height={frame.height}:pix_fmt={frame.format.name}:time_base={frame.time_base}"
        nodes = [
            self._graph.add("buffer", f"{known}:colorspace={frame.colorspace}:range={frame.color_range}"),
            self._graph.add("bwdif", "mode=send_frame:deint=interlaced"),
        ]
        if hdr:
            nodes.append(
                self._graph.add(
                    "scale",
                    "out_transfer=bt709:out_primaries=bt709:out_color_matrix=bt709:out_range=limited:intent=perceptual",
                )
            )
            nodes.append(self._graph.add("format", "pix_fmts=yuv420p"))
        nodes.append(self._graph.add("buffersink"))
        for one, other in zip(nodes[:-1], nodes[1:], strict=True):
            one.link_to(other)
        self._graph.configure()
        self._source = nodes[0]

    def push(self, frame) -> Iterator:
        """Put a frame in; return the frames that come out, which may be none yet."""
        self._source.push(frame)
        yield from self._pulled()

    def flush(self) -> Iterator:
        """Return the frames that are left, after the last one was put in."""
        self._source.push(None)
        yield from self._pulled()

    def _pulled(self) -> Iterator:
        # Not enough frames yet, or no more.
        with contextlib.suppress(av.error.BlockingIOError, av.error.EOFError):
            while True:
                yield self._graph.vpull()


def _frames(container, stream, damage: Damage) -> Iterator:
    """Decode all that can be decoded; damaged packets are left out, and the frames inside the decoder still come."""
    packets = container.demux(stream)
    while True:
        try:
            packet = next(packets)
        except StopIteration:
            return
        except (av.error.FFmpegError, OSError, ValueError):
            damage.ends_early = True
            with contextlib.suppress(av.error.FFmpegError, ValueError):
                yield from stream.codec_context.decode(None)
            return
        try:
            frames = packet.decode()
        except av.error.LookupError:
            raise UnreadableClip(f"its video codec {_codec(stream)} is not supported", "unsupported") from None
        except (av.error.FFmpegError, ValueError):
            damage.packets += 1
            continue
        yield from frames


def _codec(stream) -> str:
    name = getattr(stream.codec_context, "codec_tag", "") or "unknown"
    return name.strip("\0 ") or "unknown"


def _chained(first, rest: Iterator) -> Iterator:
    yield first
    yield from rest


def _turn_of(frame) -> tuple[bool, bool, bool]:
    """Return what makes a frame upright by the file's display matrix: whether to swap its axes, then flip x, y."""
    data = next((each for each in _side_data(frame) if each.type == Type.DISPLAYMATRIX), None)
    if data is None:
        return (False, False, False)
    a, b, _, c, d = np.frombuffer(bytes(data), np.int32)[:5].tolist()
    # Angles between the quarters are rounded to the nearest.
    if abs(a) + abs(d) >= abs(b) + abs(c):
        return (False, a < 0, d < 0)
    return (True, c < 0, b < 0)


def _side_data(frame) -> Iterator:
    return (frame.side_data[place] for place in range(len(frame.side_data)))


def _turned(array: np.ndarray, turn: tuple[bool, bool, bool]) -> np.ndarray:
    swapped, across, down = turn
    array = array.swapaxes(0, 1) if swapped else array
    return array[:: -1 if down else 1, :: -1 if across else 1]


def _words(error: Exception) -> str:
    return one_line(error) if not getattr(error, "strerror", None) else error.strerror
