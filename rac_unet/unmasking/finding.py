"""Find the faces of a photo, cut an upright crop around each, and find its mask."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import numpy as np

from rac_unet.faces.align import AlignedFace, align_face, transform_points
from rac_unet.faces.detect import Face, FaceDetector
from rac_unet.runtime.runners import Runner
from rac_unet.unmasking.framing import runs_out, wider_frame
from rac_unet.unmasking.mask_evidence import is_convincing, is_surer, map_agreement, may_be_turned
from rac_unet.unmasking.networks import find_masks
from rac_unet.unmasking.pasting import FaceMap, face_map

# A map that covers less of the face crop is no mask: drawn and real masks cover a tenth to a half.
LEAST_MASK = 0.08


@dataclass(frozen=True)
class FoundFace:
    """A face of a photo: its detection, its crop and the map of its mask.

    Attributes:
        face: the detection.
        points: (68, 2) photo pixels, the landmarks with which `align_face` cuts this crop: those of the face, or spread
            for a wider crop.
        crop: (S, S, 3) float32 in [0, 1].
        matrix: (2, 3), photo pixel (x, y, 1) -> crop pixel.
        occlusion: (S, S) float32 in [0, 1], probability that a pixel of the crop is hidden.
        where: the map of its mask in the crop.
        usual: (S, S, 3), the usual crop, in which the emotion is read; `crop` may be a wider one.
        visible: (7,) float32, the network's own probabilities of the emotions; zeros if it does not read them.
        convincing: whether there is enough evidence for the face and its mask; True for a face without a mask.
    """

    face: Face
    points: np.ndarray
    crop: np.ndarray
    matrix: np.ndarray
    occlusion: np.ndarray
    where: FaceMap
    usual: np.ndarray
    visible: np.ndarray
    convincing: bool = True

    @property
    def masked(self) -> bool:
        """Whether the face has a mask to inpaint."""
        return self.where.area >= LEAST_MASK and self.convincing


class FaceFinder:
    """Find faces and their masks.

    Args:
        runner: a network that finds masks.
    """

    def __init__(self, runner: Runner):
        self._runner = runner
        self.detector = FaceDetector()

    def find(self, photo: np.ndarray) -> list[FoundFace]:
        """Return the faces of a photo, largest first, with and without masks.

        Args:
            photo: (H, W, 3) uint8 RGB.
        """
        faces = self.with_maps(photo, self.detector.detect_all(photo))
        faces = self._with_turned(photo, faces)
        if not any(face.masked for face in faces):
            faces = self._with_lying(photo, faces)
        return faces

    def with_maps(self, photo: np.ndarray, detections: list[Face]) -> list[FoundFace]:
        """Return a `FoundFace` for each detection, in their order.

        Cuts the crops, in which masks are found and checked; wider crops where a mask extends below the usual one.
        """
        faces = self._cut(photo, detections, [face.points for face in detections])
        wide = [i for i, face in enumerate(faces) if face.masked and runs_out(face.where, face.matrix, photo.shape)]
        frames = [wider_frame(faces[i].points, faces[i].matrix, self._runner.image_size) for i in wide]
        wider = self._cut(photo, [faces[i].face for i in wide], frames)
        for i, face in zip(wide, wider, strict=True):
            if face.masked:
                # Networks read emotions better in the usual crop, with which they were trained.
                faces[i] = dataclasses.replace(face, usual=faces[i].usual, visible=faces[i].visible)
        return [
            dataclasses.replace(face, convincing=self._is_convincing(face)) if face.masked else face for face in faces
        ]

    def widened(self, photo: np.ndarray, face: FoundFace) -> FoundFace:
        """Return a face in the wider crop, for a user's map that extends below the usual one."""
        if not np.array_equal(face.points, face.face.points):
            return face
        frame = wider_frame(face.points, face.matrix, self._runner.image_size)
        (wide,) = self._cut(photo, [face.face], [frame])
        # Whether it has a mask was decided in the usual crop.
        wide = dataclasses.replace(wide, usual=face.usual, visible=face.visible, convincing=face.masked)
        return wide if wide.masked == face.masked else face

    def _cut(self, photo: np.ndarray, detections: list[Face], points: list[np.ndarray]) -> list[FoundFace]:
        """Cut a crop around each face by these landmarks, and find its mask."""
        aligned = [aligned_crop(photo, each, self._runner.image_size) for each in points]
        crops = [each.image.astype(np.float32) / 255 for each in aligned]
        faces = []
        found = zip(detections, points, aligned, crops, find_masks(self._runner, crops), strict=True)
        for face, by, cut, crop, (occlusion, visible) in found:
            eyes = transform_points(cut.matrix, face.points[36:48]).reshape(2, 6, 2)
            where = face_map(occlusion, eyes)
            faces.append(FoundFace(face, by, crop, cut.matrix, occlusion, where, crop, visible))
        return faces

    def _is_convincing(self, face: FoundFace) -> bool:
        ((mirrored, _),) = find_masks(self._runner, [np.ascontiguousarray(face.crop[:, ::-1])])
        return is_convincing(face.face, face.crop, map_agreement(face.occlusion, mirrored))

    def _with_turned(self, photo: np.ndarray, faces: list[FoundFace]) -> list[FoundFace]:
        """Replace upright faces that are in fact turned sideways or upside down, and seem to be masked therefore."""
        doubtful = [face for face in faces if face.masked and may_be_turned(face.face)]
        turned = self.detector.detect_turned(photo) if doubtful else []
        wrong = {
            id(face): other
            for face in doubtful
            for other in turned
            if is_surer(other, face.face) and (_same_place(other, face.face) or _same_place(face.face, other))
        }
        right = list({id(face): face for face in wrong.values()}.values())
        return _largest_first([face for face in faces if id(face) not in wrong] + self.with_maps(photo, right))

    def _with_lying(self, photo: np.ndarray, faces: list[FoundFace]) -> list[FoundFace]:
        """Add masked faces that are found only when the photo is turned, in place of others at the same place."""
        lying = self.detector.detect_lying(photo, [face.face for face in faces])
        masked = [face for face in self.with_maps(photo, lying) if face.masked]
        kept = [face for face in faces if not any(_same_place(face.face, other.face) for other in masked)]
        return _largest_first(masked + kept)


def aligned_crop(photo: np.ndarray, points: np.ndarray, size: int) -> AlignedFace:
    """Call `align_face` with only the part of the photo around the face, which is faster for a large photo."""
    low, high = points.min(0), points.max(0)
    margin = 2 * (high - low).max()
    x0, y0 = np.clip(low - margin, 0, None).astype(int)
    x1, y1 = np.clip(high + margin, 1, None).astype(int)
    if min(x1 - x0, y1 - y0) < 1 or x0 >= photo.shape[1] or y0 >= photo.shape[0]:
        return align_face(photo, points, size)
    cut = align_face(photo[y0:y1, x0:x1], points - np.float32([x0, y0]), size)
    matrix = np.c_[cut.matrix[:, :2], cut.matrix[:, 2] - cut.matrix[:, :2] @ [x0, y0]]
    return AlignedFace(cut.image, cut.points, matrix)


def _largest_first(faces: list[FoundFace]) -> list[FoundFace]:
    return sorted(faces, key=lambda face: face.face.box[0] - face.face.box[2])


def _same_place(face: Face, other: Face) -> bool:
    """Return whether the centre of the first box is inside the second."""
    x, y = (face.box[0] + face.box[2]) / 2, (face.box[1] + face.box[3]) / 2
    return other.box[0] <= x <= other.box[2] and other.box[1] <= y <= other.box[3]
