"""Find donor faces, whose lower half shows an emotion on other people too: `python -m rac_unet.find_donors PAIRS`."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path

from rac_unet.core.emotions import EMOTIONS
from rac_unet.core.errors import CommandParser, UserError, number, run_command
from rac_unet.core.files.whole import write_text

TABLE = "donors.csv"


def main(argv: list[str] | None = None) -> int:
    """Write a table of donors and a sheet of them next to pairs.csv."""
    args = _parser().parse_args(argv)
    from rac_unet.core.provenance import make_provenance
    from rac_unet.data import pairs as table
    from rac_unet.data.records import refuse_records
    from rac_unet.reports.sheets import write_sheet
    from rac_unet.runtime.classifier import classifier_facts, load_classifier
    from rac_unet.scoring.emotions.donors import choose, read_faces, training_faces, try_donors
    from rac_unet.scoring.emotions.judges import judge_paths

    refuse_records(args.pairs)
    pairs = table.read(args.pairs)
    output = pairs.root / args.name
    if args.name != os.path.basename(args.name) or output.suffix != ".csv":
        raise UserError(f"--name {args.name}: expected the name of a .csv file, without a folder", "usage")
    provenance, sheet = output.with_suffix(".json"), output.with_suffix(".jpg")
    for file in (output, provenance, sheet):
        if file.exists():
            raise UserError(f"{file} is there already; delete it, or give another --name", "exists")
    skipped = [key for key in args.skip.split(",") if key]
    runs = judge_paths([args.classifier])
    classifiers = [load_classifier(path) for path in runs]
    faces = training_faces(pairs, skipped)
    read = read_faces(classifiers, faces)
    tried, strengths = try_donors(classifiers, pairs, faces, read, args.tried, args.recipients)
    chosen = choose(strengths, tried.frame["identity"].astype(str).tolist(), args.count)
    rows, places = [], []
    given = list(tried)
    for emotion, positions in zip(EMOTIONS, chosen, strict=True):
        rows += [replace(given[place], emotion=emotion, emotion_shares="", weight=1.0) for place in positions]
        places += positions
        found = strengths[positions, EMOTIONS.index(emotion)]
        span = f"read in {100 * found[0]:.0f} to {100 * found[-1]:.0f} %" if len(found) else "none"
        print(f"  {emotion:>9} {len(positions):4d} donors, {span}")
    facts = make_provenance(
        "rac_unet.find_donors", argv, data_fingerprint=pairs.fingerprint, skipped=skipped,
        classifiers=[classifier_facts(path) for path in runs],
    )  # fmt: skip
    images = _images(tried.take(places))
    columns = {name: images[[min(i, len(p) - 1) + start for i in range(args.count)]]
               for name, p, start in _starts(chosen) if p}  # fmt: skip
    write_sheet(sheet, columns, [str(i + 1) for i in range(args.count)], "donors, the strongest first")
    write_text(provenance, json.dumps(facts, indent=2) + "\n")
    table.write(output, rows)
    print(f"wrote {output} and {sheet}")
    print("next     look at the sheet; where a hand or a microphone hides a mouth, name its key with --skip")
    return 0


def _starts(chosen):
    start = 0
    for name, positions in zip(EMOTIONS, chosen, strict=True):
        yield name, positions, start
        start += len(positions)


def _images(pairs):
    import numpy as np

    from rac_unet.data.pictures import Pictures
    from rac_unet.data.pipeline import make_scoring_dataset

    batches = make_scoring_dataset(pairs, Pictures(pairs, pairs.image_size), 64)
    return np.concatenate([targets["unmasked_image"].numpy() for _, targets in batches])


def _parser() -> CommandParser:
    parser = CommandParser(
        prog="python -m rac_unet.find_donors",
        description="Find training faces whose lower half, pasted behind other people's masks, makes emotion "
        "classifiers read an emotion. Guided training takes them as the ground truth of emotions that a picture does "
        "not show (guidance.donor_faces). Writes a table and a sheet of pictures next to pairs.csv.",
        epilog="example: python -m rac_unet.find_donors pairs --classifier runs/READER,runs/OTHER",
    )
    parser.add_argument("pairs", type=Path, metavar="PAIRS", help="data set of pairs")
    parser.add_argument(
        "--classifier", required=True, metavar="RUN,RUN,…",
        help="runs of train_classifier, the readers that will guide, whose probabilities are averaged",
    )  # fmt: skip
    parser.add_argument(
        "--count", type=number(int, 1), default=40, metavar="N", help="donors of each emotion at most (default: 40)"
    )
    parser.add_argument(
        "--tried", type=number(int, 1), default=150, metavar="N",
        help="faces tried for each emotion: those in which the classifiers see it most (default: 150)",
    )  # fmt: skip
    parser.add_argument(
        "--recipients", type=number(int, 1), default=16, metavar="N", help="people each is tried on (default: 16)"
    )
    parser.add_argument(
        "--skip", default="", metavar="KEY,KEY,…", help="keys of pairs whose unmasked face is not to be a donor"
    )
    parser.add_argument("--name", default=TABLE, metavar="FILE", help=f"name of the table (default: {TABLE})")
    return parser


if __name__ == "__main__":
    run_command(main)
