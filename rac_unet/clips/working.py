"""Unmask one clip in two passes, within bounded memory, so that a killed command continues where it stopped.

The first pass decides about the whole clip (`find_tracks`); the second paints it (`ClipPainter`) segment by segment.
Decisions and finished segments are kept in a hidden folder next to the result until the result is complete.
"""

from __future__ import annotations

import errno
import json
import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import asdict, dataclass, field
from fractions import Fraction
from itertools import islice
from pathlib import Path
from typing import Any, Protocol

import av
import cv2
import numpy as np

from rac_unet.clips.colours import RGB, STEPS, painted_planes
from rac_unet.clips.encoding import QUALITY, SEGMENT_FRAMES, Encoding, SegmentEncoder
from rac_unet.clips.frame import ClipFrame, Damage, UnreadableClip
from rac_unet.clips.reading import Clip, open_clip
from rac_unet.clips.sheet import draw_moment, draw_sheet, moments
from rac_unet.clips.writing import Container, write_clip
from rac_unet.core.errors import UserError, own_version
from rac_unet.core.files.output_folder import SETTINGS_FILE, OutputFolder
from rac_unet.core.files.whole import open_whole, write_file
from rac_unet.core.progress import Progress
from rac_unet.photos.metadata import PhotoMetadata
from rac_unet.unmasking.choice.faces import parse_choice
from rac_unet.unmasking.emotion_sheet import draw_mark
from rac_unet.unmasking.output import encode_result

RESULT, SIDE_BY_SIDE = "", ".side_by_side"
_DECISIONS, _TIMES = "decisions.npz", "times.npy"
# Entry of the work folder's settings by which a folder is recognised as one.
_SIGN = "unfinished clip of rac_unet.predict"
_FULL = (errno.ENOSPC, errno.EDQUOT)


@dataclass(frozen=True)
class ClipSettings:
    """What the result of a clip depends on.

    Attributes:
        emotion, model: as of a photo's `Settings`.
        lossless: FFV1 in Matroska instead of H.264.
        quality: x264's constant rate factor.
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

    def record(self) -> dict[str, Any]:
        """Return the settings for JSON."""
        times = {name: None if (time := getattr(self, name)) is None else float(time) for name in ("start", "end")}
        return {**asdict(self), **times}


class TrackLike(Protocol):
    """A face of a clip: see `rac_unet.unmasking.clips.decisions.Track`."""

    first: int
    masked: np.ndarray

    def record(self) -> dict[str, Any]: ...


class Painter(Protocol):
    """The second pass: see `rac_unet.unmasking.clips.painting.ClipPainter`."""

    context: int

    def paint(self, frames: Iterable[ClipFrame], first: int, last: int) -> Iterator[np.ndarray]: ...


@dataclass(frozen=True)
class Passes:
    """The two passes, as functions.

    Attributes:
        find: frames -> decisions, which have `tracks` and `to_bytes()`.
        load: bytes -> decisions.
        painter: decisions -> a painter.
    """

    find: Callable[[Iterable[ClipFrame]], Any]
    load: Callable[[bytes], Any]
    painter: Callable[[Any], Painter]


def two_passes(unmasker, settings: ClipSettings) -> Passes:
    """Return the passes with which `predict` unmasks clips."""
    choice = parse_choice(settings.faces, settings.box)

    def checked(frames: Iterable[ClipFrame]) -> Iterator[ClipFrame]:
        for frame in frames:
            try:
                choice.check(frame.pixels.shape)
            except UserError as reason:
                raise UnreadableClip(str(reason)) from None
            yield frame

    def find(frames: Iterable[ClipFrame]):
        from rac_unet.unmasking.clips.tracking import find_tracks

        return find_tracks(checked(frames), unmasker, settings.emotion, None if choice.every else choice)

    def load(content: bytes):
        from rac_unet.unmasking.clips.decisions import Decisions

        return Decisions.from_bytes(content)

    def painter(decisions) -> Painter:
        from rac_unet.unmasking.clips.painting import ClipPainter

        return ClipPainter(decisions, unmasker)

    return Passes(find, load, painter)


@dataclass
class ClipOutcome:
    """What became of a clip.

    Attributes:
        results: names of the written files.
        faces, painted: numbers of tracks, and of those that are painted.
        frames: number of frames; painted_frames: number of those in which a face is painted.
        remarks: what was converted, left out or damaged, for the user.
        report: the entries of its JSON report.
    """

    results: list[str] = field(default_factory=list)
    faces: int = 0
    painted: int = 0
    frames: int = 0
    painted_frames: int = 0
    remarks: list[str] = field(default_factory=list)
    report: dict[str, Any] = field(default_factory=dict)


def unmask_clip(
    path: Path,
    result: Path,
    container: Container,
    passes: Passes,
    settings: ClipSettings,
    overwrite: bool = False,
    show: bool = True,
) -> ClipOutcome:
    """Unmask a clip, and write its result, its sheet and, if wanted, both pictures side by side.

    A clip without a masked face is copied byte for byte, unless only a part of it is wanted.

    Args:
        path: the clip.
        result: path of the result without its file extension.
        container: from `choose_container`.
        passes: from `two_passes`.
        settings: what the result depends on.
        overwrite: whether to start again instead of continuing an unfinished clip.
        show: whether to show progress on standard error.
    Raises: UnreadableClip; UserError when an unfinished clip has other settings, another process works on it, or the
        disk is full; OSError when nothing can be written.
    """
    clip = open_clip(path, settings.start, settings.end, settings.lossless)
    work = work_folder(result)
    signature = {
        _SIGN: path.name,
        "file": [path.stat().st_size, path.stat().st_mtime_ns],
        "container": container.ending,
        **settings.record(),
        "versions": [own_version(), av.__version__],
    }
    if overwrite:
        remove_work(result)
    try:
        with _opened(work, signature, path) as folder:
            outcome = _Work(clip, path, result, container, passes, settings, folder, show).run()
    except UnreadableClip:
        shutil.rmtree(work, ignore_errors=True)
        raise
    except OSError as error:
        if error.errno not in _FULL:
            raise
        raise UserError(
            f"{path}: the disk of {result.parent} is full; what is finished is kept in {work}: free some space, and "
            "run the same command again",
            "unwritable",
        ) from None
    shutil.rmtree(work, ignore_errors=True)
    return outcome


def work_folder(result: Path) -> Path:
    """Return the folder in which an unfinished clip is kept."""
    return result.with_name(f".{result.name}.unfinished")


def remove_work(result: Path) -> None:
    """Remove the folder of an unfinished clip, if it is one."""
    work = work_folder(result)
    try:
        signed = _SIGN in json.loads((work / SETTINGS_FILE).read_bytes())
    except (OSError, ValueError):
        return
    if signed:
        shutil.rmtree(work, ignore_errors=True)


@contextmanager
def _opened(work: Path, signature: dict, path: Path) -> Iterator[OutputFolder]:
    folder = OutputFolder(work, signature, "never.written")
    try:
        folder.__enter__()
    except UserError as error:
        if error.kind != "changed":
            raise
        raise UserError(
            f"{work} has {path.name} unfinished, with other settings, or from another version of the file or of this "
            "package; use the same settings to continue it, or --overwrite to start again",
            "changed",
        ) from None
    try:
        yield folder
    finally:
        folder.__exit__()


@dataclass
class _Work:
    """The work on one clip."""

    clip: Clip
    path: Path
    result: Path
    container: Container
    passes: Passes
    settings: ClipSettings
    folder: OutputFolder
    show: bool

    def run(self) -> ClipOutcome:
        decisions = self._decisions()
        masked = _painted_frames(decisions.tracks, len(self.clip.times))
        outcome = ClipOutcome(
            faces=len(decisions.tracks),
            painted=sum(bool(track.masked.any()) for track in decisions.tracks),
            frames=len(masked),
            painted_frames=int(masked.sum()),
            remarks=[*self.clip.remarks(), *self.container.notes],
        )
        if masked.any() or self.settings.start is not None or self.settings.end is not None:
            self._second_pass(decisions, masked)
            outcome.remarks += self._join(bool(masked.any()), outcome)
        else:
            copy = self.result.with_name(self.result.name + self.path.suffix)
            with open(self.path, "rb") as source, open_whole(copy, self.folder.unfinished) as file:
                shutil.copyfileobj(source, file, 1 << 20)
            outcome.results = [copy.name]
            outcome.remarks = []
        if masked.any():
            outcome.results.append(self._write_sheet(masked).name)
        outcome.report = self._report(decisions, outcome)
        return outcome

    def _decisions(self):
        """Return the result of the first pass, from the folder if it was finished before."""
        if 0 in self.folder.finished_items():
            self.clip.times = tuple(np.load(self.folder.path / _TIMES).tolist())
            self.clip.damage = Damage(**self.folder.result(0)["damage"])
            return self.passes.load((self.folder.path / _DECISIONS).read_bytes())
        with closing(self._progress(self.clip.frame_count_estimate or 0, 0, "frames searched")) as progress:
            decisions = self.passes.find(_counted(self.clip.frames(), progress))
        if self.clip.times is None:
            raise RuntimeError("the first pass has not read all frames")
        write_file(self.folder.path / _DECISIONS, decisions.to_bytes(), self.folder.unfinished)
        with open_whole(self.folder.path / _TIMES, self.folder.unfinished) as file:
            np.save(file, np.array(self.clip.times, np.int64))
        self._record(0, [_DECISIONS, _TIMES], damage=asdict(self.clip.damage))
        return decisions

    def _second_pass(self, decisions, masked: np.ndarray) -> None:
        """Paint and encode all segments that are not finished."""
        count = len(masked)
        parts = [range(start, min(start + SEGMENT_FRAMES, count)) for start in range(0, count, SEGMENT_FRAMES)]
        finished = self.folder.finished_items()
        done = sum(len(part) for number, part in enumerate(parts, 1) if number in finished)
        painter = self.passes.painter(decisions)
        shown = set(moments(masked))
        # After a kill and a lost file, finished segments may lie between others.
        with closing(self._progress(count, done, "frames painted")) as progress:
            todo = [number for number in range(1, 1 + len(parts)) if number not in finished]
            while todo:
                run = [todo.pop(0)]
                while todo and todo[0] == run[-1] + 1:
                    run.append(todo.pop(0))
                frames = self._painted(painter, parts[run[0] - 1].start, parts[run[-1] - 1].stop)
                for number in run:
                    part = islice(frames, len(parts[number - 1]))
                    self._write_segment(number, part, bool(masked.any()), shown, progress)

    def _painted(self, painter: Painter, start: int, stop: int) -> Iterator[tuple[ClipFrame, np.ndarray]]:
        """Return frames and their painted pixels; the painter also sees some frames before and after."""
        first = max(0, start - painter.context)
        given: dict[int, ClipFrame] = {}

        def source() -> Iterator[ClipFrame]:
            for frame in islice(self.clip.frames(first), stop + painter.context - first):
                given[frame.index] = frame
                yield frame

        index = start
        for pixels in painter.paint(source(), start, stop - 1):
            for old in [each for each in given if each < index]:
                del given[old]
            yield given.pop(index), pixels
            index += 1

    def _write_segment(self, number: int, frames, marked: bool, shown: set[int], progress: Progress) -> None:
        times, files = self.clip.times, []
        left = set(range((number - 1) * SEGMENT_FRAMES, min(number * SEGMENT_FRAMES, len(times))))
        with ExitStack() as stack:
            encoders = {}
            for kind in self._kinds(marked):
                files.append(_segment(number, kind))
                file = stack.enter_context(open_whole(self.folder.path / files[-1], self.folder.unfinished))
                encoders[kind] = SegmentEncoder(file, self._encoding(kind))
            for frame, pixels in frames:
                after = pixels
                if marked and self.settings.mark:
                    after = pixels.copy()
                    draw_mark(after)
                planes = painted_planes(frame.planes, frame.pixels, after, self.clip.facts.colours)
                following = times[frame.index + 1] if frame.index + 1 < len(times) else None
                duration = frame.duration if following is None else following - times[frame.index]
                encoders[RESULT].add(planes, times[frame.index], duration)
                if SIDE_BY_SIDE in encoders:
                    both = self._next_to_each_other(frame.planes, planes)
                    encoders[SIDE_BY_SIDE].add(both, times[frame.index], duration)
                if frame.index in shown:
                    seconds = float((times[frame.index] - self.clip.facts.start) * self.clip.facts.time_base)
                    files.append(_cell(frame.index))
                    self._write_cell(files[-1], draw_moment(frame.pixels, after, seconds))
                progress.advance()
                left.discard(frame.index)
            if left:
                raise UnreadableClip(f"{len(left)} frames from {min(left)} on cannot be read again", "unreadable")
            reorder = [encoder.finish() for encoder in encoders.values()]
        self._record(number, files, reorder=max(reorder))

    def _write_cell(self, name: str, picture: np.ndarray) -> None:
        _, content = cv2.imencode(".png", picture[..., ::-1])
        write_file(self.folder.path / name, content.tobytes(), self.folder.unfinished)

    def _next_to_each_other(self, left: tuple[np.ndarray, ...], right: tuple[np.ndarray, ...]) -> tuple:
        if self.clip.facts.colours.format == RGB:
            return (np.hstack([left[0], right[0]]),)
        across = STEPS[self.clip.facts.colours.format][0]
        width = self.clip.width // across
        widths = (width * across, width, width)
        return tuple(np.hstack([a[:, :w], b[:, :w]]) for a, b, w in zip(left, right, widths, strict=True))

    def _encoding(self, kind: str) -> Encoding:
        facts, settings = self.clip.facts, self.settings
        if kind == RESULT:
            return Encoding.of_clip(facts, settings.lossless, settings.quality)
        across = 1 if facts.colours.format == RGB else STEPS[facts.colours.format][0]
        return Encoding.of_clip(facts, settings.lossless, settings.quality, 2 * (facts.width // across * across))

    def _kinds(self, marked: bool) -> list[str]:
        return [RESULT, SIDE_BY_SIDE] if self.settings.side_by_side and marked else [RESULT]

    def _join(self, synthetic: bool, outcome: ClipOutcome) -> list[str]:
        """Join the segments of the result and of the side-by-side clip; return remarks."""
        count = -(-len(self.clip.times) // SEGMENT_FRAMES)
        reorder = max(self.folder.result(number)["reorder"] for number in range(1, 1 + count))
        remarks: list[str] = []
        for kind in self._kinds(synthetic):
            target = self.result.with_name(self.result.name + kind + self.container.ending)
            segments = [self.folder.path / _segment(number, kind) for number in range(1, 1 + count)]
            with open_whole(target, self.folder.unfinished) as file:
                remarks = write_clip(
                    file,
                    os.fspath(self.path),
                    self.container,
                    self._encoding(kind),
                    segments,
                    self.clip.times,
                    reorder,
                    (synthetic, own_version()),
                    (self.settings.start is not None, self.settings.end is not None),
                )
            outcome.results.append(target.name)
        if self._encoding(RESULT).stored_size != (self.clip.width, self.clip.height):
            remarks.append("its odd width or height was extended by one pixel, since H.264 stores even ones")
        if self.container.ending == ".mkv" and self.clip.facts.time_base.denominator > 1000:
            remarks.append("Matroska rounds the times of frames to milliseconds")
        return remarks

    def _write_sheet(self, masked: np.ndarray) -> Path:
        cells = [
            cv2.imread(os.fspath(self.folder.path / _cell(index)), cv2.IMREAD_COLOR)[..., ::-1]
            for index in moments(masked)
        ]
        sheet = self.result.with_name(self.result.name + ".sheet.jpg")
        content = encode_result(np.ascontiguousarray(draw_sheet(cells)), "jpeg", PhotoMetadata(), True)
        write_file(sheet, content, self.folder.unfinished)
        return sheet

    def _report(self, decisions, outcome: ClipOutcome) -> dict[str, Any]:
        facts, times = self.clip.facts, self.clip.times
        tracks = []
        for track in decisions.tracks:
            record = track.record()
            last = track.first + len(track.masked) - 1
            seconds = [float((times[index] - facts.start) * facts.time_base) for index in (track.first, last)]
            tracks.append({**record, "seconds": [round(second, 3) for second in seconds]})
        return {
            "size": [facts.width, facts.height],
            "frames": outcome.frames,
            "frames_per_second": round(float(facts.rate), 3),
            "painted_share": round(outcome.painted_frames / max(outcome.frames, 1), 4),
            "tracks": tracks,
            "note": "; ".join(outcome.remarks),
        }

    def _record(self, number: int, files: list[str], **facts) -> None:
        sizes = {name: (self.folder.path / name).stat().st_size for name in files}
        self.folder.record(number, {"files": sizes, **facts})
        self.folder.flush()

    def _progress(self, total: int, done: int, noun: str) -> Progress:
        return Progress(total, done, noun, enabled=self.show)


def _painted_frames(tracks: Iterable[TrackLike], count: int) -> np.ndarray:
    """Return (count,) bool: the frames in which a face is painted."""
    painted = np.zeros(count, bool)
    for track in tracks:
        painted[track.first : track.first + len(track.masked)] |= track.masked
    return painted


def _counted(frames: Iterable[ClipFrame], progress: Progress) -> Iterator[ClipFrame]:
    for frame in frames:
        yield frame
        progress.advance()


def _segment(number: int, kind: str) -> str:
    return f"segment-{number:06d}{kind}.packets"


def _cell(index: int) -> str:
    return f"moment-{index:08d}.png"
