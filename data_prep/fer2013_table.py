"""FER-2013's CSV file: one line holds a label, 2,304 grey values and which of three sets it belongs to."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from data_prep.loading import Loaded
from data_prep.sources import Source
from rac_unet.emotions import parse_source_label
from rac_unet.errors import UserError
from rac_unet.photos.reading import UnreadablePhoto

if TYPE_CHECKING:
    from data_prep.sources import Photo

SIDE = 48
_COLUMNS = ("emotion", "pixels", "usage")
_SPLITS = {"training": "train", "publictest": "val", "privatetest": "test"}


def read_table(path: Path) -> Source:
    """Scan the file once, line by line; the pixels stay on disk, a photo knows the offset of its line.

    Raises: UserError when its first line does not name the columns emotion, pixels and Usage.
    """
    source = Source(f"FER-2013 in {path.name}")
    with open(path, "rb") as file:
        header = _cells(file.readline())
        columns = [name.lower() for name in header]
        if missing := [name for name in _COLUMNS if name not in columns]:
            raise UserError(
                f"{path} lacks the column {' and '.join(missing)}; FER-2013 has emotion, pixels and Usage. "
                f"Found: {', '.join(header[:8])[:200] or 'nothing'}"
            )
        emotion_at, usage_at = columns.index("emotion"), columns.index("usage")
        place = file.tell()
        for number, line in enumerate(file, 2):
            here, place = place, place + len(line)
            cells = _cells(line)
            name = f"line {number}"
            if not line.strip():
                continue
            if len(cells) != len(columns):
                source.reject(name, f"has {len(cells)} cells, {len(columns)} are needed")
                continue
            split = _SPLITS.get(cells[usage_at].lower())
            try:
                emotion = parse_source_label("fer2013", cells[emotion_at])
            except UserError as error:
                source.reject(name, str(error))
                continue
            if split is None:
                source.reject(name, f"unknown Usage {cells[usage_at]!r}")
                continue
            source.add(name, emotion, split, key=f"fer2013-{number:05d}", place=here)
    return source


@dataclass(frozen=True)
class TableLoader:
    """Read a photo's pixels from its line of the file."""

    path: str

    def __call__(self, photo: Photo) -> Loaded:
        """Raises: UnreadablePhoto when the line does not hold 48 x 48 values 0..255."""
        import numpy as np

        with open(self.path, "rb") as file:
            file.seek(photo.place)
            line = file.readline()
        words = max(_cells(line), key=len).split()
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


def _cells(line: bytes) -> list[str]:
    """No cell of this file holds a comma, so plain splitting will do, in a tenth of a CSV reader's time."""
    return [cell.strip().strip('"').strip() for cell in line.decode("utf-8-sig", "replace").split(",")]
