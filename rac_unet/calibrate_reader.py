"""Write the emotion reader of `--emotion auto`: `python -m rac_unet.calibrate_reader RUN --output reader.tflite`.

A classifier of `train_classifier --view masked` is calibrated on validation pairs and written as one small file. Its
prior is corrected as far as mean-class accuracy allows, then a temperature is fitted.
"""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

from rac_unet.core.emotions import EMOTIONS
from rac_unet.core.errors import CommandParser, UserError, number, run_command
from rac_unet.core.files.whole import write_text
from rac_unet.core.rundir import CLASSIFIER, check_output, open_run
from rac_unet.core.text_grid import aligned


def main(argv: list[str] | None = None) -> int:
    """Fit prior and temperature, write the file, and print accuracy and calibration error before and after."""
    args = _parser().parse_args(argv)
    if args.prior is not None and args.least_mean_class is not None:
        raise UserError("--prior sets what --least_mean_class chooses; omit one of them", "usage")
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
    from rac_unet.scoring.emotions.calibration import fit_prior, fit_temperature
    from rac_unet.scoring.emotions.masked_reading import classifier_logits, masked_crops, summarise_logits
    from rac_unet.scoring.selection import masked_pairs

    val = masked_pairs(pairs.split("val"))
    if not len(val):
        raise UserError(
            f"{pairs.root}: no face with a mask in split 'val' to calibrate on; give another --data", "empty"
        )
    logits = classifier_logits(load_classifier(run.path), val)
    before, prior = summarise_logits(logits, val), fit_prior(logits, val.emotion_ids)
    strength = _strength(args, logits, val, prior, before["mean_class_accuracy"])
    bias = strength * prior
    temperature = args.temperature or fit_temperature(logits + bias, val.emotion_ids)
    after = summarise_logits((logits + bias) / temperature, val)
    model, _ = read_classifier(run.path)
    few = list(itertools.islice(masked_crops(val.take(_spread(len(val), CHECKED)), CROP, config.frame), 1))[0]
    difference = write_reader(reader_model(model, config, temperature, bias), args.output, few)
    record = {
        "temperature": temperature,
        "fitted": args.temperature is None,
        "prior_strength": strength,
        "bias": dict(zip(EMOTIONS, bias.tolist(), strict=True)),
        "data_fingerprint": pairs.fingerprint,
        "before": before,
        "after": after,
    }
    write_text(run.evaluation("val") / "calibration.json", json.dumps(record, indent=2) + "\n")
    print(f"val      {len(val):,} masked faces; prior corrected by {strength:.2f}, temperature {temperature:.3f}")
    print("\n".join(_table(before, after)))
    size = args.output.stat().st_size
    print(f"wrote    {args.output} ({size / 1e3:,.0f} kB; probabilities differ from the run's by {difference:.4f})")
    return 0


def _strength(args, logits, val, prior, own: float) -> float:
    """Return the part of the prior correction: the given one, or the most accurate that mean-class accuracy allows."""
    from rac_unet.scoring.emotions.calibration import choose_strength

    if args.prior is not None:
        return args.prior
    least = own if args.least_mean_class is None else args.least_mean_class
    strength = choose_strength(logits, val.emotion_ids, prior, least)
    if strength is None:
        raise UserError(
            f"--least_mean_class {least:g}: not reached on split 'val' by any correction of the prior; the classifier "
            f"itself reaches {own:.3f}; give that or less, or train a better one",
            "bad_value",
        )
    return strength


def _table(before: dict[str, Any], after: dict[str, Any]) -> list[str]:
    """Return the lines of the printed table: accuracy, calibration error, and accuracy by emotion with n."""
    head = ["", "accuracy %", "mean of classes %", "ECE"]
    rows = [
        [name, *(f"{100 * found[key]:.1f}" for key in ("accuracy", "mean_class_accuracy"))]
        + [f"{found['expected_calibration_error']:.3f}"]
        + [f"{100 * group['accuracy']:.0f}" for group in found["by_emotion"].values()]
        for name, found in (("before", before), ("after", after))
    ]
    emotions = [f"{name} ({group['n']:,})" for name, group in before["by_emotion"].items()]
    return aligned([head + emotions, *rows])


def _spread(count: int, wanted: int):
    import numpy as np

    return np.unique(np.linspace(0, count - 1, min(count, wanted)).astype(int))


def _parser() -> CommandParser:
    parser = CommandParser(
        prog="python -m rac_unet.calibrate_reader",
        extras=("train",),
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
        help="divide the logits by T instead of fitting it; 1 and --prior 0 keep the trained confidence",
    )
    parser.add_argument(
        "--least_mean_class",
        type=number(float, 0, 1),
        metavar="X",
        help="correct the prior towards the emotions' shares of the validation pictures as far as accuracy rises and "
        "mean-class accuracy stays at X or more (default: at the classifier's own)",
    )
    parser.add_argument(
        "--prior",
        type=number(float, 0, 1),
        metavar="S",
        help="correct the prior by this part instead; 0: not at all, 1: fully, for the highest likelihood",
    )
    parser.add_argument("--overwrite", action="store_true", help="replace an existing file")
    return parser


if __name__ == "__main__":
    run_command(main)
