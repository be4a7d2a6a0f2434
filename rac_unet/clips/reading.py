"""Read a clip: `open_clip(path)`, then its frames, as often as needed and from any frame on.

Videos are decoded by `films.py`, animated pictures by `animations.py`. Only a few frames are in memory at a time.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from fractions import Fraction

from rac_unet.clips.animations import Animation, is_animation
from rac_unet.clips.decoded import Damage, Picture, UnreadableClip
from rac_unet.clips.films import Film
from rac_unet.unmasking.clips.frame import Frame

# A clip that is shorter than its header says by more than both is said to end early: seconds, share.
_SHORT, _SHORT_SHARE = 1.0, 0.05


def open_clip(
    path: str | os.PathLike, start: Fraction | None = None, end: Fraction | None = None, lossless: bool = False
) -> Clip:
    """Open a clip and decode its first frame.

    Args:
        path: a video, or an animated GIF, WebP or PNG.
        start, end: seconds from its first frame; the part between is read, without the frame at `end`. None: all.
        lossless: whether frames are stored in a lossless file, which can hold more formats.
    Raises: UnreadableClip: no video stream, no frame that can be decoded, unknown codec, too many pixels, no frame
        between `start` and `end`.
    """
    source = Animation(path, lossless) if is_animation(path) else Film(path, lossless)
    return Clip(path, source, start, end)


class Clip:
    """A clip whose frames can be read several times.

    Args:
        path: its path.
        source: decodes its pictures.
        start, end: see `open_clip`.
    Attributes:
        path, facts: as given, and read.
        first_pts, end_pts: times between which frames are read; None for no limit.
        times: (pts, …) of all frames in order, once they have been read to the end; may be set to those of an
            earlier reading.
        damage: what went wrong in the last complete reading.
    """

    def __init__(self, path: str | os.PathLike, source: Film | Animation, start: Fraction | None, end: Fraction | None):
        self.path, self.facts, self._source = os.fspath(path), source.facts, source
        self.first_pts = None if start is None else self.facts.start + _up(start / self.facts.time_base)
        self.end_pts = None if end is None else self.facts.start + _up(end / self.facts.time_base)
        self.times: tuple[int, ...] | None = None
        self.damage = Damage()

    @property
    def width(self) -> int:
        """Pixels, upright."""
        return self.facts.width

    @property
    def height(self) -> int:
        """Pixels, upright."""
        return self.facts.height

    @property
    def rate(self) -> Fraction:
        """Frames per second, the average by the file's header."""
        return self.facts.rate

    @property
    def duration(self) -> float | None:
        """Seconds of the part that is read, by the file's header, which may be wrong; None if it says nothing."""
        if self.facts.duration is None:
            return None if self.end_pts is None else float((self.end_pts - self._begin()) * self.facts.time_base)
        end = self.facts.duration
        if self.end_pts is not None:
            end = min(end, float((self.end_pts - self.facts.start) * self.facts.time_base))
        return max(0.0, end - float((self._begin() - self.facts.start) * self.facts.time_base))

    @property
    def frame_count_estimate(self) -> int | None:
        """Number of frames: exact once all have been read, before by the header, which may be wrong or silent."""
        if self.times is not None:
            return len(self.times)
        if self.first_pts is None and self.end_pts is None:
            return self.facts.frame_count
        return None if self.duration is None else max(1, round(self.duration * self.rate))

    def frames(self, first: int = 0) -> Iterator[Frame]:
        """Return the frames in order, from frame `first` on, which is 0 at the start of the part that is read.

        After a complete reading without damage, a later frame is found by seeking; otherwise, all frames before it are
        decoded.

        Raises: UnreadableClip when the part that is read has no frame.
        """
        damage = self.damage
        if first and self.times is not None and not (damage.times or damage.packets or damage.frames):
            found = self._sought(first)
            if found is not None:
                yield from found
                return
        damage, times = Damage(), []
        begin = self.first_pts if self.first_pts is not None and self.first_pts > self.facts.start else None
        for picture, pts in self._timed(begin, damage):
            if self.first_pts is not None and pts < self.first_pts:
                continue
            if self.end_pts is not None and pts >= self.end_pts:
                break
            times.append(pts)
            if len(times) > first:
                yield self._frame(len(times) - 1, picture, pts)
        if not times:
            raise UnreadableClip("no frame lies between --start and --end", "empty")
        self.times, self.damage = tuple(times), damage

    def remarks(self) -> list[str]:
        """Return what the user should know after a complete reading: what was converted, damaged or missing."""
        remarks = [*self.facts.notes, *self.damage.describe()]
        if self.times and self.end_pts is None and self.facts.duration is not None:
            # The last frame is shown for a while, too.
            reached = float((self.times[-1] - self.facts.start) * self.facts.time_base + 1 / self.rate)
            missing = self.facts.duration - reached
            if missing > max(_SHORT, _SHORT_SHARE * self.facts.duration):
                remarks.append(f"its frames end after {reached:.1f} of the {self.facts.duration:.1f} s in its header")
            elif self.damage.ends_early:
                remarks.append(f"it cannot be read beyond {reached:.1f} s")
        elif self.damage.ends_early:
            remarks.append("it cannot be read to its end")
        return remarks

    def _sought(self, first: int) -> Iterator[Frame] | None:
        """Return the frames from a known one on, found by seeking; None if seeking fails."""
        if first >= len(self.times):
            return iter(())
        wanted = self.times[first]
        pictures = self._timed(wanted, Damage())
        found = next(((picture, pts) for picture, pts in pictures if pts >= wanted), None)
        if found is None or found[1] != wanted:
            return None
        return self._known(first, found[0], pictures)

    def _known(self, first: int, picture: Picture, pictures: Iterator[tuple[Picture, int]]) -> Iterator[Frame]:
        yield self._frame(first, picture, self.times[first])
        for index, (picture, pts) in zip(range(first + 1, len(self.times)), pictures, strict=False):
            yield self._frame(index, picture, pts)

    def _timed(self, target: int | None, damage: Damage) -> Iterator[tuple[Picture, int]]:
        """Return the pictures from a time on, or all, each with its time; times increase strictly."""
        last, step = None, max(1, round(1 / (self.rate * self.facts.time_base)))
        for picture in self._source.pictures(target, damage):
            pts = picture.pts
            if pts is None or (last is not None and pts <= last):
                damage.times += 1
                pts = self.facts.start if last is None else last + step
            last = pts
            yield picture, pts

    def _frame(self, index: int, picture: Picture, pts: int) -> Frame:
        return Frame(index, float(pts * self.facts.time_base), picture.pixels, picture.planes, pts, picture.duration)

    def _begin(self) -> int:
        return self.facts.start if self.first_pts is None else max(self.first_pts, self.facts.start)


def _up(value: Fraction) -> int:
    return -int(-value // 1)
