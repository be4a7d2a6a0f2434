"""Unmask photos and clips: `python -m rac_unet.predict photo.jpg clip.mp4 folder/ --emotion happiness --output D`."""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from rac_unet.clips.batch import ClipBatch
from rac_unet.clips.settings import QUALITY, ClipSettings, clip_time
from rac_unet.core.emotions import EMOTIONS
from rac_unet.core.errors import CommandParser, UserError, number, run_command

if TYPE_CHECKING:
    from rac_unet.unmasking.batch import PhotoBatch
    from rac_unet.unmasking.inputs import Listing, PhotoFile
    from rac_unet.unmasking.networks import NetworkFiles
    from rac_unet.unmasking.output import Settings
    from rac_unet.unmasking.photo import Unmasker

_FORMATS = ("png", "jpeg", "webp", "same", "lossless")


def main(argv: list[str] | None = None) -> int:
    """Unmask the given photos and clips, and print the result of each."""
    request = parse(argv)
    from rac_unet.unmasking.batch import PhotoBatch

    inputs = find_inputs(request)
    clips = ClipBatch(inputs.clips, request.output, request.overwrite, request.clip_settings)
    photos = PhotoBatch(inputs.photos, inputs.missing, request.output, request.overwrite, request.photo_settings)
    unmasker = _open(request) if photos.todo or clips.todo else None
    for note in _notes_before(request, photos, unmasker):
        print(f"note     {note}", flush=True)
    try:
        photos.run(unmasker)
        clips.run(unmasker)
    except KeyboardInterrupt:
        print("finished photos and parts of clips are kept; the same command continues with the rest", file=sys.stderr)
        raise
    finally:
        skipped = photos.write_skipped(clips.skipped)
    _summary(request, inputs, photos, clips, skipped)
    if not photos.done and not clips.done:
        raise _nothing_used(photos, clips, skipped)
    return 0


@dataclass(frozen=True)
class Request:
    """What a command line requests, checked before any input is read.

    Attributes:
        inputs: paths and patterns of photos, clips and folders.
        output: the output folder.
        overwrite: whether to process finished photos and clips again.
        animations: whether animated pictures are clips, and not photos.
        map: the user's map, or a folder of maps; None for the found ones.
        model: `auto`, `lite`, `portrait` or a path.
        files: the networks of the model.
        photo_settings, clip_settings: what the results of photos and of clips depend on.
    """

    inputs: list[str]
    output: Path
    overwrite: bool
    animations: bool
    map: Path | None
    model: str
    files: NetworkFiles
    photo_settings: Settings
    clip_settings: ClipSettings


def parse(argv: list[str] | None = None) -> Request:
    """Return what a command line requests.

    Raises: UserError when options are wrong or contradict each other, or the output cannot be a folder.
    """
    args = _parser().parse_args(argv)
    # Importing OpenCV and LiteRT takes a moment, TensorFlow several seconds; wrong options are reported before.
    from rac_unet.core.rundir import check_output
    from rac_unet.unmasking.choice.faces import parse_choice
    from rac_unet.unmasking.choice.own_map import check_mode
    from rac_unet.unmasking.emotion_request import ALL, AUTO, parse_request
    from rac_unet.unmasking.networks import network_files, published_reader
    from rac_unet.unmasking.output import Settings

    emotion = parse_request(args.emotion, "--emotion")
    _check_options(args, emotion == ALL)
    choice, map_mode = parse_choice(args.faces, args.box, ("--faces", "--box")), check_mode(args.map_mode, "--map_mode")
    check_output(args.output)
    files, lossless = network_files(args.model), args.format == "lossless"
    networks = [*files.all, published_reader(args.model) if emotion == AUTO else None]
    shared = {
        "emotion": emotion,
        "model": "+".join(map(_model_name, filter(None, networks))),
        "side_by_side": args.side_by_side,
        "faces": choice.faces,
        "box": choice.place,
    }
    photos = Settings(
        **shared,
        format="png" if lossless else args.format,
        mark=args.mark,
        write_map=args.write_map,
        map=args.map and args.map.resolve().name,
        map_mode=args.map and map_mode,
        max_side=args.max_side,
    )
    clips = ClipSettings(
        **shared, lossless=lossless, quality=args.quality, start=args.start, end=args.end, mark=not args.no_mark
    )
    return Request(
        args.inputs, args.output, args.overwrite, args.animations, args.map, args.model, files, photos, clips
    )


def _check_options(args, all_emotions: bool) -> None:
    """Raise UserError for options that contradict each other."""
    if args.map_mode and not args.map:
        raise UserError(f"--map_mode {args.map_mode} says what to do with a map; give one with --map", "usage")
    if not all_emotions:
        return
    for option, given, why in (
        ("--side_by_side", args.side_by_side, "shows one result"),
        ("--write_map", args.write_map, "writes the map of one result"),
        ("--map", args.map, "changes one result"),
        ("--max_side", args.max_side, "scales one result"),
        ("--format same", args.format == "same", "is a result's"),
    ):
        if given:
            raise UserError(
                f"{option} {why}; omit it with --emotion all, whose sheet shows crops of the photo", "usage"
            )


@dataclass(frozen=True)
class Inputs:
    """The files that the user gave.

    Attributes:
        photos: each with the user's map of it, if there is one.
        clips: the videos, and animated pictures if they are clips.
        missing: (path, reason) of inputs that cannot be read.
        left_out: what was left out in folders, in words; empty if nothing was.
    """

    photos: list[PhotoFile]
    clips: list[PhotoFile]
    missing: list[tuple[str, str]]
    left_out: str


def find_inputs(request: Request) -> Inputs:
    """Find the photos and clips that a user gave, and the maps of the photos.

    Raises: UserError when there is neither a photo nor a clip, or the map does not fit; see `list_inputs` and
        `match_maps`.
    """
    from rac_unet.clips.listing import list_inputs
    from rac_unet.unmasking.choice.map_files import match_maps

    listing, clips = list_inputs(request.inputs, request.output, request.animations)
    photos, maps = listing.photos, 0
    if request.map and photos:
        photos, maps = match_maps(request.map, photos)
    if not photos and not clips:
        raise _nothing(listing, maps)
    kinds = [
        listing.left_out.describe(),
        _counted(listing.own_files, "result") if listing.own_files else "",
        _counted(maps, "map") if maps else "",
    ]
    return Inputs(photos, clips, listing.missing, ", ".join(filter(None, kinds)))


def _nothing(listing: Listing, maps: int) -> UserError:
    from rac_unet.photos.kinds import READ

    if listing.missing:
        name, reason = listing.missing[0]
        more = f" (and {len(listing.missing) - 1} more)" if len(listing.missing) > 1 else ""
        return UserError(f"{name}: {reason}{more}; give photos, folders of photos, or patterns", "missing")
    others = f"{_counted(listing.other_files, 'other file')}, {_counted(listing.own_files, 'result')} of predict"
    others += f", {_counted(maps, 'map')}" if maps else ""
    return UserError(f"the inputs contain no photos ({others}); {READ}, and videos", "empty")


def _counted(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'s' * (count != 1)}"


def _open(request: Request) -> Unmasker:
    from rac_unet.unmasking.photo import Unmasker

    finder = request.files.finder
    if finder.suffix not in (".tflite", ".onnx") and finder.exists():
        from rac_unet.models.backend import import_tensorflow

        import_tensorflow()
    return Unmasker(request.model)


def _notes_before(request: Request, photos: PhotoBatch, unmasker: Unmasker | None) -> Iterator[str]:
    """Yield what the user should know before the work; `unmasker` is None if there is none."""
    from rac_unet.unmasking.choice.formats import forecast
    from rac_unet.unmasking.emotion_request import ALL

    settings = request.photo_settings
    if unmasker:
        if note := unmasker.check_request(settings.emotion):
            yield note
        todo = [plan.photo.path for plan in photos.todo]
        if settings.emotion != ALL and (note := forecast(todo, settings.format, settings.max_side)):
            yield note
    without = sum(photo.map is None for photo in photos.photos)
    if request.map and without:
        have = "has" if without == 1 else "have"
        yield f"{without:,} of {len(photos.photos):,} photos {have} no map in {request.map}; the found ones are used"


def _summary(request: Request, inputs: Inputs, photos: PhotoBatch, clips: ClipBatch, skipped: Path | None) -> None:
    clips.summary(skipped)
    photos.summary(skipped)
    if inputs.left_out:
        print(f"left out {inputs.left_out} in the folders given")
    for note in photos.notes():
        print(f"note     {note}")
    if photos.painted or clips.painted:
        print("note     painted faces are plausible, not true; each result is marked as synthetic in its metadata")
    print(f"wrote    {request.output}")


def _nothing_used(photos: PhotoBatch, clips: ClipBatch, skipped: Path | None) -> UserError:
    path, reason = [*photos.skipped, *clips.skipped][0]
    given = photos.given + len(clips.clips)
    if given == 1:
        return UserError(f"{path}: {reason}; no other file was given", "unreadable")
    return UserError(
        f"{path}: {reason} (and {given - 1} more, see {skipped}); none of {given} files could be used", "unreadable"
    )


def _model_name(model: str | os.PathLike) -> str:
    """Return the name of a model with a hash, so that results of different networks are distinguished."""
    path = Path(model)
    digest = hashlib.sha256()
    if path.is_file() and path.stat().st_size < 64_000_000:
        digest.update(path.read_bytes())
    else:
        for file in sorted(path.rglob("*")) if path.is_dir() else [path] if path.is_file() else []:
            facts = file.stat()
            digest.update(f"{file.relative_to(path)} {facts.st_size} {facts.st_mtime_ns}".encode())
    return f"{path.resolve().name}@{digest.hexdigest()[:12]}"


def _parser() -> CommandParser:
    parser = CommandParser(
        prog="python -m rac_unet.predict",
        description="Inpaint every face mask in photos and videos, with a given emotion. The painted faces are "
        "plausible, not true: never use them to identify a person, and never as evidence.",
        epilog="example: python -m rac_unet.predict holiday/ --emotion happiness --output unmasked",
    )
    parser.add_argument(
        "inputs",
        nargs="+",
        metavar="INPUT",
        help="photos, videos, folders (with all below them) and patterns ('*.jpg')",
    )
    parser.add_argument(
        "--output",
        type=Path,
        required=True,
        metavar="D",
        help="folder for the results, which mirrors the folders of the photos. Finished photos are skipped",
    )
    parser.add_argument(
        "--emotion",
        default="auto",
        metavar="NAME",
        help="auto: read from the visible part of each face (default); none: no emotion; all: a sheet of all seven for "
        f"each face; or one of {', '.join(EMOTIONS)}",
    )
    parser.add_argument(
        "--model",
        default="auto",
        metavar="MODEL",
        help="auto: the published networks, chosen by the size of each face (default); lite or portrait: one of them "
        "for all faces (128 or 256 pixels); or a run directory, or an export of one, of a mask-aware network",
    )
    parser.add_argument(
        "--format",
        choices=_FORMATS,
        default="png",
        help="png keeps every pixel outside the mask exactly (default); jpeg and webp compress the whole picture "
        "again, and jpeg has no transparency; same: as each photo came, JPEG in its own quality, HEIC as JPEG, AVIF as "
        "WebP, all other kinds as PNG; lossless: png, and for videos FFV1 in Matroska instead of H.264. What this "
        "means for size and pixels is printed before the work",
    )
    parser.add_argument(
        "--max_side",
        type=number(int, 16),
        metavar="PIXELS",
        help="scale results down to at most this many pixels on the longer side, which changes all pixels; maps keep "
        "the photo's size",
    )
    parser.add_argument(
        "--faces",
        default="all",
        metavar="WHICH",
        help="all (default), largest, or a number N: only the N largest faces of each photo, with or without masks",
    )
    parser.add_argument(
        "--box",
        metavar="X0,Y0,X1,Y1",
        help="only faces at this place, in pixels of the upright photo; with --faces the largest of these",
    )
    parser.add_argument(
        "--write_map",
        action="store_true",
        help="also write the map of what was inpainted, NAME.map.png: grey, of the photo's size, white where a mask "
        "was found. It can be edited, and given back with --map",
    )
    parser.add_argument(
        "--map",
        type=Path,
        metavar="PATH",
        help="inpaint what this map says, in each face, whether or not a mask is found there: a picture that is white "
        "where to inpaint, or a folder of maps named as the photos (a.png or a.map.png for a.jpg). A photo without "
        "one in the folder gets the found map",
    )
    parser.add_argument(
        "--map_mode",
        metavar="MODE",
        help="replace: use --map instead of the found map (default); add: in addition to it; remove: keep these pixels "
        "as they are",
    )
    parser.add_argument(
        "--side_by_side", action="store_true", help="also write photo and result in one picture, NAME.side_by_side.*"
    )
    parser.add_argument(
        "--mark",
        action="store_true",
        help="write 'synthetic' visibly into a corner; the metadata always contain the mark",
    )
    video = parser.add_argument_group("videos (they need PyAV: pip install 'rac_unet[video]')")
    video.add_argument(
        "--quality",
        type=number(int, 0, 51),
        default=QUALITY,
        metavar="N",
        help=f"H.264's constant rate factor: 0 is the best, 51 the worst; {QUALITY} (default) looks like the source",
    )
    video.add_argument("--start", type=clip_time, metavar="TIME", help="leave out what is before: seconds, or 1:30.5")
    video.add_argument("--end", type=clip_time, metavar="TIME", help="leave out what is after")
    video.add_argument(
        "--no_mark", action="store_true", help="do not write 'synthetic' visibly into videos; their metadata contain it"
    )
    video.add_argument(
        "--animations", action="store_true", help="unmask all frames of GIFs and animated WebPs and PNGs, into videos"
    )
    parser.add_argument("--overwrite", action="store_true", help="process finished photos and videos again")
    return parser


if __name__ == "__main__":
    run_command(main)
