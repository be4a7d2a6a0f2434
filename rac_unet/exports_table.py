"""Compare a run's exports: `python -m rac_unet.exports_table RUN` writes size, time and agreement of each."""

from __future__ import annotations

import contextlib
import importlib.metadata
import json
import os
import sys
from pathlib import Path
from typing import Any

from rac_unet.core.errors import CommandParser, UserError, number, run_command
from rac_unet.core.files.whole import replace_file, write_text
from rac_unet.core.rundir import RunDir, check_output, open_run
from rac_unet.data.pair_checks import SPLITS
from rac_unet.exporting.formats import FORMATS
from rac_unet.models.backend import import_tensorflow
from rac_unet.runtime.run_weights import WEIGHTS, weights_file


def main(argv: list[str] | None = None) -> int:
    """Run every export on the same pictures, time it, and write and print the table."""
    args = _parser().parse_args(argv)
    run = open_run(args.run, need_weights=False)
    file = weights_file(run, args.weights)
    exports, folder = _find_exports(run, args.format), args.output or run.export()
    check_output(folder)
    if not args.data and run.imported() and not run.config().data.path:
        raise UserError(f"{run.path} was imported without a data set; give a pairs data set with --data D", "usage")
    if "tensorflow" not in sys.modules:
        # Times are measured on the CPU, and a training may be using an accelerator.
        os.environ["CUDA_VISIBLE_DEVICES"] = "-1"
    import_tensorflow()
    from rac_unet.benchmarks import latency
    from rac_unet.core.provenance import device_name, make_provenance
    from rac_unet.exporting.sample_pictures import read_pictures
    from rac_unet.pairing.opening import open_pairs, read_pairs
    from rac_unet.reports.export_scores import exports_page, exports_table, score_exports
    from rac_unet.runtime.interface import available_cores
    from rac_unet.runtime.run_weights import load_network
    from rac_unet.runtime.runners import disk_bytes
    from rac_unet.scoring.metrics import is_masked

    config, cores = run.config(), available_cores()
    pairs = read_pairs(args.data) if args.data else open_pairs(config)
    pictures = read_pictures(pairs, args.split, args.pictures, config.model.image_size)
    shown = len(pictures["masked_image"])
    print(f"network  {run.path}, {args.weights} weights ({file.name})", flush=True)
    print(f"comparing {len(exports)} exports on {shown} pictures, each in a fresh process", flush=True)
    rows = score_exports(load_network(run, args.weights), exports, pictures)

    for row in rows:
        stored = exports.get(row["format"], file)
        row["file"], row["megabytes"] = stored.name, disk_bytes(stored) / 1e6
    rates = _time({row["format"]: exports.get(row["format"], run.path) for row in rows}, rows, cores)
    table = exports_table(rows)
    facts = {
        "run": run.path.resolve().name,
        "weights": args.weights,
        "split": args.split,
        "pictures": shown,
        "masked_pictures": int(is_masked(pictures["occlusion"]).sum()),
        "hidden_share": float((pictures["occlusion"] > 0).mean()),
        "image_size": config.model.image_size,
        "data_fingerprint": pairs.fingerprint,
        "threads": cores,
        "repeats": latency.REPEATS,
        "machine_gflops": rates,
        "steady": all(latency.is_steady(*pair) for pair in rates.values()),
        "device": device_name(),
        "runtimes": _runtimes(),
    }
    provenance, page = make_provenance("rac_unet.exports_table", argv, **facts), exports_page(table, facts)
    replace_file(folder / "exports.csv", lambda path: table.to_csv(path, index=False, float_format="%.6g"))
    write_text(folder / "exports.md", page)
    write_text(folder / "exports.json", json.dumps(provenance, indent=2) + "\n")
    print(page, end="")
    for name in ("exports.csv", "exports.md", "exports.json"):
        print(f"wrote    {folder / name}")
    return 0


def _time(paths: dict[str, Path], rows: list[dict[str, Any]], cores: int) -> dict[int, tuple[float, float]]:
    """Add the times of each network to its row, and return the machine's rate before and after by number of threads.

    Args:
        paths: format -> what is timed.
        rows: a row for each of these formats.
    """
    from rac_unet.benchmarks import latency

    threads = {"ms_one_thread": 1} | ({"ms_all_threads": cores} if cores > 1 else {})
    # One after the other, since they would slow each other down.
    print(f"timing each on {' and '.join(map(str, threads.values()))} threads", flush=True)
    before = {count: latency.machine_rate(count) for count in threads.values()}
    for row in rows:
        for column, count in threads.items():
            taken = latency.picture_milliseconds(paths[row["format"]], count)
            row[column], row[f"{column}_least"] = taken["median"], taken["least"]
    return {count: (rate, latency.machine_rate(count)) for count, rate in before.items()}


def _runtimes() -> dict[str, str]:
    """Return the versions of the installed runtimes other than TensorFlow."""
    versions = {}
    for name in ("ai-edge-litert", "onnxruntime"):
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            versions[name] = importlib.metadata.version(name)
    return versions


def _find_exports(run: RunDir, wanted: list[str] | None) -> dict[str, Path]:
    """Return format -> path of the exports in the run's export folder; all of them, or the wanted formats."""
    names = {name: form.file_name.format(model=run.config().model.name) for name, form in FORMATS.items()}
    paths = {name: run.export() / names[name] for name in (wanted or FORMATS)}
    missing = [name for name, path in paths.items() if not path.exists()]
    command = f"python -m rac_unet.export {run.path} --format"
    if wanted and missing:
        raise UserError(
            f"{run.export()} contains no {', '.join(missing)}; write it: {command} {' '.join(missing)}", "missing"
        )
    if len(missing) == len(paths):
        raise UserError(f"{run.export()} contains no exports; write them: {command} all", "empty")
    for name in missing:
        print(f"missing  {name} ({paths[name].name})")
        paths.pop(name)
    return paths


def _parser() -> CommandParser:
    parser = CommandParser(
        prog="python -m rac_unet.exports_table",
        extras=("train",),
        description="Compare a run's exports with its network: size, time, difference of outputs, composite PSNR.",
        epilog="example: python -m rac_unet.exports_table runs/20260101-120000-rac_unet_lite",
    )
    parser.add_argument("run", type=Path, metavar="RUN", help="run directory with exports in RUN/export")
    parser.add_argument("--format", choices=FORMATS, nargs="+", help="exports to compare (default: all in RUN/export)")
    parser.add_argument("--data", type=Path, metavar="D", help="pairs data set (default: the run's own)")
    parser.add_argument("--split", choices=SPLITS, default="val", help="split to compare on (default: val)")
    parser.add_argument(
        "--pictures", type=number(int, 1), default=100, metavar="N", help="number of pairs (default: 100)"
    )
    parser.add_argument("--weights", choices=WEIGHTS, default="best", help="weights that were exported (default: best)")
    parser.add_argument("--output", type=Path, metavar="DIR", help="output folder (default: RUN/export)")
    return parser


if __name__ == "__main__":
    run_command(main)
