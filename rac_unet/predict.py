"""Unmask photos and clips: `python -m rac_unet.predict photo.jpg clip.mp4 folder/ --emotion happiness --output D`."""

from __future__ import annotations

import hashlib
import os
import sys
from pathlib import Path

from rac_unet.clips.batch import ClipBatch, clip_time
from rac_unet.core.emotions import EMOTIONS
from rac_unet.core.errors import CommandParser, UserError, number, run_command

_FORMATS = ("png", "jpeg", "webp", "same", "lossless")
# Up to this many photos have a line each; more are shown by a progress line.
_NAMED = 20


def main(argv: list[str] | None = None) -> int:
    """Unmask the given photos, and print the result of each."""
    args = _parser().parse_args(argv)
    # Importing OpenCV and LiteRT takes a moment, TensorFlow several seconds; wrong options are reported before.
    from rac_unet.clips.listing import list_inputs
    from rac_unet.core.rundir import check_output
    from rac_unet.unmasking.batch import Account, unmask_photos
    from rac_unet.unmasking.choice.faces import parse_choice
    from rac_unet.unmasking.choice.formats import forecast
    from rac_unet.unmasking.choice.map_files import match_maps
    from rac_unet.unmasking.choice.own_map import check_mode
    from rac_unet.unmasking.emotion_request import ALL, AUTO, parse_request
    from rac_unet.unmasking.networks import network_files, published_reader
    from rac_unet.unmasking.output import ResultFolder, Settings, faces_of
    from rac_unet.unmasking.photo import Unmasker

    emotion = parse_request(args.emotion, "--emotion")
    _check_options(args, emotion == ALL)
    choice, map_mode = parse_choice(args.faces, args.box, ("--faces", "--box")), check_mode(args.map_mode, "--map_mode")
    check_output(args.output)
    listing, clip_files = list_inputs(args.inputs, args.output, args.animations)
    account = Account(skipped=list(listing.missing))
    given = len(listing.photos) + len(listing.missing)
    photos, maps = listing.photos, 0
    if args.map and photos:
        photos, maps = match_maps(args.map, photos)
        given -= maps
    if not photos and not clip_files:
        raise _nothing(listing, maps)
    files = network_files(args.model)
    networks = [*files.all, published_reader(args.model) if emotion == AUTO else None]
    name, lossless = "+".join(map(_model_name, filter(None, networks))), args.format == "lossless"
    settings = Settings(
        emotion=emotion,
        model=name,
        format="png" if lossless else args.format,
        side_by_side=args.side_by_side,
        mark=args.mark,
        write_map=args.write_map,
        map=args.map and args.map.resolve().name,
        map_mode=args.map and map_mode,
        faces=choice.faces,
        box=choice.place,
        max_side=args.max_side,
    )
    clip_settings = {key: getattr(args, key) for key in ("quality", "start", "end", "side_by_side")}
    clip_settings |= {"emotion": emotion, "model": name, "lossless": lossless, "mark": not args.no_mark}
    clip_settings |= {"faces": choice.faces, "box": choice.place}
    clips = ClipBatch(clip_files, args.output, args.overwrite, clip_settings)
    output = ResultFolder(args.output, settings)
    todo, finished = output.plan(photos, args.overwrite)
    for faces, painted in map(faces_of, finished):
        account.faces += faces
        account.painted += painted
    if todo or clips.todo:
        unmasker = _open(Unmasker, args.model, files)
        if note := unmasker.check_request(emotion):
            print(f"note     {note}")
        if emotion != ALL and (note := forecast([plan.photo.path for plan in todo], settings.format, args.max_side)):
            print(f"note     {note}", flush=True)
    if without := sum(photo.map is None for photo in photos) if args.map else 0:
        print(f"note     {without:,} of {len(photos):,} photos have no map in {args.map}; the found ones are used")
    try:
        if todo:
            _work(lambda report: unmask_photos(unmasker, todo, output, settings, account, report), len(todo))
        if clips.todo:
            clips.run(unmasker, account.skipped)
    except KeyboardInterrupt:
        print("finished photos and parts of clips are kept; the same command continues with the rest", file=sys.stderr)
        raise
    finally:
        skipped = output.write_skipped(account.skipped)
    clips.summary()
    _summary(account, listing, given, len(finished), args.output, skipped, maps, clips)
    done = len(finished) + account.unmasked + account.without_mask + account.without_face + account.left_out
    done += clips.done
    if not done:
        name, reason = account.skipped[0]
        given += len(clip_files)
        more = f" (and {given - 1} more, see {skipped})" if given > 1 else ""
        raise UserError(f"{name}: {reason}{more}; none of {given} files could be used", "unreadable")
    return 0


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


def _open(opener, model: str, files):
    if files.finder.suffix not in (".tflite", ".onnx") and files.finder.exists():
        from rac_unet.models.backend import import_tensorflow

        import_tensorflow()
    return opener(model)


def _work(work, count: int) -> None:
    """Run `work(report)`, with a line for each photo, or a progress line if there are many."""
    from rac_unet.core.progress import Progress

    progress = Progress(count, noun="photos", enabled=count > _NAMED)

    def report(path: Path, outcome: str) -> None:
        if count <= _NAMED:
            print(f"{path}: {outcome}", flush=True)
        progress.advance()

    try:
        work(report)
    finally:
        progress.close()


def _summary(account, listing, given: int, finished: int, output: Path, skipped: Path | None, maps: int, clips) -> None:
    parts = [
        (account.unmasked, "unmasked"),
        (account.without_mask, "without a mask, unchanged"),
        (account.without_face, "without a face, unchanged"),
        (account.left_out, "with nothing to paint in the chosen faces or the map, unchanged"),
        (finished, "finished earlier"),
        (len(account.skipped) - clips.skipped, f"skipped, see {skipped}"),
    ]
    if given:
        print(f"photos   {given:,} given: {', '.join(f'{count:,} {what}' for count, what in parts if count)}")
    if len(account.skipped) - clips.skipped < given:
        print(f"faces    {account.faces:,} found, {account.painted:,} painted")
    if (others := listing.left_out.describe()) or listing.own_files or maps:
        kinds = [
            others,
            f"{listing.own_files:,} results" if listing.own_files else "",
            f"{maps:,} maps" if maps else "",
        ]
        print(f"left out {', '.join(filter(None, kinds))} in the folders given")
    if account.first_only:
        print(
            f"note     of {account.first_only:,} animations and files of several pages, only the first picture is used"
        )
    if account.flattened:
        print(f"note     {account.flattened:,} transparent photos were laid on white; png and webp keep transparency")
    if account.painted or clips.painted:
        print("note     painted faces are plausible, not true; each result is marked as synthetic in its metadata")
    print(f"wrote    {output}")


def _nothing(listing, maps: int) -> UserError:
    from rac_unet.photos.kinds import READ

    if listing.missing:
        name, reason = listing.missing[0]
        more = f" (and {len(listing.missing) - 1} more)" if len(listing.missing) > 1 else ""
        return UserError(f"{name}: {reason}{more}; give photos, folders of photos, or patterns", "missing")
    others = f"{listing.other_files:,} other files, {listing.own_files:,} results of predict"
    others += f", {maps:,} maps" if maps else ""
    return UserError(f"the inputs contain no photos ({others}); {READ}, and videos", "empty")


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
        default=16,
        metavar="N",
        help="H.264's constant rate factor: 0 is the best, 51 the worst; 16 (default) looks like the source",
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
