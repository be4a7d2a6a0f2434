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
from itertools import islice
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np

from rac_unet.clips.colours import RGB, STEPS, painted_planes
from rac_unet.clips.decoded import Damage, UnreadableClip
from rac_unet.clips.encoding import SEGMENT_FRAMES, Encoding, SegmentEncoder
from rac_unet.clips.reading import Clip, open_clip
from rac_unet.clips.settings import ClipSettings
from rac_unet.clips.writing import Container, Segments, write_clip
from rac_unet.core.errors import UserError, own_version
from rac_unet.core.files.output_folder import SETTINGS_FILE, OutputFolder
from rac_unet.core.files.whole import open_whole, write_file
from rac_unet.core.progress import Progress
from rac_unet.photos.metadata import PhotoMetadata
from rac_unet.unmasking.choice.faces import parse_choice
from rac_unet.unmasking.clips.decisions import Decisions, Track
from rac_unet.unmasking.clips.frame import Frame
from rac_unet.unmasking.clips.painting import ClipPainter
from rac_unet.unmasking.clips.sheet import draw_moment, draw_sheet, moments
from rac_unet.unmasking.clips.tracking import find_tracks
from rac_unet.unmasking.emotion_sheet import draw_mark
from rac_unet.unmasking.output import encode_result
from rac_unet.unmasking.photo import Unmasker

# What follows the name of a clip in the names of its files; RESULT and SIDE_BY_SIDE are followed by the container's.
RESULT, SIDE_BY_SIDE, SHEET, REPORT = "", ".side_by_side", ".sheet.jpg", ".json"
_DECISIONS, _TIMES = "decisions.npz", "times.npy"
# Entry of the work folder's settings by which a folder is recognised as one.
_SIGN = "unfinished clip of rac_unet.predict"
_FULL = (errno.ENOSPC, errno.EDQUOT)


@dataclass(frozen=True)
class PlannedClip:
    """A clip, and where its results go.

    Attributes:
        path: the clip.
        base: path of the results without what follows (`.mp4`, `.side_by_side.mp4`, `.sheet.jpg`, `.json`).
        container: of the results.
    """

    path: Path
    base: Path
    container: Container

    def name(self, ending: str) -> Path:
        """Return the path of a result by what follows the base."""
        return self.base.with_name(self.base.name + ending)

    @property
    def report(self) -> Path:
        """The JSON report."""
        return self.name(REPORT)


@dataclass(frozen=True)
class Passes:
    """The two passes, as functions.

    Attributes:
        find: the first pass: frames -> decisions.
        load: bytes of `Decisions.to_bytes` -> decisions.
        painter: decisions -> the second pass.
    """

    find: Callable[[Iterable[Frame]], Decisions]
    load: Callable[[bytes], Decisions]
    painter: Callable[[Decisions], ClipPainter]


def two_passes(unmasker: Unmasker, settings: ClipSettings) -> Passes:
    """Return the passes with which `predict` unmasks clips."""
    choice = parse_choice(settings.faces, settings.box)

    def checked(frames: Iterable[Frame]) -> Iterator[Frame]:
        for frame in frames:
            try:
                choice.check(frame.pixels.shape)
            except UserError as reason:
                raise UnreadableClip(str(reason), reason.kind) from None
            yield frame

    def find(frames: Iterable[Frame]) -> Decisions:
        return find_tracks(checked(frames), unmasker, settings.emotion, None if choice.every else choice)

    return Passes(find, Decisions.from_bytes, lambda decisions: ClipPainter(decisions, unmasker))


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
    plan: PlannedClip, passes: Passes, settings: ClipSettings, overwrite: bool = False, show: bool = True
) -> ClipOutcome:
    """Unmask a clip, and write its result, its sheet and, if wanted, both pictures side by side.

    A clip without a masked face is copied byte for byte, unless only a part of it is wanted.

    Args:
        plan: the clip, and where its results go.
        passes: from `two_passes`.
        settings: what the result depends on.
        overwrite: whether to start again instead of continuing an unfinished clip.
        show: whether to show progress on standard error.
    Raises: UnreadableClip; UserError when an unfinished clip has other settings, another process works on it, or the
        disk is full; OSError when nothing can be written.
    """
    clip = open_clip(plan.path, settings.start, settings.end, settings.lossless)
    work, facts = work_folder(plan.base), plan.path.stat()
    signature = {
        _SIGN: plan.path.name,
        "file": [facts.st_size, facts.st_mtime_ns],
        "container": plan.container.ending,
        **settings.record(),
        "versions": [own_version(), av.__version__],
    }
    if overwrite:
        remove_work(plan.base)
    try:
        with _opened(work, signature, plan.path) as folder:
            outcome = _Work(clip, plan, passes, settings, folder, show).run()
    except UnreadableClip:
        shutil.rmtree(work, ignore_errors=True)
        raise
    except OSError as error:
        if error.errno not in _FULL:
            raise
        raise UserError(
            f"{plan.path}: the disk of {plan.base.parent} is full; what is finished is kept in {work}: free some "
            "space, and run the same command again",
            "unwritable",
        ) from None
    shutil.rmtree(work, ignore_errors=True)
    return outcome


def work_folder(base: Path) -> Path:
    """Return the folder in which an unfinished clip is kept; `base` as of `PlannedClip`."""
    return base.with_name(f".{base.name}.unfinished")


def remove_work(base: Path) -> None:
    """Remove the folder of an unfinished clip, if it is one."""
    work = work_folder(base)
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
    plan: PlannedClip
    passes: Passes
    settings: ClipSettings
    folder: OutputFolder
    show: bool

    def run(self) -> ClipOutcome:
        """Do both passes, as far as they are not done, and write the results."""
        decisions = self._decisions()
        masked = _painted_frames(decisions.tracks, len(self.clip.times))
        outcome = ClipOutcome(
            faces=len(decisions.tracks),
            painted=sum(bool(track.masked.any()) for track in decisions.tracks),
            frames=len(masked),
            painted_frames=int(masked.sum()),
            remarks=[*self.clip.remarks(), *self.plan.container.notes],
        )
        if masked.any() or self.settings.is_cut:
            self._second_pass(decisions, masked)
            outcome.remarks += self._join(bool(masked.any()), outcome)
        else:
            copy = self.plan.name(self.plan.path.suffix)
            with open(self.plan.path, "rb") as source, open_whole(copy, self.folder.unfinished) as file:
                shutil.copyfileobj(source, file, 1 << 20)
            outcome.results = [copy.name]
            outcome.remarks = []
        if masked.any():
            outcome.results.append(self._write_sheet(masked).name)
        outcome.report = self._report(decisions, outcome)
        return outcome

    def _decisions(self) -> Decisions:
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

    def _second_pass(self, decisions: Decisions, masked: np.ndarray) -> None:
        """Paint and encode all segments that are not finished; `masked` is (F,) bool, the frames that are painted."""
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

    def _painted(self, painter: ClipPainter, start: int, stop: int) -> Iterator[tuple[Frame, np.ndarray]]:
        """Return frames and their painted pixels; the painter also sees some frames before and after."""
        first = max(0, start - painter.context)
        given: dict[int, Frame] = {}

        def source() -> Iterator[Frame]:
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
        container, part = self.plan.container, (self.settings.start is not None, self.settings.end is not None)
        remarks: list[str] = []
        for kind in self._kinds(synthetic):
            target = self.plan.name(kind + container.ending)
            files = [self.folder.path / _segment(number, kind) for number in range(1, 1 + count)]
            segments = Segments(files, self._encoding(kind), self.clip.times, reorder)
            with open_whole(target, self.folder.unfinished) as file:
                remarks = write_clip(file, os.fspath(self.plan.path), container, segments, synthetic, part)
            outcome.results.append(target.name)
        if self._encoding(RESULT).stored_size != (self.clip.width, self.clip.height):
            remarks.append("its odd width or height was extended by one pixel, since H.264 stores even ones")
        if container.ending == ".mkv" and self.clip.facts.time_base.denominator > 1000:
            remarks.append("Matroska rounds the times of frames to milliseconds")
        return remarks

    def _write_sheet(self, masked: np.ndarray) -> Path:
        cells = [
            cv2.imread(os.fspath(self.folder.path / _cell(index)), cv2.IMREAD_COLOR)[..., ::-1]
            for index in moments(masked)
        ]
        sheet = self.plan.name(SHEET)
        content = encode_result(np.ascontiguousarray(draw_sheet(cells)), "jpeg", PhotoMetadata(), True)
        write_file(sheet, content, self.folder.unfinished)
        return sheet

    def _report(self, decisions: Decisions, outcome: ClipOutcome) -> dict[str, Any]:
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


def _painted_frames(tracks: Iterable[Track], count: int) -> np.ndarray:
    """Return (count,) bool: the frames in which a face is painted."""
    painted = np.zeros(count, bool)
    for track in tracks:
        painted[track.first : track.first + len(track.masked)] |= track.masked
    return painted


def _counted(frames: Iterable[Frame], progress: Progress) -> Iterator[Frame]:
    for frame in frames:
        yield frame
        progress.advance()


def _segment(number: int, kind: str) -> str:
    return f"segment-{number:06d}{kind}.packets"


def _cell(index: int) -> str:
    return f"moment-{index:08d}.png"
