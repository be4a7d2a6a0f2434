"""Prepare RAF-DB in any of its three layouts.

    python -m data_prep.rafdb --source DIR --output D

RAF-DB's train and test splits are kept; a part of train becomes the validation split. The aligned images show a face
edge to edge and keep this framing; original photographs are cropped upright, at the face of RAF-DB's landmarks.
"""

from __future__ import annotations

import argparse

from data_prep.making.arguments import add_photo_arguments, parse_policy, photo_parser
from data_prep.sources.numbering import add_numbering
from rac_unet.core.errors import CommandParser, UserError, run_command

SOURCE = "rafdb"


def main(arguments: list[str] | None = None) -> int:
    options = _parser().parse_args(arguments)

    from data_prep.making.existing_masks import ExistingMaskMaker
    from data_prep.making.photo_maker import PhotoMaker
    from data_prep.making.run_source import run_source, source_folder
    from data_prep.sources.loading import FileLoader
    from data_prep.sources.rafdb_layouts import find_layout, read_native, read_repack, read_sorted
    from data_prep.sources.rafdb_originals import OriginalLoader
    from data_prep.sources.source import carve_val

    policy = parse_policy(options)
    original = options.images == "original"
    framing = getattr(options, "framing", "upright" if original else "own")
    if original and framing == "own":
        raise UserError("--framing own is for aligned images; original photographs are cropped upright", "usage")
    layout, base, remarks = find_layout(source_folder("--source", options.source), options.layout)
    if original and layout != "native":
        raise UserError(f"--images original needs RAF-DB's native layout; {base} has the {layout} one", "bad_layout")
    numbering = getattr(options, "numbering", None)
    if layout == "native":
        source = read_native(base, options.images, numbering)
    else:
        source = {"repack": read_repack, "sorted": read_sorted}[layout](base, numbering)
    source.remarks += remarks
    source.photos = carve_val(source.photos, options.val_share, options.seed)
    links = options.follow_links
    if layout == "sorted":
        drawing = ("framing", "masks", "variants", "bare", "degrade", "props", "test_too")
        if given := [name for name in drawing if hasattr(options, name)]:
            raise UserError(f"the sorted layout has its own masks; leave out --{given[0]}", "usage")
        maker, policy = ExistingMaskMaker(FileLoader(str(base), links), options.size, SOURCE), None
    else:
        loader = OriginalLoader(str(base), links) if original else FileLoader(str(base), links)
        maker = PhotoMaker(loader, policy, options.size, options.seed, SOURCE, keep_framing=framing == "own")
    return run_source(options, "rafdb", source, maker, policy, SOURCE, layout=layout, framing=framing)


def _parser() -> CommandParser:
    parser = photo_parser(
        "rafdb", "Prepare RAF-DB (native layout, Kaggle repack, or the original project's sorted folders)."
    )
    parser.add_argument("--source", required=True, metavar="DIR", help="folder of RAF-DB", default=argparse.SUPPRESS)
    parser.add_argument(
        "--layout",
        choices=("auto", "native", "repack", "sorted"),
        default="auto",
        help="which layout to look for; auto uses the first of these that is found",
    )
    parser.add_argument(
        "--images",
        choices=("aligned", "original"),
        default="aligned",
        help="images of the native layout: its 100 x 100 crops, or the photographs they are from",
    )
    parser.add_argument(
        "--framing",
        choices=("own", "upright"),
        default=argparse.SUPPRESS,
        help="own: the whole aligned image; upright: an upright crop as for other sources (default: own for aligned)",
    )
    add_numbering(parser)
    add_photo_arguments(parser)
    return parser


if __name__ == "__main__":
    run_command(main)
