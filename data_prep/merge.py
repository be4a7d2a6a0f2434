"""Merge data sets of pairs into one, and raise rare emotions by sampling weights instead of copies.

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
    from rac_unet.pairing.preparing import describe, prepare

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
    print(describe(summary, "pairs"))
    if options.balance != "none":
        print(describe_weights(counts, weights))
    return 0


def _parser() -> CommandParser:
    parser = CommandParser(
        prog="python -m data_prep.merge",
        description="Merge data sets of pairs. Each keeps its split and its source; images are linked, not copied.",
        epilog="Run it again to continue an interrupted run. One set alone can be given new weights this way, too.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("sets", nargs="+", metavar="SET", help="folder of a data set of pairs; all of one image size")
    add_output(parser)
    parser.add_argument(
        "--balance", choices=tuple(BALANCES), default="none",
        help="how far rare emotions are raised in training: full, each emotion is shown equally often; sqrt, half-way",
    )  # fmt: skip
    parser.add_argument(
        "--max_raise", type=number(float, 1), default=10.0, metavar="X",
        help="no pair is shown more than X times as often as without weights: a few faces would be learned by heart",
    )  # fmt: skip
    parser.add_argument(
        "--same_people", action="store_true",
        help="an identity means the same person in every set; a person in two splits is then kept in one, test first",
    )  # fmt: skip
    parser.add_argument("--copy", action="store_true", help="copy the images even where they could be linked")
    add_workers(parser)
    return parser


if __name__ == "__main__":
    run_command(main)
