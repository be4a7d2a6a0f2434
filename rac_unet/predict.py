"""Unmask photos: `python -m rac_unet.predict photo.jpg folder/ --emotion happiness --output D`."""

from __future__ import annotations

import hashlib
import os
import sys
from pathlib import Path

from rac_unet.core.emotions import EMOTIONS
from rac_unet.core.errors import CommandParser, UserError, run_command

_FORMATS = ("png", "jpeg", "webp")
# More photos than this are counted by a progress line instead of being named one by one.
_NAMED = 20


def main(argv: list[str] | None = None) -> int:
    """Unmask what the command line names, and say what became of each photo."""
    args = _parser().parse_args(argv)
    # OpenCV and LiteRT take a moment, TensorFlow several: what is wrong with the words is said before.
    from rac_unet.core.rundir import check_output
    from rac_unet.unmasking.batch import Account, unmask_photos
    from rac_unet.unmasking.inputs import list_photos
    from rac_unet.unmasking.output import OutputFolder, Settings, faces_of
    from rac_unet.unmasking.photo import ALL, AUTO, PUBLISHED, Unmasker, parse_request, published_reader

    emotion = parse_request(args.emotion, "--emotion")
    if emotion == ALL and args.side_by_side:
        raise UserError(
            "--side_by_side shows one result; with --emotion all the photo is in the sheet already", "usage"
        )
    check_output(args.output)
    listing = list_photos(args.inputs, args.output)
    account = Account(skipped=list(listing.missing))
    given = len(listing.photos) + len(listing.missing)
    if not listing.photos:
        raise _nothing(listing)
    model = args.model or PUBLISHED
    networks = [model, published_reader(model) if emotion == AUTO else None]
    settings = Settings(
        emotion, "+".join(map(_model_name, filter(None, networks))), args.format, args.side_by_side, args.mark
    )
    output = OutputFolder(args.output, settings)
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
        print("finished photos are kept; the same command goes on with the rest", file=sys.stderr)
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
    """Run `work(report)`, naming each photo, or counting them where there are many."""
    from rac_unet.core.progress import Progress

    progress = Progress(count, noun="photos", enabled=count > _NAMED)

    def report(path: Path, said: str) -> None:
        if count <= _NAMED:
            print(f"{path}: {said}", flush=True)
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
        (finished, "finished before"),
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
            f"note     of {account.first_only:,} animations and files of several pages only the first picture is used"
        )
    if account.flattened:
        print(f"note     {account.flattened:,} see-through photos lie on white now; png and webp keep transparency")
    if account.painted:
        print("note     what was painted is plausible, not true; each result is marked as synthetic in its metadata")
    print(f"wrote    {output}")


def _nothing(listing) -> UserError:
    from rac_unet.photos.kinds import READ

    if listing.missing:
        name, reason = listing.missing[0]
        more = f" (and {len(listing.missing) - 1} more)" if len(listing.missing) > 1 else ""
        return UserError(f"{name}: {reason}{more}; give photos, folders of photos, or patterns", "missing")
    others = f"{listing.other_files:,} other files, {listing.own_files:,} results of predict"
    return UserError(f"there are no photos in what was given ({others}); {READ}, videos are not", "empty")


def _model_name(model: str | os.PathLike) -> str:
    """Name of a model with a hash, so that results of different networks are told apart."""
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
        description="Paint over every face mask in photos, showing an emotion. What is painted is plausible, not true: "
        "never use it to identify a person, and never as evidence.",
        epilog="example: python -m rac_unet.predict holiday/ --emotion happiness --output unmasked",
    )
    parser.add_argument(
        "inputs", nargs="+", metavar="INPUT", help="photos, folders (with all below them) and patterns ('*.jpg')"
    )
    parser.add_argument(
        "--output", type=Path, required=True, metavar="D",
        help="folder for the results; the folders of the photos are mirrored in it. Finished photos are not made again",
    )  # fmt: skip
    parser.add_argument(
        "--emotion", default="auto", metavar="NAME",
        help="auto: read from what can be seen of each face (default); none: without; all: a sheet of all seven for "
        f"each face; or one of {', '.join(EMOTIONS)}",
    )  # fmt: skip
    parser.add_argument(
        "--model", type=Path, metavar="MODEL",
        help="a run directory or anything exported from one, of a mask-aware network (default: the published one)",
    )  # fmt: skip
    parser.add_argument(
        "--format", choices=_FORMATS, default="png",
        help="png keeps every pixel outside the mask exactly (default); jpeg and webp compress all of it again, and "
        "jpeg has no transparency",
    )  # fmt: skip
    parser.add_argument(
        "--side_by_side", action="store_true", help="also write photo and result in one picture, NAME.side_by_side.*"
    )
    parser.add_argument(
        "--mark", action="store_true",
        help="write 'synthetic' visibly into a corner; the metadata say so always",
    )  # fmt: skip
    parser.add_argument("--overwrite", action="store_true", help="make results again that are there already")
    return parser


if __name__ == "__main__":
    run_command(main)
