"""Prepare FER-2013, as its CSV file or as folders of images.

python -m data_prep.fer2013 --source fer2013.csv --output D
python -m data_prep.fer2013 --source FERPlus --output D
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from data_prep.making.arguments import add_photo_arguments, parse_policy, photo_parser
from data_prep.sources.numbering import add_numbering
from rac_unet.core.errors import CommandParser, UserError, run_command

SOURCE = "fer2013"
CAVEAT = (
    "FER-2013 is 48 x 48 pixels and grey: enlarged pictures are blurred and colourless, and so are the faces of a "
    "network trained on them; people agree with about two of three labels. Use it in addition to sharper photographs"
)


def main(arguments: list[str] | None = None) -> int:
    options = _parser().parse_args(arguments)

    from data_prep.making.photo_maker import PhotoMaker
    from data_prep.making.run_source import run_source, source_folder
    from data_prep.sources.fer2013_table import PixelTableLoader, read_table
    from data_prep.sources.fer_plus import VOTES_FILE, add_votes, is_votes_folder, read_votes_folder
    from data_prep.sources.loading import FileLoader
    from data_prep.sources.named_folders import read_named_folders
    from data_prep.sources.source import carve_val

    policy, numbering = parse_policy(options), getattr(options, "numbering", None)
    path = Path(options.source)
    votes = Path(options.votes) if options.votes else (path if path.is_dir() else path.parent) / VOTES_FILE
    voted = bool(options.votes) or options.labels is not None
    if path.is_dir() and is_votes_folder(path):
        table = None
    elif path.is_dir():
        table = next((path / name for name in ("fer2013.csv", "icml_face_data.csv") if (path / name).is_file()), None)
    else:
        table = path
        if not path.exists():
            raise UserError(
                f"--source {path} not found; give fer2013.csv, or the folder above train and test", "missing"
            )
    if table is not None:
        source, loader = read_table(table, numbering), PixelTableLoader(os.fspath(table))
        if voted:
            source = add_votes(source, votes, options.labels or "votes")
    elif is_votes_folder(path):
        source = read_votes_folder(path, votes, options.labels or "votes", options.seed)
        loader = FileLoader(os.fspath(path), options.follow_links)
    elif voted:
        raise UserError(
            f"--votes and --labels are for fer2013.csv and for folders FER2013Train, FER2013Valid; {path} has neither",
            "usage",
        )
    else:
        source = read_named_folders(
            source_folder("--source", options.source),
            options.seed,
            options.output,
            ", or give fer2013.csv",
            options.follow_links,
            numbering,
            ("fer2013", "alphabetical"),
        )
        source.layout = "FER-2013 in folders"
        loader = FileLoader(os.fspath(path), options.follow_links)
    if "val" not in {photo.split for photo in source.photos}:
        source.photos = carve_val(source.photos, options.val_share, options.seed)
    source.remarks.append(CAVEAT)
    maker = PhotoMaker(loader, policy, options.size, options.seed, SOURCE, keep_framing=True)
    return run_source(options, "fer2013", source, maker, policy, SOURCE)


def _parser() -> CommandParser:
    parser = photo_parser(
        "fer2013",
        "Prepare FER-2013: fer2013.csv, icml_face_data.csv, or folders {train,test}/{angry,…}; also with FER+ votes.",
    )
    parser.add_argument(
        "--source",
        required=True,
        metavar="PATH",
        default=argparse.SUPPRESS,
        help="the CSV file, its folder, or the folder above train and test",
    )
    add_numbering(parser)
    parser.add_argument(
        "--votes",
        metavar="FILE",
        default=None,
        help="fer2013new.csv of FER+, ten votes per picture (default: next to the source)",
    )
    parser.add_argument(
        "--labels",
        choices=("votes", "own", "both"),
        default=None,
        help="labels to use: FER+ votes as a distribution, FER-2013's own label, or the mean of both "
        "(default: votes with --votes or in FER+ folders, else own)",
    )
    add_photo_arguments(parser)
    return parser


if __name__ == "__main__":
    run_command(main)
