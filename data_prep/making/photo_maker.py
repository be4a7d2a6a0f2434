"""Make pairs from a photo: an aligned crop with its masked variants, or a crop with a real mask."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from rac_unet.pairing.mask_policy import MaskPolicy
from rac_unet.pairing.preparing import ImageWriter, Made

if TYPE_CHECKING:
    import numpy as np

    from data_prep.sources.loading import Loaded
    from data_prep.sources.source import SourcePhoto


@dataclass(frozen=True)
class PhotoMaker:
    """Callable for `rac_unet.pairing.preparing.prepare` that makes the pairs of a photo.

    Args:
        load: picklable; photo -> `Loaded`, or raises UnreadablePhoto.
        policy: which masks to paint; None for photos of real masks, which have no ground truth.
        size: side of the crops in pixels.
        source: value of the column source.
        keep_framing: use the whole picture, which shows a face edge to edge, instead of an upright crop.
    """

    load: Callable[[SourcePhoto], Loaded]
    policy: MaskPolicy | None
    size: int
    seed: int
    source: str
    keep_framing: bool = False

    @cached_property
    def _detector(self):
        from rac_unet.faces.detect import FaceDetector

        return FaceDetector()

    def __call__(self, photo: SourcePhoto, folder: str, unfinished: str) -> Made:
        import cv2
        import numpy as np

        from data_prep.making.locating import locate
        from rac_unet.core.errors import UserError
        from rac_unet.faces.align import align_face
        from rac_unet.pairing.drawing import draw_pair
        from rac_unet.photos.reading import UnreadablePhoto

        try:
            loaded = self.load(photo)
        except UnreadablePhoto as error:
            return Made(photo.path, skipped=str(error))
        found = locate(self._detector, loaded, tight=self.keep_framing)
        if found.points is None:
            return Made(photo.path, skipped=found.reason)
        plans = []
        if self.policy:
            variants = range(self.policy.variants)
            plans = [self.policy.plan(photo.split, self.seed, photo.key, variant) for variant in variants]
        try:
            if self.keep_framing:
                image, points = whole_frame(loaded.image, found.points, self.size)
            else:
                aligned = align_face(loaded.image, found.points, self.size)
                image, points = aligned.image, aligned.points
            drawn = [draw_pair(image, points, plan) for plan in plans]
        except (UserError, ValueError, ArithmeticError, np.linalg.LinAlgError, cv2.error) as error:
            # One unusual face must not end a run over a hundred thousand photos.
            return Made(photo.path, skipped=f"face cannot be aligned or masked: {error}".splitlines()[0])
        images = ImageWriter(folder, unfinished, photo.split, photo.key)
        made = Made(photo.path, files=images.files, note=found.note)
        if not self.policy:
            from rac_unet.data.pairs import REAL_MASK

            made.rows.append(self._row(photo, photo.key, images.write("_masked", image), "", "", REAL_MASK))
            return made
        shared = None
        for variant, (plan, pair) in enumerate(zip(plans, drawn, strict=True)):
            if pair.unmasked is not image:
                unmasked = images.write(f"-{variant}_unmasked", pair.unmasked)
            else:
                unmasked = shared = shared or images.write("", image)
            masked = images.write(f"-{variant}_masked", pair.masked)
            occlusion = images.write(f"-{variant}_occlusion", pair.occlusion)
            made.rows.append(self._row(photo, f"{photo.key}-{variant}", masked, unmasked, occlusion, plan.style))
            made.hidden.append(float((pair.occlusion > 0).mean()))
        return made

    def _row(self, photo: SourcePhoto, key: str, masked: str, unmasked: str, occlusion: str, style: str) -> dict:
        return {
            "key": key,
            "masked": masked,
            "unmasked": unmasked,
            "occlusion": occlusion,
            "emotion": photo.emotion,
            "split": photo.split,
            "identity": photo.identity,
            "source": self.source,
            "mask_style": style,
            **({"emotion_shares": photo.shares} if photo.shares else {}),
        }


def whole_frame(image: np.ndarray, points: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the picture as a (size, size, 3) square with mirrored borders, and its points in the square."""
    import cv2
    import numpy as np

    height, width = image.shape[:2]
    side = max(height, width)
    top, left = (side - height) // 2, (side - width) // 2
    if top or left or height != width:
        image = cv2.copyMakeBorder(image, top, side - height - top, left, side - width - left, cv2.BORDER_REFLECT_101)
    method = cv2.INTER_AREA if side > size else cv2.INTER_CUBIC
    square = cv2.resize(image, (size, size), interpolation=method)
    moved = (points + np.array([left, top]) + 0.5) * (size / side) - 0.5
    return np.ascontiguousarray(square), moved.astype(np.float32)
