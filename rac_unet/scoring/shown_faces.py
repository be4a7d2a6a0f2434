"""Which faces of a data set a sheet shows; always the same ones."""

from __future__ import annotations

import numpy as np

from rac_unet.core.emotions import EMOTIONS
from rac_unet.data.pairs import PairSet


def faces_to_show(pairs: PairSet, count: int = 7) -> list[int]:
    """Row numbers for a sheet, always the same: the first face of each emotion there is, then more up to `count`.

    Each shows a person not shown yet, as long as there is one.
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
    """Up to `wanted` of `count` row numbers at even distances, the first and the last among them; always the same."""
    return np.unique(np.linspace(0, count - 1, min(wanted, count)).round().astype(int)).tolist()
