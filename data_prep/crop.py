"""Crop all pictures of a data set of pairs to a smaller square, to merge it with a set that has this framing.

python -m data_prep.crop pairs --frame 0.764,0.5,0.43 --size 48 --output pairs48
"""

from __future__ import annotations

import argparse
from dataclasses import asdict
from pathlib import Path

from data_prep.making.arguments import add_output, add_workers, image_size
from rac_unet.core.errors import CommandParser, UserError, run_command


def main(arguments: list[str] | None = None) -> int:
    options = _parser().parse_args(arguments)

    from data_prep.making.cropping import CropMaker
    from rac_unet.data import pairs
    from rac_unet.data.frames import check_frame, frame_pixels
    from rac_unet.data.records import refuse_records
    from rac_unet.pairing.closing_report import closing_report
    from rac_unet.pairing.preparing import prepare

    frame = check_frame(options.frame.split(","), "--frame")
    refuse_records(options.set)
    found = pairs.read(options.set)
    if found.root.resolve() == Path(options.output).resolve():
        raise UserError(f"--output {options.output} is the set to crop; give another folder", "usage")
    side = frame_pixels(frame, found.image_size)[2]
    if options.size > side:
        raise UserError(
            f"--size {options.size}: the square has {side} of the {found.image_size} pixels of {options.set}, and "
            "pictures are not enlarged; give a smaller --size, or prepare the set with a larger one",
            "bad_value",
        )
    rows = [asdict(pair) for pair in found]
    settings = {"made_by": "crop", "format": 1, "set": found.fingerprint, "frame": list(frame), "size": options.size}
    summary = prepare(
        options.output,
        rows,
        CropMaker(str(found.root), frame, options.size),
        settings,
        options.workers,
        noun="pairs",
        weighted=found.has_weights,
    )
    print(closing_report(summary, "pairs"))
    return 0


def _parser() -> CommandParser:
    parser = CommandParser(
        prog="python -m data_prep.crop",
        extras=("train",),
        description="Crop all pictures of a data set of pairs to a smaller square, to merge it with a set that has "
        "this framing.",
        epilog="Run it again to continue an interrupted run.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("set", metavar="SET", help="folder of a data set of pairs")
    add_output(parser)
    parser.add_argument(
        "--frame",
        required=True,
        metavar="SIDE,X,Y",
        default=argparse.SUPPRESS,
        help="side and centre of the square, in shares of the pictures' side; 0.764,0.5,0.43 is the framing of "
        "FER-2013",
    )
    parser.add_argument(
        "--size",
        type=image_size,
        required=True,
        metavar="N",
        default=argparse.SUPPRESS,
        help="side of the new pictures in pixels, at most that of the square",
    )
    add_workers(parser)
    return parser


if __name__ == "__main__":
    run_command(main)
