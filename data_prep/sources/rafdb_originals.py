"""Load RAF-DB's original photographs with the annotations of the labelled face."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from data_prep.sources.loading import FileLoader, Loaded
from rac_unet.core.errors import UserError
from rac_unet.core.files.text_files import read_text

if TYPE_CHECKING:
    import numpy as np

    from data_prep.sources.source import SourcePhoto


class OriginalLoader(FileLoader):
    """Callable that reads a photo with its five manual landmarks or, without them, its bounding box."""

    def __call__(self, photo: SourcePhoto) -> Loaded:
        stem = Path(photo.path).stem
        numbers = self._numbers("manual", f"{stem}_manu_attri.txt", 5, 2)
        if numbers is not None:
            # Left and right are the viewer's in some files and the person's in others.
            eyes, mouth = sorted(numbers[:2].tolist()), sorted(numbers[3:].tolist())
            numbers[:2], numbers[3:] = eyes, mouth
        box = self._numbers("boundingbox", f"{stem}_boundingbox.txt", 1, 4)
        return Loaded(self.read(photo.path), numbers, None if box is None else tuple(box[0].tolist()))

    def _numbers(self, kind: str, name: str, rows: int, columns: int) -> np.ndarray | None:
        """Return the first rows of an annotation file; None if it is missing or has other content."""
        import numpy as np

        path = os.path.join(self.root, "Annotation", kind, name)
        try:
            words = read_text(path)[0].replace(",", " ").split()[: rows * columns]
            found = np.array([float(word) for word in words], np.float64)
        except (OSError, ValueError, UserError):
            return None
        whole = len(found) == rows * columns and np.isfinite(found).all()
        return found.reshape(rows, columns) if whole else None
