"""Places of pictures in TFRecord files, for a data set of pairs without image files."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Records:
    """Place of each pair's record.

    Attributes:
        files: paths of the F shards.
        sizes: (F,) int64, sizes of the shards in bytes.
        shard: (N,) int64, index of the pair's shard.
        offset, length: (N,) int64, start of the record's content in the shard, and its length, in bytes.
    """

    files: tuple[str, ...]
    sizes: np.ndarray
    shard: np.ndarray
    offset: np.ndarray
    length: np.ndarray

    def take(self, rows: np.ndarray) -> Records:
        """Return the records at these positions."""
        return Records(self.files, self.sizes, self.shard[rows], self.offset[rows], self.length[rows])
