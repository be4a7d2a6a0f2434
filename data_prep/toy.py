"""Make a data set of pairs from procedural faces, balanced over the seven emotions.

python -m data_prep.toy --output D --count 2000
"""

from __future__ import annotations

import argparse

from data_prep.making.arguments import add_common_arguments, parse_policy, positive
from rac_unet.core.errors import CommandParser, run_command


def main(arguments: list[str] | None = None) -> int:
    options = _parser().parse_args(arguments)

    from rac_unet.pairing.closing_report import closing_report
    from rac_unet.pairing.toy_pairs import write_toy_pairs

    summary = write_toy_pairs(
        options.output,
        options.count,
        size=options.size,
        mode=options.mode,
        policy=parse_policy(options),
        seed=options.seed,
        workers=options.workers,
    )
    print(closing_report(summary, "faces"))
    return 0


def _parser() -> CommandParser:
    parser = CommandParser(
        prog="python -m data_prep.toy",
        description="Make a data set of pairs from procedural faces, balanced over the seven emotions.",
        epilog="Run it again to continue an interrupted run. At least 21 faces are needed to fill all splits.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument(
        "--count", type=positive, required=True, metavar="N", help="number of faces", default=argparse.SUPPRESS
    )
    parser.add_argument(
        "--mode",
        choices=("natural", "ambiguous"),
        default="natural",
        help="ambiguous: nothing outside the mask depends on the emotion, so only the label gives it",
    )
    add_common_arguments(parser, seeded="people and masks")
    return parser


if __name__ == "__main__":
    run_command(main)
