"""Find donor faces for guided training: `python -m rac_unet.find_donors PAIRS --classifier RUN,RUN`."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

from rac_unet.core.emotions import EMOTIONS
from rac_unet.core.errors import CommandParser, number, run_command
from rac_unet.core.files.whole import write_text

TABLE = "donors.csv"


def main(argv: list[str] | None = None) -> int:
    """Write a table and a sheet of donors next to pairs.csv."""
    args = _parser().parse_args(argv)
    import numpy as np

    from rac_unet.core.provenance import make_provenance
    from rac_unet.data import pairs as table
    from rac_unet.data.pipeline import unmasked_faces
    from rac_unet.data.records import refuse_records
    from rac_unet.reports.sheets import write_sheet
    from rac_unet.runtime.classifier import classifier_facts, load_classifier
    from rac_unet.scoring.emotions.donor_choice import choose_donors, likely_donors, try_donors, without
    from rac_unet.scoring.emotions.face_reading import read_unmasked, training_faces
    from rac_unet.scoring.emotions.judges import judge_paths

    refuse_records(args.pairs)
    pairs = table.read(args.pairs)
    output = table.new_table(pairs.root, args.name, ".json", ".jpg")
    skipped = [key for key in args.skip.split(",") if key]
    faces = without(training_faces(pairs), pairs, skipped)
    runs = judge_paths([args.classifier])
    classifiers = [load_classifier(path) for path in runs]
    tried = likely_donors(faces, read_unmasked(classifiers, faces), args.tried)
    strengths = try_donors(classifiers, pairs, tried, args.recipients)
    chosen = choose_donors(strengths, tried.frame["identity"].astype(str).tolist(), args.count)
    rows, columns = [], {}
    for emotion, places in zip(EMOTIONS, chosen, strict=True):
        donors = tried.take(np.array(places, int))
        rows += [replace(pair, emotion=emotion, emotion_shares="", weight=1.0) for pair in donors]
        found = strengths[places, EMOTIONS.index(emotion)]
        span = f", probability {100 * found[0]:.0f} to {100 * found[-1]:.0f} %" if places else ""
        print(f"  {emotion:>9} {len(places):4d} donors{span}")
        if places:
            columns[emotion] = np.concatenate(list(unmasked_faces(donors, pairs.image_size)))
    facts = make_provenance(
        "rac_unet.find_donors",
        argv,
        data_fingerprint=pairs.fingerprint,
        skipped=skipped,
        classifiers=[classifier_facts(path) for path in runs],
    )
    sheet, longest = output.with_suffix(".jpg"), max(map(len, chosen))
    numbers = [str(place + 1) for place in range(longest)]
    write_sheet(sheet, columns, numbers, "donors, highest probability first")
    write_text(output.with_suffix(".json"), json.dumps(facts, indent=2) + "\n")
    table.write(output, rows)
    print(f"wrote {output} and {sheet}")
    print(
        "next     look at the sheet: faces with a hand or a microphone in front of the mouth are poor donors; delete "
        "their rows in the table, which has the same order, emotion by emotion, or give their keys with --skip"
    )
    return 0


def _parser() -> CommandParser:
    parser = CommandParser(
        prog="python -m rac_unet.find_donors",
        extras=("train",),
        description="Find training faces whose lower half, pasted behind other people's masks, makes emotion "
        "classifiers read an emotion. Guided training uses them as ground truth of emotions that a photo does not show "
        "(guidance.donor_faces). Writes a table and a sheet of the faces next to pairs.csv.",
        epilog="example: python -m rac_unet.find_donors pairs --classifier runs/READER,runs/OTHER",
    )
    parser.add_argument("pairs", type=Path, metavar="PAIRS", help="pairs data set")
    parser.add_argument(
        "--classifier",
        required=True,
        metavar="RUN,RUN,…",
        help="runs of train_classifier that will guide the training; their probabilities are averaged",
    )
    parser.add_argument(
        "--count",
        type=number(int, 1),
        default=40,
        metavar="N",
        help="largest number of donors for each emotion (default: 40)",
    )
    parser.add_argument(
        "--tried",
        type=number(int, 1),
        default=150,
        metavar="N",
        help="faces tried for each emotion: those with its highest probabilities (default: 150)",
    )
    parser.add_argument(
        "--recipients",
        type=number(int, 1),
        default=16,
        metavar="N",
        help="number of people on whom each face is tried (default: 16)",
    )
    parser.add_argument(
        "--skip", default="", metavar="KEY,KEY,…", help="keys of pairs whose unmasked face must not be a donor"
    )
    parser.add_argument("--name", default=TABLE, metavar="FILE", help=f"name of the table (default: {TABLE})")
    return parser


if __name__ == "__main__":
    run_command(main)
