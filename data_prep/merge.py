"""Merge data sets of pairs into one, and balance rare emotions by sampling weights.

python -m data_prep.merge RAFDB AFFECTNET --output RAFFECT --balance sqrt
"""

from __future__ import annotations

import argparse

from data_prep.making.arguments import add_output, add_workers
from rac_unet.core.errors import CommandParser, number, run_command

BALANCES = {"none": 0.0, "sqrt": 0.5, "full": 1.0}


def main(arguments: list[str] | None = None) -> int:
    options = _parser().parse_args(arguments)

    from data_prep.making.merging import LinkMaker, MergedRows, read_sets
    from data_prep.making.weights import describe_weights, emotion_weights
    from rac_unet.pairing.closing_report import closing_report
    from rac_unet.pairing.preparing import prepare

    sets = read_sets(options.sets, options.output)
    rows = MergedRows(sets, options.same_people)
    counts = rows.training_counts()
    weights = emotion_weights(counts, BALANCES[options.balance], options.max_raise)
    rows.weights = weights
    weighted = any(weight != 1 for weight in weights.values()) or rows.had_weights
    settings = {
        "made_by": "merge",
        "format": 1,
        "sets": {name: found.fingerprint for name, found in sets.items()},
        "same_people": options.same_people,
        "balance": options.balance,
        "max_raise": options.max_raise,
    }
    maker = LinkMaker(tuple(str(found.root) for found in sets.values()), tuple(sets), options.copy)
    summary = prepare(
        options.output, rows, maker, settings, options.workers, noun="pairs", rejected=rows.rejected, weighted=weighted
    )
    print(closing_report(summary, "pairs"))
    if options.balance != "none":
        print(describe_weights(counts, weights))
    return 0


def _parser() -> CommandParser:
    parser = CommandParser(
        prog="python -m data_prep.merge",
        extras=("train",),
        description="Merge data sets of pairs. Each pair keeps its split and source; images are linked, not copied.",
        epilog="Run it again to continue an interrupted run. It can also give weights to a single set.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("sets", nargs="+", metavar="SET", help="folder of a data set of pairs; all of one image size")
    add_output(parser)
    parser.add_argument(
        "--balance",
        choices=tuple(BALANCES),
        default="none",
        help="weights of rare emotions in training: full, all emotions are used equally often; sqrt, half-way",
    )
    parser.add_argument(
        "--max_raise",
        type=number(float, 1),
        default=10.0,
        metavar="X",
        help="largest weight of a pair, against overfitting to a few faces",
    )
    parser.add_argument(
        "--same_people",
        action="store_true",
        help="equal identities are the same person in all sets; a person in several splits is kept in one, test first",
    )
    parser.add_argument("--copy", action="store_true", help="copy the images instead of linking them")
    add_workers(parser)
    return parser


if __name__ == "__main__":
    run_command(main)
