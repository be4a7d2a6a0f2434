"""The folder that predict writes: a result and a JSON beside it for each photo, whole or not at all.

The JSON is written last, so it says that a photo is finished; by it a second run knows what need not be done again.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from rac_unet.data.writing import encode_png, write_file
from rac_unet.errors import UserError, own_version
from rac_unet.faces.photo_files import UnreadablePhoto
from rac_unet.faces.photo_metadata import (
    SIGN,
    PhotoMetadata,
    embed_metadata,
    is_signed,
    marked_synthetic,
    upright_metadata,
)
from rac_unet.inference.photo_inputs import SKIPPED, PhotoFile

FORMATS = {"png": ".png", "jpeg": ".jpg", "webp": ".webp"}
_QUALITY = 95


@dataclass(frozen=True)
class Settings:
    """What results depend on beside the photo; a folder of results has one of each.

    Attributes: as the options of predict; `model` is a name and a hash.
    """

    emotion: str
    model: str
    format: str
    side_by_side: bool
    mark: bool


@dataclass(frozen=True)
class Planned:
    """A photo and the files to be made of it; `result` may get company (`…-2.png`, `….side_by_side.png`)."""

    photo: PhotoFile
    result: Path
    report: Path


class OutputFolder:
    """Args: folder (made when the first file is written), and what its results depend on."""

    def __init__(self, folder: Path, settings: Settings):
        self.folder, self._settings = folder, settings
        self._ending = FORMATS[settings.format]

    def plan(self, photos: list[PhotoFile], overwrite: bool) -> tuple[list[Planned], list[Planned]]:
        """What is to be made, and what is finished already.

        Raises: UserError when something else is in the place of a result, or a result would replace a photo.
        """
        inputs = {os.path.realpath(photo.path) for photo in photos}
        todo, finished = [], []
        for photo in photos:
            place = self.folder / photo.place
            plan = Planned(photo, place.with_name(place.name + self._ending), place.with_name(place.name + ".json"))
            if os.path.realpath(plan.result) in inputs:
                raise UserError(
                    f"the result {plan.result} would replace a photo that was given; give another folder with --output"
                )
            report = _read_report(plan.report)
            if report is None:
                _refuse_foreign(plan)
            done = report is not None and not overwrite and self._is_finished(plan, report)
            (finished if done else todo).append(plan)
        return todo, finished

    def write(
        self, plan: Planned, pictures: dict[str, np.ndarray], metadata: PhotoMetadata, painted: int, report: dict
    ) -> None:
        """Write a photo's pictures, then its report.

        Args:
            pictures: ending of the name ("" for the result) -> (H, W, 3) uint8 RGB.
            metadata: the photo's own.
            painted: how many faces are synthetic; the pictures are marked when there are any.
            report: what the JSON says of the photo.
        Raises: UnreadablePhoto when the format cannot hold a picture; OSError.
        """
        names = {}
        for part, picture in pictures.items():
            content = encode_result(picture, self._settings.format, metadata, painted > 0)
            names[part] = plan.result.with_name(plan.report.stem + part + self._ending)
            write_file(names[part], content)
        whole = {
            **report,
            "results": [path.name for path in names.values()],
            "synthetic": painted > 0,
            "rac_unet": own_version(),
            "settings": asdict(self._settings),
            "file": _file_facts(plan.photo.path),
        }
        write_file(plan.report, (json.dumps(whole, indent=1, ensure_ascii=False) + "\n").encode())

    def write_skipped(self, rows: list[tuple[str, str]]) -> Path | None:
        """Write skipped.csv (photo, reason), or remove an old one where nothing was skipped; returns its path."""
        import csv
        import io

        path = self.folder / SKIPPED
        if not rows:
            path.unlink(missing_ok=True)
            return None
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerows([("photo", "reason"), *rows])
        # Names need not be valid Unicode on every file system.
        write_file(path, text.getvalue().encode("utf-8", "surrogateescape"))
        return path

    def _is_finished(self, plan: Planned, report: dict) -> bool:
        if report["settings"] != asdict(self._settings):
            different = [k for k, v in asdict(self._settings).items() if report["settings"].get(k) != v]
            raise UserError(
                f"{plan.report} was made with other settings ({', '.join(different)}); give another --output, or "
                "--overwrite to make everything again"
            )
        if report["file"] == _file_facts(plan.photo.path):
            return all(plan.result.with_name(name).is_file() for name in report["results"])
        if report["photo"] != os.fspath(plan.photo.path):
            raise UserError(
                f"{plan.report} belongs to another photo ({report['photo']}); give another --output, or --overwrite"
            )
        return False


def encode_result(picture: np.ndarray, kind: str, metadata: PhotoMetadata, synthetic: bool) -> bytes:
    """Bytes of a picture file with the photo's metadata put right, and marked as synthetic where it is.

    Args:
        picture: (H, W, 3) uint8 RGB, upright.
        kind: one of `FORMATS`; png is lossless.
        metadata: the photo's own.
    Raises: UnreadablePhoto when the format cannot hold the picture.
    """
    height, width = picture.shape[:2]
    carried = upright_metadata(metadata, width, height)
    said = f"{SIGN}: no face painted"
    if synthetic:
        carried, said = marked_synthetic(carried), f"synthetic: face painted by {SIGN} {own_version() or ''}".strip()
    return embed_metadata(_encoded(picture, kind), carried, said)


def _encoded(picture: np.ndarray, kind: str) -> bytes:
    if kind == "png":
        return encode_png(picture)
    options = {
        "jpeg": [cv2.IMWRITE_JPEG_QUALITY, _QUALITY, cv2.IMWRITE_JPEG_SAMPLING_FACTOR,
                 cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444],
        "webp": [cv2.IMWRITE_WEBP_QUALITY, _QUALITY],
    }[kind]  # fmt: skip
    limit = {"jpeg": 65_500, "webp": 16_383}[kind]
    if max(picture.shape[:2]) > limit:
        raise UnreadablePhoto(f"a side is longer than {limit} pixels, which {kind} cannot hold; use --format png")
    done, content = cv2.imencode(FORMATS[kind], cv2.cvtColor(picture, cv2.COLOR_RGB2BGR), options)
    if not done:
        raise UnreadablePhoto(f"could not be written as {kind}")
    return content.tobytes()


def _file_facts(path: Path) -> dict[str, Any]:
    """By which a photo is known again: name, size, and time of its last change."""
    try:
        facts = path.stat()
    except OSError:
        return {}
    return {"name": path.name, "bytes": facts.st_size, "modified": facts.st_mtime_ns}


def _read_report(path: Path) -> dict | None:
    """A report of ours; None when there is none, or it is something else."""
    try:
        report = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return None
    fits = isinstance(report, dict) and {"photo", "settings", "file", "results"} <= set(report)
    return report if fits and isinstance(report["settings"], dict) else None


def _refuse_foreign(plan: Planned) -> None:
    """Raise UserError where files that predict did not write are in the way, whatever was said of overwriting."""
    if os.path.lexists(plan.report):
        taken = plan.report
    elif os.path.lexists(plan.result) and not is_signed(plan.result):
        taken = plan.result
    else:
        return
    raise UserError(f"{taken} is there already and was not written by predict; give another --output, or remove it")
