"""Generate faces of people who do not exist, with the network in the PyPI wheel random-face.

    pip download --no-deps random-face
    python -m data_prep.generated --wheel random_face-2021.7.21.1-py3-none-any.whl --output D --count 1000

Run it again to continue an interrupted run.
"""

from __future__ import annotations

import argparse

from data_prep.making.arguments import add_output, add_workers, positive, seed
from rac_unet.core.errors import CommandParser, number, run_command

LICENCE = (
    "The wheel is under Apache-2.0, but its network (MobileStyleGAN) was trained on pictures of StyleGAN2, which was "
    "trained on FFHQ: both are for non-commercial use only. State this for published weights trained on these faces."
)
# Raised when the same settings give other faces than before.
FORMAT = 1


def main(arguments: list[str] | None = None) -> int:
    options = _parser().parse_args(arguments)

    from data_prep.making.face_generator import FaceMaker, draw_faces, open_generator

    low, high = options.truncation
    generator = open_generator(options.wheel)
    maker = FaceMaker(generator, options.seed, options.size, low, high, options.format, options.turned)
    settings = {
        "made_by": "generated",
        "format": FORMAT,
        "count": options.count,
        "seed": options.seed,
        "size": options.size,
        "truncation": [low, high],
        "file_format": options.format,
        "wheel_sha256": generator.sha256,
    }
    if options.turned:
        settings["turned"] = options.turned
    print(draw_faces(options.output, options.count, maker, settings, options.workers))
    print(f"note: {LICENCE}")
    return 0


def truncation(text: str) -> tuple[float, float]:
    """Parse `0.7,1` to (0.7, 1.0), `0.9` to (0.9, 0.9)."""
    try:
        values = [float(word) for word in text.split(",")]
        low, high = values if len(values) == 2 else values * 2
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number, or two; use LOW,HIGH such as 0.7,1") from None
    if not 0 <= low <= high <= 1.5:
        raise argparse.ArgumentTypeError(f"{text} is out of range; use LOW,HIGH with 0 <= LOW <= HIGH <= 1.5")
    return low, high


def _parser() -> CommandParser:
    parser = CommandParser(
        prog="python -m data_prep.generated",
        description="Generate faces of people who do not exist, with the network in the PyPI wheel random-face "
        "(pip download --no-deps random-face). Needs pip install 'rac_unet[generated]'.",
        epilog=f"{LICENCE} A face takes half a second to a second on one processor core. Run it again to continue an "
        "interrupted run. Pictures without exactly one plausible face are listed in skipped.csv, with the reason. "
        "labels.csv has the columns that data_prep.folder reads; its column emotion is empty, since the emotions are "
        "unknown: fill it in first.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument(
        "--wheel", required=True, metavar="FILE", default=argparse.SUPPRESS, help="random_face-….whl, as downloaded"
    )
    add_output(parser)
    parser.add_argument(
        "--count",
        type=positive,
        required=True,
        metavar="N",
        default=argparse.SUPPRESS,
        help="number of faces to generate; skipped ones are not replaced",
    )
    parser.add_argument("--size", type=number(int, 64, 1024), default=384, metavar="N", help="side in pixels, 64..1024")
    parser.add_argument(
        "--truncation",
        type=truncation,
        default="0.7,1",
        metavar="LOW,HIGH",
        help="range of each face's distance from the average face, chosen at random; towards 1 there are more turned "
        "heads, hats and hands, and some broken faces",
    )
    parser.add_argument(
        "--turned",
        type=number(float, 0, 1),
        default=0.0,
        metavar="SHARE",
        help="share of the faces whose heads are turned by a random angle, evenly up to 45 degrees to either side",
    )
    parser.add_argument("--format", choices=("jpeg", "png"), default="jpeg", help="format of the pictures")
    parser.add_argument("--seed", type=seed, default=0, metavar="S", help="random seed; other seeds give other people")
    add_workers(parser)
    return parser


if __name__ == "__main__":
    run_command(main)
