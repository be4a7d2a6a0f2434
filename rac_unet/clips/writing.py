"""Join encoded segments with the sound and subtitles of the source, which are copied packet by packet."""

from __future__ import annotations

import contextlib
import io
import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import BinaryIO

import av
import av.error

from rac_unet.clips.encoding import Encoding, read_packets
from rac_unet.core.errors import own_version
from rac_unet.photos.metadata import PhotoMetadata, is_mark, marked

# Containers by the file extension of a result, in the order in which they are preferred.
_CONTAINERS = {".mp4": "mp4", ".mov": "mov", ".mkv": "matroska"}
# Sound that MP4 can store, but that many players do not find in it.
_AVOIDED_IN_MP4 = ("pcm_", "vorbis", "adpcm_")
# They describe the container, not the clip.
_NOT_COPIED = ("major_brand", "minor_version", "compatible_brands", "encoder")
# Of the box that holds XMP in MP4 and MOV (XMP specification, part 3).
_XMP_BOX = bytes.fromhex("BE7ACFCB97A942E89C71999491E3AFAC")


@dataclass(frozen=True)
class Container:
    """The container of a result.

    Attributes:
        ending: .mp4, .mov or .mkv.
        copied: numbers of the source's streams that are copied.
        notes: what was chosen or left out, and why.
    """

    ending: str
    copied: tuple[int, ...]
    notes: tuple[str, ...] = ()


def choose_container(path: str, lossless: bool) -> Container:
    """Return a container that can store the sound and subtitles of a clip: MP4 if it can, else MOV or Matroska.

    Lossless pictures are always in Matroska.
    """
    source = _opened(path)
    if source is None:
        return Container(".mkv" if lossless else ".mp4", ())
    with source:
        wanted = [stream for stream in source.streams if stream.type in ("audio", "subtitle")]
        names = {stream.index: f"{_kind(stream)} ({_codec(stream)})" for stream in wanted}
        others = sum(stream.type in ("data", "attachment") for stream in source.streams)
        best: Container | None = None
        for ending in [".mkv"] if lossless else _CONTAINERS:
            kept = tuple(stream.index for stream in wanted if _can_store(ending, stream))
            if best is None or len(kept) > len(best.copied):
                best = Container(ending, kept)
    notes = []
    first = ".mkv" if lossless else ".mp4"
    if best.ending != first:
        notes.append(f"{best.ending} instead of {first}, which cannot store all of its sound and subtitles")
    lost = [name for index, name in names.items() if index not in best.copied]
    if lost:
        notes.append(f"left out, since {best.ending} cannot store it: {', '.join(lost)}")
    if others:
        notes.append(f"{others} streams that are neither pictures, sound nor subtitles were left out")
    return Container(best.ending, best.copied, tuple(notes))


@dataclass(frozen=True)
class Segments:
    """The encoded pictures of a whole clip.

    Attributes:
        files: the segments, in order; see `SegmentEncoder`.
        encoding: of all of them.
        times: pts of all frames, in units of the encoding's time base, in the source's own clock.
        reorder: by how many places packets precede their order of display, at most.
    """

    files: list[Path]
    encoding: Encoding
    times: tuple[int, ...]
    reorder: int

    def packets(self, stream, shift: Fraction) -> Iterator:
        """Return the packets for a stream, with times to decode them that increase over all segments.

        The encoders' own may not increase where frames have uneven times.

        Args:
            stream: of the file that is written.
            shift: seconds by which all times are reduced, in whole units of the time base.
        """
        moved = int(shift / self.encoding.time_base)
        step = max(1, self.times[1] - self.times[0] if len(self.times) > 1 else 1)
        for place, packet in enumerate(itertools.chain.from_iterable(map(read_packets, self.files))):
            earlier = place - self.reorder
            packet.dts = (self.times[earlier] if earlier >= 0 else self.times[0] + earlier * step) - moved
            packet.pts -= moved
            packet.time_base, packet.stream = self.encoding.time_base, stream
            yield packet


def write_clip(
    file: BinaryIO,
    source: str,
    container: Container,
    segments: Segments,
    synthetic: bool,
    part: tuple[bool, bool] = (False, False),
) -> list[str]:
    """Write a whole clip.

    Args:
        file: open for writing and seeking.
        source: path of the clip whose sound, subtitles and metadata are copied.
        container: the container, and which streams are copied.
        segments: the pictures.
        synthetic: whether a face is painted, which the mark in the metadata says.
        part: whether the clip starts later than its source, and ends before it.
    Returns: remarks for the user.
    Raises: OSError when the file cannot be written.
    """
    remarks: list[str] = []
    encoding, times = segments.encoding, segments.times
    options = {}
    if container.ending != ".mkv":
        # Times at which streams start are stored in this unit, by default a millisecond.
        options["movie_timescale"] = str(_timescale(encoding.time_base))
    with _file_errors(), contextlib.ExitStack() as stack:
        original = _opened(source)
        if original is not None:
            stack.enter_context(original)
        out = stack.enter_context(av.open(file, "w", format=_CONTAINERS[container.ending], options=options))
        video = out.add_stream(encoding.codec, rate=encoding.rate)
        encoding.apply(video.codec_context)
        video.time_base = encoding.time_base
        copies, shift = {}, Fraction(0)
        if original is not None:
            copies = {index: _add_copy(out, original.streams[index]) for index in container.copied}
            out.metadata.update({k: v for k, v in original.metadata.items() if k.lower() not in _NOT_COPIED})
            shift = max(Fraction(0), Fraction(original.start_time or 0, 1_000_000))
        xmp = _mark(out.metadata, synthetic)
        first, last = (pts * encoding.time_base for pts in (times[0], times[-1]))
        # In whole units, so that the times of the frames stay exact.
        shift = first if part[0] else shift // encoding.time_base * encoding.time_base
        if original is not None and part == (False, False):
            with contextlib.suppress(Exception):
                out.set_chapters(_moved_chapters(original.chapters(), shift))
        limits = (first if part[0] else None, last + 1 / encoding.rate if part[1] else None)
        others = _copied(original, copies, shift, limits, remarks) if copies else iter(())
        for packet in _by_time(segments.packets(video, shift), others):
            out.mux_one(packet)
    if container.ending != ".mkv":
        content = _XMP_BOX + xmp
        file.seek(0, io.SEEK_END)
        file.write((8 + len(content)).to_bytes(4, "big") + b"uuid" + content)
    return remarks


def _opened(source: str):
    """Return an open clip; None if it cannot be opened."""
    try:
        return av.open(source, metadata_errors="replace")
    except (av.error.FFmpegError, OSError):
        return None


def _add_copy(out, template):
    """Add a stream of the same kind as another one, with its metadata, and return it."""
    stream = out.add_stream_from_template(template, opaque=True)
    stream.metadata.update(template.metadata)
    with contextlib.suppress(AttributeError, TypeError):
        stream.disposition = template.disposition
    return stream


@contextlib.contextmanager
def _file_errors() -> Iterator[None]:
    """Raise the OSError of a file, such as a full disk, that PyAV hides behind an error of its own."""
    try:
        yield
    except av.error.FFmpegError as error:
        hidden: BaseException | None = error
        while hidden is not None and (not isinstance(hidden, OSError) or isinstance(hidden, av.error.FFmpegError)):
            hidden = hidden.__cause__ or hidden.__context__
        if hidden is not None:
            raise hidden from None
        raise


def has_video_mark(path: Path) -> bool:
    """Return whether a video has the mark of a clip that predict wrote; False if it cannot be read."""
    try:
        with av.open(str(path), metadata_errors="replace") as container:
            found = {key.lower(): value for key, value in container.metadata.items()}
            return is_mark(found.get("comment", "").partition("\n")[0])
    except (av.error.FFmpegError, OSError, ValueError):
        return False


def _mark(metadata: dict[str, str], synthetic: bool) -> bytes:
    """Put the mark before the comment; return an XMP packet with it."""
    carried, text = marked(PhotoMetadata(), synthetic, own_version())
    key = next((key for key in metadata if key.lower() == "comment"), "comment")
    lines = metadata.get(key, "").split("\n")
    metadata[key] = "\n".join([text, *(line for line in lines if line and not is_mark(line))])
    return carried.xmp


def _timescale(time_base: Fraction) -> int:
    """Return a unit of which the time base is a multiple, if one fits into the file."""
    scale = time_base.denominator
    while scale < 1000:
        scale *= 2
    return scale if scale < 2**31 else 1000


def _copied(original, copies: dict, shift: Fraction, limits: tuple, remarks: list[str]) -> Iterator:
    """Return the packets of sound and subtitles of the source that belong to the part."""
    start, end = limits
    last: dict[int, int] = {}
    offsets = dict.fromkeys(copies, 0)
    packets = original.demux([original.streams[index] for index in copies])
    while True:
        try:
            packet = next(packets, None)
        except (av.error.FFmpegError, OSError, ValueError):
            remarks.append("its sound and subtitles could not be read to their end")
            return
        if packet is None:
            return
        index = packet.stream_index
        if packet.dts is None and packet.pts is None or not packet.size:
            continue
        unit = Fraction(packet.time_base)
        time = (packet.pts if packet.pts is not None else packet.dts) * unit
        if (start is not None and time < start) or (end is not None and time >= end):
            continue
        moved = round(shift / unit) - offsets[index]
        dts = (packet.dts if packet.dts is not None else packet.pts) - moved
        if index in last and dts < last[index]:
            # The source's clock was set back; sound goes on after what came before.
            offsets[index] += last[index] - dts + (packet.duration or 1)
            moved = round(shift / unit) - offsets[index]
            dts = (packet.dts if packet.dts is not None else packet.pts) - moved
        last[index] = dts
        packet.pts = None if packet.pts is None else packet.pts - moved
        packet.dts = dts
        packet.stream = copies[index]
        yield packet


def _by_time(one: Iterator, other: Iterator) -> Iterator:
    """Return the packets of both in the order of their times to decode, so that the muxer keeps few of them."""
    first, second = next(one, None), next(other, None)
    while first is not None or second is not None:
        if second is None or (first is not None and first.dts * first.time_base <= second.dts * second.time_base):
            yield first
            first = next(one, None)
        else:
            yield second
            second = next(other, None)


def _moved_chapters(chapters: list[dict], shift: Fraction) -> list[dict]:
    moved = []
    for chapter in chapters:
        ticks = round(shift / Fraction(chapter["time_base"]))
        moved.append({**chapter, "start": chapter["start"] - ticks, "end": chapter["end"] - ticks})
    return moved


def _can_store(ending: str, stream) -> bool:
    """Return whether a container can store a stream, by writing a header with it alone."""
    if stream.codec_context is None:
        return False
    if ending == ".mp4" and _codec(stream).startswith(_AVOIDED_IN_MP4):
        return False
    out = av.open(io.BytesIO(), "w", format=_CONTAINERS[ending])
    try:
        out.add_stream_from_template(stream, opaque=True)
        out.start_encoding()
        out.close()
        return True
    except (av.error.FFmpegError, OSError, ValueError):
        return False


def _codec(stream) -> str:
    context = stream.codec_context
    return "unknown" if context is None else context.codec.canonical_name


def _kind(stream) -> str:
    return "sound" if stream.type == "audio" else "subtitles"
