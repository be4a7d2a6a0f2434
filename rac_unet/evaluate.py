"""Score a run, or an export of one, on a split: `python -m rac_unet.evaluate RUN [--split test]`."""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rac_unet.core.config import LossConfig, to_dict
from rac_unet.core.errors import CommandParser, UserError, run_command
from rac_unet.core.files.whole import replace_file, write_text
from rac_unet.core.provenance import WARM_START_KEY
from rac_unet.core.registry import check_features
from rac_unet.core.rundir import RunDir, check_output, open_run
from rac_unet.data.pairs import SPLITS, PairSet
from rac_unet.models.backend import import_tensorflow
from rac_unet.objectives.extractor_files import find_extractor_file
from rac_unet.reports.tables import describe_pictures, reading_table, score_table
from rac_unet.runtime.runners import is_export, refuse_unknown
from rac_unet.scoring.brisque import require_brisque
from rac_unet.scoring.emotions.judges import check_judges, describe_guides, judge_paths
from rac_unet.training.warm_start import guides_of, warm_start_source

if TYPE_CHECKING:
    from rac_unet.runtime.runners import Runner
    from rac_unet.scoring.evaluation import Evaluation, Measures
    from rac_unet.scoring.selection import Selection


@dataclass(frozen=True)
class Job:
    """A checked command line.

    Attributes:
        args: the options.
        run: the run directory; None for an exported network, of which only its inputs and outputs are known.
        judge_runs: run directories of the judges.
        judges: their facts, from `check_judges`.
        guides_known: whether it is known which emotion readers guided the network.
        features: name and weights of the feature extractor; None for no feature distances.
        pairs: the data set.
        folder: the evaluation folder to write.
    """

    args: argparse.Namespace
    run: RunDir | None
    judge_runs: list[Path]
    judges: list[dict[str, Any]]
    guides_known: bool
    features: tuple[str, str] | None
    pairs: PairSet
    folder: Path

    @property
    def name(self) -> str:
        """Name of the run or of the exported network."""
        return self.args.run.resolve().name


def main(argv: list[str] | None = None) -> int:
    """Score, write the evaluation folder, print the tables."""
    job = _check(_parser().parse_args(argv))
    import_tensorflow()
    from rac_unet.scoring.evaluation import evaluate

    runner, selection, measures = _load(job)
    evaluation = evaluate(runner, selection, measures, job.args.batch_size)
    _write_scores(job, evaluation, argv)
    sheets = _write_sheets(job, evaluation, runner, selection)
    _print_tables(job, evaluation, selection)
    _print_files(job, sheets)
    return 0


def _check(args: argparse.Namespace) -> Job:
    """Check everything that does not need TensorFlow, and open the data set.

    Raises: UserError when options, run, judges, data set or output folder cannot be used.
    """
    if args.batch_size < 1:
        raise UserError(f"--batch_size: expected 1 or more. Received: {args.batch_size}", "bad_value")
    if args.control and not args.classifier:
        raise UserError("--control needs a judge; give the run of an emotion classifier with --classifier", "usage")
    refuse_unknown(args.run)
    run = None if is_export(args.run) else open_run(args.run)
    judge_runs = judge_paths(args.classifier)
    guides = _guides(args.run, run) if judge_runs else []
    judges = check_judges(judge_runs, guides or [])
    _require_data(args, run)
    if args.output:
        check_output(args.output)
    features = _features(args, run.config().loss if run else LossConfig())
    if args.plausibility and not features:
        raise UserError(
            "--plausibility needs a feature extractor, and the run's loss has none; give one with --features", "usage"
        )
    if args.brisque:
        require_brisque()
    from rac_unet.pairing.opening import open_pairs, read_pairs

    pairs = read_pairs(args.data) if args.data else open_pairs(run.config())
    folder = args.output or _default_folder(args, run, pairs)
    check_output(folder)
    return Job(args, run, judge_runs, judges, guides is not None, features, pairs, folder)


def _require_data(args: argparse.Namespace, run: RunDir | None) -> None:
    """Raise UserError when neither the options nor the run name a data set."""
    if not args.data and (run is None or run.imported() and not run.config().data.path):
        kind = "is an exported network" if run is None else "was imported"
        raise UserError(f"{args.run} {kind}, without a data set; give a pairs data set with --data D", "usage")


def _load(job: Job) -> tuple[Runner, Selection, Measures]:
    """Select the pairs, and load the network and all that measures it.

    Raises: UserError when there are too few pairs, or the network or a judge cannot be loaded or does not fit.
    """
    from rac_unet.objectives.features import load_extractor
    from rac_unet.runtime.classifier import load_classifier
    from rac_unet.runtime.runners import load_runner
    from rac_unet.scoring.emotions.control import refuse_unlabelled
    from rac_unet.scoring.emotions.plausibility import check_enough
    from rac_unet.scoring.evaluation import Judge, Measures
    from rac_unet.scoring.selection import select_pairs

    args, pairs = job.args, job.pairs
    if not args.data and job.run.provenance().get("data_fingerprint") not in (None, pairs.fingerprint):
        print(f"note: {pairs.root} has changed since this run was trained; its splits may have been mixed")
    selection = select_pairs(pairs, args.split)
    if args.plausibility:
        check_enough(selection.scored)
    runner = load_runner(args.run)
    extractor = load_extractor(*job.features, runner.image_size) if job.features else None
    judges = [Judge(load_classifier(path), facts) for path, facts in zip(job.judge_runs, job.judges, strict=True)]
    if args.control:
        refuse_unlabelled(runner)
    return runner, selection, Measures(extractor, judges, args.brisque, args.control, args.plausibility)


def _write_scores(job: Job, evaluation: Evaluation, argv: list[str] | None) -> None:
    """Write scores.csv, metrics.json, provenance.json, history.csv and the faces by which systems are compared."""
    from rac_unet.core.provenance import device_name, make_provenance
    from rac_unet.reports.comparison.systems import FACES_FILE, write_faces

    folder, table = job.folder, evaluation.images.table
    replace_file(folder / "scores.csv", lambda file: table.to_csv(file, index=False, float_format="%.6g"))
    write_text(folder / "metrics.json", json.dumps(evaluation.metrics, indent=2) + "\n")
    provenance = make_provenance(
        "rac_unet.evaluate",
        argv,
        run=job.name,
        split=job.args.split,
        data_fingerprint=job.pairs.fingerprint,
        device=device_name(),
        **_training_facts(job.run),
    )
    write_text(folder / "provenance.json", json.dumps(provenance, indent=2) + "\n")
    if job.run and job.run.history_file.is_file():
        write_text(folder / "history.csv", job.run.history_file.read_text(encoding="utf-8"))
    else:
        # Remove the history of another run that was scored here; an imported or exported network has none.
        (folder / "history.csv").unlink(missing_ok=True)
    images = evaluation.images.compared.images
    shown = {"masked": images["masked"], "network": images["composite"], "truth": images["truth"]}
    write_faces(folder / FACES_FILE, shown)


def _write_sheets(job: Job, evaluation: Evaluation, runner: Runner, selection: Selection) -> list[str]:
    """Write the sheets of faces, remove those of an earlier evaluation, and return the names of the files."""
    from rac_unet.reports.sheets import write_sheet
    from rac_unet.scoring.unscored import paint_real_masks

    folder, title = job.folder, f"{job.name}, {job.args.split} split"
    for name in ("emotions.png", "emotions.jpg", "real_masks.png"):
        (folder / name).unlink(missing_ok=True)
    _write_samples(folder / "samples.png", evaluation, title)
    written = ["samples.png"]
    if runner.conditioned:
        _write_emotions(folder / "emotions.jpg", evaluation, runner, title)
        written.append("emotions.jpg")
    if painted := paint_real_masks(runner, selection.real_masks):
        write_sheet(folder / "real_masks.png", *painted, f"{job.name}: real masks, without ground truth")
        written.append("real_masks.png")
    return written


def _write_samples(path: Path, evaluation: Evaluation, title: str) -> None:
    from rac_unet.reports.sheets import write_sheet

    faces = evaluation.images.samples
    captions = {
        "masked": "masked",
        "painted": "painted",
        "composite": "composite",
        "telea": "Telea",
        "truth": "ground truth",
    }
    columns = {caption: faces.images[name] for name, caption in captions.items()}
    emotions = evaluation.images.table["emotion"].iloc[faces.rows].tolist()
    write_sheet(path, columns, emotions, title)


def _write_emotions(path: Path, evaluation: Evaluation, runner: Runner, title: str) -> None:
    """Write composites of the same faces for each of the seven emotions."""
    from rac_unet.reports.sheets import write_sheet
    from rac_unet.scoring.metrics import compose
    from rac_unet.scoring.unscored import paint_all_emotions

    faces = evaluation.images.spread
    masked, occlusion = faces.images["masked"], faces.images["occlusion"]
    requested = paint_all_emotions(runner, masked)
    columns = {"masked": masked, "ground truth": faces.images["truth"]}
    columns |= {name: compose(masked, painted, occlusion) for name, painted in requested.items()}
    emotions = evaluation.images.table["emotion"].iloc[faces.rows]
    write_sheet(path, columns, emotions.tolist(), f"{title}: composites for each requested emotion; rows: own label")


def _print_tables(job: Job, evaluation: Evaluation, selection: Selection) -> None:
    from rac_unet.scoring.emotions.control import describe_control
    from rac_unet.scoring.emotions.plausibility import describe_plausibility
    from rac_unet.scoring.prediction_time import describe_cost
    from rac_unet.scoring.unscored import describe_bare_faces

    metrics, run = evaluation.metrics, job.run
    print(score_table(metrics))
    if not job.guides_known:
        print(f"note: {job.name} is not in the folder of its run, so it is not known whether a judge guided it")
    for judgement in evaluation.judgements:
        print(reading_table(judgement["emotion"]))
        if "control" in judgement:
            print(describe_control(judgement["control"]))
        for line in describe_guides(judgement["emotion"]["classifier"]):
            print(line)
    if "plausibility" in metrics:
        print(describe_plausibility(metrics["plausibility"]))
    print(describe_cost(metrics["cost"]))
    if run and run.history():
        print(describe_pictures(run.history()[-1]["images"], warm_start_source(run)))
    if "bare_faces" in metrics:
        print(describe_bare_faces(metrics["bare_faces"]))
    if count := len(selection.real_masks):
        print(f"{count:,} pictures with real masks have no ground truth and are not in these metrics")


def _print_files(job: Job, sheets: list[str]) -> None:
    from rac_unet.reports.comparison.systems import FACES_FILE

    for name in ("scores.csv", "metrics.json", FACES_FILE, *sorted(sheets)):
        print(f"wrote    {job.folder / name}")


def _default_folder(args, run: RunDir | None, pairs) -> Path:
    """Return the evaluation folder: RUN/eval/<split> for the run's own data set, others for other data sets.

    Raises: UserError when the folder has the scores on another data set.
    """
    if run is None:
        folder = args.run.with_name(f"{args.run.name}-eval") / args.split
    else:
        folder, own = run.evaluation(args.split), run.provenance().get("data_fingerprint")
        if not args.data or own == pairs.fingerprint:
            return folder
        if own is not None or run.config().data.path:
            data = args.data.resolve()
            folder = run.evaluation(f"{args.split}-{data.name if data.is_dir() else data.stem}")
    try:
        found = json.loads((folder / "provenance.json").read_text(encoding="utf-8")).get("data_fingerprint")
    except (OSError, ValueError):
        return folder
    if found not in (None, pairs.fingerprint):
        raise UserError(
            f"{folder} has the scores on another data set than {args.data}; give another folder with --output, or "
            "remove it",
            "exists",
        )
    return folder


def _guides(path: Path, run: RunDir | None) -> list[dict] | None:
    """Return the emotion readers that guided a network; for an exported network those of the run whose folder it is in.

    Returns: None if they are unknown, since the exported network is in another folder.
    """
    if run is None:
        folder = path.absolute().parent
        run = RunDir(folder.parent)
        if run.export() != folder or not run.config_file.is_file():
            return None
    return guides_of(run)


def _training_facts(run: RunDir | None) -> dict:
    """Return the config and the provenance of the training, as far as they are known, for provenance.json."""
    if run is None:
        return {}
    settings, training = to_dict(run.config()), run.provenance()
    if source := warm_start_source(run):
        training[WARM_START_KEY] = source
    # Scores may be published, so the paths of private files are removed.
    settings["data"].pop("path")
    for key in ("features", "feature_weights"):
        settings["loss"][key] = Path(settings["loss"][key]).name
    settings["guidance"]["readers"] = [Path(reader).name for reader in settings["guidance"]["readers"]]
    if settings["training"]["init_from"]:
        settings["training"]["init_from"] = Path(settings["training"]["init_from"]).name
    if run.imported():
        # Its training settings are not known.
        settings = {"model": settings["model"]}
    return {
        "config": settings,
        "training": {key: value for key, value in training.items() if key not in ("command", "data")},
    }


def _features(args, loss: LossConfig) -> tuple[str, str] | None:
    """Return name and weights of the feature extractor: that of --features, else that of the run's loss, else None.

    Raises: UserError when its weights are missing.
    """
    if args.features is None and args.feature_weights is not None:
        raise UserError("--feature_weights needs --features; give both", "usage")
    if args.features is None and loss.needs_features:
        features, weights = loss.features, loss.feature_weights
    elif args.features in (None, "off"):
        return None
    else:
        features, weights = args.features, args.feature_weights or "imagenet"
        check_features(features, weights, "--")
    try:
        find_extractor_file(features, weights)
    except UserError as error:
        hint = "" if args.features else ". The run's loss used it; --features off omits feature distances"
        raise UserError(f"{error}{hint}", error.kind) from error
    return features, weights


def _parser() -> CommandParser:
    parser = CommandParser(
        prog="python -m rac_unet.evaluate",
        extras=("train",),
        description="Score a run's best weights and three baselines on one split of a data set.",
        epilog="example: python -m rac_unet.evaluate runs/20260101-120000-rac_unet_16",
    )
    parser.add_argument(
        "run",
        type=Path,
        metavar="RUN",
        help="run directory, SavedModel folder, or .keras, .tflite or .onnx file",
    )
    parser.add_argument("--split", choices=SPLITS, default="test", help="split to score (default: test)")
    parser.add_argument("--data", type=Path, metavar="D", help="pairs data set (default: the run's own)")
    parser.add_argument(
        "--features",
        metavar="NAME",
        help="extractor for feature distances: vgg19, vgg16, a .keras file, or off (default: that of the run's loss)",
    )
    parser.add_argument(
        "--feature_weights",
        metavar="W",
        help="weights of vgg19 and vgg16: imagenet (default), none (random), or a .h5 or .keras file",
    )
    parser.add_argument(
        "--classifier",
        action="append",
        default=[],
        metavar="RUN",
        help="measure emotion accuracy with this run of train_classifier or import_torch as judge; several judges are "
        "separated by commas, or each has its option; compare uses the first. A judge must not have guided the network",
    )
    parser.add_argument(
        "--control",
        action="store_true",
        help="measure control accuracy: inpaint every face with each of the seven labels",
    )
    parser.add_argument(
        "--plausibility",
        action="store_true",
        help="measure the Fréchet distance between real lower faces and those inpainted with each of the seven labels, "
        "in the features of --features or of the run's loss; needs at least 256 masked faces",
    )
    parser.add_argument(
        "--brisque",
        action="store_true",
        help="compute BRISQUE, about 70 ms per face; needs: pip install 'rac_unet[brisque]'",
    )
    parser.add_argument(
        "--output",
        type=Path,
        metavar="DIR",
        help="output folder (default: RUN/eval/<split>; for another data set RUN/eval/<split>-D)",
    )
    parser.add_argument("--batch_size", type=int, default=16, metavar="N", help="batch size (default: 16)")
    return parser


if __name__ == "__main__":
    run_command(main)
