"""Score a trained run, or what was exported of one: `python -m rac_unet.evaluate RUN [--split test]`."""

from __future__ import annotations

import json
from pathlib import Path

from rac_unet.core.config import LossConfig, to_dict
from rac_unet.core.errors import CommandParser, UserError, run_command
from rac_unet.core.files.whole import replace_file, write_text
from rac_unet.core.registry import check_features
from rac_unet.core.rundir import RunDir, check_output, open_run
from rac_unet.data.pairs import SPLITS
from rac_unet.models.backend import import_tensorflow
from rac_unet.objectives.extractor_files import find_extractor_file
from rac_unet.reports.tables import describe_pictures, reading_table, score_table
from rac_unet.runtime.classifier import load_classifier
from rac_unet.runtime.runners import is_export, refuse_unknown
from rac_unet.scoring.brisque import require_brisque
from rac_unet.scoring.emotions.judges import check_judges, describe_guides, judge_paths
from rac_unet.training.warm_start import WARM_START_KEY, guides_of, warm_start_source


def main(argv: list[str] | None = None) -> int:
    """Score, write the evaluation folder, print the table."""
    args = _parser().parse_args(argv)
    if args.batch_size < 1:
        raise UserError(f"--batch_size: expected 1 or more. Received: {args.batch_size}", "bad_value")
    if args.control and not args.classifier:
        raise UserError(
            "--control needs a classifier that reads what was painted; give its run with --classifier", "usage"
        )
    refuse_unknown(args.run)
    # Of an exported network nothing is known but what it computes.
    run = None if is_export(args.run) else open_run(args.run)
    # What is wrong with a judge is said before anything is painted.
    judge_runs = judge_paths(args.classifier)
    guides = _guides(args.run, run) if judge_runs else []
    judges = check_judges(judge_runs, guides or [])
    if not args.data and (run is None or run.imported() and not run.config().data.path):
        kind = "is an exported network" if run is None else "was imported"
        raise UserError(
            f"{args.run} {kind} and names no data set; give the pairs to score it on with --data D", "usage"
        )
    if args.output:
        check_output(args.output)
    features = _features(args, run.config().loss if run else LossConfig())
    if args.plausibility and not features:
        raise UserError(
            "--plausibility looks through a feature extractor, and the run's loss has none; name one with --features",
            "usage",
        )
    if args.brisque:
        require_brisque()
    from rac_unet.pairing.opening import open_pairs, read_pairs

    pairs = read_pairs(args.data) if args.data else open_pairs(run.config())
    folder, name = args.output or _default_folder(args, run, pairs), args.run.resolve().name
    check_output(folder)
    import_tensorflow()
    from rac_unet.core.progress import Progress
    from rac_unet.core.provenance import device_name, make_provenance, processor_name
    from rac_unet.objectives.features import load_extractor
    from rac_unet.reports.comparison.systems import FACES_FILE, write_faces
    from rac_unet.reports.sheets import write_sheet
    from rac_unet.runtime.runners import load_runner
    from rac_unet.scoring.emotions.control import ControlScores, describe_control, refuse_unlabelled
    from rac_unet.scoring.emotions.plausibility import (
        LowerFaces,
        check_enough,
        describe_plausibility,
        lower_face_features,
    )
    from rac_unet.scoring.emotions.requests import paint_requests
    from rac_unet.scoring.evaluation import evaluate, judge_column, summarise_reading, summarise_scores
    from rac_unet.scoring.prediction_time import describe_cost, prediction_time
    from rac_unet.scoring.selection import scored_pairs
    from rac_unet.scoring.unscored import (
        claims_on_bare_faces,
        describe_bare_faces,
        paint_without_truth,
        read_without_truth,
    )

    if not args.data and run.provenance().get("data_fingerprint") not in (None, pairs.fingerprint):
        print(f"note: {pairs.root} has changed since this run was trained on it; the splits may have mixed")
    scored, bare = scored_pairs(pairs, args.split)
    if args.plausibility:
        check_enough(scored)
    runner = load_runner(args.run)
    extractor = load_extractor(*features, runner.image_size) if features else None
    classifiers = [load_classifier(path) for path in judge_runs]
    if args.control:
        refuse_unlabelled(runner)
    progress = Progress(len(scored), noun="pictures")
    result = evaluate(runner, pairs, scored, args.batch_size, progress.advance, extractor, classifiers, args.brisque)
    progress.close()

    trained_styles = set(pairs.split("train").frame["mask_style"].astype(str))
    metrics = summarise_scores(result.scores, runner.image_size, extractor and extractor.facts(), trained_styles)
    sections: list[dict] = [{} for _ in judges]
    worn = read_without_truth(runner, pairs, args.split, classifiers, args.batch_size)
    for number, (section, facts, read) in enumerate(zip(sections, judges, worn, strict=True)):
        section["emotion"] = {"classifier": facts, **summarise_reading(result.scores, number)}
        if read:
            section["emotion"]["real_masks"] = read
    identities = scored.frame["identity"].astype(str).to_numpy()
    obeyed = ControlScores(classifiers, identities) if args.control else None
    lower_faces = LowerFaces(lower_face_features(extractor), identities) if args.plausibility else None
    if watching := [each for each in (obeyed, lower_faces) if each]:
        progress = Progress(len(scored), noun="pictures" + ", each with seven labels" * runner.conditioned)
        for request in paint_requests(runner, scored, args.batch_size, progress.advance):
            for each in watching:
                each.add(request)
        progress.close()
    if obeyed:
        for number, (section, found) in enumerate(zip(sections, obeyed.results(), strict=True)):
            section["control"], result.scores[judge_column("network", "obeyed", number)] = found
    # The first judge is the one that systems are compared by.
    metrics |= sections[0] if sections else {}
    if sections[1:]:
        metrics["other_judges"] = sections[1:]
    if lower_faces:
        metrics["plausibility"] = lower_faces.result()
    if bare_faces := claims_on_bare_faces(runner, bare, args.batch_size):
        metrics["bare_faces"] = bare_faces
    metrics["faces"] = result.scores["key"].iloc[result.compared_rows].tolist()
    flops = runner.flops()
    metrics["cost"] = {
        "parameters": runner.parameters,
        "megabytes": runner.megabytes,
        "gflop_per_picture": None if flops is None else flops / 1e9,
        "milliseconds_per_picture": prediction_time(runner, args.batch_size),
        # What is no TensorFlow network runs on the processor, whatever else there is.
        "device": processor_name() if flops is None else device_name(),
    }
    facts = {"run": name, "split": args.split, "data_fingerprint": pairs.fingerprint, "device": device_name()}
    replace_file(folder / "scores.csv", lambda file: result.scores.to_csv(file, index=False, float_format="%.6g"))
    write_text(folder / "metrics.json", json.dumps(metrics, indent=2) + "\n")
    training = _training_facts(run)
    provenance = make_provenance("rac_unet.evaluate", argv, **facts, **training)
    write_text(folder / "provenance.json", json.dumps(provenance, indent=2) + "\n")
    if run and run.history_file.is_file():
        write_text(folder / "history.csv", run.history_file.read_text(encoding="utf-8"))
    else:
        # An imported or exported network has none, and another run's must not stay beside these scores.
        (folder / "history.csv").unlink(missing_ok=True)
    write_faces(folder / FACES_FILE, result.compared)
    _write_pictures(folder, runner, result, f"{name}, {args.split} split")
    unscored, columns, emotions = paint_without_truth(runner, pairs, args.split)
    if unscored:
        write_sheet(folder / "real_masks.png", columns, emotions, f"{name}: real masks, no truth")
    else:
        # Another data set's must not stay beside these scores.
        (folder / "real_masks.png").unlink(missing_ok=True)
    print(score_table(metrics))
    if guides is None:
        print(f"note: {name} is outside its run's folder, so whether a judge has guided it is not known")
    for section in sections:
        print(reading_table(section["emotion"]))
        if args.control:
            print(describe_control(section["control"]))
        for line in describe_guides(section["emotion"]["classifier"]):
            print(line)
    if lower_faces:
        print(describe_plausibility(metrics["plausibility"]))
    print(describe_cost(metrics["cost"]))
    if run and run.history():
        print(describe_pictures(run.history()[-1]["images"], training["training"].get(WARM_START_KEY)))
    if bare_faces:
        print(describe_bare_faces(bare_faces))
    if unscored:
        print(f"{unscored:,} pictures of masks really worn have no truth and are not in these figures")
    pictures = ["emotions.jpg"] * runner.conditioned + ["real_masks.png"] * (unscored > 0) + ["samples.png"]
    for name in ("scores.csv", "metrics.json", FACES_FILE, *pictures):
        print(f"wrote    {folder / name}")
    return 0


def _default_folder(args, run: RunDir | None, pairs) -> Path:
    """Where scores go: each data set has its own folder, and RUN/eval/<split> is for the run's own.

    Raises: UserError when that folder holds the scores on another data set.
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
            f"{folder} holds the scores on another data set than {args.data}, which would be lost; give another folder "
            "with --output, or remove that one",
            "exists",
        )
    return folder


def _guides(path: Path, run: RunDir | None) -> list[dict] | None:
    """The emotion readers that guided a network; of an exported one those of the run whose folder it is in.

    Returns: None for an exported network elsewhere, of which nothing is known.
    """
    if run is None:
        folder = path.absolute().parent
        run = RunDir(folder.parent)
        if run.export() != folder or not run.config_file.is_file():
            return None
    return guides_of(run)


def _training_facts(run: RunDir | None) -> dict:
    """How the network was trained, as far as it is known here, for provenance.json."""
    if run is None:
        return {}
    settings, training = to_dict(run.config()), run.provenance()
    if source := warm_start_source(run):
        training[WARM_START_KEY] = source
    # The figures may be published; where somebody keeps their photos is nobody's business.
    settings["data"].pop("path")
    for key in ("features", "feature_weights"):
        settings["loss"][key] = Path(settings["loss"][key]).name
    settings["guidance"]["readers"] = [Path(reader).name for reader in settings["guidance"]["readers"]]
    if settings["training"]["init_from"]:
        settings["training"]["init_from"] = Path(settings["training"]["init_from"]).name
    if run.imported():
        # How it was trained is not known here.
        settings = {"model": settings["model"]}
    return {
        "config": settings,
        "training": {key: value for key, value in training.items() if key not in ("command", "data")},
    }


def _features(args, loss: LossConfig) -> tuple[str, str] | None:
    """Which extractor to measure with: the one asked for, else the one the run's loss used, else none.

    Raises: UserError when its weights cannot be had, before anything slow is done.
    """
    if args.features is None and args.feature_weights is not None:
        raise UserError("--feature_weights goes with --features", "usage")
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
        hint = "" if args.features else ". The run's loss used it; --features off scores without feature distances"
        raise UserError(f"{error}{hint}", error.kind) from error
    return features, weights


def _write_pictures(folder: Path, runner, result, title: str) -> None:
    from rac_unet.reports.sheets import write_sheet
    from rac_unet.scoring.metrics import compose
    from rac_unet.scoring.unscored import paint_all_emotions

    shown = result.shown
    emotions = result.scores["emotion"].iloc[result.shown_rows].tolist()
    columns = {
        "masked": shown["masked"],
        "painted": shown["network"],
        "pasted": compose(shown["masked"], shown["network"], shown["occlusion"]),
        "Telea": shown["telea"],
        "truth": shown["truth"],
    }
    write_sheet(folder / "samples.png", columns, emotions, title)
    # Another network's, or one that an older version wrote, must not stay beside these.
    for stale in ("emotions.png", "emotions.jpg"):
        (folder / stale).unlink(missing_ok=True)
    if runner.conditioned:
        # The same faces asked for every emotion; composites, so that only what the mask hid can differ.
        faces = result.spread
        own = result.scores["emotion"].iloc[result.spread_rows]
        asked = {
            name: compose(faces["masked"], image, faces["occlusion"])
            for name, image in paint_all_emotions(runner, faces["masked"]).items()
        }
        columns = {"masked": faces["masked"], "ground truth": faces["truth"], **asked}
        write_sheet(folder / "emotions.jpg", columns, [f"is {name}" for name in own], f"{title}: asked for …")


def _parser() -> CommandParser:
    parser = CommandParser(
        prog="python -m rac_unet.evaluate",
        description="Score a run's best weights on one split, next to three baselines on the same pictures.",
        epilog="example: python -m rac_unet.evaluate runs/20260101-120000-rac_unet_16",
    )
    parser.add_argument(
        "run",
        type=Path,
        metavar="RUN",
        help="run directory as train named it, SavedModel folder, or .keras, .tflite or .onnx file",
    )
    parser.add_argument("--split", choices=SPLITS, default="test", help="which pairs to score (default: test)")
    parser.add_argument("--data", type=Path, metavar="D", help="another pairs data set than the run's own")
    parser.add_argument(
        "--features",
        metavar="NAME",
        help="measure feature distances: vgg19, vgg16, a .keras file, or off (default: as the run's loss, if it does)",
    )
    parser.add_argument(
        "--feature_weights",
        metavar="W",
        help="of vgg19 and vgg16: imagenet (default), none (random), or a .h5, .keras file",
    )
    parser.add_argument(
        "--classifier",
        action="append",
        default=[],
        metavar="RUN",
        help="read emotions with this run of train_classifier (or import_torch); several, separated by commas or each "
        "with its option: systems are compared by the first. None may have guided the network",
    )
    parser.add_argument(
        "--control",
        action="store_true",
        help="paint every face with each of the seven labels and read what comes of it",
    )
    parser.add_argument(
        "--plausibility",
        action="store_true",
        help="how far lower faces painted with each of the seven labels are from real ones: Fréchet distance of "
        "features (--features, or those of the run's loss); takes 256 masked faces or more",
    )
    parser.add_argument(
        "--brisque",
        action="store_true",
        help="also BRISQUE, some 10 ms for each of seven pictures a face; needs: pip install 'rac_unet[brisque]'",
    )
    parser.add_argument(
        "--output",
        type=Path,
        metavar="DIR",
        help="where to write (default: RUN/eval/<split>; with another data set RUN/eval/<split>-D)",
    )
    parser.add_argument("--batch_size", type=int, default=16, metavar="N", help="pictures at a time (default: 16)")
    return parser


if __name__ == "__main__":
    run_command(main)
