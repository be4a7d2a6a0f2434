"""Train, score and compare the systems of a plan: `python -m rac_unet.study PLAN --output DIR`.

Each step is another command of this package, run in a new process and printed. Finished systems are not made again.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from rac_unet.core.errors import CommandParser, UserError, number, run_command
from rac_unet.objectives.extractor_files import find_extractor_file
from rac_unet.studies.plan import Plan, read_plan
from rac_unet.studies.running import Study
from rac_unet.studies.steps import Terminated, TimeIsUp


def main(argv: list[str] | None = None) -> int:
    """Make what is missing, then the report. Returns the exit code.

    0: finished; 3: the time limit was reached; 130: SIGTERM or SIGHUP ended it, as it ends `train`, after the running
    step saved its state.
    """
    args = _parser().parse_args(argv)
    plan = read_plan(args.plan, args.features, args.feature_weights)
    _check(args, plan)
    runs = args.runs / args.output.resolve().name
    study = Study(plan, args.data, args.output, runs, args.max_minutes)
    study.check_settings()
    code = 0
    try:
        try:
            study.make_missing()
        except TimeIsUp:
            print(
                f"stopped  {args.max_minutes:g} minutes are over; everything is saved. Run the same command to continue"
            )
            code = 3
        study.compare()
    except Terminated as name:
        print(f"stopped  by {name}; everything is saved. Run the same command to continue")
        return 130
    return code


def _check(args, plan: Plan) -> None:
    """Raise UserError for whatever would stop a step: one message now instead of two after hours."""
    if args.data and plan.toys:
        raise UserError(f"{args.plan} draws its own faces (toys); omit --data", "usage")
    if not args.data and not plan.toys:
        raise UserError(f"{args.plan} draws no faces; give a pairs data set with --data D", "usage")
    if args.data:
        from rac_unet.pairing.opening import read_pairs

        read_pairs(args.data)
    find_extractor_file(plan.features, plan.feature_weights)
    if plan.brisque:
        from rac_unet.scoring.brisque import require_brisque

        require_brisque()


def _parser() -> CommandParser:
    parser = CommandParser(
        prog="python -m rac_unet.study",
        extras=("train",),
        description="Train, score and compare the systems of a plan; finished systems are not made again.",
        epilog="example: python -m rac_unet.study results/toy_ambiguous/plan.yaml --output results/toy_ambiguous",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("plan", type=Path, metavar="PLAN", help="YAML file; results/*/plan.yaml are examples")
    parser.add_argument(
        "--output",
        type=Path,
        required=True,
        metavar="DIR",
        default=argparse.SUPPRESS,
        help="folder for the report and the scores of each system",
    )
    parser.add_argument("--data", type=Path, metavar="D", help="pairs data set, if the plan draws no faces")
    parser.add_argument(
        "--features", metavar="NAME", help="feature extractor instead of the plan's: vgg19, vgg16, a .keras file"
    )
    parser.add_argument("--feature_weights", metavar="W", help="weights of vgg19 and vgg16: imagenet, none, or a file")
    parser.add_argument("--runs", type=Path, default=Path("runs"), metavar="DIR", help="folder for run directories")
    parser.add_argument(
        "--max_minutes",
        type=number(float, 0),
        default=0.0,
        metavar="X",
        help="stop after this time; the same command continues later; 0 for no limit",
    )
    return parser


if __name__ == "__main__":
    run_command(main)
