"""Train the emotion classifier that scores use: `python -m rac_unet.train_classifier --data.path D`.

Its accuracy on real pictures is the ceiling for every network that it judges. No network is trained on its judgement.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rac_unet.core.errors import CommandParser, UserError, number, run_command
from rac_unet.core.registry import CLASSIFIERS
from rac_unet.models.backend import import_tensorflow

if TYPE_CHECKING:
    from rac_unet.core.rundir import RunDir
    from rac_unet.training.classifying import ClassifierTraining


def main(argv: list[str] | None = None) -> int:
    """Train or resume, then report on the test split; exit code 130 when stopped by a signal."""
    args = _parser().parse_args(argv)
    args.argv = argv
    if args.resume and (args.start or args.data):
        raise UserError(
            "--resume takes its data and its start from the run; leave out --data.path and --start", "usage"
        )
    from rac_unet.core.rundir import CLASSIFIER, open_run, remove_unfinished_of
    from rac_unet.pairing.opening import open_pairs
    from rac_unet.runtime.classifier import ClassifierConfig, build_classifier, read_classifier
    from rac_unet.training.resuming import refuse_half_copied, refuse_other_start
    from rac_unet.training.state import find_backups

    if args.resume:
        run = open_run(args.resume, need_weights=False, kind=CLASSIFIER)
        settings = _read_settings(run)
        refuse_half_copied(run)
        _restore_data(args, settings)
    pairs = open_pairs(_data_config(args))
    for split in ("train", "val"):
        if not len(pairs.split(split)):
            raise UserError(f"{pairs.root} has no pairs in split {split!r}", "empty")
    import_tensorflow()
    import keras

    from rac_unet.core.emotions import EMOTIONS
    from rac_unet.training.classifying import ClassifierTraining

    if args.resume:
        from rac_unet.runtime.classifier import read_classifier_config

        config, training = read_classifier_config(run), ClassifierTraining(**settings["training"])
        _refuse_changed(run, pairs)
        remove_unfinished_of(run)
        if settings.get("start") and not find_backups(run.backup):
            # Without a backup it starts again, with the same weights as before.
            refuse_other_start(run, settings["start"], CLASSIFIER)
            model, _ = read_classifier(settings["start"])
        else:
            keras.utils.set_random_seed(training.seed)
            model = build_classifier(config, training.precision)
    else:
        training = ClassifierTraining(**{f.name: getattr(args, f.name) for f in fields(ClassifierTraining)})
        training = replace(training, precision=_precision(training.precision))
        if args.start:
            model, found = read_classifier(args.start)
            # An untrained head will be trained now.
            config = ClassifierConfig(**{**asdict(found), "head": "trained"})
        else:
            config = _config(args, tuple(EMOTIONS))
            keras.utils.set_random_seed(args.seed)
            model = build_classifier(config, training.precision)
        run = _create(args, config, training, pairs)
    return _train(run, model, config, training, pairs, fresh=not args.resume)


def _config(args, classes: tuple[str, ...]):
    """Return the ClassifierConfig of the command line."""
    from rac_unet.runtime.classifier import ClassifierConfig

    frame = args.frame and args.frame.split(",")
    preprocessing = "grey" if args.grey else "none"
    return ClassifierConfig(classes, args.network, args.filters, args.image_size, preprocessing, frame=frame)


def _precision(setting: str) -> str:
    """Return the number format for this device."""
    from rac_unet.core.config import TrainingConfig
    from rac_unet.training.hardware.devices import device_facts, resolve_auto

    return resolve_auto(TrainingConfig(precision=setting), device_facts(tpu=False), replicas=1).precision


def _train(run: RunDir, model, config, training: ClassifierTraining, pairs, fresh: bool) -> int:
    from rac_unet.training.classifying import ClassifierTrainer
    from rac_unet.training.reporting import Log, StopSignal

    log = Log(run.log_file)
    if fresh:
        log(f"run      {run.path}")
    with StopSignal() as stop:
        trainer = ClassifierTrainer(run, model, config, training, pairs, log)
        if not fresh:
            trainer.resume()
        outcome = trainer.train(stop) if trainer.epoch < training.epochs else "finished"
    if outcome == "signal":
        log(f"stopped  after epoch {trainer.epoch}\ncontinue python -m rac_unet.train_classifier --resume {run.path}")
        return 130
    if outcome == "time":
        log(f"stopped  the time is up; more with: python -m rac_unet.train_classifier --resume {run.path}")
    log(f"weights  {run.best_weights} (mean-class accuracy {100 * trainer.best:.1f} % on val)")
    _report(run, pairs, training.view, log)
    return 0


def _report(run: RunDir, pairs, view: str, log) -> None:
    """Measure the accuracy on the test split, the ceiling of the networks it judges, and write it."""
    from rac_unet.core.files.whole import write_text
    from rac_unet.runtime.classifier import load_classifier
    from rac_unet.scoring.emotions.accuracy import describe_confusion
    from rac_unet.scoring.emotions.face_reading import read_pairs_of
    from rac_unet.scoring.selection import masked_pairs

    test = pairs.split("test")
    # A face without a mask would count as read behind one.
    test = test.with_truth() if view == "unmasked" else masked_pairs(test)
    if not len(test):
        log(f"test     not measured: the test split has no {view} pictures to read")
        return
    summary = read_pairs_of(load_classifier(run.path), test, view)
    accuracy = summary["accuracy"]
    log(describe_confusion(summary))
    log(
        f"test     {view} pictures, n = {summary['n']:,}: accuracy {100 * accuracy['mean']:.1f} % "
        f"[{100 * accuracy['low']:.1f}, {100 * accuracy['high']:.1f}], mean of classes "
        f"{100 * summary['mean_class_accuracy']:.1f} %"
    )
    path = run.evaluation("test") / "emotions.json"
    write_text(path, json.dumps({"view": view, "data_fingerprint": pairs.fingerprint, **summary}, indent=2) + "\n")
    log(f"wrote    {path}")


def _create(args, config, training: ClassifierTraining, pairs) -> RunDir:
    import yaml

    from rac_unet.core.provenance import WARM_START_KEY, device_name, make_provenance
    from rac_unet.core.rundir import CLASSIFIER, create_from_text
    from rac_unet.runtime.classifier import classifier_yaml
    from rac_unet.training.warm_start import warm_start_facts

    data, start = (str(Path(path).expanduser().absolute()) if path else None for path in (args.data, args.start))
    section = {"data": data, "toy_mode": args.toy_mode, "toy_count": args.toy_count, "start": start}
    section["training"] = asdict(training)
    text = classifier_yaml(config) + yaml.safe_dump(section, sort_keys=False, allow_unicode=True)
    facts = {"device": device_name(), "data_fingerprint": pairs.fingerprint, "pairs": len(pairs)}
    if start:
        facts[WARM_START_KEY] = warm_start_facts(start, CLASSIFIER)
    provenance = make_provenance("rac_unet.train_classifier", args.argv, **facts)
    return create_from_text(args.runs, f"classifier-{training.view}", text, provenance)


def _read_settings(run: RunDir) -> dict[str, Any]:
    from rac_unet.core.config import read_yaml

    values = read_yaml(run.config_file)
    if not isinstance(values.get("training"), dict):
        raise UserError(
            f"{run.path} was not trained by this command (no section training in {run.config_file.name})", "wrong_type"
        )
    return values


def _restore_data(args, settings: dict[str, Any]) -> None:
    """Replace the data options of the command line by those of the run."""
    args.data, args.toy_mode, args.toy_count = (settings[key] for key in ("data", "toy_mode", "toy_count"))
    args.image_size = settings["classifier"]["image_size"]


def _refuse_changed(run: RunDir, pairs) -> None:
    before = run.provenance().get("data_fingerprint")
    if before not in (None, pairs.fingerprint):
        raise UserError(
            f"the data set at {pairs.root} has changed since {run.path} was started; restore it, or start a new run",
            "changed",
        )


def _data_config(args):
    """Return the RunConfig for `open_pairs`: the given path, or toy faces of the classifier's size."""
    from rac_unet.core.config import DataConfig, ModelConfig, RunConfig

    data = DataConfig(path=args.data, toy_mode=args.toy_mode, toy_count=args.toy_count)
    return RunConfig(data=data, model=ModelConfig(image_size=args.image_size))


def _parser() -> CommandParser:
    parser = CommandParser(
        prog="python -m rac_unet.train_classifier",
        extras=("train",),
        description="Train a ResNet-18 to read emotions; evaluate --classifier judges inpainted faces with it.",
        epilog="example: python -m rac_unet.train_classifier --data.path pairs --image_size 64 --epochs 15",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )

    positive = number(int, 1)
    parser.add_argument("--data.path", dest="data", metavar="D", help="pairs to train on (default: toy faces)")
    parser.add_argument(
        "--data.toy_mode",
        dest="toy_mode",
        choices=("natural", "ambiguous"),
        default="natural",
        help="kind of toy faces",
    )
    parser.add_argument(
        "--data.toy_count", dest="toy_count", type=positive, default=2800, metavar="N", help="toy faces to draw"
    )
    parser.add_argument("--view", choices=("unmasked", "masked"), default="unmasked", help="picture of a pair to read")
    parser.add_argument(
        "--start",
        metavar="RUN",
        help="warm start: weights of this classifier, for example ImageNet's from import_torch",
    )
    parser.add_argument("--image_size", type=number(int, 32), default=128, metavar="N", help="side of the pictures")
    parser.add_argument(
        "--filters", type=positive, default=64, metavar="N", help="channels of the first stage; 64 is ResNet-18"
    )
    parser.add_argument(
        "--network",
        choices=tuple(CLASSIFIERS),
        default="resnet18",
        help="ResNet-18 to judge; small_reader, fast enough for guidance (--image_size 48 --filters 32)",
    )
    parser.add_argument("--grey", action="store_true", help="read luminance only")
    parser.add_argument(
        "--frame",
        metavar="SIDE,X,Y",
        help="the square of an upright crop that the pairs' pictures show; 0.764,0.5,0.43 for FER-2013 (default: all)",
    )
    parser.add_argument("--epochs", type=positive, default=20, metavar="N", help="passes over the training pairs")
    parser.add_argument("--batch_size", type=positive, default=32, metavar="N", help="pictures per step")
    parser.add_argument(
        "--learning_rate", type=number(float, 1e-9), default=1e-3, metavar="X", help="highest learning rate"
    )
    parser.add_argument(
        "--class_weights",
        type=number(float, 0, 1),
        default=0.5,
        metavar="X",
        help="0: pictures count alike; 1: emotions do",
    )
    parser.add_argument(
        "--jitter",
        type=number(float, 0, 5),
        default=1.0,
        metavar="X",
        help="how strongly pictures are moved, turned and zoomed; 1 is mild",
    )
    parser.add_argument(
        "--precision",
        choices=("auto", "float32", "mixed_bfloat16", "mixed_float16"),
        default="float32",
        help="number format of the computation",
    )
    parser.add_argument(
        "--max_hours",
        type=number(float, 0),
        default=0.0,
        metavar="X",
        help="stop after this much training; 0 for no limit",
    )
    parser.add_argument(
        "--seed", type=number(int, 0), default=0, metavar="N", help="of weights, order and augmentation"
    )
    parser.add_argument("--runs", type=Path, default=Path("runs"), metavar="DIR", help="where run directories go")
    parser.add_argument("--resume", type=Path, metavar="RUN", help="continue an interrupted training")
    return parser


if __name__ == "__main__":
    run_command(main)
