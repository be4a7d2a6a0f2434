"""Small clips for tests, written with PyAV, and two passes that invert a box instead of unmasking a face."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from fractions import Fraction

import av
import numpy as np

from rac_unet.clips.working import Passes

SIZE = 96, 64
# x0, y0, x1, y1 of the painted box.
BOX = (30, 10, 61, 41)
# A subtitle as MP4 stores it: its length in two bytes, and the text.
TEXT = b"\0\5Hello"


def picture(index, size=SIZE):
    """A smooth picture that is different in each frame: (H, W, 3) uint8 RGB."""
    width, height = size
    y, x = np.mgrid[:height, :width]
    waves = [np.sin(x / 19 + index / 3), np.cos(y / 17 - index / 5), np.sin((x + y) / 23 + index / 4)]
    return np.rint(128 + 90 * np.stack(waves, -1)).astype(np.uint8)


def even_times(count, rate=25, base=Fraction(1, 12800)):
    return [round(Fraction(i, rate) / base) for i in range(count)]


@dataclass
class Make:
    """How a clip is made; see `write`."""

    count: int = 12
    size: tuple[int, int] = SIZE
    codec: str = "libx264"
    pixel_format: str = "yuv420p"
    options: dict = field(default_factory=lambda: {"crf": "8", "preset": "ultrafast"})
    times: list[int] | None = None
    time_base: Fraction = Fraction(1, 12800)
    matrix: int = 1
    range: int = 1
    transfer: int = 1
    primaries: int = 1
    aspect: Fraction = Fraction(1)
    rotation: int | None = None
    interlaced: bool = False
    sound: str | None = None
    subtitles: str | None = None
    metadata: dict = field(default_factory=dict)


def write(path, make=None, **changes):
    """Write a clip; return the times of its frames in seconds."""
    make = make or Make(**changes)
    times = make.times or even_times(make.count, base=make.time_base)
    with av.open(str(path), "w") as out:
        out.metadata.update(make.metadata)
        video = out.add_stream(make.codec, rate=25, options=make.options)
        video.width, video.height, video.pix_fmt = *make.size, make.pixel_format
        video.codec_context.time_base = video.time_base = make.time_base
        context = video.codec_context
        context.colorspace, context.color_range = make.matrix, make.range
        context.color_trc, context.color_primaries = make.transfer, make.primaries
        context.sample_aspect_ratio = make.aspect
        if make.rotation is not None:
            video.set_display_rotation(make.rotation)
        sound = out.add_stream(make.sound, rate=48000) if make.sound else None
        texts = out.add_mux_stream(make.subtitles) if make.subtitles else None
        for index, pts in enumerate(times):
            frame = av.VideoFrame.from_ndarray(picture(index, make.size), format="rgb24").reformat(
                format=make.pixel_format,
                dst_colorspace=make.matrix,
                src_color_range=2,
                dst_color_range=make.range,
            )
            frame.pts, frame.time_base = pts, make.time_base
            for packet in video.encode(frame):
                out.mux(packet)
        if sound:
            _add_sound(out, sound, float(times[-1] * make.time_base) + 0.04)
        if texts:
            _add_text(out, texts)
        for stream in filter(None, (video, sound)):
            for packet in stream.encode(None):
                out.mux(packet)
    return [time * make.time_base for time in times]


def _add_sound(out, stream, seconds):
    layout, count = stream.codec_context.layout, max(1024, int(48000 * seconds)) // 1024
    for number in range(count):
        wave = np.sin(np.arange(1024 * number, 1024 * (number + 1)) / 20).astype(np.float32)
        form = stream.codec_context.format.name
        planar = form.endswith("p")
        channels = layout.nb_channels
        data = np.tile(wave, (channels, 1)) if planar else np.repeat(wave, channels)[None]
        if form.startswith("s16"):
            data = (20000 * data).astype(np.int16)
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(data), format=form, layout=layout.name)
        frame.sample_rate, frame.pts, frame.time_base = 48000, 1024 * number, Fraction(1, 48000)
        for packet in stream.encode(frame):
            out.mux(packet)


def _add_text(out, stream):
    packet = av.Packet(TEXT)
    packet.pts = packet.dts = 0
    packet.duration, packet.time_base, packet.stream = 200, Fraction(1, 1000), stream
    out.mux(packet)


def packets(path, kind):
    """(time in seconds, bytes) of all packets of the first stream of a kind."""
    with av.open(str(path)) as container:
        stream = next(stream for stream in container.streams if stream.type == kind)
        return [(p.pts * p.time_base, bytes(p)) for p in container.demux(stream) if p.size]


def frame_times(path):
    with av.open(str(path)) as container:
        return [frame.pts * frame.time_base for frame in container.decode(video=0)]


@dataclass
class Box:
    """A track whose box is inverted."""

    first: int
    masked: np.ndarray

    def record(self):
        last = self.first + len(self.masked) - 1
        votes = {"happiness": 3, "neutral": 1}
        share = float(self.masked.mean())
        box = {"first_frame": self.first, "last_frame": last, "box": list(BOX)}
        return {**box, "emotion": "happiness", "votes": votes, "painted_share": share}


@dataclass
class Boxes:
    tracks: list[Box]

    def to_bytes(self):
        return json.dumps([[each.first, each.masked.tolist()] for each in self.tracks]).encode()

    @classmethod
    def from_bytes(cls, content):
        return cls([Box(first, np.array(masked, bool)) for first, masked in json.loads(content)])


class Inverter:
    """Invert the box, and add the mean of the first pixel over five frames, so that neighbours count."""

    context = 2

    def __init__(self, decisions):
        self.decisions = decisions

    def paint(self, frames, first, last):
        near = {}
        for frame in frames:
            near[frame.index] = frame
            if (index := frame.index - self.context) >= first:
                yield self._painted(near, index)
            near.pop(frame.index - 2 * self.context, None)
        for index in sorted(near):
            if frame.index - self.context < index <= last:
                yield self._painted(near, index)

    def _painted(self, near, index):
        pixels = near[index].pixels
        if not any(each.first <= index < each.first + len(each.masked) for each in self.decisions.tracks):
            return pixels
        corners = [near[i].pixels[0, 0].astype(int) for i in range(index - 2, index + 3) if i in near]
        pixels, (x0, y0, x1, y1) = pixels.copy(), BOX
        pixels[y0:y1, x0:x1] = (255 - pixels[y0:y1, x0:x1]) // 2 + np.mean(corners, 0).astype(int) // 4
        return pixels


def inverting(first=0, count=None):
    """Passes that paint the frames from `first` on, `count` of them or all; none for 0."""

    def find(frames):
        found = sum(1 for _ in frames)
        masked = np.ones((found if count is None else count) - first, bool)
        return Boxes([Box(first, masked)] if len(masked) else [])

    return Passes(find, Boxes.from_bytes, Inverter)
