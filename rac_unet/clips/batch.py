"""Unmask the clips among predict's inputs, one after the other, and print what became of each."""

from __future__ import annotations

import argparse
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rac_unet.core.errors import UserError

if TYPE_CHECKING:
    from rac_unet.clips.results import PlannedClip
    from rac_unet.clips.working import ClipOutcome
    from rac_unet.unmasking.inputs import PhotoFile
    from rac_unet.unmasking.photo import Unmasker


@dataclass
class ClipBatch:
    """The clips of one call of predict; PyAV is imported only if there are any.

    Args:
        clips: the clips.
        output: the output folder.
        overwrite: whether to process finished clips again.
        settings: arguments of `ClipSettings`.
    Attributes:
        todo: those to process.
        finished, unmasked, unchanged: numbers of clips; `unchanged` have no masked face.
        faces, painted: numbers of faces found and painted, also in clips finished by an earlier call.
    Raises: UserError when the options do not suit, or files are in the way.
    """

    clips: list[PhotoFile]
    output: Path
    overwrite: bool
    settings: dict[str, Any]
    todo: list[PlannedClip] = field(default_factory=list)
    finished: int = 0
    unmasked: int = 0
    unchanged: int = 0
    skipped: int = 0
    faces: int = 0
    painted: int = 0

    def __post_init__(self):
        start, end = self.settings.get("start"), self.settings.get("end")
        if start is not None and end is not None and end <= start:
            raise UserError(
                f"--end {float(end):g} is not after --start {float(start):g}; give seconds, or 1:30", "usage"
            )
        if not self.clips:
            if start is not None or end is not None:
                raise UserError("--start and --end cut clips, and there are none among the inputs", "usage")
            return
        from rac_unet.unmasking.emotion_request import ALL

        if self.settings["emotion"] == ALL:
            raise UserError(
                f"--emotion all makes sheets of photos, and {self.clips[0].path} is a clip; give one emotion", "usage"
            )
        from rac_unet.clips.results import ClipFolder, tracks_of
        from rac_unet.clips.working import ClipSettings

        self._settings = ClipSettings(**self.settings)
        self._folder = ClipFolder(self.output, self._settings)
        self.todo, finished = self._folder.plan(self.clips, self.overwrite)
        self.finished = len(finished)
        for faces, painted in map(tracks_of, finished):
            self.faces, self.painted = self.faces + faces, self.painted + painted

    def run(self, unmasker: Unmasker, skipped: list[tuple[str, str]]) -> None:
        """Unmask the clips.

        Args:
            skipped: receives (path, reason) of clips that cannot be used.
        Raises: see `unmask_clip`; only UnreadableClip does not end the batch.
        """
        if not self.todo:
            return
        from rac_unet.clips.frame import UnreadableClip
        from rac_unet.clips.working import two_passes, unmask_clip

        passes = two_passes(unmasker, self._settings)
        for plan in self.todo:
            try:
                outcome = unmask_clip(plan.path, plan.base, plan.container, passes, self._settings, self.overwrite)
            except UnreadableClip as reason:
                skipped.append((str(plan.path), str(reason)))
                self.skipped += 1
                print(f"{plan.path}: skipped: {reason}", flush=True)
                continue
            self._folder.write_report(plan, outcome)
            self.faces, self.painted = self.faces + outcome.faces, self.painted + outcome.painted
            self.unmasked += outcome.painted > 0
            self.unchanged += outcome.painted == 0
            print(f"{plan.path}: {'; '.join([describe(outcome), *outcome.remarks])}", flush=True)

    @property
    def done(self) -> int:
        """Number of clips whose results are in place."""
        return self.finished + self.unmasked + self.unchanged

    def summary(self) -> None:
        """Print the numbers of all clips; nothing without clips."""
        if not self.clips:
            return
        parts = [
            (self.unmasked, "unmasked"),
            (self.unchanged, "without a masked face, unchanged"),
            (self.finished, "finished earlier"),
            (self.skipped, "skipped"),
        ]
        print(f"clips    {len(self.clips):,} given: {', '.join(f'{count:,} {what}' for count, what in parts if count)}")
        if self.done:
            print(f"faces    {self.faces:,} found in clips, {self.painted:,} painted")


def describe(outcome: ClipOutcome) -> str:
    """Return a clip's faces in words: `2 faces: happiness (7 of 9 votes), no mask; 96 % of 250 frames painted`."""
    if not outcome.faces:
        return "no face found, clip unchanged"
    if not outcome.painted:
        return f"no mask on {'the face' if outcome.faces == 1 else f'any of {outcome.faces} faces'}, clip unchanged"
    words = []
    for track in outcome.report["tracks"][:6]:
        votes = track.get("votes") or {}
        word = "no mask" if not track.get("painted_share") else track.get("emotion") or "painted"
        counted = f" ({votes[word]} of {sum(votes.values())} votes)" if word in votes else ""
        words.append(word + counted)
    more = f", and {outcome.faces - 6} more" if outcome.faces > 6 else ""
    share = outcome.report["painted_share"]
    return (
        f"{outcome.faces} face{'s' * (outcome.faces > 1)}: {', '.join(words)}{more}; "
        f"{100 * share:.0f} % of {outcome.frames:,} frames painted"
    )


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
