"""Inpaint faces with the network that fits their size: small ones at 128 pixels, large ones at 256.

Masks are found and checked by the 128-px network alone. A large face is cut again by the same landmarks, at 256 pixels;
the 256-px network sharpens the edge of the map, and cannot add another mask to it.
"""

from __future__ import annotations

import dataclasses
import functools
from dataclasses import dataclass

import cv2
import numpy as np

from rac_unet.core.emotions import EMOTIONS, emotion_id
from rac_unet.core.errors import UserError
from rac_unet.faces.align import transform_points
from rac_unet.runtime.interface import OCCLUSION, PAINTED
from rac_unet.runtime.runners import Runner
from rac_unet.unmasking.finding import FoundFace, aligned_crop
from rac_unet.unmasking.networks import NetworkFiles, inpaint, load_mask_aware, network_name
from rac_unet.unmasking.painting.sizes import face_side, large_share
from rac_unet.unmasking.pasting import MAYBE_HIDDEN, SURELY_HIDDEN, face_map, matched_to_photo

# The second network's map counts if it and the first one's have this intersection over union, and only this near to the
# first one's map, in shares of the crop's side.
_LEAST_AGREEMENT, _NEAR = 0.8, 0.03


@dataclass(frozen=True)
class Painting:
    """A painting of one face.

    Attributes:
        face: the face; its crop, matrix and map have the size of the painting.
        painted: (S, S, 3) float32 in [0, 1]; a mix of two paintings is in the light of the photo.
        network: name of the network, or of both, joined by `+`, if the painting is a mix.
    """

    face: FoundFace
    painted: np.ndarray
    network: str


class FacePainter:
    """Paint faces with two networks; the second one is opened when the first large face is painted.

    Args:
        files: the networks.
        small: the opened `files.finder`.
        threads: see `load_runner`.
    """

    def __init__(self, files: NetworkFiles, small: Runner, threads: int | None = None):
        self._files, self._small, self._threads = files, small, threads

    @functools.cached_property
    def _large(self) -> Runner:
        runner = load_mask_aware(self._files.portrait, self._threads)
        if runner.image_size <= self._small.image_size or runner.conditioned != self._small.conditioned:
            raise UserError(
                f"{runner.name} cannot paint large faces: it takes crops of {runner.image_size} px"
                f"{'' if runner.conditioned else ' and no emotion'}, the network for small ones takes "
                f"{self._small.image_size}; use --model lite, or install the package again",
                "mismatch",
            )
        return runner

    def share(self, face: FoundFace) -> float:
        """Return the share of the second network in the painting of a face, 0..1."""
        if self._files.portrait is None:
            return 0.0
        if self._files.always:
            return 1.0
        return large_share(face_side(face.matrix, len(face.crop)))

    def paint(
        self,
        photo: np.ndarray,
        faces: list[FoundFace],
        emotions: list[str | None],
        hidden: list[np.ndarray] | None = None,
    ) -> list[Painting]:
        """Paint faces, each with an emotion; the same face may be given with several.

        Args:
            photo: (H, W, 3) uint8 RGB.
            faces: masked faces of the photo.
            emotions: a name for each face; None for no emotion.
            hidden: the crops to paint, (S, S, 3) each, with more hidden than the photo shows; None for the faces' own.
                Where such a crop is not the face's own, only the network for small faces paints.
        Raises: UserError when the network for large faces is needed and is damaged or does not fit.
        """
        crops = [face.crop for face in faces] if hidden is None else hidden
        shares = [self.share(face) if crop is face.crop else 0.0 for face, crop in zip(faces, crops, strict=True)]
        small = [i for i, share in enumerate(shares) if share < 1]
        found = inpaint(self._small, [crops[i] for i in small], [emotions[i] for i in small])
        painted = dict(zip(small, found, strict=True))
        name = network_name(self._small)
        paintings, cuts = [], {}
        for i, (face, emotion, share) in enumerate(zip(faces, emotions, shares, strict=True)):
            if not share:
                paintings.append(Painting(face, painted[i], name))
                continue
            if id(face) not in cuts:
                cuts[id(face)] = self._cut_again(photo, face)
            cut = cuts[id(face)]
            outputs = self._run_large(cut, emotion)
            if cut.where is face.where:
                # All paintings of a face have one map.
                cut = cuts[id(face)] = _with_map(cut, face, outputs[OCCLUSION][0, ..., 0], share)
            large, both = outputs[PAINTED][0], network_name(self._large)
            if share < 1:
                size = len(cut.crop)
                large = matched_to_photo(large, cut.crop, cut.where.ring)
                lit = matched_to_photo(painted[i], face.crop, face.where.ring)
                enlarged = np.clip(cv2.resize(lit, (size, size), interpolation=cv2.INTER_CUBIC), 0, 1)
                large, both = enlarged + np.float32(share) * (large - enlarged), f"{name}+{both}"
            paintings.append(Painting(cut, large, both))
        return paintings

    def _cut_again(self, photo: np.ndarray, face: FoundFace) -> FoundFace:
        """Return the face with its crop at the second network's size; its map is still the first one's."""
        cut = aligned_crop(photo, face.points, self._large.image_size)
        return dataclasses.replace(face, crop=cut.image.astype(np.float32) / 255, matrix=cut.matrix)

    def _run_large(self, cut: FoundFace, emotion: str | None) -> dict[str, np.ndarray]:
        label = np.zeros((1, len(EMOTIONS)), np.float32)
        if emotion is not None:
            label[0, emotion_id(emotion)] = 1
        return self._large(cut.crop[None], label)


def _with_map(cut: FoundFace, face: FoundFace, occlusion: np.ndarray, share: float) -> FoundFace:
    """Return the larger crop with the map of both networks.

    Args:
        cut: the face with the larger crop.
        face: the face with the crop in which its mask was found.
        occlusion: (S, S) in [0, 1], the second network's map of the larger crop.
        share: the second network's share in the painting.
    """
    eyes = transform_points(cut.matrix, face.face.points[36:48]).reshape(2, 6, 2)
    both = combined_map(face.occlusion, occlusion, share)
    return dataclasses.replace(cut, occlusion=both, where=face_map(both, eyes))


def combined_map(first: np.ndarray, second: np.ndarray, share: float) -> np.ndarray:
    """Return one map of two networks' maps, at the size of the larger one; the first one alone if they disagree.

    Args:
        first: (s, s) in [0, 1], in which the mask was found.
        second: (S, S) in [0, 1], S > s.
        share: weight of the second, 0..1.
    """
    size = len(second)
    enlarged = cv2.resize(first, (size, size), interpolation=cv2.INTER_LINEAR)
    one, other = enlarged > SURELY_HIDDEN, second > SURELY_HIDDEN
    if (one & other).sum() < _LEAST_AGREEMENT * (one | other).sum():
        return enlarged
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, [2 * round(_NEAR * size) + 1] * 2)
    near = cv2.dilate((enlarged > MAYBE_HIDDEN).astype(np.uint8), disc)
    return enlarged + np.float32(share) * (second * near - enlarged)
