"""The results of clips in predict's output folder: their names, their JSON reports, and which are finished."""

from __future__ import annotations

import json
import os
from pathlib import Path

from rac_unet.clips.settings import ClipSettings
from rac_unet.clips.working import REPORT, SHEET, SIDE_BY_SIDE, ClipOutcome, PlannedClip, remove_work
from rac_unet.clips.writing import choose_container, has_video_mark
from rac_unet.core.errors import UserError, own_version
from rac_unet.core.files.whole import write_file
from rac_unet.unmasking.inputs import PhotoFile
from rac_unet.unmasking.output import file_facts, may_replace, read_report


class ClipFolder:
    """The results of clips.

    Args:
        folder: the output folder.
        settings: settings of all its clips.
    """

    def __init__(self, folder: Path, settings: ClipSettings):
        self._folder, self._settings = folder, settings

    def plan(self, clips: list[PhotoFile], overwrite: bool) -> tuple[list[PlannedClip], list[PlannedClip]]:
        """Return the clips to process and the clips that are finished already.

        Raises: UserError when a file not written by predict has the name of a result, a result would replace an input,
            or results have other settings.
        """
        inputs = {os.path.realpath(clip.path) for clip in clips}
        todo, finished = [], []
        for clip in clips:
            container = choose_container(os.fspath(clip.path), self._settings.lossless)
            plan = PlannedClip(clip.path, self._folder / clip.place, container)
            report = read_report(plan.report, "clip")
            for path in self._names(plan):
                if os.path.realpath(path) in inputs:
                    raise UserError(
                        f"the result {path} would replace an input clip; give another folder with --output", "exists"
                    )
                known = report is not None and (path == plan.report or path.name in report["results"])
                if (
                    os.path.lexists(path)
                    and not known
                    and not has_video_mark(path)
                    and not may_replace(path, plan.path)
                ):
                    raise UserError(
                        f"{path} exists already and was not written by predict; give another --output, or remove it",
                        "exists",
                    )
            if report is not None and not overwrite and self._is_finished(plan, report):
                # The command may have been killed between the report and this.
                remove_work(plan.base)
                finished.append(plan)
            else:
                todo.append(plan)
        return todo, finished

    def write_report(self, plan: PlannedClip, outcome: ClipOutcome) -> None:
        """Write the report of a clip whose results are in place; it marks the clip as finished."""
        whole = {
            "clip": os.fspath(plan.path),
            **outcome.report,
            "results": outcome.results,
            "synthetic": outcome.painted > 0,
            "rac_unet": own_version(),
            "settings": self._settings.record(),
            "file": file_facts(plan.path),
        }
        write_file(plan.report, (json.dumps(whole, indent=1, ensure_ascii=False) + "\n").encode())

    def _names(self, plan: PlannedClip) -> list[Path]:
        parts = ["", SIDE_BY_SIDE] if self._settings.side_by_side else [""]
        endings = [*(part + plan.container.ending for part in parts), plan.path.suffix, SHEET, REPORT]
        return [plan.name(ending) for ending in dict.fromkeys(endings)]

    def _is_finished(self, plan: PlannedClip, report: dict) -> bool:
        wanted = self._settings.record()
        if report["settings"] != wanted:
            different = [name for name, value in wanted.items() if report["settings"].get(name) != value]
            raise UserError(
                f"{plan.report} was written with other settings ({', '.join(different)}); give another --output, or "
                "--overwrite to process all again",
                "changed",
            )
        if report["file"] == file_facts(plan.path):
            return all(plan.base.with_name(name).is_file() for name in report["results"])
        if report["clip"] != os.fspath(plan.path):
            raise UserError(
                f"{plan.report} belongs to another clip ({report['clip']}); give another --output, or --overwrite",
                "exists",
            )
        return False


def tracks_of(plan: PlannedClip) -> tuple[int, int]:
    """Return the numbers of faces and of painted faces in a finished clip's report."""
    tracks = (read_report(plan.report, "clip") or {}).get("tracks")
    tracks = [track for track in tracks if isinstance(track, dict)] if isinstance(tracks, list) else []
    return len(tracks), sum(bool(track.get("painted_share")) for track in tracks)
