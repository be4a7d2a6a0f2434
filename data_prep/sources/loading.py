"""From a photo of a source to its pixels, and to what the source already knows of the face's place."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from data_prep.sources.source import TAKES_LINKS
from rac_unet.photos.listing import LEADS_OUT
from rac_unet.photos.reading import UnreadablePhoto, read_photo

if TYPE_CHECKING:
    import numpy as np

    from data_prep.sources.source import Photo


@dataclass(frozen=True)
class Loaded:
    """An image and hints where the face is, in its pixels.

    Attributes:
        image: (H, W, 3) uint8 RGB.
        points: (68, 2) iBUG landmarks, or (5, 2): eyes, nose tip, corners of the mouth, image-left first; or None.
        box: x0, y0, x1, y1 of the face; or None.
    """

    image: np.ndarray
    points: np.ndarray | None = None
    box: tuple[float, float, float, float] | None = None


@dataclass(frozen=True)
class FileLoader:
    """Read a photo below a folder.

    Args:
        root: the folder.
        follow_links: also where a link leads out of it. Off, since a label file from elsewhere could otherwise have
            any picture of this computer copied into a data set.
    """

    root: str
    follow_links: bool = False

    def __call__(self, photo: Photo) -> Loaded:
        """Raises: UnreadablePhoto."""
        return Loaded(self.read(photo.path))

    def read(self, path: str) -> np.ndarray:
        full = os.path.join(self.root, path)
        if not self.follow_links:
            root, real = os.path.realpath(self.root), os.path.realpath(full)
            if os.path.commonpath([root, real]) != root:
                raise UnreadablePhoto(f"{LEADS_OUT} {TAKES_LINKS}")
        return read_photo(full)
