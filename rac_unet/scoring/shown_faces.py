"""Choose the faces that the sheets of `train` and `evaluate` show; the same data set always gives the same faces."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np

from rac_unet.core.emotions import EMOTIONS
from rac_unet.data.pairs import PairSet


def faces_to_show(pairs: PairSet, count: int = 7) -> list[int]:
    """Return row numbers for a sheet: the first face of each emotion that occurs, then more up to `count`.

    Each shows a new person, as long as there is one.
    """
    identities, emotions = (pairs.frame[column].astype(str).to_numpy() for column in ("identity", "emotion"))
    rows: list[int] = []

    def add(candidates: np.ndarray) -> None:
        fresh = candidates[~np.isin(identities[candidates], identities[rows])]
        rows.append(int((fresh if len(fresh) else candidates)[0]))

    for emotion in EMOTIONS:
        candidates = np.flatnonzero(emotions == emotion)
        if len(candidates):
            add(candidates)
    while len(rows) < min(count, len(pairs)):
        add(np.setdiff1d(np.arange(len(pairs)), rows))
    return rows


def evenly_chosen(count: int, wanted: int) -> list[int]:
    """Return up to `wanted` of `count` row numbers, evenly spaced, including the first and the last."""
    return np.unique(np.linspace(0, count - 1, min(wanted, count)).round().astype(int)).tolist()


def faces_to_compare(keys: Sequence[str], count: int) -> list[int]:
    """Return up to `count` row numbers: those whose keys have the smallest hashes.

    They depend on the keys alone, so that evaluations of several systems on the same pairs show the same faces.
    """
    digests = [hashlib.blake2b(key.encode(), digest_size=8).digest() for key in keys]
    return sorted(sorted(range(len(keys)), key=digests.__getitem__)[:count])
