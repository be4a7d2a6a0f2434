"""Measure how steady unmasked clips are: `python -m rac_unet.benchmark_clips --output D` makes clips, a table, a strip.

The clips are made here, from a drawn portrait and from given photos, and moved by known paths, so that the change of
every pixel that is not due to the motion is known. Photos are unmasked frame by frame, with filtered landmarks, and in
two passes.
"""

from __future__ import annotations

import json
from pathlib import Path

from rac_unet.core.errors import CommandParser, UserError, number, run_command
from rac_unet.core.files.whole import replace_file, write_text
from rac_unet.core.rundir import check_output

STEADINESS, TIMES = "steadiness", "times"
PARTS = (STEADINESS, TIMES)
# Clips on the strip.
_MOST_SHOWN = 4
# Width, height and share of the frames of the clips that are timed.
SIZES = ((640, 480, 1.0), (1920, 1080, 0.5))
# Motion, seed of the mask and its style for the n-th photo.
_PHOTO_PATHS, _STYLES = ("talking", "hand-held", "fast"), ("surgical", "cloth_black", "kn95")


def main(argv: list[str] | None = None) -> int:
    """Make the clips, unmask them by every method, and write the figures and the strip."""
    args = _parser().parse_args(argv)
    parts = args.parts.split(",")
    if unknown := [part for part in parts if part not in PARTS]:
        raise UserError(f"--parts: unknown part {unknown[0]!r}; choose from: {', '.join(PARTS)}", "unknown_name")
    check_output(args.output)
    from rac_unet.benchmarks.latency import is_steady, machine_rate
    from rac_unet.core.provenance import make_provenance, processor_name

    facts: dict = {}
    if STEADINESS in parts:
        facts["model"] = _compare(args)
    if TIMES in parts:
        before = machine_rate(1)
        _measure_times(args)
        after = machine_rate(1)
        facts["matrix_multiply_gflops"] = {"before": before, "after": after, "steady": is_steady(before, after)}
        print(f"matrix multiply on one thread: {before:.0f} GFLOP/s before, {after:.0f} after")
    provenance = make_provenance("rac_unet.benchmark_clips", argv, device=processor_name(), **facts)
    name = "provenance.json" if parts == list(PARTS) else f"provenance_{'_'.join(parts)}.json"
    write_text(args.output / name, json.dumps(provenance, indent=2) + "\n")
    print(f"wrote    {args.output / name}")
    return 0


def _compare(args) -> str:
    """Unmask every clip by every method; write `steadiness.csv` and `strip.jpg`; return the network's name."""
    import pandas as pd

    from rac_unet.benchmarks.clips.made_clips import drawn_still, photographed_still
    from rac_unet.benchmarks.clips.report import compare_on, write_strips
    from rac_unet.photos.reading import read_photo
    from rac_unet.unmasking.photo import Unmasker

    unmasker = Unmasker(args.model)
    clips = [("drawn portrait", drawn_still(), path) for path in ("still", "talking", "hand-held", "fast")]
    for place, file in enumerate(args.photos):
        style = _STYLES[place % len(_STYLES)]
        still = photographed_still(read_photo(file), unmasker, style, seed=place)
        clips.append((f"photograph {place + 1}, {style}", still, _PHOTO_PATHS[place % len(_PHOTO_PATHS)]))
    for place, file in enumerate(args.real_masks):
        still = photographed_still(read_photo(file), unmasker, None)
        clips.append((f"real mask {place + 1}", still, _PHOTO_PATHS[place % len(_PHOTO_PATHS)]))
    rows, strips = [], {}
    for name, still, path in clips:
        label = f"{name}, {path}"
        found, strips[label] = compare_on(label, still, path, unmasker, args.frames)
        for row in found:
            rows.append(row)
            shares = ""
            if row.flicker_to_source is not None:
                shares = f", {row.flicker_to_source:.2f} of the source's; sharpness {row.sharpness_to_single_frame:.2f}"
            print(f"{label:<44} {row.method:<16} flicker {row.flicker:6.3f}{shares}", flush=True)
    table = pd.DataFrame(rows)
    replace_file(args.output / "steadiness.csv", lambda file: table.to_csv(file, index=False, float_format="%.4g"))
    # One motion of the portrait, and the photos that do not move too fast to be looked at.
    shown = [
        strip for label, strip in strips.items() if "talking" in label or label[:5] != "drawn" and "fast" not in label
    ]
    write_strips(args.output / "strip.jpg", shown[:_MOST_SHOWN])
    for name in ("steadiness.csv", "strip.jpg"):
        print(f"wrote    {args.output / name}")
    return Path(unmasker.runner.name).name


def _measure_times(args) -> None:
    """Time both passes at each size on one and on two threads, and write `times.csv`."""
    import pandas as pd

    from rac_unet.benchmarks.clips.times import time_passes

    rows = []
    for width, height, share in SIZES:
        for threads in (1, 2):
            row = time_passes((width, height), threads, max(2, round(args.frames * share)), args.model)
            rows.append(row)
            print(
                f"{width} x {height}, threads: {threads}, first pass {row['first_pass_ms']:.1f} ms, "
                f"second {row['second_pass_ms']:.1f} ms per frame, {row['frames_per_second']:.1f} frames/s",
                flush=True,
            )
    table = pd.DataFrame(rows)
    replace_file(args.output / "times.csv", lambda file: table.to_csv(file, index=False, float_format="%.4g"))
    print(f"wrote    {args.output / 'times.csv'}")


def _parser() -> CommandParser:
    parser = CommandParser(
        prog="python -m rac_unet.benchmark_clips",
        extras=("train",),
        description="Measure flicker, sharpness and time of unmasked clips. The clips are made from a drawn portrait, "
        "and from photos if there are any: moved, turned and lit by known paths, with noise and compression. Three "
        "methods are compared: frame by frame, landmarks filtered by a one-euro filter, and two passes.",
        epilog="example: python -m rac_unet.benchmark_clips --photos face.jpg --output results/video",
    )
    parser.add_argument("--output", type=Path, required=True, metavar="D", help="folder for the tables and the strip")
    parser.add_argument(
        "--photos",
        nargs="+",
        type=Path,
        default=[],
        metavar="FILE",
        help="photos of bare faces, on which masks are drawn",
    )
    parser.add_argument(
        "--real_masks", nargs="+", type=Path, default=[], metavar="FILE", help="photos of faces with masks"
    )
    parser.add_argument(
        "--model", type=Path, metavar="MODEL", help="run directory or export (default: the published network)"
    )
    parser.add_argument(
        "--frames", type=number(int, 2), default=60, metavar="N", help="frames per clip, 30 a second (default: 60)"
    )
    parser.add_argument(
        "--parts",
        default=",".join(PARTS),
        help="comma-separated: steadiness (figures and strip), times (both passes on one and on two threads; measure "
        "them on an idle machine) (default: both)",
    )
    return parser


if __name__ == "__main__":
    run_command(main)
