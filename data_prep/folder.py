"""Prepare any folder of photos: detect faces, crop them upright, paint masks, write pairs.

    python -m data_prep.folder --photos DIR --labels labels.csv --output D
    python -m data_prep.folder --photos DIR --output D                  the emotions are names of folders
    python -m data_prep.folder --photos DIR --labels L --output D --already_masked

Run it again to continue an interrupted run.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from data_prep.making.arguments import add_photo_arguments, parse_policy, photo_parser
from data_prep.sources.numbering import add_numbering
from rac_unet.core.emotions import EMOTIONS
from rac_unet.core.errors import CommandParser, UserError, run_command

if TYPE_CHECKING:
    from data_prep.sources.source import Source


def main(arguments: list[str] | None = None) -> int:
    options = _parser().parse_args(arguments)

    from data_prep.making.photo_maker import PhotoMaker
    from data_prep.making.run_source import run_source, source_folder
    from data_prep.sources.loading import FileLoader

    policy = parse_policy(options)
    real = options.already_masked
    drawing = ("held_out", "variants", "masks", "bare", "degrade", "props", "test_too")
    if real and (given := [name for name in drawing if hasattr(options, name)]):
        raise UserError(f"with --already_masked no masks are painted; leave out --{given[0]}", "usage")
    photos = source_folder("--photos", options.photos)
    source = _read_source(photos, options)
    name = getattr(options, "source", None) or photos.resolve().name
    maker = PhotoMaker(
        FileLoader(str(photos), options.follow_links), None if real else policy, options.size, options.seed, name
    )
    return run_source(options, "folder", source, maker, None if real else policy, name)


def _read_source(photos: Path, options: argparse.Namespace) -> Source:
    from dataclasses import replace

    from data_prep.sources.labels import read_labels, spell_as_on_disk
    from data_prep.sources.named_folders import read_named_folders
    from data_prep.sources.source import carve_val
    from rac_unet.photos.listing import find_photos

    labels, numbering = getattr(options, "labels", None), getattr(options, "numbering", None)
    if labels is None:
        hint = ", or give a label file with --labels"
        source = read_named_folders(photos, options.seed, options.output, hint, options.follow_links, numbering)
        if "val" not in {photo.split for photo in source.photos}:
            source.photos = carve_val(source.photos, options.val_share, options.seed)
    else:
        try:
            content = Path(labels).read_bytes()
        except (FileNotFoundError, IsADirectoryError):
            raise UserError(
                f"--labels {labels} not found; give a CSV file with the columns path and emotion", "missing"
            ) from None
        source = read_labels(labels, content, options.seed, options.skip_bad_rows, numbering, options.unlabelled or "")
        known = {photo.path for photo in source.photos} | {name for name, _ in source.rejected}
        found = find_photos(
            photos, source.left_out, options.output, options.follow_links, prefer=lambda path: path in known
        )
        spell_as_on_disk(source, (path for photo in found for path in (photo.path, *photo.others)))
        known |= {photo.path for photo in source.photos}
        for photo in found:
            if photo.path not in known:
                source.reject(photo.path, "has no label: no row names it")
        # A link to a photo can have a label, too.
        source.left_out.repeated = [each for each in source.left_out.repeated if each[0] not in known]
    if options.already_masked:
        source.photos = [replace(photo, split="test") for photo in source.photos]
    return source


def _parser() -> CommandParser:
    parser = photo_parser(
        "folder", "Prepare a folder of labelled photos as a data set of pairs (masked and unmasked faces)."
    )
    parser.add_argument("--photos", required=True, metavar="DIR", help="folder of photos", default=argparse.SUPPRESS)
    parser.add_argument(
        "--labels",
        metavar="FILE",
        default=argparse.SUPPRESS,
        help="CSV file with the columns path (inside DIR) and emotion, and optionally identity and split; without it, "
        "folder names give the emotion, and optionally the split: train/happiness/x.jpg",
    )
    parser.add_argument(
        "--skip_bad_rows", action="store_true", help="skip bad rows of the label file and list them in skipped.csv"
    )
    parser.add_argument(
        "--unlabelled",
        choices=EMOTIONS,
        metavar="EMOTION",
        help="emotion of photos whose row names none, such as those of data_prep.generated, until "
        "rac_unet.soft_labels --own 0 --all_splits has read them",
    )
    parser.add_argument(
        "--already_masked",
        action="store_true",
        help="the photos show real masks: no mask is painted, there is no ground truth, all go to the test split",
    )
    parser.add_argument(
        "--source",
        metavar="NAME",
        default=argparse.SUPPRESS,
        help="value of the column source (default: the name of DIR)",
    )
    add_numbering(parser)
    add_photo_arguments(parser)
    return parser


if __name__ == "__main__":
    run_command(main)
