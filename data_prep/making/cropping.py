"""Crop the pictures of a pair to a smaller square, at a smaller size."""

from __future__ import annotations

import os
from dataclasses import dataclass

import cv2
import numpy as np

from rac_unet.core.files.whole import write_file
from rac_unet.data.frames import Frame, frame_pixels
from rac_unet.data.pair_checks import IMAGE_COLUMNS
from rac_unet.pairing.preparing import Made
from rac_unet.photos.png_encoding import encode_png


@dataclass(frozen=True)
class CropMaker:
    """Callable that crops the pictures of a row to the square of `frame`, averaged down to `size` pixels.

    Attributes:
        root: folder of the pairs to crop.
    """

    root: str
    frame: Frame
    size: int

    def __call__(self, row: dict, folder: str, unfinished: str) -> Made:
        read = {name: self._read(row[name], name) for name in IMAGE_COLUMNS if row[name]}
        made = Made(row["key"], [row])
        if "occlusion" in read:
            # A partly hidden pixel counts as hidden, as in `rac_unet.data.pictures`.
            hidden = np.ceil(self._shrink(read["occlusion"].astype(np.float32)) - 1e-3).clip(0, 255)
            cut = {name: self._shrink(read[name]) for name in ("masked", "unmasked")}
            cut["masked"] = np.where(hidden[..., None] > 0, cut["masked"], cut["unmasked"])
            cut["occlusion"] = hidden.astype(np.uint8)
            made.hidden.append(float((hidden > 0).mean()))
        else:
            cut = {"masked": self._shrink(read["masked"])}
        for name, picture in cut.items():
            content = encode_png(picture)
            write_file(os.path.join(folder, row[name]), content, unfinished)
            made.files[row[name]] = len(content)
        return made

    def _read(self, path: str, column: str) -> np.ndarray:
        flags = cv2.IMREAD_GRAYSCALE if column == "occlusion" else cv2.IMREAD_COLOR
        image = cv2.imread(os.path.join(self.root, path), flags)
        return image if column == "occlusion" else cv2.cvtColor(image, cv2.COLOR_BGR2RGB)

    def _shrink(self, image: np.ndarray) -> np.ndarray:
        top, left, side = frame_pixels(self.frame, len(image))
        return cv2.resize(image[top : top + side, left : left + side], (self.size,) * 2, interpolation=cv2.INTER_AREA)
