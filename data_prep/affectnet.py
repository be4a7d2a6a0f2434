"""Prepare AffectNet, with .npy annotations, the older CSV tables, or in numbered folders.

    python -m data_prep.affectnet --source DIR --output D --max_per_emotion 15000

Contempt and the classes outside the seven emotions are left out and counted by name. AffectNet's validation set becomes
the test split, since its test set is not published; a part of train becomes the validation split.
"""

from __future__ import annotations

import argparse

from data_prep.making.arguments import add_photo_arguments, parse_policy, photo_parser, positive
from data_prep.sources.numbering import add_numbering
from rac_unet.core.errors import CommandParser, run_command

SOURCE = "affectnet"


def main(arguments: list[str] | None = None) -> int:
    options = _parser().parse_args(arguments)

    from data_prep.making.photo_maker import PhotoMaker
    from data_prep.making.run_source import run_source, source_folder
    from data_prep.sources.affectnet_layouts import (
        ArrayLoader,
        TableLoader,
        find_layout,
        read_arrays,
        read_folders,
        read_tables,
    )
    from data_prep.sources.loading import FileLoader
    from data_prep.sources.source import cap_emotions, carve_val

    policy = parse_policy(options)
    layout, base = find_layout(source_folder("--source", options.source), options.layout)
    read, load = {
        "arrays": (read_arrays, ArrayLoader),
        "tables": (read_tables, TableLoader),
        "folders": (read_folders, FileLoader),
    }[layout]
    source = read(base, getattr(options, "numbering", None), options.follow_links)
    if "val" not in {photo.split for photo in source.photos}:
        source.photos = carve_val(source.photos, options.val_share, options.seed)
    limit = getattr(options, "max_per_emotion", None)
    if limit:
        cap_emotions(source, limit, options.seed)
    maker = PhotoMaker(load(str(base), options.follow_links), policy, options.size, options.seed, SOURCE)
    return run_source(options, "affectnet", source, maker, policy, SOURCE, layout=layout)


def _parser() -> CommandParser:
    parser = photo_parser(
        "affectnet", "Prepare AffectNet in any of its layouts: .npy annotations, CSV tables, or folders 0 to 7."
    )
    parser.add_argument("--source", required=True, metavar="DIR", help="folder of AffectNet", default=argparse.SUPPRESS)
    parser.add_argument(
        "--layout", choices=("auto", "arrays", "tables", "folders"), default="auto", help="which layout to look for"
    )
    parser.add_argument(
        "--max_per_emotion",
        type=positive,
        metavar="N",
        default=argparse.SUPPRESS,
        help="use at most N training photos of each emotion, chosen at random (default: all)",
    )
    add_numbering(parser)
    add_photo_arguments(parser)
    return parser


if __name__ == "__main__":
    run_command(main)
