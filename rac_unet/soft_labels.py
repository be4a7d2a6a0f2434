"""Mix predictions of emotion classifiers into the labels of training pairs: `python -m rac_unet.soft_labels PAIRS`."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

from rac_unet.core.emotions import EMOTIONS
from rac_unet.core.errors import CommandParser, number, run_command
from rac_unet.core.files.whole import write_text

TABLE = "soft.csv"


def main(argv: list[str] | None = None) -> int:
    """Write a second table next to pairs.csv, with distributions as training labels."""
    args = _parser().parse_args(argv)
    from rac_unet.core.provenance import make_provenance
    from rac_unet.data import pairs as table
    from rac_unet.data.records import refuse_records
    from rac_unet.runtime.classifier import classifier_facts, load_classifier
    from rac_unet.scoring.emotions.face_reading import distinct_faces, read_unmasked, training_faces
    from rac_unet.scoring.emotions.judges import judge_paths

    refuse_records(args.pairs)
    pairs = table.read(args.pairs)
    output = table.new_table(pairs.root, args.name, ".json")
    runs = judge_paths([args.classifier])
    classifiers = [load_classifier(path) for path in runs]
    faces = distinct_faces(pairs) if args.all_splits else training_faces(pairs)
    read = dict(zip(faces.frame["unmasked"].astype(str), read_unmasked(classifiers, faces), strict=True))
    rows = [_relabelled(pair, read[pair.unmasked], args.own) if pair.unmasked in read else pair for pair in pairs]
    changed = sum(pair.emotion != before for pair, before in zip(rows, pairs.frame["emotion"], strict=True))
    facts = make_provenance(
        "rac_unet.soft_labels",
        argv,
        data_fingerprint=pairs.fingerprint,
        own=args.own,
        all_splits=args.all_splits,
        classifiers=[classifier_facts(path) for path in runs],
    )
    write_text(output.with_suffix(".json"), json.dumps(facts, indent=2) + "\n")
    table.write(output, rows, weighted=pairs.has_weights, shared=True)
    which = "" if args.all_splits else "training "
    print(f"{len(read):,} unmasked {which}images read; the most probable emotion changed for {changed:,} pairs")
    for i, name in enumerate(EMOTIONS):
        own = sum(pair.emotion == name and pair.split == "train" for pair in rows)
        print(f"  {name:>9} {own:7,} training pairs, highest probability {max(row[i] for row in read.values()):.2f}")
    print(f"wrote {output}")
    return 0


def _relabelled(pair, read, own: float):
    """Return a pair whose label is a mixture of its own and the classifiers' probabilities.

    Args:
        pair: the pair.
        read: (7,) probabilities in the order of `EMOTIONS`.
        own: weight of its own label, 0..1.
    """
    from rac_unet.data.pair_checks import read_shares
    from rac_unet.data.pairs import write_shares

    mine = read_shares(pair.emotion_shares) if pair.emotion_shares else {pair.emotion: 1.0}
    shares = {name: own * mine.get(name, 0.0) + (1 - own) * float(read[i]) for i, name in enumerate(EMOTIONS)}
    # Drop small shares as in the table, so that the strongest emotion agrees with the written shares.
    kept = {name: share for name, share in shares.items() if share >= 0.01}
    total = sum(kept.values())
    kept = {name: share / total for name, share in kept.items()}
    return replace(pair, emotion=max(kept, key=kept.get), emotion_shares=write_shares(kept))


def _parser() -> CommandParser:
    parser = CommandParser(
        prog="python -m rac_unet.soft_labels",
        extras=("train",),
        description="Mix predictions of emotion classifiers into the labels of training pairs. Writes a second table "
        "next to pairs.csv, in which each training pair has a distribution over the emotions; validation and test "
        "pairs keep their labels. Give the path of that table in place of a pairs data set.",
        epilog="example: python -m rac_unet.soft_labels pairs --classifier runs/READER,runs/OTHER --own 0.4",
    )
    parser.add_argument("pairs", type=Path, metavar="PAIRS", help="pairs data set")
    parser.add_argument(
        "--classifier",
        required=True,
        metavar="RUN,RUN,…",
        help="runs of train_classifier, whose probabilities are averaged",
    )
    parser.add_argument(
        "--own",
        type=number(float, 0, 1),
        default=0.4,
        metavar="X",
        help="weight of a pair's own label; the rest is the weight of the classifiers' probabilities (default: 0.4)",
    )
    parser.add_argument(
        "--all_splits",
        action="store_true",
        help="also change the labels of validation and test pairs, for faces without labels of their own (with --own "
        "0); what is scored with them then depends on the classifiers",
    )
    parser.add_argument("--name", default=TABLE, metavar="FILE", help=f"name of the new table (default: {TABLE})")
    return parser


if __name__ == "__main__":
    run_command(main)
