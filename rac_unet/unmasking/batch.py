"""Unmask the photos among predict's inputs: read, unmask and write each one, print what became of it, and count."""

from __future__ import annotations

import errno
import time
from dataclasses import dataclass, field
from pathlib import Path

import cv2

from rac_unet.core.errors import UserError
from rac_unet.core.progress import Progress
from rac_unet.core.quiet import silenced_stderr
from rac_unet.photos.compression import Compression, compression_of
from rac_unet.photos.metadata import PhotoMetadata
from rac_unet.photos.pixels import with_transparency
from rac_unet.photos.reading import Photo, UnreadablePhoto, decode_photo, read_photo_bytes
from rac_unet.photos.scaling import scaled_down
from rac_unet.photos.writing import KINDS, TRANSPARENT
from rac_unet.unmasking.choice.faces import parse_choice
from rac_unet.unmasking.choice.formats import SAME
from rac_unet.unmasking.choice.own_map import OwnMap, make_own_map
from rac_unet.unmasking.emotion_request import ALL
from rac_unet.unmasking.emotion_sheet import draw_emotion_sheets, draw_mark, draw_side_by_side
from rac_unet.unmasking.inputs import MAP_PART, PhotoFile
from rac_unet.unmasking.output import Planned, ResultFolder, Settings, encode_result, faces_of
from rac_unet.unmasking.photo import Unmasker
from rac_unet.unmasking.result import FaceResult

# Errors of a file system that concern one file's name, not every file.
_BAD_NAME = (errno.ENAMETOOLONG, errno.EILSEQ, errno.EINVAL)
# Up to this many photos have a line each; more are shown by a progress line.
_NAMED = 20


@dataclass
class PhotoBatch:
    """The photos of one call of predict; `finished`, the next four counts and `skipped` cover each exactly once.

    Args:
        photos: the photos.
        missing: (path, reason) of inputs that cannot be read.
        output: the output folder.
        overwrite: whether to process finished photos again.
        settings: what the results depend on.
    Attributes:
        todo: those to process.
        finished: number of photos finished by an earlier call.
        unmasked, without_mask, without_face, left_out: numbers of photos written, the last three unchanged; `left_out`
            where the chosen faces, the box or the map leave nothing to paint.
        skipped: (path, reason) of photos for which nothing was written, the missing ones first.
        faces, painted: numbers of faces found and painted, also in photos finished by an earlier call.
        first_only: number of photos with several frames or pages, of which only the first was used.
        flattened: number of transparent photos written on white, in a format without transparency.
    Raises: UserError when files are in the way, or results have other settings; see `ResultFolder.plan`.
    """

    photos: list[PhotoFile]
    missing: list[tuple[str, str]]
    output: Path
    overwrite: bool
    settings: Settings
    todo: list[Planned] = field(default_factory=list)
    finished: int = 0
    unmasked: int = 0
    without_mask: int = 0
    without_face: int = 0
    left_out: int = 0
    skipped: list[tuple[str, str]] = field(default_factory=list)
    faces: int = 0
    painted: int = 0
    first_only: int = 0
    flattened: int = 0

    def __post_init__(self):
        self.skipped += self.missing
        self._folder = ResultFolder(self.output, self.settings)
        self.todo, finished = self._folder.plan(self.photos, self.overwrite)
        self.finished = len(finished)
        for faces, painted in map(faces_of, finished):
            self.faces, self.painted = self.faces + faces, self.painted + painted

    @property
    def given(self) -> int:
        """Number of photos, with the missing ones."""
        return len(self.photos) + len(self.missing)

    @property
    def done(self) -> int:
        """Number of photos whose results are in place."""
        return self.finished + self.unmasked + self.without_mask + self.without_face + self.left_out

    def run(self, unmasker: Unmasker | None) -> None:
        """Unmask the photos in order, and print a line for each, or a progress line if there are many.

        Each photo is counted at once, so that the counts are right even if an exception ends the batch.

        Args:
            unmasker: the networks; None if no photo is to be processed.
        Raises: OSError when the output cannot be written (full disk, no permission); UserError when the network is
            broken.
        """
        few = len(self.todo) <= _NAMED
        progress = Progress(len(self.todo), noun="photos", enabled=not few)
        try:
            for plan in self.todo:
                outcome = self._process(unmasker, plan)
                if few:
                    print(f"{plan.photo.path}: {outcome}", flush=True)
                progress.advance()
        finally:
            progress.close()

    def write_skipped(self, others: list[tuple[str, str]]) -> Path | None:
        """Write the list of skipped photos and `others`; see `ResultFolder.write_skipped`."""
        return self._folder.write_skipped([*self.skipped, *others])

    def summary(self, skipped: Path | None) -> None:
        """Print the numbers of all photos; nothing without photos.

        Args:
            skipped: the list of skipped photos and clips.
        """
        parts = [
            (self.unmasked, "unmasked"),
            (self.without_mask, "without a mask (unchanged)"),
            (self.without_face, "without a face (unchanged)"),
            (self.left_out, "with nothing to paint in the chosen faces or the map (unchanged)"),
            (self.finished, "finished earlier"),
            (len(self.skipped), f"skipped, see {skipped}"),
        ]
        if self.given:
            print(f"photos   {self.given:,} given: {', '.join(f'{count:,} {what}' for count, what in parts if count)}")
        if len(self.skipped) < self.given:
            print(f"faces    {self.faces:,} found, {self.painted:,} painted")

    def notes(self) -> list[str]:
        """Return what the user should know about what was lost."""
        notes = []
        if count := self.first_only:
            kinds = "animation or file" if count == 1 else "animations and files"
            notes.append(f"of {count:,} {kinds} of several pages, only the first picture is used")
        if count := self.flattened:
            photos = "photo was" if count == 1 else "photos were"
            notes.append(f"{count:,} transparent {photos} laid on white; png and webp keep transparency")
        return notes

    def _process(self, unmasker: Unmasker, plan: Planned) -> str:
        """Unmask, write and count one photo; return what became of it in words."""
        try:
            photo, faces, words, remarks = _unmask_photo(unmasker, plan, self._folder, self.settings)
        except UnreadablePhoto as reason:
            return self._skip(plan, str(reason))
        except (MemoryError, cv2.error) as error:
            small = isinstance(error, MemoryError) or "Insufficient memory" in str(error)
            return self._skip(plan, "not enough memory for it" if small else "OpenCV cannot process it")
        except OSError as error:
            if error.errno not in _BAD_NAME:
                raise
            return self._skip(plan, f"the file system refuses the result's name: {error.strerror}")
        self._count(faces, plan)
        self.first_only += photo.frames > 1
        self.flattened += _is_flattened(photo, plan, self.settings)
        return "; ".join([words, *remarks])

    def _skip(self, plan: Planned, reason: str) -> str:
        self.skipped.append((str(plan.photo.path), reason))
        return f"skipped: {reason}"

    def _count(self, faces: list[FaceResult], plan: Planned) -> None:
        painted = sum(face.painted for face in faces)
        self.faces += len(faces)
        self.painted += painted
        if painted:
            self.unmasked += 1
        elif not faces:
            self.without_face += 1
        elif plan.photo.map or any(face.masked or not face.chosen for face in faces):
            self.left_out += 1
        else:
            self.without_mask += 1


def _unmask_photo(
    unmasker: Unmasker, plan: Planned, output: ResultFolder, settings: Settings
) -> tuple[Photo, list[FaceResult], str, list[str]]:
    """Unmask and write one photo; return it, its faces, what happened in words, and remarks."""
    content = read_photo_bytes(plan.photo.path)
    start = time.perf_counter()
    with silenced_stderr():
        # The libraries behind Pillow print warnings about damaged photos.
        photo = decode_photo(content, full_size=True)
    own = _check(photo, plan, settings)
    notes: tuple[str, ...] = ()
    unpainted, compression = None, Compression()
    if settings.emotion == ALL:
        sevens, faces = unmasker.unmask_all(photo.pixels, faces=settings.faces, box=settings.box)
        endings = ["emotions"] + [f"emotions-{page}" for page in range(2, 1 + len(sevens))]
        pages = draw_emotion_sheets(sevens, settings.mark)
        pictures = {f".{ending}": page for ending, page in zip(endings, pages, strict=False)}
    else:
        result = unmasker.unmask(photo.pixels, settings.emotion, map=own, faces=settings.faces, box=settings.box)
        faces, before, after = result.faces, photo.pixels, result.image
        notes, unpainted = result.notes, result.unpainted
        if settings.format == SAME:
            compression = compression_of(content, photo.kind)
        if photo.rgba is not None and plan.format in TRANSPARENT:
            before, after = photo.rgba, with_transparency(after, result.occlusion, photo.rgba)
        scaled = scaled_down(after, settings.max_side)
        if scaled is not after:
            notes = (*notes, f"scaled down to {scaled.shape[1]} x {scaled.shape[0]} pixels")
        if settings.mark and result.painted:
            draw_mark(scaled)
        pictures = {"": scaled}
        if settings.side_by_side:
            pictures[".side_by_side"] = draw_side_by_side(scaled_down(before, settings.max_side), scaled)
        if not result.painted and photo.kind == KINDS[plan.format] and scaled is after:
            # Copied byte for byte.
            pictures[""] = content
        if settings.write_map:
            pictures[MAP_PART] = encode_result(result.map, "png", PhotoMetadata(), False)
    painted = sum(face.painted for face in faces)
    remarks = [*_remarks(photo, plan, settings), *notes]
    words = _describe(faces, plan, settings)
    described = [words] if painted < len(faces) or not faces else []
    height, width = photo.pixels.shape[:2]
    report = {
        "photo": str(plan.photo.path),
        "size": [width, height],
        "faces": [_facts(face) for face in faces],
        "map": own and {"path": str(plan.photo.map), "mode": own.mode, "unpainted": unpainted},
        "note": "; ".join([*described, *remarks]),
        "seconds": round(time.perf_counter() - start, 4),
    }
    output.write(plan, pictures, photo.metadata, painted, report, compression)
    return photo, faces, words, remarks


def _check(photo: Photo, plan: Planned, settings: Settings) -> OwnMap | None:
    """Return the photo's own map; raises UnreadablePhoto where it or the box does not fit the photo."""
    try:
        parse_choice(settings.faces, settings.box).check(photo.pixels.shape)
        if plan.photo.map is None:
            return None
        return make_own_map(plan.photo.map, settings.map_mode, photo.pixels.shape, "--map")
    except UserError as reason:
        raise UnreadablePhoto(str(reason)) from None


def _remarks(photo: Photo, plan: Planned, settings: Settings) -> list[str]:
    remarks = []
    if photo.frames > 1:
        remarks.append(f"only the first of {photo.frames} {'pages' if photo.kind == 'TIFF' else 'frames'} is used")
    if _is_flattened(photo, plan, settings):
        remarks.append(f"its transparency is lost, since {plan.format} does not support it")
    if settings.map is not None and plan.photo.map is None:
        remarks.append(f"no map of its name in {settings.map}, so the found one is used")
    return remarks


def _is_flattened(photo: Photo, plan: Planned, settings: Settings) -> bool:
    return photo.rgba is not None and plan.format not in TRANSPARENT and settings.emotion != ALL


def _facts(face: FaceResult) -> dict:
    return {
        "box": [round(side, 1) for side in face.box],
        "masked": face.masked,
        "emotion": face.emotion,
        "confidence": None if face.confidence is None else round(face.confidence, 4),
        "occlusion_area": round(face.occlusion_area, 4),
        "chosen": face.chosen,
        "painted": face.painted,
        "network": face.network,
    }


def _describe(faces: list[FaceResult], plan: Planned, settings: Settings) -> str:
    """Return a photo's faces in words, such as `2 faces: happiness (83 %), no mask`."""
    if not faces:
        return "no face found, photo unchanged"
    chosen = [face for face in faces if face.chosen]
    if not chosen:
        return f"no face in the box {settings.box} ({len(faces)} elsewhere), photo unchanged"
    if not any(face.painted for face in faces):
        if plan.photo.map:
            return "the map leaves nothing to paint on the faces, photo unchanged"
        which = "chosen face" if len(chosen) < len(faces) else "face"
        on = f"the {which}" if len(chosen) == 1 else f"any of {len(chosen)} {which}s"
        return f"no mask on {on}, photo unchanged"
    words = []
    for face in faces[:6]:
        word = "no mask" if not face.masked else "not in the map"
        if face.painted:
            word = face.emotion or "painted"
        elif not face.chosen:
            word = "not chosen"
        words.append(word if face.confidence is None else f"{word} ({100 * face.confidence:.0f} %)")
    more = f", and {len(faces) - 6} more" if len(faces) > 6 else ""
    return f"{len(faces)} face{'s' * (len(faces) > 1)}: {', '.join(words)}{more}"
