"""Unmask photos: `python -m rac_unet.predict photo.jpg folder/ --emotion happiness --output D`."""

from __future__ import annotations

import hashlib
import os
import sys
from pathlib import Path

from rac_unet.core.emotions import EMOTIONS
from rac_unet.core.errors import CommandParser, UserError, run_command

_FORMATS = ("png", "jpeg", "webp")
# Up to this many photos have a line each; more are shown by a progress line.
_NAMED = 20


def main(argv: list[str] | None = None) -> int:
    """Unmask the given photos, and print the result of each."""
    args = _parser().parse_args(argv)
    # Importing OpenCV and LiteRT takes a moment, TensorFlow several seconds; wrong options are reported before.
    from rac_unet.core.rundir import check_output
    from rac_unet.runtime.published import PUBLISHED_NETWORK
    from rac_unet.unmasking.batch import Account, unmask_photos
    from rac_unet.unmasking.emotion_request import ALL, AUTO, parse_request
    from rac_unet.unmasking.inputs import list_photos
    from rac_unet.unmasking.networks import published_reader
    from rac_unet.unmasking.output import ResultFolder, Settings, faces_of
    from rac_unet.unmasking.photo import Unmasker

    emotion = parse_request(args.emotion, "--emotion")
    if emotion == ALL and args.side_by_side:
        raise UserError(
            "--side_by_side shows one result; omit it with --emotion all, whose sheet includes the photo", "usage"
        )
    check_output(args.output)
    listing = list_photos(args.inputs, args.output)
    account = Account(skipped=list(listing.missing))
    given = len(listing.photos) + len(listing.missing)
    if not listing.photos:
        raise _nothing(listing)
    model = args.model or PUBLISHED_NETWORK
    networks = [model, published_reader(model) if emotion == AUTO else None]
    settings = Settings(
        emotion, "+".join(map(_model_name, filter(None, networks))), args.format, args.side_by_side, args.mark
    )
    output = ResultFolder(args.output, settings)
    todo, finished = output.plan(listing.photos, args.overwrite)
    for faces, painted in map(faces_of, finished):
        account.faces += faces
        account.painted += painted
    if todo:
        unmasker = _open(Unmasker, model)
        if note := unmasker.check_request(emotion):
            print(f"note     {note}")
    try:
        if todo:
            _work(lambda report: unmask_photos(unmasker, todo, output, settings, account, report), len(todo))
    except KeyboardInterrupt:
        print("finished photos are kept; the same command continues with the rest", file=sys.stderr)
        raise
    finally:
        skipped = output.write_skipped(account.skipped)
    _summary(account, listing, given, len(finished), args.output, skipped)
    done = len(finished) + account.unmasked + account.without_mask + account.without_face
    if not done:
        name, reason = account.skipped[0]
        more = f" (and {given - 1} more, see {skipped})" if given > 1 else ""
        raise UserError(f"{name}: {reason}{more}; none of {given} photos could be used", "unreadable")
    return 0


def _open(opener, model):
    if Path(model).suffix not in (".tflite", ".onnx") and Path(model).exists():
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


def _summary(account, listing, given: int, finished: int, output: Path, skipped: Path | None) -> None:
    parts = [
        (account.unmasked, "unmasked"),
        (account.without_mask, "without a mask, unchanged"),
        (account.without_face, "without a face, unchanged"),
        (finished, "finished earlier"),
        (len(account.skipped), f"skipped, see {skipped}"),
    ]
    print(f"photos   {given:,} given: {', '.join(f'{count:,} {what}' for count, what in parts if count)}")
    if len(account.skipped) < given:
        print(f"faces    {account.faces:,} found, {account.painted:,} painted")
    if (others := listing.left_out.describe()) or listing.own_files:
        kinds = [others, f"{listing.own_files:,} results" if listing.own_files else ""]
        print(f"left out {', '.join(filter(None, kinds))} in the folders given")
    if account.first_only:
        print(
            f"note     of {account.first_only:,} animations and files of several pages, only the first picture is used"
        )
    if account.flattened:
        print(f"note     {account.flattened:,} transparent photos were laid on white; png and webp keep transparency")
    if account.painted:
        print("note     painted faces are plausible, not true; each result is marked as synthetic in its metadata")
    print(f"wrote    {output}")


def _nothing(listing) -> UserError:
    from rac_unet.photos.kinds import READ

    if listing.missing:
        name, reason = listing.missing[0]
        more = f" (and {len(listing.missing) - 1} more)" if len(listing.missing) > 1 else ""
        return UserError(f"{name}: {reason}{more}; give photos, folders of photos, or patterns", "missing")
    others = f"{listing.other_files:,} other files, {listing.own_files:,} results of predict"
    return UserError(f"the inputs contain no photos ({others}); {READ}, videos are not", "empty")


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
        description="Inpaint every face mask in photos, with a given emotion. The painted faces are plausible, not "
        "true: never use them to identify a person, and never as evidence.",
        epilog="example: python -m rac_unet.predict holiday/ --emotion happiness --output unmasked",
    )
    parser.add_argument(
        "inputs", nargs="+", metavar="INPUT", help="photos, folders (with all below them) and patterns ('*.jpg')"
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
        type=Path,
        metavar="MODEL",
        help="run directory, or an export of one, of a mask-aware network (default: the published network)",
    )
    parser.add_argument(
        "--format",
        choices=_FORMATS,
        default="png",
        help="png keeps every pixel outside the mask exactly (default); jpeg and webp compress the whole picture "
        "again, and jpeg has no transparency",
    )
    parser.add_argument(
        "--side_by_side", action="store_true", help="also write photo and result in one picture, NAME.side_by_side.*"
    )
    parser.add_argument(
        "--mark",
        action="store_true",
        help="write 'synthetic' visibly into a corner; the metadata always contain the mark",
    )
    parser.add_argument("--overwrite", action="store_true", help="process finished photos again")
    return parser


if __name__ == "__main__":
    run_command(main)
