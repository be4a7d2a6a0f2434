"""Load the pixels of a source's photo, and the landmarks or box that the source gives."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from data_prep.sources.source import TAKES_LINKS
from rac_unet.photos.listing import LEADS_OUT
from rac_unet.photos.reading import UnreadablePhoto, read_photo

if TYPE_CHECKING:
    import numpy as np

    from data_prep.sources.source import SourcePhoto


@dataclass(frozen=True)
class Loaded:
    """An image with the source's landmarks or box of the face, in its pixels.

    Attributes:
        image: (H, W, 3) uint8 RGB.
        points: (68, 2) iBUG landmarks, or (5, 2): eyes, nose tip, corners of the mouth, image-left first; or None.
        box: box of the face, x0, y0, x1, y1; or None.
    """

    image: np.ndarray
    points: np.ndarray | None = None
    box: tuple[float, float, float, float] | None = None


@dataclass(frozen=True)
class FileLoader:
    """Callable that reads a photo below a folder.

    Args:
        root: the folder.
        follow_links: also read files outside the folder through links. False by default, since a downloaded label
            file could otherwise copy any picture on this computer into a data set.
    """

    root: str
    follow_links: bool = False

    def __call__(self, photo: SourcePhoto) -> Loaded:
        """Load a photo; raises UnreadablePhoto."""
        return Loaded(self.read(photo.path))

    def read(self, path: str) -> np.ndarray:
        full = os.path.join(self.root, path)
        if not self.follow_links:
            root, real = os.path.realpath(self.root), os.path.realpath(full)
            if os.path.commonpath([root, real]) != root:
                raise UnreadablePhoto(f"{LEADS_OUT} {TAKES_LINKS}")
        return read_photo(full)
