"""Score a network on photos of real masks: `python -m rac_unet.real_masks PHOTOS --output D`."""

from __future__ import annotations

import json
import os
from pathlib import Path

from rac_unet.core.errors import CommandParser, UserError, number, run_command
from rac_unet.core.files.whole import replace_file, write_text
from rac_unet.core.rundir import check_output


def main(argv: list[str] | None = None) -> int:
    """Unmask every photo, search the results for remaining masks, and write scores and a sheet."""
    args = _parser().parse_args(argv)
    from rac_unet.core.provenance import make_provenance
    from rac_unet.scoring import mask_removal
    from rac_unet.unmasking.emotion_request import ALL, parse_request
    from rac_unet.unmasking.inputs import list_photos
    from rac_unet.unmasking.networks import network_files
    from rac_unet.unmasking.photo import Unmasker

    emotion = parse_request(args.emotion, "--emotion")
    if emotion == ALL:
        raise UserError("--emotion all: results are scored for one emotion; use auto, none, or a name", "usage")
    check_output(args.output)
    listing = list_photos(args.inputs, args.output)
    _require_photos(listing, args.inputs)
    sheet = args.output / "real_masks.jpg"
    if os.path.realpath(sheet) in {os.path.realpath(file.path) for file in listing.photos}:
        raise UserError(f"the sheet {sheet} would replace an input photo; give another folder with --output", "exists")
    unmasker = Unmasker(args.model)
    unmasker.check_request(emotion)
    photos, faces = _judge_photos(unmasker, listing, emotion)
    metrics = mask_removal.summarise_real_masks(photos, faces)
    model = "+".join(path.name for path in network_files(args.model).all)
    facts = make_provenance("rac_unet.real_masks", argv, model=model, emotion=emotion)
    written = _write_tables(args.output, photos, faces)
    if shown := mask_removal.choose_faces(faces, args.shown):
        mask_removal.write_real_mask_sheet(sheet, shown)
    else:
        # An older sheet would show other faces than those scored.
        sheet.unlink(missing_ok=True)
    for name, content in (("metrics.json", metrics), ("provenance.json", facts)):
        write_text(args.output / name, json.dumps(content, indent=2) + "\n")
        written.append(name)
    written += [sheet.name] * bool(shown)
    _report(metrics, args.output / "photos.csv")
    if listing.own_files:
        print(f"left out {listing.own_files:,} results of rac_unet among the photos")
    if others := listing.left_out.describe():
        print(f"left out {others} in the folders given")
    for name in written:
        print(f"wrote    {args.output / name}")
    return 0


def _judge_photos(unmasker, listing, emotion: str) -> tuple[list, list]:
    """Return the scores of all photos, including those that could not be read, and of all faces; shows progress."""
    from rac_unet.core.progress import Progress
    from rac_unet.scoring.mask_removal import JudgedPhoto, judge_photo

    photos, faces = [], []
    progress = Progress(len(listing.photos), noun="photos")
    for file in listing.photos:
        photo, found = judge_photo(unmasker, file, emotion)
        photos.append(photo)
        faces += found
        progress.advance()
    progress.close()
    return photos + [JudgedPhoto(name, 0, 0, reason) for name, reason in listing.missing], faces


def _write_tables(folder: Path, photos: list, faces: list) -> list[str]:
    """Write faces.csv and photos.csv, and return their names."""
    import pandas as pd

    from rac_unet.scoring.mask_removal import face_table

    tables = {"faces.csv": face_table(faces), "photos.csv": pd.DataFrame(photos)}
    for name, table in tables.items():
        replace_file(folder / name, lambda file, table=table: table.to_csv(file, index=False, float_format="%.4g"))
    return list(tables)


def _require_photos(listing, inputs: list[str]) -> None:
    """Raise UserError when there are no photos."""
    if listing.photos:
        return
    from rac_unet.photos.kinds import READ

    if listing.missing:
        name, reason = listing.missing[0]
        raise UserError(f"{name}: {reason}; give photos, folders of photos, or patterns", "missing")
    others = f"{listing.other_files:,} other files, {listing.own_files:,} results of rac_unet"
    raise UserError(f"there are no photos in {', '.join(inputs)} ({others}); {READ}, but not videos", "empty")


def _report(metrics: dict, photos: Path) -> None:
    """Print the metrics; `photos` is the path of photos.csv."""

    def percent(mean: dict | None) -> str:
        return (
            "–" if mean is None else f"{100 * mean['mean']:.1f} % [{100 * mean['low']:.1f}, {100 * mean['high']:.1f}]"
        )

    reasons = f", see {photos}" if metrics["skipped"] else ""
    print(f"photos   {metrics['photos']:,} read, {metrics['skipped']:,} skipped{reasons}")
    print(f"         a face found on {percent(metrics['photos_with_a_face'])} of them")
    print(f"         a mask found on {percent(metrics['photos_with_a_mask_seen'])}")
    print(f"faces    {metrics['faces']:,}, {metrics['masked_faces']:,} of them with a mask")
    print(f"left     {percent(metrics['mask_left'])} of the mask's map is still found on the result")
    print(f"outside  {metrics['pixels_changed_outside_the_map']:,} pixels changed outside the maps")


def _parser() -> CommandParser:
    parser = CommandParser(
        prog="python -m rac_unet.real_masks",
        extras=("train",),
        description="Score a network on photos of real masks, which have no ground truth: faces found, share of the "
        "mask left, pixels changed outside; and draw a sheet of photos and results.",
        epilog="example: python -m rac_unet.real_masks photos/ --output results/real_masks",
    )
    parser.add_argument(
        "inputs", nargs="+", metavar="INPUT", help="photos, folders (including subfolders) and patterns"
    )
    parser.add_argument("--output", type=Path, required=True, metavar="D", help="folder for scores and sheet")
    parser.add_argument(
        "--model",
        type=Path,
        metavar="MODEL",
        help="as for predict: auto (default), lite, portrait, or a run directory or an export of a mask-aware network",
    )
    parser.add_argument("--emotion", default="auto", metavar="NAME", help="as for predict (default: auto)")
    parser.add_argument(
        "--shown",
        type=number(int, 0),
        default=48,
        metavar="N",
        help="number of faces on the sheet, evenly chosen (default: 48)",
    )
    return parser


if __name__ == "__main__":
    run_command(main)
