"""Checks that a judge did not guide the network, and whether it shares training data with a guide.

A network that was guided by emotion readers is fitted to them. A judge that was one of them overestimates its emotion
accuracy; so does, to a lesser degree, a judge that was trained on the same photographs.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rac_unet.core.config import read_yaml
from rac_unet.core.errors import UserError
from rac_unet.core.provenance import WARM_START_KEY
from rac_unet.core.rundir import CLASSIFIER, open_run
from rac_unet.runtime.classifier import classifier_facts, refuse_untrained

if TYPE_CHECKING:
    from rac_unet.data.pairs import PairSet

# Relation of a guide's training data to a judge's: the same set, another with photographs in common, another without,
# or unknown, since a data set was removed and not recorded.
SAME, SHARED, OTHER, UNKNOWN = "same", "shared", "other", "unknown"


def judge_paths(words: Sequence[str]) -> list[Path]:
    """Return run directories from values of --classifier, each one path or several separated by commas.

    Raises: UserError for an empty name.
    """
    paths: list[Path] = []
    for word in words:
        # A folder's name may contain a comma.
        parts = [word] if os.path.exists(word) else [part.strip() for part in word.split(",")]
        if not all(parts):
            raise UserError(f"--classifier: a name between commas is empty. Received: {word!r}", "usage")
        paths += map(Path, parts)
    return paths


def check_judges(paths: Sequence[Path], guides: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Check the judges, and return their facts for metrics.json; does not need TensorFlow.

    Args:
        paths: run directories of the judges.
        guides: emotion readers that guided the network, from `rac_unet.training.warm_start.guides_of`.
    Returns: for each judge `classifier_facts`; if there are guides also `guides`, for each its name, weights_sha256,
        `data` (same, shared, other or unknown), `photographs_in_common` and `photographs` (how many of the judge's
        training photographs the guide was trained on, and their total; None if unknown), and `started_from` (whether
        the judge's training started with the guide's weights).
    Raises: UserError when a judge is not a classifier, is not trained, is given twice, or is a guide.
    """
    judges: list[dict[str, Any]] = []
    for path in paths:
        run = open_run(path, kind=CLASSIFIER)
        refuse_untrained(run, f"--classifier {path}")
        facts = classifier_facts(path)
        if any(facts["weights_sha256"] == before["weights_sha256"] for before in judges):
            raise UserError(f"--classifier: the weights of {path} are given twice; give each judge once", "usage")
        for guide in guides:
            if facts["weights_sha256"] == guide["weights_sha256"]:
                raise UserError(
                    f"--classifier {path} is the emotion reader {guide['name']} that guided this network, so it cannot "
                    "judge it; give a classifier trained on other data",
                    "mismatch",
                )
        if guides:
            facts["guides"] = [_compare_data(run, guide) for guide in guides]
        judges.append(facts)
    return judges


def describe_guides(judge: dict[str, Any]) -> list[str]:
    """Return warnings about a judge, one for each guide that it is not independent of.

    Args:
        judge: facts from `check_judges`.
    """
    lines = []
    for guide in judge.get("guides", []):
        who = f"warning  the judge {judge['name']} and the guide {guide['name']}"
        if guide["started_from"]:
            lines.append(f"{who}: the judge's training started with the guide's weights, so it is not independent")
        elif guide["data"] == SAME:
            lines.append(f"{who} were trained on the same data set, so it may overestimate the accuracy")
        elif guide["data"] == SHARED:
            lines.append(
                f"{who}: {guide['photographs_in_common']:,} of the judge's {guide['photographs']:,} training "
                "photographs were training data of the guide, or show the same people; it may overestimate the accuracy"
            )
        elif guide["data"] == UNKNOWN:
            lines.append(
                f"{who}: it is not known whether they were trained on the same photographs (a data set is missing)"
            )
    return lines


def _compare_data(judge, guide: dict[str, Any]) -> dict[str, Any]:
    """Compare the training data of a judge's run and a guide; return an entry of `guides` of `check_judges`."""
    known = judge.provenance()
    start = (known.get(WARM_START_KEY) or {}).get("weights_sha256")
    found = {
        "name": guide["name"],
        "weights_sha256": guide["weights_sha256"],
        "data": UNKNOWN,
        "photographs_in_common": None,
        "photographs": None,
        "started_from": start is not None and start == guide["weights_sha256"],
    }
    mine, theirs = known.get("data_fingerprint"), guide.get("data_fingerprint")
    if mine and mine == theirs:
        return found | {"data": SAME}
    pairs, others = _training_pairs(judge.path), _training_pairs(guide["path"])
    if pairs is None or others is None:
        return found
    common, count = photographs_in_common(pairs, others)
    return found | {"data": SHARED if common else OTHER, "photographs_in_common": common, "photographs": count}


def photographs_in_common(pairs: PairSet, others: PairSet) -> tuple[int, int]:
    """Count the photographs of one training split that are in another or show its people, and all photographs.

    Data sets that were prepared separately or merged have different files and fingerprints, but the same key, identity
    and source for the same photograph, except for the prefix of a merged set.

    Args:
        pairs, others: training pairs.
    Returns: the number of photographs of `pairs` in common with `others`, and the number of photographs of `pairs`.
    """
    theirs = {name for names in _names(others) for name in names}
    photographs: dict[str, bool] = {}
    for file, names in zip(pairs.frame["unmasked"].astype(str), _names(pairs), strict=True):
        photographs[file] = photographs.get(file, False) or not theirs.isdisjoint(names)
    return sum(photographs.values()), len(photographs)


def _names(pairs: PairSet) -> list[tuple[tuple[str, str, str], ...]]:
    columns = (pairs.frame[column].astype(str) for column in ("source", "key", "identity"))
    return [
        (("key", source, key.rpartition(":")[2]), ("identity", source, identity.rpartition(":")[2]))
        for source, key, identity in zip(*columns, strict=True)
    ]


def _training_pairs(path: str | Path | None) -> PairSet | None:
    """Return the training pairs of a classifier's run; None if they are unknown or missing."""
    if path is None:
        return None
    from rac_unet.pairing.opening import read_pairs

    try:
        values = read_yaml(open_run(path, kind=CLASSIFIER).config_file)
        data = values.get("data")
        return read_pairs(data).split("train").with_truth() if data else None
    except (UserError, OSError):
        return None
