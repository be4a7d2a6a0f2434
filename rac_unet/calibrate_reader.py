"""Write the emotion reader of `--emotion auto`: `python -m rac_unet.calibrate_reader RUN --output reader.tflite`.

A classifier of `train_classifier --view masked` is calibrated on validation pairs and written as one small file.
"""

from __future__ import annotations

import itertools
import json
from pathlib import Path

from rac_unet.core.errors import CommandParser, UserError, number, run_command
from rac_unet.core.files.whole import write_text
from rac_unet.core.rundir import CLASSIFIER, check_output, open_run


def main(argv: list[str] | None = None) -> int:
    """Fit the temperature, write the file, and print the calibration error before and after."""
    args = _parser().parse_args(argv)
    from rac_unet.core.config import read_yaml
    from rac_unet.runtime.classifier import read_classifier_config

    run = open_run(args.run, kind=CLASSIFIER)
    config = read_classifier_config(run)
    settings = read_yaml(run.config_file)
    view = (settings.get("training") or {}).get("view")
    if view != "masked":
        raise UserError(
            f"{run.path} was not trained on masked faces; give a run of train_classifier --view masked", "wrong_type"
        )
    if args.output.suffix != ".tflite":
        raise UserError(f"--output {args.output}: the name must end in .tflite", "bad_value")
    if args.output.exists() and not args.overwrite:
        raise UserError(f"{args.output} exists already; give --overwrite to replace it, or another --output", "exists")
    check_output(args.output.parent)
    data = args.data or settings.get("data")
    if not data:
        raise UserError(f"{run.path} was trained on toy faces; give the pairs to calibrate on with --data D", "usage")
    from rac_unet.pairing.opening import read_pairs

    pairs = read_pairs(data)
    from rac_unet.models.backend import import_tensorflow

    import_tensorflow()
    from rac_unet.exporting.reader_writing import CHECKED, CROP, reader_model, write_reader
    from rac_unet.runtime.classifier import load_classifier, read_classifier
    from rac_unet.scoring.emotions.calibration import fit_temperature
    from rac_unet.scoring.emotions.masked_reading import classifier_logits, masked_crops, summarise_logits
    from rac_unet.scoring.selection import masked_pairs

    val = masked_pairs(pairs.split("val"))
    if not len(val):
        raise UserError(
            f"{pairs.root}: no face with a mask in split 'val' to calibrate on; give another --data", "empty"
        )
    logits = classifier_logits(load_classifier(run.path), val)
    temperature = args.temperature or fit_temperature(logits, val.emotion_ids)
    before, after = (summarise_logits(logits / t, val) for t in (1.0, temperature))
    model, _ = read_classifier(run.path)
    few = list(itertools.islice(masked_crops(val.take(_spread(len(val), CHECKED)), CROP, config.frame), 1))[0]
    difference = write_reader(reader_model(model, config, temperature), args.output, few)
    record = {
        "temperature": temperature,
        "fitted": args.temperature is None,
        "data_fingerprint": pairs.fingerprint,
        "before": before,
        "after": after,
    }
    write_text(run.evaluation("val") / "calibration.json", json.dumps(record, indent=2) + "\n")
    accuracy, mean = 100 * after["accuracy"], 100 * after["mean_class_accuracy"]
    errors = [summary["expected_calibration_error"] for summary in (before, after)]
    print(f"val      {len(val):,} masked faces: accuracy {accuracy:.1f} %, mean of classes {mean:.1f} %")
    print(f"         temperature {temperature:.3f}: calibration error {errors[0]:.3f} before, {errors[1]:.3f} after")
    size = args.output.stat().st_size
    print(f"wrote    {args.output} ({size / 1e3:,.0f} kB; probabilities differ from the run's by {difference:.4f})")
    return 0


def _spread(count: int, wanted: int):
    import numpy as np

    return np.unique(np.linspace(0, count - 1, min(count, wanted)).astype(int))


def _parser() -> CommandParser:
    parser = CommandParser(
        prog="python -m rac_unet.calibrate_reader",
        description="Calibrate a classifier of masked faces on validation pictures, and write it as the file that "
        "predict --emotion auto uses.",
        epilog="example: python -m rac_unet.calibrate_reader runs/CLASSIFIER --output visible_emotion.tflite",
    )
    parser.add_argument("run", type=Path, metavar="RUN", help="run directory of train_classifier --view masked")
    parser.add_argument("--output", type=Path, required=True, metavar="FILE", help="the .tflite file to write")
    parser.add_argument("--data", type=Path, metavar="D", help="pairs to calibrate on (default: the run's own)")
    parser.add_argument(
        "--temperature",
        type=number(float, 1e-3),
        metavar="T",
        help="divide the logits by T instead of fitting it; 1 keeps the trained confidence",
    )
    parser.add_argument("--overwrite", action="store_true", help="replace an existing file")
    return parser


if __name__ == "__main__":
    run_command(main)
