"""Read FER-2013's CSV file, with a label, 2,304 grey values and the name of one of three sets per line."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from data_prep.sources.loading import Loaded
from data_prep.sources.numbering import choose_numbering, read_label
from data_prep.sources.source import Source, label_column
from rac_unet.core.errors import UserError
from rac_unet.core.files.text_tables import Column, Table, open_table
from rac_unet.photos.reading import UnreadablePhoto

if TYPE_CHECKING:
    from data_prep.sources.source import SourcePhoto

SIDE = 48
_COLUMNS = (label_column("emotion"), Column("pixels"), Column("Usage", ("split", "set")))
_SPLITS = {"training": "train", "publictest": "val", "privatetest": "test"}


def read_table(path: Path, numbering: str | None = None) -> Source:
    """Read all labels; the pixels stay on disk, and each photo has the offset of its line.

    Raises: UserError when the first line lacks one of the columns emotion, pixels and Usage.
    """
    source, table = Source(f"FER-2013 in {path.name}"), _open(os.fspath(path))
    source.remarks += [table.encoding.note] * bool(table.encoding.note)
    rows: list[tuple[int, int, str, str]] = []
    for number, place, cells in table.rows():
        if len(cells) != len(table.header):
            source.reject(f"line {number}", f"has {len(cells)} cells, {len(table.header)} are needed")
        else:
            rows.append((number, place, table.cell(cells, "emotion"), table.cell(cells, "Usage")))
    numbers = choose_numbering((label for _, _, label, _ in rows), ("fer2013",), numbering, str(path))
    for number, place, label, usage in rows:
        name, split = f"line {number}", _SPLITS.get(usage.lower())
        try:
            emotion = read_label(label, numbers)
        except UserError as error:
            source.reject(name, str(error))
            continue
        if split is None:
            source.reject(name, f"unknown Usage {usage!r}")
            continue
        source.add(name, emotion, split, key=f"fer2013-{number:05d}", place=place)
    return source


@lru_cache(maxsize=4)
def _open(path: str) -> Table:
    return open_table(path, _COLUMNS)


@dataclass(frozen=True)
class PixelTableLoader:
    """Read a photo's pixels from its line of the file."""

    path: str

    def __call__(self, photo: SourcePhoto) -> Loaded:
        """Load a photo; raises UnreadablePhoto when the line does not contain 48 x 48 values 0..255."""
        import numpy as np

        table = _open(self.path)
        words = table.cell(table.row_at(photo.place), "pixels").split()
        if len(words) != SIDE * SIDE:
            raise UnreadablePhoto(f"holds {len(words)} grey values, {SIDE * SIDE} are needed")
        try:
            values = np.array([int(word) for word in words])
        except ValueError:
            raise UnreadablePhoto("its grey values are not whole numbers") from None
        if values.min() < 0 or values.max() > 255:
            raise UnreadablePhoto("its grey values go beyond 0..255")
        grey = values.astype(np.uint8).reshape(SIDE, SIDE)
        return Loaded(np.repeat(grey[..., None], 3, axis=2))
