"""Write predict's output folder: for each photo a result and a JSON report, each file complete or not at all.

The report is written last, so that it marks a photo as finished; a second call skips finished photos.
"""

from __future__ import annotations

import filecmp
import json
import os
from dataclasses import MISSING, asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from rac_unet.core.errors import UserError, own_version
from rac_unet.core.files.whole import write_file
from rac_unet.photos.compression import Compression
from rac_unet.photos.metadata import PhotoMetadata, marked, upright_metadata
from rac_unet.photos.png_encoding import encode_png
from rac_unet.photos.reading import UnreadablePhoto
from rac_unet.photos.writing import ENDINGS, QUALITY, compressed, is_signed, with_png_metadata
from rac_unet.unmasking.choice.faces import ALL_FACES
from rac_unet.unmasking.choice.formats import result_format
from rac_unet.unmasking.emotion_request import ALL
from rac_unet.unmasking.inputs import MAP_PART, SKIPPED, PhotoFile, has_report

_SKIPPED_START = b"photo,reason\n"
_USUAL = Compression()


@dataclass(frozen=True)
class Settings:
    """The settings that results depend on; all results in a folder have the same settings.

    Attributes: options of predict; `model` is a name and a hash, `map` a file's or a folder's name. The maps' content
        is compared for each photo, so that after an edited map only its photo is processed again.
    """

    emotion: str
    model: str
    format: str
    side_by_side: bool
    mark: bool
    write_map: bool = False
    map: str | None = None
    map_mode: str | None = None
    faces: str = ALL_FACES
    box: str | None = None
    max_side: int | None = None


# What a report says that was written before the setting existed.
_LATER = {field.name: field.default for field in fields(Settings) if field.default is not MISSING}


@dataclass(frozen=True)
class Planned:
    """A photo, its result, its report, and the result's format: png, jpeg or webp.

    Further results have related names (`….side_by_side.png`, `….map.png`, `….emotions-2.png`).
    """

    photo: PhotoFile
    result: Path
    report: Path
    format: str

    def name(self, part: str) -> Path:
        """Return the path of a result by the part of its name before the suffix; maps are PNGs."""
        suffix = ENDINGS["png"] if part == MAP_PART else self.result.suffix
        return self.result.with_name(self.report.stem + part + suffix)


class ResultFolder:
    """The output folder of predict.

    Args:
        folder: its path; created with the first file.
        settings: settings of all its results.
    """

    def __init__(self, folder: Path, settings: Settings):
        self.folder, self._settings = folder, settings

    def plan(self, photos: list[PhotoFile], overwrite: bool) -> tuple[list[Planned], list[Planned]]:
        """Return the photos to process and the photos that are finished already.

        Raises: UserError when a file not written by predict has the name of a result, or a result would replace an
            input photo, a user's map or another photo's result.
        """
        skipped = self.folder / SKIPPED
        # The list will be replaced or removed at the end.
        if os.path.lexists(skipped) and not _begins(skipped, _SKIPPED_START):
            raise UserError(f"{_taken(skipped)}; give another --output, or remove it", "exists")
        inputs = {os.path.realpath(photo.path): "an input photo" for photo in photos}
        inputs |= {os.path.realpath(photo.map): "a map given with --map" for photo in photos if photo.map}
        taken: dict[Path, Path] = {}
        todo, finished = [], []
        for photo in photos:
            plan = self._planned(photo)
            for path in dict.fromkeys((plan.result, *self._results(plan))):
                if kind := inputs.get(os.path.realpath(path)):
                    raise UserError(
                        f"the result {path} would replace {kind}; give another folder with --output", "exists"
                    )
                if other := taken.get(path):
                    raise UserError(f"{path} would be a result of {other} and of {photo.path}; rename one", "ambiguous")
            taken |= dict.fromkeys(self._results(plan), photo.path)
            report = read_report(plan.report)
            known = [plan.report.name, *report["results"]] if report else []
            for path in (plan.report, *self._results(plan)):
                if path.name not in known and os.path.lexists(path) and not may_replace(path, plan.photo.path):
                    raise UserError(f"{_taken(path)}; give another --output, or remove it", "exists")
            done = report is not None and not overwrite and self._is_finished(plan, report)
            (finished if done else todo).append(plan)
        return todo, finished

    def _planned(self, photo: PhotoFile) -> Planned:
        place, form = self.folder / photo.place, result_format(photo.path, self._settings.format)
        return Planned(photo, place.with_name(place.name + ENDINGS[form]), place.with_name(place.name + ".json"), form)

    def write(
        self,
        plan: Planned,
        pictures: dict[str, np.ndarray | bytes],
        metadata: PhotoMetadata,
        painted: int,
        report: dict,
        compression: Compression = _USUAL,
    ) -> None:
        """Write a photo's pictures, then its report.

        Args:
            pictures: suffix of the name ("" for the result) -> (H, W, 3) or (H, W, 4) uint8, or the bytes of a file.
            metadata: metadata of the photo.
            painted: number of synthetic faces; the images are marked if it is not 0.
            report: the photo's entries in the JSON report.
            compression: of JPEG and WebP.
        Raises: UnreadablePhoto when the format cannot store an image, or a file not written by predict has its name;
            OSError.
        """
        names = {part: plan.name(part) for part in pictures}
        for path in names.values():
            # `plan` does not know the number of sheets.
            if os.path.lexists(path) and not may_replace(path, plan.photo.path):
                raise UnreadablePhoto(_taken(path))
        contents = {
            part: picture
            if isinstance(picture, bytes)
            else encode_result(picture, plan.format, metadata, painted > 0, *compression)
            for part, picture in pictures.items()
        }
        for part, content in contents.items():
            write_file(names[part], content)
        whole = {
            **report,
            "results": [path.name for path in names.values()],
            "synthetic": painted > 0,
            "rac_unet": own_version(),
            "settings": asdict(self._settings),
            "file": file_facts(plan.photo.path),
            "map_file": _map_facts(plan),
        }
        write_file(plan.report, (json.dumps(whole, indent=1, ensure_ascii=False) + "\n").encode())

    def write_skipped(self, rows: list[tuple[str, str]]) -> Path | None:
        """Write skipped.csv (photo, reason) and return its path; remove an old file if nothing was skipped."""
        import csv
        import io

        path = self.folder / SKIPPED
        if not rows:
            path.unlink(missing_ok=True)
            return None
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        text.write(_SKIPPED_START.decode())
        writer.writerows(rows)
        # File names need not be valid Unicode.
        write_file(path, text.getvalue().encode("utf-8", "surrogateescape"))
        return path

    def _results(self, plan: Planned) -> list[Path]:
        """Return the result files that every photo has."""
        if self._settings.emotion == ALL:
            parts = [".emotions"]
        else:
            further = {".side_by_side": self._settings.side_by_side, MAP_PART: self._settings.write_map}
            parts = ["", *(part for part, wanted in further.items() if wanted)]
        return [plan.name(part) for part in parts]

    def _is_finished(self, plan: Planned, report: dict) -> bool:
        # Reports of earlier versions lack the later settings.
        before = _LATER | report["settings"]
        if before != asdict(self._settings):
            different = [k for k, v in asdict(self._settings).items() if before.get(k) != v]
            raise UserError(
                f"{plan.report} was written with other settings ({', '.join(different)}); give another --output, or "
                "--overwrite to process all photos again",
                "changed",
            )
        if report["file"] == file_facts(plan.photo.path):
            if report.get("map_file") != _map_facts(plan):
                return False
            return all(plan.result.with_name(name).is_file() for name in report["results"])
        if report["photo"] != os.fspath(plan.photo.path):
            raise UserError(
                f"{plan.report} belongs to another photo ({report['photo']}); give another --output, or --overwrite",
                "exists",
            )
        return False


def encode_result(
    picture: np.ndarray,
    kind: str,
    metadata: PhotoMetadata,
    synthetic: bool,
    quality: int = QUALITY,
    subsampling: int | None = None,
    lossless: bool = False,
) -> bytes:
    """Encode an image with the photo's metadata, adapted to the upright image, and the synthetic mark if it applies.

    Args:
        picture: (H, W, 3) uint8 RGB, or (H, W, 4) for png and webp, or grey (H, W) for png; upright.
        kind: png (lossless), jpeg or webp.
        metadata: metadata of the photo.
        synthetic: whether to mark the image as synthetic.
        quality: quality of jpeg and webp, 1 to 100.
        subsampling, lossless: see `Compression`.
    Returns: bytes of the file.
    Raises: UnreadablePhoto when the format cannot store the image.
    """
    height, width = picture.shape[:2]
    carried, text = marked(upright_metadata(metadata, width, height), synthetic, own_version())
    if kind == "png":
        return with_png_metadata(encode_png(picture), carried, text)
    return compressed(picture, kind, carried, text, quality, subsampling, lossless)


def faces_of(plan: Planned) -> tuple[int, int]:
    """Return the numbers of faces and of painted faces in a finished photo's report."""
    faces = (read_report(plan.report) or {}).get("faces")
    faces = [face for face in faces if isinstance(face, dict)] if isinstance(faces, list) else []
    # Earlier versions painted every face with a mask, and did not say it.
    return len(faces), sum(face.get("painted", face.get("masked")) is True for face in faces)


def file_facts(path: Path) -> dict[str, Any]:
    """Return name, size and modification time of a photo, which identify it in a later call."""
    try:
        facts = path.stat()
    except OSError:
        return {}
    return {"name": path.name, "bytes": facts.st_size, "modified": facts.st_mtime_ns}


def _map_facts(plan: Planned) -> dict[str, Any] | None:
    """Return what identifies a photo's map in a later call."""
    return None if plan.photo.map is None else file_facts(plan.photo.map)


def read_report(path: Path, noun: str = "photo") -> dict | None:
    """Return the report of a photo or clip (`noun`); None if there is none, or the file is something else."""
    try:
        report = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return None
    if not isinstance(report, dict) or not {noun, "settings", "file", "results"} <= set(report):
        return None
    names = report["results"]
    fits = isinstance(report["settings"], dict) and isinstance(names, list) and all(isinstance(n, str) for n in names)
    return report if fits else None


def may_replace(path: Path, source: Path) -> bool:
    """Return whether a file may be replaced: predict wrote it, or it is an unchanged copy of the source."""
    if is_signed(path) or has_report(path):
        return True
    try:
        return filecmp.cmp(path, source, shallow=False)
    except OSError:
        return False


def _begins(path: Path, start: bytes) -> bool:
    try:
        with path.open("rb") as file:
            return file.read(len(start)) == start
    except OSError:
        return False


def _taken(path: Path) -> str:
    return f"{path} exists already and was not written by predict"
