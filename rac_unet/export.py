"""Export a trained network: `python -m rac_unet.export RUN --format savedmodel|keras`."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from rac_unet.emotions import EMOTIONS
from rac_unet.errors import CommandParser, run_command
from rac_unet.inference.exporting import FORMATS, Exported, export_network, plan_output
from rac_unet.inference.runners import EMOTION, IMAGE, OUTPUT, WEIGHTS, weights_file
from rac_unet.models.backend import import_tensorflow
from rac_unet.rundir import open_run

_MEANING = {
    IMAGE: "in [0, 1]",
    EMOTION: "one-hot: " + ", ".join(EMOTIONS),
    OUTPUT: "unbounded; clip to [0, 1] to look at it",
}


def main(argv: list[str] | None = None) -> int:
    """Export as the command line asks, and print what was written."""
    args = _parser().parse_args(argv)
    run = open_run(args.run, need_weights=False)
    # Everything that can be refused without TensorFlow is refused before it is imported.
    path, file = plan_output(run, args.format, args.output, args.overwrite), weights_file(run, args.weights)
    if "tensorflow" not in sys.modules:
        # An export needs no accelerator, and a training may be using it.
        os.environ["CUDA_VISIBLE_DEVICES"] = "-1"
    import_tensorflow()
    print(f"network  {run.path}, {args.weights} weights ({file.name})", flush=True)
    print("checking in a fresh process: 10 to 60 seconds", flush=True)
    _report(export_network(run, args.format, path, args.weights, args.overwrite))
    return 0


def _report(exported: Exported) -> None:
    print(f"wrote    {exported.path} ({exported.size / 1e6:.1f} MB)")
    for kind, tensors in (("input", exported.inputs), ("output", exported.outputs)):
        for name, shape in tensors.items():
            sizes = ", ".join("batch" if side is None else str(side) for side in shape)
            print(f"{kind:<8} {name} float32 ({sizes}), {_MEANING.get(name, '')}".rstrip(", "))
    print(
        f"checked  by a fresh process without rac_unet: largest difference from the run's network "
        f"{exported.difference:.2g} over {exported.pictures} pictures, allowed {exported.allowed:.2g}"
    )
    print("load it with")
    for line in exported.lines:
        print(f"    {line}")


def _parser() -> CommandParser:
    parser = CommandParser(
        prog="python -m rac_unet.export",
        description="Write a run's network for use where rac_unet is not installed, and check it in a fresh process.",
        epilog="example: python -m rac_unet.export runs/20260101-120000-rac_unet --format savedmodel",
    )
    parser.add_argument("run", type=Path, metavar="RUN", help="run directory, as train named it")
    parser.add_argument(
        "--format", choices=FORMATS, required=True,
        help="savedmodel: a folder for TensorFlow and its servers; keras: one file for the same or a newer Keras",
    )  # fmt: skip
    parser.add_argument("--output", type=Path, metavar="PATH", help="what to make (default: in RUN/export)")
    parser.add_argument(
        "--weights", choices=WEIGHTS, default="best", help="lowest validation loss, or the last (default: best)"
    )
    parser.add_argument("--overwrite", action="store_true", help="replace an older export of the same name")
    return parser


if __name__ == "__main__":
    run_command(main)
