"""Compare the networks for small and for large faces: `python -m rac_unet.portraits PAIRS --photos D --output D`."""

from __future__ import annotations

import json
from pathlib import Path

from rac_unet.core.errors import CommandParser, UserError, number, run_command
from rac_unet.core.files.whole import write_text
from rac_unet.core.rundir import check_output
from rac_unet.core.text_grid import aligned
from rac_unet.data.pairs import SPLITS

# Pairs on the sheet, and pairs of the series of sizes.
PAIRS_SHOWN, SERIES = 12, 100


def main(argv: list[str] | None = None) -> int:
    """Score both networks on pairs, in a series of sizes and on photos; write tables and sheets."""
    args = _parser().parse_args(argv)
    from rac_unet.core.provenance import make_provenance
    from rac_unet.models.backend import import_tensorflow
    from rac_unet.pairing.opening import read_pairs
    from rac_unet.scoring.emotions.judges import check_judges, describe_guides, judge_paths
    from rac_unet.unmasking.emotion_request import ALL, parse_request

    check_output(args.output)
    features = _features(args)
    judge_runs = judge_paths(args.classifier)
    pairs = read_pairs(args.data)
    small_file, large_file = _files(args)
    guides = _guides([small_file, large_file]) if judge_runs else []
    judges = check_judges(judge_runs, guides or [])
    photos = _photos(args)
    emotion = parse_request(args.emotion, "--emotion")
    if emotion == ALL:
        raise UserError("--emotion all: photos are painted with one emotion; use auto, none, or a name", "usage")
    import_tensorflow()
    from rac_unet.objectives.features import load_extractor
    from rac_unet.reports import portraits as report
    from rac_unet.runtime.classifier import load_classifier
    from rac_unet.scoring.selection import select_pairs

    small, large = _networks(args, small_file, large_file, pairs.image_size)
    scored = select_pairs(pairs, args.split).scored
    extractor = load_extractor(*features, large.image_size) if features else None
    runners = {_name(small): small, _name(large): large}
    scores = _score(args, runners, scored, extractor, [load_classifier(run) for run in judge_runs])
    metrics = report.summarise_pairs(scores, runners, len(judges))
    series = _series(small, large, scored)
    metrics["series"] = json.loads(series.to_json(orient="records"))
    faces, skipped = _paint(args, small_file, large_file, emotion, photos, list(runners)) if photos else (None, [])
    if faces is not None:
        metrics["photos"] = report.summarise_photos(faces, skipped, list(runners))
    rows = report.portrait_table(metrics, len(judges))
    written = report.write_report(args.output, scores, series, faces, metrics, rows, args.shown)
    facts = make_provenance(
        "rac_unet.portraits",
        argv,
        split=args.split,
        data_fingerprint=pairs.fingerprint,
        networks=[Path(runner.name).name for runner in runners.values()],
        judges=judges,
    )
    write_text(args.output / "provenance.json", json.dumps(facts, indent=2) + "\n")
    print("\n".join(aligned(rows)))
    print(f"{len(scores.table):,} pairs of the {args.split} split at {large.image_size} px")
    if faces is not None:
        print(f"{len(faces):,} faces of {args.least_side} px or more on {len(photos):,} photos")
    for name, reason in skipped:
        print(f"skipped  {name}: {reason}")
    if judge_runs and guides is None:
        print("warning  it is not known which readers guided an exported network, so a judge may be one of them")
    for judge in judges:
        for line in describe_guides(judge):
            print(line)
    for name in (*written, "provenance.json"):
        print(f"wrote    {args.output / name}")
    return 0


def _files(args) -> tuple[Path, Path]:
    """Return the paths of both networks; raises UserError when one is missing or is no network by its name."""
    from rac_unet.runtime.published import PUBLISHED_NETWORK, PUBLISHED_PORTRAIT
    from rac_unet.runtime.runners import refuse_unknown

    files = args.small or PUBLISHED_NETWORK, args.large or PUBLISHED_PORTRAIT
    for path, option in zip(files, ("--small", "--large"), strict=True):
        if not path.exists():
            raise UserError(f"{option}: {path} does not exist; give a run directory or an export of one", "missing")
        refuse_unknown(path)
    return files


def _features(args) -> tuple[str, str] | None:
    from rac_unet.core.registry import check_features
    from rac_unet.objectives.extractor_files import find_extractor_file

    if args.features is None:
        if args.feature_weights is not None:
            raise UserError("--feature_weights needs --features; give both", "usage")
        return None
    chosen = args.features, args.feature_weights or "imagenet"
    check_features(*chosen, "--")
    find_extractor_file(*chosen)
    return chosen


def _guides(paths: list[Path]) -> list[dict] | None:
    """Return the emotion readers that guided the networks; None if they are unknown, as for most exported files."""
    from rac_unet.core.rundir import open_run
    from rac_unet.runtime.runners import is_export
    from rac_unet.training.warm_start import guides_of

    if any(is_export(path) for path in paths):
        return None
    return [guide for path in paths for guide in guides_of(open_run(path))]


def _photos(args):
    """Return the list of photos; None if none are given."""
    if not args.photos:
        return None
    from rac_unet.unmasking.inputs import list_photos

    listing = list_photos(args.photos, args.output)
    if listing.missing:
        name, reason = listing.missing[0]
        raise UserError(f"--photos {name}: {reason}; give photos, folders of photos, or patterns", "missing")
    if not listing.photos:
        raise UserError(f"--photos: there are no photos in {', '.join(args.photos)}", "empty")
    return listing.photos


def _networks(args, small_file: Path, large_file: Path, pairs_size: int):
    """Open both networks; raises UserError when their sizes do not fit each other or the pairs."""
    from rac_unet.unmasking.networks import load_mask_aware

    small, large = (load_mask_aware(path, _threads(args, path)) for path in (small_file, large_file))
    if small.image_size >= large.image_size or large.image_size % small.image_size:
        raise UserError(
            f"the image size of the network for large faces should be a multiple of the other's; received "
            f"{small.image_size} px ({small.name}) and {large.image_size} px ({large.name}); give others with "
            "--small and --large",
            "mismatch",
        )
    if pairs_size % large.image_size:
        raise UserError(
            f"{args.data} has pairs of {pairs_size} px, which cannot be averaged down to the {large.image_size} px of "
            f"{large.name}; prepare them with --size {large.image_size}",
            "mismatch",
        )
    return small, large


def _threads(args, *paths: Path) -> int | None:
    """Return the number of threads; None for formats whose threads are those of the whole process."""
    return args.threads if all(path.suffix in (".tflite", ".onnx") for path in paths) else None


def _name(runner) -> str:
    return f"{runner.image_size} px"


def _score(args, runners: dict, scored, extractor, judges: list):
    import numpy as np

    from rac_unet.core.progress import Progress
    from rac_unet.scoring.portraits.pairs import score_pairs

    size = max(runner.image_size for runner in runners.values())
    shown = np.unique(np.linspace(0, len(scored) - 1, min(PAIRS_SHOWN, len(scored))).round().astype(int))
    progress = Progress(len(scored), noun="pairs")
    scores = score_pairs(runners, scored, size, args.batch_size, extractor, judges, shown.tolist(), progress.advance)
    progress.close()
    return scores


def _series(small, large, scored):
    """Return the table of `measure_series` for up to `SERIES` pairs, evenly chosen."""
    import numpy as np

    from rac_unet.data.pictures import Pictures
    from rac_unet.data.pipeline import make_scoring_dataset
    from rac_unet.scoring.portraits.series import SIDES, measure_series

    rows = np.unique(np.linspace(0, len(scored) - 1, min(SERIES, len(scored))).round().astype(int))
    chosen = scored.take(rows)
    pictures = Pictures(chosen, large.image_size)
    ((inputs, targets),) = make_scoring_dataset(chosen, pictures, len(chosen))
    given = inputs["masked_image"].numpy(), inputs["emotion"].numpy(), targets["occlusion"].numpy()
    return measure_series(small, large, *given, SIDES)


def _paint(args, small_file: Path, large_file: Path, emotion: str, photos: list, systems: list[str]):
    from rac_unet.core.progress import Progress
    from rac_unet.scoring.portraits.photos import paint_portraits
    from rac_unet.unmasking.networks import NetworkFiles
    from rac_unet.unmasking.photo import Unmasker

    files = NetworkFiles(small_file), NetworkFiles(small_file, large_file)
    threads = _threads(args, small_file, large_file)
    unmaskers = {name: Unmasker(each, threads) for name, each in zip(systems, files, strict=True)}
    for unmasker in unmaskers.values():
        unmasker.check_request(emotion)
    progress = Progress(len(photos), noun="photos")
    found = paint_portraits(unmaskers, photos, args.least_side, emotion, progress.advance)
    progress.close()
    return found


def _parser() -> CommandParser:
    parser = CommandParser(
        prog="python -m rac_unet.portraits",
        extras=("train",),
        description="Compare the network for small faces with the one for large faces, at the size of the second: "
        "likeness, detail, emotions and time on pairs; the step in look where one takes over from the other; and large "
        "faces of photographs, with sheets at full resolution.",
        epilog="example: python -m rac_unet.portraits pairs256 --photos real_masks --output results/portraits",
    )
    parser.add_argument("data", type=Path, metavar="PAIRS", help="pairs data set of the large network's size")
    parser.add_argument("--output", type=Path, required=True, metavar="D", help="folder for tables and sheets")
    parser.add_argument(
        "--small", type=Path, metavar="MODEL", help="network for small faces (default: the published one)"
    )
    parser.add_argument(
        "--large", type=Path, metavar="MODEL", help="network for large faces (default: the published one)"
    )
    parser.add_argument("--split", choices=SPLITS, default="test", help="split to score (default: test)")
    parser.add_argument(
        "--photos",
        nargs="+",
        default=[],
        metavar="INPUT",
        help="photos of real masks, folders and patterns; without them only pairs are scored",
    )
    parser.add_argument(
        "--least_side",
        type=number(int, 1),
        default=250,
        metavar="PX",
        help="least side of the crop of a face on photos, in photo pixels (default: 250)",
    )
    parser.add_argument(
        "--shown", type=number(int, 0), default=24, metavar="N", help="faces on the sheets, evenly chosen (default: 24)"
    )
    parser.add_argument("--emotion", default="auto", metavar="NAME", help="on photos, as for predict (default: auto)")
    parser.add_argument(
        "--classifier",
        action="append",
        default=[],
        metavar="RUN",
        help="measure emotion and control accuracy on pairs with this emotion classifier as judge; as for evaluate",
    )
    parser.add_argument(
        "--features", metavar="NAME", help="extractor for the feature distance: vgg19, vgg16 or a .keras file"
    )
    parser.add_argument("--feature_weights", metavar="W", help="weights of vgg19 and vgg16; as for evaluate")
    parser.add_argument(
        "--threads",
        type=number(int, 1),
        metavar="N",
        default=1,
        help="threads of .tflite and .onnx networks, in photos and in the measured times (default: 1)",
    )
    parser.add_argument(
        "--batch_size", type=number(int, 1), default=16, metavar="N", help="pairs at a time (default: 16)"
    )
    return parser


if __name__ == "__main__":
    run_command(main)
