"""Score emotion classifiers of masked faces: `python -m rac_unet.score_reader [MODEL ...] --data D --output DIR`."""

from __future__ import annotations

import json
from pathlib import Path

from rac_unet.core.errors import CommandParser, UserError, run_command
from rac_unet.core.files.hashing import file_digest
from rac_unet.core.files.whole import replace_file, write_text
from rac_unet.core.rundir import check_output
from rac_unet.core.text_grid import aligned, markdown


def main(argv: list[str] | None = None) -> int:
    """Read every masked picture of a split with each model; write scores, readings and a reliability plot."""
    args = _parser().parse_args(argv)
    from rac_unet.data.frames import check_frame
    from rac_unet.models.backend import import_tensorflow
    from rac_unet.pairing.opening import read_pairs
    from rac_unet.runtime.published import PUBLISHED_READER

    frame = args.frame and check_frame(args.frame.split(","), "--frame")
    models = args.models or [PUBLISHED_READER]
    names = [Path(model).resolve().stem for model in models]
    if len(set(names)) < len(names):
        raise UserError(f"two models have the same name: {', '.join(names)}; rename one", "usage")
    check_output(args.output)
    pairs = read_pairs(args.data)
    import_tensorflow()
    import pandas as pd

    from rac_unet.core.progress import Progress
    from rac_unet.core.provenance import make_provenance
    from rac_unet.scoring.emotions.calibration import write_reliability_plot
    from rac_unet.scoring.emotions.masked_reading import (
        READING_HEAD,
        reading_rows,
        readings,
        reliability_of,
        summarise_readings,
    )
    from rac_unet.scoring.selection import masked_pairs

    opened = [_open(Path(model), frame) for model in models]
    chosen = masked_pairs(pairs.split(args.split))
    if not len(chosen):
        raise UserError(
            f"{pairs.root}: no face with a mask in split {args.split!r}; give another --split or --data", "empty"
        )
    progress = Progress(len(chosen) * len(opened), noun="pictures")
    tables = {
        name: readings(read, chosen, size, frame, progress.advance)
        for name, (read, size) in zip(names, opened, strict=True)
    }
    progress.close()
    metrics = {name: summarise_readings(table) for name, table in tables.items()}
    rows = [row for name in names for row in reading_rows(name, metrics[name])]
    everything = pd.concat([table.assign(model=name) for name, table in tables.items()])
    output = args.output
    replace_file(output / "readings.csv", lambda file: everything.to_csv(file, index=False, float_format="%.4g"))
    write_text(output / "metrics.json", json.dumps(metrics, indent=2) + "\n")
    write_text(output / "table.md", markdown(READING_HEAD, rows))
    title = f"{len(chosen):,} masked faces, {args.split} split"
    curves = {name: reliability_of(table) for name, table in tables.items()}
    replace_file(output / "reliability.png", lambda file: write_reliability_plot(file, curves, title))
    hashes = {
        name: file_digest(model) if Path(model).is_file() else None for name, model in zip(names, models, strict=True)
    }
    facts = {"split": args.split, "data_fingerprint": pairs.fingerprint, "models": hashes}
    write_text(
        output / "provenance.json", json.dumps(make_provenance("rac_unet.score_reader", argv, **facts), indent=2) + "\n"
    )
    print("\n".join(aligned([READING_HEAD, *rows])))
    for name in ("metrics.json", "readings.csv", "reliability.png", "table.md", "provenance.json"):
        print(f"wrote    {output / name}")
    return 0


def _open(path: Path, frame):
    """Load a model; return its function from crops to probabilities, and the side of its crops."""
    from rac_unet.runtime.emotion_reader import load_emotion_reader
    from rac_unet.runtime.interface import VISIBLE
    from rac_unet.runtime.runners import load_runner

    try:
        reader = load_emotion_reader(path) if path.suffix == ".tflite" else None
    except UserError as error:
        if error.kind != "wrong_type":
            raise
        reader = None
    if reader:
        return reader, reader.image_size
    import numpy as np

    from rac_unet.core.emotions import EMOTIONS

    runner = load_runner(path)
    if VISIBLE not in runner.outputs:
        raise UserError(
            f"{path} has no output for the visible emotion; give an emotion reader or a mask-aware network",
            "wrong_type",
        )
    if frame:
        raise UserError(f"{path} is a network for whole crops, which --frame does not apply to; omit --frame", "usage")
    return lambda crops: runner(crops, np.zeros((len(crops), len(EMOTIONS)), np.float32))[VISIBLE], runner.image_size


def _parser() -> CommandParser:
    from rac_unet.data.pair_checks import SPLITS

    parser = CommandParser(
        prog="python -m rac_unet.score_reader",
        extras=("train",),
        description="Score emotion classifiers of masked faces: accuracy by emotion and by source, and calibration.",
        epilog="example: python -m rac_unet.score_reader --data pairs --output auto",
    )
    parser.add_argument(
        "models",
        nargs="*",
        metavar="MODEL",
        help="files of calibrate_reader, or mask-aware networks, whose output visible_emotion is scored (default: the "
        "published reader)",
    )
    parser.add_argument("--data", type=Path, required=True, metavar="D", help="pairs to read")
    parser.add_argument("--split", choices=SPLITS, default="test", help="split to score (default: test)")
    parser.add_argument(
        "--frame",
        metavar="SIDE,X,Y",
        help="square of an upright crop that the pairs' pictures show; 0.764,0.5,0.43 for FER-2013 (default: all)",
    )
    parser.add_argument("--output", type=Path, required=True, metavar="DIR", help="folder for scores and plot")
    return parser


if __name__ == "__main__":
    run_command(main)
