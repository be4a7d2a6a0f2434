"""Checks that a judge did not guide the network, and whether it shares training data with a guide.

A network that was guided by emotion readers has learned to please them. Judged by one of them it looks better than it
is, and so it does, if less, when the judge learned from the same photographs.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rac_unet.core.config import read_yaml
from rac_unet.core.errors import UserError
from rac_unet.core.rundir import CLASSIFIER, open_run
from rac_unet.runtime.classifier import classifier_facts, refuse_untrained

if TYPE_CHECKING:
    from rac_unet.data.pairs import PairSet

# What a guide's training data are to a judge: the same set, another that shares photographs, none in common, or one of
# the two is gone and was not recorded.
SAME, SHARED, OTHER, UNKNOWN = "same", "shared", "other", "unknown"


def judge_paths(words: Sequence[str]) -> list[Path]:
    """Run directories from values of --classifier, each one path or several separated by commas."""
    paths: list[Path] = []
    for word in words:
        # A folder's name may hold a comma.
        parts = [word] if os.path.exists(word) else [part.strip() for part in word.split(",")]
        if not all(parts):
            raise UserError(f"--classifier: a name between commas is empty. Received: {word!r}", "usage")
        paths += map(Path, parts)
    return paths


def check_judges(paths: Sequence[Path], guides: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Facts of the judges for metrics.json; does without TensorFlow.

    Args:
        guides: emotion readers that guided the network, as `rac_unet.training.warm_start.guides_of` gives them.
    Returns: for each judge `classifier_facts`; where there are guides also `guides`, for each its name, weights_sha256,
        `data` (same, shared, other or unknown), `photographs_in_common` and `photographs` (how many of the judge's
        training photographs the guide was trained on, and how many it has; None where not known), and
        `started_from` (whether the judge's training started with the guide's weights).
    Raises: UserError when one is no classifier, cannot read emotions yet, is named twice, or is a guide.
    """
    judges: list[dict[str, Any]] = []
    for path in paths:
        run = open_run(path, kind=CLASSIFIER)
        refuse_untrained(run, f"--classifier {path}")
        facts = classifier_facts(path)
        if any(facts["weights_sha256"] == before["weights_sha256"] for before in judges):
            raise UserError(f"--classifier: the weights of {path} are given twice; name each judge once", "usage")
        for guide in guides:
            if facts["weights_sha256"] == guide["weights_sha256"]:
                raise UserError(
                    f"--classifier {path} is the emotion reader {guide['name']} that guided this network, which has "
                    "learned to please it; judge with a classifier trained on other data",
                    "mismatch",
                )
        if guides:
            facts["guides"] = [_compare_data(run, guide) for guide in guides]
        judges.append(facts)
    return judges


def describe_guides(judge: dict[str, Any]) -> list[str]:
    """Warnings about a judge, one for each guide whose training data it shares; empty when it is independent.

    Args:
        judge: of `check_judges`.
    """
    lines = []
    for guide in judge.get("guides", []):
        who = f"warning  the judge {judge['name']} and the guide {guide['name']}"
        if guide["started_from"]:
            lines.append(f"{who}: the judge's training started with the guide's weights, so it is not independent")
        elif guide["data"] == SAME:
            lines.append(f"{who} were trained on the same data set, so its figures may flatter the network")
        elif guide["data"] == SHARED:
            lines.append(
                f"{who}: {guide['photographs_in_common']:,} of the judge's {guide['photographs']:,} training "
                "photographs also trained the guide, or show the same people; its figures may flatter the network"
            )
        elif guide["data"] == UNKNOWN:
            lines.append(f"{who}: whether they were trained on the same photographs is not known (a data set is gone)")
    return lines


def _compare_data(judge, guide: dict[str, Any]) -> dict[str, Any]:
    """One guide against a judge's run directory, as an entry of `guides` of `check_judges`."""
    known = judge.provenance()
    start = (known.get("begun_from") or {}).get("weights_sha256")
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
    """How many photographs of one training split are in another, or show people of it; and how many it has.

    Sets that were prepared apart or merged have other files and fingerprints, but name the same photographs and people
    (key and identity, without the prefix of a merged set) of the same source.
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
    """The photographs that a classifier's run was trained on; None where they are not known or no longer there."""
    if path is None:
        return None
    from rac_unet.pairing.opening import read_pairs

    try:
        values = read_yaml(open_run(path, kind=CLASSIFIER).config_file)
        data = values.get("data")
        return read_pairs(data).split("train").with_truth() if data else None
    except (UserError, OSError):
        return None
