"""Measure speed on this machine: `python -m rac_unet.benchmark [--parts …]` prints a table and writes it as JSON.

Before and after, the same process measures the machine's float32 matrix-multiply rate: seconds differ between machines
and hours, ratios to this rate do not.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from dataclasses import fields
from pathlib import Path

from rac_unet.benchmarks.table import BENCHMARKS, DEFAULT, Options, benchmarks_with, describe_benchmarks
from rac_unet.core.errors import CommandParser, UserError, run_command
from rac_unet.core.files.whole import write_text
from rac_unet.models.backend import import_tensorflow


def main(argv: list[str] | None = None) -> int:
    """Run the chosen benchmarks, print their results, write the JSON."""
    args = _parser().parse_args(argv)
    names = args.parts.split(",")
    _check(args, names)

    import_tensorflow()
    from rac_unet.benchmarks.latency import is_steady
    from rac_unet.benchmarks.speed import matrix_multiply_rate
    from rac_unet.core.provenance import device_name, make_provenance
    from rac_unet.training.hardware.distribution import make_distribution

    if (devices := max(BENCHMARKS[name].devices for name in names)) > 1:
        # Logical devices must be created before anything is computed.
        make_distribution("mirrored", devices)
    results: dict[str, dict] = {}
    before = matrix_multiply_rate()
    print(f"matrix multiply: {before:.0f} GFLOP/s (float32, 2048 x 2048)", flush=True)
    with tempfile.TemporaryDirectory(prefix="rac_unet_benchmark_", ignore_cleanup_errors=True) as scratch:
        given = {field.name: getattr(args, field.name) for field in fields(Options) if field.name != "scratch"}
        options = Options(Path(scratch), **given)
        for name in names:
            print(f"measuring {name} …", file=sys.stderr, flush=True)
            results[name] = BENCHMARKS[name].run(options)
            _print_result(name, results[name])
    after = matrix_multiply_rate()
    steady = is_steady(before, after)
    print(f"matrix multiply afterwards: {after:.0f} GFLOP/s{'' if steady else ': differs by over 10 %, measure again'}")
    report = {
        "matrix_multiply_gflops": {"before": before, "after": after, "steady": steady},
        "results": results,
        "provenance": make_provenance("rac_unet.benchmark", argv, device=device_name()),
    }
    write_text(args.output, json.dumps(report, indent=2) + "\n")
    print(f"wrote    {args.output}")
    return 0


def _check(args, names: list[str]) -> None:
    """Raise UserError for unknown benchmarks and for values that cannot be used."""
    unknown = [name for name in names if name not in BENCHMARKS]
    if unknown:
        raise UserError(f"--parts: unknown part {unknown[0]!r}; choose from: {', '.join(BENCHMARKS)}", "unknown_name")
    for name in ("repeats", "photo_count", "workers", "batch_size"):
        if getattr(args, name) < 1:
            raise UserError(f"--{name}: expected 1 or more. Received: {getattr(args, name)}", "bad_value")
    if (args.photos is None) != (args.labels is None):
        raise UserError("--photos and --labels go together", "usage")


def _print_result(benchmark: str, result: dict) -> None:
    for name, value in result.items():
        shown = f"{value:,.4g}" if isinstance(value, float) else value
        print(f"{benchmark:<10} {name.replace('_', ' '):<44} {shown}", flush=True)


def _parser() -> CommandParser:
    parser = CommandParser(
        prog="python -m rac_unet.benchmark",
        extras=("train",),
        description="Measure preparation, reading, training and inference on this machine, and whether networks learn.",
        epilog="example: python -m rac_unet.benchmark --parts loss,inference --filters 16",
    )

    def add(name: str, meaning: str, shown_default: str = "", **settings) -> None:
        used = f"used by {benchmarks_with(name)}"
        words = f"{meaning} (default: {shown_default}; {used})" if shown_default else f"{meaning} ({used})"
        parser.add_argument(f"--{name}", help=words, **settings)

    parser.add_argument(
        "--parts",
        default=",".join(DEFAULT),
        help=f"comma-separated benchmarks (default: {','.join(DEFAULT)}). {describe_benchmarks()}",
    )
    add("filters", "width of the network", "64, the original's", type=int, default=64)
    add("image_size", "side of the pictures in pixels", "128", type=int, default=128)
    add("batch_size", "pictures per step", "8", type=int, default=8)
    add("repeats", "timed steps or rounds, after a few that are not timed", "10", type=int, default=10)
    add("data", "pairs data set to read", "toy pairs", type=Path, metavar="D")
    add("photos", "photos to prepare", "toy faces are drawn", type=Path, metavar="DIR")
    add("labels", "labels.csv of the photos", type=Path, metavar="FILE")
    add("photo_count", "photos to prepare, or to inpaint one after the other", "1000", type=int, default=1000)
    add("model", "run directory or export", "the published network", type=Path, metavar="M")
    add("workers", "processes for the preparation", "all cores", type=int, default=os.cpu_count() or 1)
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
