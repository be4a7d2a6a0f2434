"""How fast is it here? `python -m rac_unet.benchmark [--parts …]`: a table, and the same as JSON.

Every rate stands beside the machine's own float32 matrix-multiply rate, measured in the same process before and after:
seconds differ between machines and hours, ratios do not.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
from pathlib import Path

from rac_unet.core.errors import CommandParser, UserError, run_command
from rac_unet.core.files.whole import write_text
from rac_unet.models.backend import import_tensorflow

DEFAULT_PARTS = ("faces", "pipeline", "memory", "loss", "inference", "training")
PARTS = (*DEFAULT_PARTS, "replicas", "predict", "overfit")


def main(argv: list[str] | None = None) -> int:
    """Measure the parts asked for, print the table, write the JSON."""
    args = _parser().parse_args(argv)
    parts = args.parts.split(",")
    unknown = [part for part in parts if part not in PARTS]
    if unknown:
        raise UserError(f"--parts: unknown part {unknown[0]!r}; choose from: {', '.join(PARTS)}", "unknown_name")
    for name in ("repeats", "photo_count", "workers", "batch_size"):
        if getattr(args, name) < 1:
            raise UserError(f"--{name}: expected 1 or more. Received: {getattr(args, name)}", "bad_value")
    if (args.photos is None) != (args.labels is None):
        raise UserError("--photos and --labels go together", "usage")

    import_tensorflow()
    if "replicas" in parts:
        from rac_unet.training.hardware.distribution import make_distribution

        # Logical CPUs must be there before anything is computed.
        make_distribution("mirrored", 2)
    from rac_unet.benchmarks import overfit, speed
    from rac_unet.benchmarks.photo_speed import photo_speed
    from rac_unet.benchmarks.training_speed import replica_rate, training_rate
    from rac_unet.core import config
    from rac_unet.core.provenance import device_name, make_provenance

    model = config.ModelConfig(filters=args.filters, image_size=args.image_size)
    results: dict[str, dict] = {}
    scratch = Path(tempfile.mkdtemp(prefix="rac_unet_benchmark_"))
    try:
        before = speed.matrix_multiply_rate()
        print(f"matrix multiply: {before:.0f} GFLOP/s (float32, 2048 x 2048)", flush=True)
        for part in parts:
            print(f"measuring {part} …", file=sys.stderr, flush=True)
            if part == "faces":
                results[part] = speed.face_rate(
                    scratch / "faces", args.photos, args.labels, args.photo_count, args.workers
                )
            elif part == "pipeline":
                results[part] = speed.pipeline_rate(scratch, args.data, args.image_size, args.batch_size)
            elif part == "memory":
                results[part] = speed.memory_growth(scratch, args.data, args.image_size, args.batch_size)
            elif part == "loss":
                results[part] = speed.loss_cost(args.image_size, args.batch_size)
            elif part == "inference":
                results[part] = speed.inference_rate(model, args.batch_size, args.repeats)
            elif part == "predict":
                results[part] = photo_speed(scratch / "photos", args.model, args.photo_count)
            elif part == "replicas":
                results[part] = replica_rate(model, args.batch_size, args.repeats)
            elif part == "overfit":
                results[part] = overfit.overfit_all()
            else:
                results[part] = training_rate(model, args.batch_size, args.repeats)
            for name, value in results[part].items():
                shown = f"{value:,.4g}" if isinstance(value, float) else value
                print(f"{part:<10} {name.replace('_', ' '):<44} {shown}", flush=True)
        after = speed.matrix_multiply_rate()
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    steady = abs(after - before) <= 0.1 * max(before, after)
    print(
        f"matrix multiply afterwards: {after:.0f} GFLOP/s" + ("" if steady else ": differs by over 10 %, measure again")
    )
    report = {
        "matrix_multiply_gflops": {"before": before, "after": after, "steady": steady},
        "results": results,
        "provenance": make_provenance("rac_unet.benchmark", argv, device=device_name()),
    }
    write_text(args.output, json.dumps(report, indent=2) + "\n")
    print(f"wrote    {args.output}")
    return 0


def _parser() -> CommandParser:
    parser = CommandParser(
        prog="python -m rac_unet.benchmark",
        description="Measure preparation, reading, training and inference on this machine, and whether networks learn.",
        epilog="example: python -m rac_unet.benchmark --parts loss,inference --filters 16",
    )
    parser.add_argument(
        "--parts",
        default=",".join(DEFAULT_PARTS),
        help=f"comma-separated, of: {', '.join(PARTS)} (default: {', '.join(DEFAULT_PARTS)}; overfit takes minutes: "
        "each network, 8 filters wide whatever the options say, learns 8 toy faces of 64 px by heart; its PSNR in dB)",
    )
    parser.add_argument("--filters", type=int, default=64, help="width of the network (default: 64, the original's)")
    parser.add_argument("--image_size", type=int, default=128, help="side of the pictures in pixels (default: 128)")
    parser.add_argument("--batch_size", type=int, default=8, help="pictures per step (default: 8)")
    parser.add_argument("--repeats", type=int, default=10, help="timed steps, after 3 that are not (default: 10)")
    parser.add_argument("--data", type=Path, metavar="D", help="pairs to read (default: toy pairs made for this)")
    parser.add_argument("--photos", type=Path, metavar="DIR", help="photos to prepare (default: toy faces are drawn)")
    parser.add_argument("--labels", type=Path, metavar="FILE", help="their labels.csv")
    parser.add_argument(
        "--photo_count", type=int, default=1000, help="photos to prepare, or to predict in a row (default: 1000)"
    )
    parser.add_argument(
        "--model", type=Path, metavar="M", help="run or export for the part predict (default: the published network)"
    )
    parser.add_argument(
        "--workers", type=int, default=os.cpu_count() or 1, help="processes for that (default: all cores)"
    )
    parser.add_argument(
        "--output",
        type=Path,
        default=Path("benchmark.json"),
        metavar="FILE",
        help="JSON to write (default: benchmark.json)",
    )
    return parser


if __name__ == "__main__":
    run_command(main)
