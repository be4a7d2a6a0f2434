"""Unmask the clips among predict's inputs, one after the other, and print what became of each."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from rac_unet.core.errors import UserError

if TYPE_CHECKING:
    from rac_unet.clips.settings import ClipSettings
    from rac_unet.clips.working import ClipOutcome, PlannedClip
    from rac_unet.unmasking.inputs import PhotoFile
    from rac_unet.unmasking.photo import Unmasker


@dataclass
class ClipBatch:
    """The clips of one call of predict; PyAV is imported only if there are any.

    Args:
        clips: the clips.
        output: the output folder.
        overwrite: whether to process finished clips again.
        settings: what the results depend on.
    Attributes:
        todo: those to process.
        finished, unmasked, unchanged: numbers of clips; `unchanged` have no masked face.
        skipped: (path, reason) of clips that cannot be used.
        faces, painted: numbers of faces found and painted, also in clips finished by an earlier call.
    Raises: UserError when the options do not suit, or files are in the way.
    """

    clips: list[PhotoFile]
    output: Path
    overwrite: bool
    settings: ClipSettings
    todo: list[PlannedClip] = field(default_factory=list)
    finished: int = 0
    unmasked: int = 0
    unchanged: int = 0
    skipped: list[tuple[str, str]] = field(default_factory=list)
    faces: int = 0
    painted: int = 0

    def __post_init__(self):
        start, end = self.settings.start, self.settings.end
        if start is not None and end is not None and end <= start:
            raise UserError(
                f"--end {float(end):g} is not after --start {float(start):g}; give seconds, or 1:30", "usage"
            )
        if not self.clips:
            if self.settings.is_cut:
                raise UserError("--start and --end cut clips, and there are none among the inputs", "usage")
            return
        from rac_unet.unmasking.emotion_request import ALL

        if self.settings.emotion == ALL:
            raise UserError(
                f"--emotion all makes sheets of photos, and {self.clips[0].path} is a clip; give one emotion", "usage"
            )
        from rac_unet.clips.results import ClipFolder, tracks_of

        self._folder = ClipFolder(self.output, self.settings)
        self.todo, finished = self._folder.plan(self.clips, self.overwrite)
        self.finished = len(finished)
        for faces, painted in map(tracks_of, finished):
            self.faces, self.painted = self.faces + faces, self.painted + painted

    def run(self, unmasker: Unmasker) -> None:
        """Unmask the clips, and print what became of each.

        Raises: see `unmask_clip`; only UnreadableClip does not end the batch.
        """
        if not self.todo:
            return
        from rac_unet.clips.decoded import UnreadableClip
        from rac_unet.clips.working import two_passes, unmask_clip

        passes = two_passes(unmasker, self.settings)
        for plan in self.todo:
            try:
                outcome = unmask_clip(plan, passes, self.settings, self.overwrite)
            except UnreadableClip as reason:
                self.skipped.append((str(plan.path), str(reason)))
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

    def summary(self, skipped: Path | None) -> None:
        """Print the numbers of all clips; nothing without clips.

        Args:
            skipped: the list of skipped photos and clips.
        """
        if not self.clips:
            return
        parts = [
            (self.unmasked, "unmasked"),
            (self.unchanged, "without a masked face (unchanged)"),
            (self.finished, "finished earlier"),
            (len(self.skipped), f"skipped, see {skipped}"),
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
        total = sum(votes.values())
        counted = f" ({votes[word]} of {total} vote{'s' * (total != 1)})" if word in votes else ""
        words.append(word + counted)
    more = f", and {outcome.faces - 6} more" if outcome.faces > 6 else ""
    share = outcome.report["painted_share"]
    return (
        f"{outcome.faces} face{'s' * (outcome.faces > 1)}: {', '.join(words)}{more}; "
        f"{100 * share:.0f} % of {outcome.frames:,} frames painted"
    )
