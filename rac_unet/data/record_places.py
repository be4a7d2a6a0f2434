"""Where the pictures of a data set of pairs are when they are records of TFRecord files and not files of their own."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Records:
    """Where each pair's record lies.

    Attributes:
        files: paths of the shards.
        sizes: (F,) int64, their sizes in bytes.
        shard: (N,) int64, which file.
        offset, length: (N,) int64, where the record's content begins in it, and its bytes.
    """

    files: tuple[str, ...]
    sizes: np.ndarray
    shard: np.ndarray
    offset: np.ndarray
    length: np.ndarray

    def take(self, rows: np.ndarray) -> Records:
        """The records at these positions."""
        return Records(self.files, self.sizes, self.shard[rows], self.offset[rows], self.length[rows])
