"""Export a trained network: `python -m rac_unet.export RUN --format savedmodel|keras|litert_…|onnx|all`."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from rac_unet.core.config import PUBLISHED, published_or_path
from rac_unet.core.emotions import EMOTIONS
from rac_unet.core.errors import CommandParser, UserError, number, run_command
from rac_unet.core.rundir import RunDir, WeightsFile, check_output
from rac_unet.exporting.formats import FORMATS
from rac_unet.exporting.write_and_verify import CALIBRATED, Exported, export_network, plan_output
from rac_unet.models.backend import import_tensorflow
from rac_unet.runtime.interface import EMOTION, IMAGE, OCCLUSION, OUTPUT, PAINTED, VISIBLE
from rac_unet.runtime.published import open_network
from rac_unet.runtime.run_weights import WEIGHTS, weights_file

ALL = "all"
_INPUTS = {IMAGE: "in [0, 1]", EMOTION: "one-hot: " + ", ".join(EMOTIONS) + "; zeros: no label"}
_OUTPUTS = {
    OUTPUT: "unbounded; clip to [0, 1]",
    OCCLUSION: "probability that a mask hides the pixel",
    PAINTED: "the whole face as painted, in [0, 1]",
    VISIBLE: "probabilities of the emotion read from the visible part",
}


def main(argv: list[str] | None = None) -> int:
    """Write the requested exports and print a report of each."""
    args = _parser().parse_args(argv)
    run = _open(args.run, args.output)
    formats = list(FORMATS) if ALL in args.format else list(dict.fromkeys(args.format))
    if args.output and len(formats) > 1:
        raise UserError(
            "--output names one export; give one --format, or omit --output to write all to RUN/export", "usage"
        )
    # TensorFlow is imported only after everything is checked that does not need it.
    paths = {name: plan_output(run, name, args.output, args.overwrite) for name in formats}
    for path in paths.values():
        check_output(path.parent)
    file = weights_file(run, args.weights)
    calibrated = [name for name in formats if FORMATS[name].calibrated]
    data = _find_data(run, args.data, calibrated)
    if "tensorflow" not in sys.modules:
        # An export needs no accelerator, which a training may be using.
        os.environ["CUDA_VISIBLE_DEVICES"] = "-1"
    import_tensorflow()
    print(f"network  {run.path}, {args.weights} weights ({file.name})", flush=True)
    pairs = _open_data(run, data)
    if calibrated:
        print(f"data     {pairs.root}: {args.calibration} training pictures calibrate int8", flush=True)
    refused = []
    for name, path in paths.items():
        print(f"{name}: writing, and checking in a fresh process: 5 to 60 seconds", flush=True)
        try:
            _report(
                export_network(run, name, path, args.weights, args.overwrite, pairs, args.calibration, args.allow_loss)
            )
        except UserError as error:
            if len(paths) == 1:
                raise
            # Go on with the other formats.
            print(f"refused  {name}: {error}", flush=True)
            refused.append(name)
    if refused:
        raise UserError(
            f"{len(refused)} of {len(paths)} exports were refused: {', '.join(refused)}; see above", "failed_check"
        )
    return 0


def _open(path: Path, output: Path | None) -> RunDir:
    """Open a run directory, a .weights.h5 file, or the published network."""
    if published_or_path(str(path)) == PUBLISHED and output is None:
        raise UserError("the published network has no run directory to write to; give --output", "usage")
    return open_network(path, need_weights=False)


def _find_data(run: RunDir, given: Path | None, calibrated: list[str]) -> Path | str | None:
    """Return the path of the pairs for calibration and check; None for no pairs, "" for the run's toy faces.

    Raises: UserError when pairs are needed and their path is not known.
    """
    if given:
        return given
    path = run.config().data.path
    if path and Path(path).exists():
        return path
    if not calibrated:
        return None
    why = f"{', '.join(calibrated)} is calibrated on training pictures, and the run"
    if path:
        raise UserError(f"{why}'s data set is not at {path} any more; give a pairs data set with --data D", "missing")
    if isinstance(run, WeightsFile):
        wanted = "give a pairs data set with --data D"
        raise UserError(f"{', '.join(calibrated)} is calibrated on training pictures; {wanted}", "usage")
    if run.imported():
        raise UserError(f"{why} was imported without a data set; give a pairs data set with --data D", "usage")
    return ""


def _open_data(run: RunDir, data: Path | str | None):
    from rac_unet.pairing.opening import open_pairs, read_pairs

    return None if data is None else read_pairs(data) if data else open_pairs(run.config())


def _report(exported: Exported) -> None:
    print(f"wrote    {exported.path} ({exported.size / 1e6:.1f} MB)")
    aware = OCCLUSION in exported.outputs
    meanings = _OUTPUTS | ({OUTPUT: "the masked image, painted where a mask was found, in [0, 1]"} if aware else {})
    for kind, tensors, meaning in (("input", exported.inputs, _INPUTS), ("output", exported.outputs, meanings)):
        for name, shape in tensors.items():
            sizes = ", ".join("batch" if side is None else str(side) for side in shape)
            print(f"{kind:<8} {name} float32 ({sizes}), {meaning.get(name, '')}".rstrip(", "))
    agreement = exported.agreement
    name = max(agreement.largest_of, key=agreement.largest_of.get)
    print(
        f"checked  by a fresh process without rac_unet: largest difference from the run's network "
        f"{agreement.largest_of[name]:.2g} ({name}) over {agreement.pictures} "
        f"{'pictures' if exported.real else 'pictures of noise'}, mean {agreement.mean:.2g} and PSNR "
        f"{agreement.psnr:.1f} dB in {OUTPUT}; {exported.allowed}"
    )
    print("load it with")
    for line in exported.lines:
        print(f"    {line}")


def _parser() -> CommandParser:
    parser = CommandParser(
        prog="python -m rac_unet.export",
        extras=("train",),
        description="Export a run's network for use without rac_unet, and check it in a fresh process.",
        epilog="example: python -m rac_unet.export runs/20260101-120000-rac_unet --format savedmodel",
    )
    parser.add_argument(
        "run",
        type=Path,
        metavar="RUN",
        help="run directory of train; or a .weights.h5 file with its config.yaml next to it; or `published`, the "
        "network that comes with the package, which needs --output",
    )
    parser.add_argument(
        "--format",
        choices=(*FORMATS, ALL),
        nargs="+",
        required=True,
        help="; ".join(f"{name}: {form.meaning}" for name, form in FORMATS.items()) + "; all: every format",
    )
    parser.add_argument("--output", type=Path, metavar="PATH", help="file or folder to write (default: in RUN/export)")
    parser.add_argument(
        "--weights",
        choices=WEIGHTS,
        default="best",
        help="best: lowest validation loss; last: end of training (default: best)",
    )
    parser.add_argument(
        "--data",
        type=Path,
        metavar="D",
        help="pairs whose training pictures calibrate int8 and whose validation pictures check every format "
        "(default: the run's own)",
    )
    parser.add_argument(
        "--calibration",
        type=number(int, 1),
        default=CALIBRATED,
        metavar="N",
        help=f"number of training pictures that calibrate int8 (default: {CALIBRATED})",
    )
    parser.add_argument(
        "--allow_loss", action="store_true", help="keep a float16 or int8 export even if its pictures differ visibly"
    )
    parser.add_argument("--overwrite", action="store_true", help="replace an older export of the same name")
    return parser


if __name__ == "__main__":
    run_command(main)
