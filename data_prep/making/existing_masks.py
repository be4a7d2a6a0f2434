"""Make pairs from images with existing masks; the occlusion is computed from the difference to the unmasked image.

The two files were compressed separately, so they differ a little everywhere. Pixels that differ by more than that
are hidden; this area is closed, filled and dilated by a pixel or two. Everywhere else the pixels of the unmasked image
are copied into the masked one, so that both are equal bit for bit where nothing is hidden.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from data_prep.making.photo_maker import whole_frame
from data_prep.sources.loading import FileLoader
from data_prep.sources.source import SourcePhoto
from rac_unet.pairing.preparing import ImageWriter, Made
from rac_unet.photos.reading import UnreadablePhoto

# A mask hides about a third of a face; less than the first is a blemish, more than the second another photograph.
MIN_HIDDEN, MAX_HIDDEN = 0.03, 0.85
IMPOSED = "imposed"


@dataclass(frozen=True)
class ExistingMaskMaker:
    """Callable for `rac_unet.pairing.preparing.prepare` that makes the pair of a photo with a masked version.

    Args:
        load: reads files below the source's folder.
        size: side of the crops; both images keep their framing.
        source: value of the column source.
    """

    load: FileLoader
    size: int
    source: str

    def __call__(self, photo: SourcePhoto, folder: str, unfinished: str) -> Made:
        try:
            unmasked = self.load.read(photo.path)
        except UnreadablePhoto as error:
            return Made(photo.path, skipped=str(error))
        try:
            masked = self.load.read(photo.masked)
        except UnreadablePhoto as error:
            return Made(photo.path, skipped=f"its masked image: {error}")
        if masked.shape != unmasked.shape:
            sizes = [f"{image.shape[1]} x {image.shape[0]}" for image in (masked, unmasked)]
            return Made(photo.path, skipped=f"its masked image is {sizes[0]} pixels, itself {sizes[1]}")
        no_points = np.zeros((0, 2), np.float32)
        unmasked, _ = whole_frame(unmasked, no_points, self.size)
        masked, _ = whole_frame(masked, no_points, self.size)
        occlusion = find_imposed_mask(unmasked, masked)
        hidden = float((occlusion > 0).mean())
        if not MIN_HIDDEN <= hidden <= MAX_HIDDEN:
            return Made(
                photo.path,
                skipped=f"masked and unmasked differ in {100 * hidden:.0f} % of the pixels: not one face with a mask",
            )
        masked = np.where(occlusion[..., None] > 0, masked, unmasked)
        images = ImageWriter(folder, unfinished, photo.split, photo.key)
        row = {
            "key": photo.key,
            "masked": images.write("_masked", masked),
            "unmasked": images.write("", unmasked),
            "occlusion": images.write("_occlusion", occlusion),
            "emotion": photo.emotion,
            "split": photo.split,
            "identity": photo.identity,
            "source": self.source,
            "mask_style": IMPOSED,
        }
        return Made(photo.path, [row], images.files, [hidden])


def find_imposed_mask(unmasked: np.ndarray, masked: np.ndarray) -> np.ndarray:
    """Return the occlusion of an imposed mask, (H, W) uint8, 255 where hidden, else 0.

    Args:
        unmasked, masked: (H, W, 3) uint8 of one size, of the same photograph, compressed separately.
    """
    difference = cv2.absdiff(unmasked, masked).max(axis=2)
    smooth = cv2.GaussianBlur(difference, (0, 0), 1.0).astype(np.float32)
    # The upper third of a face has no mask, so differences there come from compression.
    noise = float(np.percentile(smooth[: len(smooth) // 3], 90))
    # Limited, so that a pale mask on pale skin is found.
    hidden = (smooth > np.clip(2.5 * noise, 8, 24)).astype(np.uint8)
    radius = max(1, round(0.03 * len(hidden)))
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1))
    hidden = cv2.morphologyEx(hidden, cv2.MORPH_CLOSE, disc)
    hidden = cv2.morphologyEx(hidden, cv2.MORPH_OPEN, np.ones((3, 3), np.uint8))
    outlines, _ = cv2.findContours(hidden, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    large = [outline for outline in outlines if cv2.contourArea(outline) >= 0.002 * hidden.size]
    filled = np.zeros_like(hidden)
    cv2.drawContours(filled, large, -1, 255, cv2.FILLED)
    return cv2.dilate(filled, np.ones((3, 3), np.uint8))
