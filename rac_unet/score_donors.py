"""Score donors by another classifier than the readers: `python -m rac_unet.score_donors DONORS --data PAIRS …`."""

from __future__ import annotations

import json
from pathlib import Path

from rac_unet.core.emotions import EMOTIONS
from rac_unet.core.errors import CommandParser, UserError, number, run_command
from rac_unet.core.files.whole import replace_file, write_text
from rac_unet.core.rundir import check_output
from rac_unet.core.text_grid import aligned, markdown

HEAD = ["ground truth", "control accuracy %", *EMOTIONS]
# Faces on the sheet.
SHOWN = 12


def main(argv: list[str] | None = None) -> int:
    """Paste donors behind the masks of a split's faces, have a judge read them; write scores and a sheet."""
    args = _parser().parse_args(argv)
    tries = _tries(args.tries)
    from rac_unet.core.progress import Progress
    from rac_unet.core.provenance import make_provenance
    from rac_unet.data import pairs as table
    from rac_unet.models.backend import import_tensorflow
    from rac_unet.scoring.emotions.judges import check_judges, describe_guides, judge_paths
    from rac_unet.training.guiding.readers import check_readers

    check_output(args.output)
    donors = table.read(args.donors).split("train").with_truth()
    pairs = table.read(args.data)
    runs = judge_paths([args.classifier])
    guides = [{**facts, "path": str(run)} for run, facts in zip(runs, check_readers(list(map(str, runs))), strict=True)]
    judge_facts = check_judges([args.judge], guides)
    import_tensorflow()
    import numpy as np
    import pandas as pd

    from rac_unet.reports.sheets import write_sheet
    from rac_unet.runtime.classifier import load_classifier
    from rac_unet.scoring.emotions.donor_choice import different_people
    from rac_unet.scoring.emotions.donor_control import DonorControl

    candidates, side = pairs.split(args.split).with_truth(), pairs.image_size
    faces = candidates.take(np.sort(different_people(candidates, args.faces)))
    scores = DonorControl(donors, side, [load_classifier(run) for run in runs], load_classifier(args.judge), tries)
    identities = faces.frame["identity"].astype(str).tolist()
    readings, columns = [], {emotion: [] for emotion in EMOTIONS}
    progress = Progress(len(faces), noun="faces")
    for row, emotion, read, composites in scores.score(faces, side, progress.advance):
        found = {"key": str(faces.keys[row]), "identity": identities[row], "requested": emotion}
        readings += [{**found, "tries": count, "read": name} for count, name in zip(tries, read, strict=True)]
        if row < SHOWN:
            columns[emotion].append(composites[-1])
    progress.close()
    readings = pd.DataFrame(readings)
    metrics, rows = _summarise(readings)
    output = args.output
    replace_file(output / "readings.csv", lambda file: readings.to_csv(file, index=False))
    write_text(output / "metrics.json", json.dumps({"n": len(faces), "tries": metrics}, indent=2) + "\n")
    write_text(output / "table.md", markdown(HEAD, rows))
    labels = [str(place + 1) for place in range(min(SHOWN, len(faces)))]
    pictures = {name: np.stack(images) for name, images in columns.items()}
    write_sheet(output / "donors.jpg", pictures, labels, f"{args.split} faces with the best of {tries[-1]} donors")
    facts = make_provenance(
        "rac_unet.score_donors",
        argv,
        split=args.split,
        data_fingerprint=pairs.fingerprint,
        donors_fingerprint=donors.fingerprint,
        readers=[{key: value for key, value in guide.items() if key != "path"} for guide in guides],
        judges=judge_facts,
    )
    write_text(output / "provenance.json", json.dumps(facts, indent=2) + "\n")
    print("\n".join(aligned([HEAD, *rows])))
    print(f"{len(faces):,} faces of different people, {args.split} split")
    for line in describe_guides(judge_facts[0]):
        print(line)
    for name in ("table.md", "metrics.json", "readings.csv", "donors.jpg", "provenance.json"):
        print(f"wrote    {output / name}")
    return 0


def _summarise(readings):
    """Return metrics for each number of tried donors, and rows of the table under `HEAD`."""
    from rac_unet.scoring.statistics import summarise

    metrics, rows = {}, []
    for count, group in readings.groupby("tries"):
        right = group["read"] == group["requested"]
        overall = summarise(right.to_numpy(float), group["identity"].to_numpy())
        by_emotion = right.groupby(group["requested"]).mean()
        metrics[str(count)] = {"control_accuracy": overall.as_dict(), "by_emotion": by_emotion.to_dict()}
        name = "a random donor" if count == 1 else f"the best of {count} donors"
        cell = f"{100 * overall.mean:.1f} [{100 * overall.low:.1f}, {100 * overall.high:.1f}]"
        rows.append([name, cell, *(f"{100 * by_emotion[emotion]:.0f}" for emotion in EMOTIONS)])
    return metrics, rows


def _tries(text: str) -> list[int]:
    try:
        found = sorted({int(word) for word in text.split(",")})
    except ValueError:
        found = [0]
    if found[0] < 1:
        raise UserError(f"--tries: expected numbers of donors, 1 or more, as in 1,8,40. Received: {text!r}", "usage")
    return found


def _parser() -> CommandParser:
    from rac_unet.data.pair_checks import SPLITS

    parser = CommandParser(
        prog="python -m rac_unet.score_donors",
        extras=("train",),
        description="Control accuracy of real lower faces: paste donors behind the masks of faces and have an "
        "independent classifier read the emotion. A network with a far higher control accuracy paints mouths "
        "that are not natural. Writes a table, readings and a sheet.",
        epilog="example: python -m rac_unet.score_donors plain/donors.csv --data pairs --classifier "
        "runs/READER,runs/OTHER --judge runs/JUDGE --output donor_scores",
    )
    parser.add_argument("donors", type=Path, metavar="DONORS", help="table of donors, made by find_donors")
    parser.add_argument("--data", type=Path, required=True, metavar="D", help="pairs whose faces get the donors")
    parser.add_argument(
        "--classifier",
        required=True,
        metavar="RUN,RUN,…",
        help="runs of train_classifier, the readers, which choose the best of several donors for each face",
    )
    parser.add_argument(
        "--judge", type=Path, required=True, metavar="RUN", help="run of train_classifier whose readings are scored"
    )
    parser.add_argument("--split", choices=SPLITS, default="val", help="split of the faces (default: val)")
    parser.add_argument(
        "--faces", type=number(int, 1), default=96, metavar="N", help="faces of different people at most (default: 96)"
    )
    parser.add_argument(
        "--tries",
        default="1,4,48",
        metavar="N,N,…",
        help="how many donors are tried for each face, of which the best by the readers is scored (default: 1,4,48)",
    )
    parser.add_argument("--output", type=Path, required=True, metavar="DIR", help="folder for scores and sheet")
    return parser


if __name__ == "__main__":
    run_command(main)
