"""Find faces in a photo and place 468 landmarks on each; the only module that runs the detector's networks.

The networks are Google's BlazeFace (Bazarevsky et al. 2019, arXiv:1907.05047) and face mesh (Kartynnik et al. 2019,
arXiv:1907.06724), as .tflite files in `networks/`; anchors, suppression (`boxes`) and regions of interest are written
here from the papers. LiteRT runs a face in about 3 ms on one core, in under 100 MB.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from rac_unet.core.quiet import silenced_stderr
from rac_unet.faces.boxes import FAR, NEAR, find_boxes
from rac_unet.faces.search import search_mirrored, search_turned, search_windows

# Face-mesh vertices at the places of the 68 iBUG points, in iBUG order (jaw, brows, nose, eyes, lips).
# The jaw's upper points are on the outline of the mesh, which does not reach further out.
MESH_TO_IBUG = np.array(
    [127, 234, 93, 132, 58, 136, 150, 176, 152, 400, 379, 365, 288, 361, 323, 454, 356]  # jaw
    + [70, 63, 105, 66, 107, 336, 296, 334, 293, 300]  # brows
    + [168, 197, 5, 4, 98, 97, 2, 326, 327]  # nose
    + [33, 160, 158, 133, 153, 144, 362, 385, 387, 263, 373, 380]  # eyes
    + [61, 39, 37, 0, 267, 269, 291, 321, 314, 17, 84, 91]  # outer lips
    + [78, 82, 13, 312, 308, 317, 14, 87]  # inner lips
)

# Bytes as shares of 1; a table is many times as fast as a division.
_SHARES = np.arange(256, dtype=np.float32) / np.float32(255)
NETWORKS = Path(__file__).resolve().parent / "networks"
MESH_FILE, MESH_INPUT = "face_landmark.tflite", 192
# The mesh network's input is a square 1.5 times the detector's box, so that hair line and chin are inside.
ROI_SCALE = 1.5
MIN_MESH_PRESENCE = 0.3
# Boxes at which `detect_all` runs the mesh network: size, and shift upwards, in sides of the detector's box. The mean
# of the three meshes places crops of faces with drawn masks a tenth nearer to the bare face's than one does (n = 239).
_VARIED_BOXES = ((1.0, 0.0), (1.12, 0.0), (1.0, 0.06))
_MIN_BOX = 14
# Thresholds of trust in `detect_all`, from the worst of 265 faces with real masks: hardly any face is below the first,
# and none above the second was misplaced. False detections are more frequent in rotated pictures.
_DOUBTFUL, _SURE = -0.4, 0.4
_NOTHING = -9.0
# OpenCV cannot warp a picture with a longer side.
_WARP_LIMIT = 32_000
# Place of the detector's box relative to the eyes: medians over 250 photos, in distances between the eyes.
_BOX_BELOW_EYES, _BOX_PER_EYES = 0.617, 2.52
# The network for small faces scores masked ones lower; the mesh rejects false detections.
_FAR_SHARE = 0.7
# Place of the detector's box relative to eyes and mouth: medians over 250 photos, in eye-to-mouth distances.
_BOX_CENTRE = 0.575
_BOX_SIDE = 2.37


@dataclass(frozen=True)
class Face:
    """One face in a photo.

    Attributes:
        box: x0, y0, x1, y1 in photo pixels.
        score: the detector's confidence, 0..1.
        mesh: (468, 3) float32; x, y in photo pixels, z in the same unit, smaller nearer to the camera.
        trust: confidence of `detect_all` in the face and its landmarks, 1 at most; NaN from other methods.
    """

    box: tuple[float, float, float, float]
    score: float
    mesh: np.ndarray
    trust: float = float("nan")

    @property
    def points(self) -> np.ndarray:
        """(68, 2) float32 landmarks in iBUG order, photo pixels."""
        return np.ascontiguousarray(self.mesh[MESH_TO_IBUG, :2])


class FaceDetector:
    """The detection and landmark networks, loaded once; not thread-safe.

    Args:
        min_score: detections below this confidence are dropped.
    """

    def __init__(self, min_score: float = 0.5):
        self._min_score = min_score
        # File -> interpreter, index of its input, indices of its outputs.
        self._networks: dict[str, tuple[Any, int, list[int]]] = {}

    def detect(self, image: np.ndarray) -> list[Face]:
        """Return the faces of an RGB uint8 photo (H, W, 3), most confident first; an empty list when there is none.

        A face that fills the photo from edge to edge (an aligned crop) leaves the detector no margin, so a second
        attempt uses a reflected border, and a third one the network for smaller faces.
        """
        faces = self._meshes(image, self._near(image)) or self._meshes(image, search_mirrored(image, self._near))
        return faces or self._meshes(image, find_boxes(self._run, FAR, image, self._min_score))

    def detect_all(self, image: np.ndarray) -> list[Face]:
        """Return all faces of a photo, including covered and small ones, largest first.

        Slower than `detect` and more accurate: where a mask hides the mouth, a single mesh is often wrong in size, so
        the landmarks are the mean of three meshes.

        Args:
            image: (H, W, 3) uint8 RGB photo of any size; faces down to some 16 pixels are found.
        """
        found = self._faces_at(image, search_windows(image, self._near, self._far), _DOUBTFUL)
        if all(face.trust < _SURE for face in found):
            found += self._faces_at(image, search_turned(image, self._near), _SURE)
        return _largest_first(found)

    def detect_lying(self, image: np.ndarray, found: list[Face]) -> list[Face]:
        """Return lying or upside-down faces with more trust than any face that `detect_all` found.

        A masked face upside down looks much like an upright one, with the mask as its forehead: `detect_all`, which
        rotates a photo only when no face has high trust, takes a quarter of them for upright. Call this for a photo
        in which none of the found faces wears a mask.
        """
        least = max((face.trust for face in found), default=_NOTHING)
        # Below this `detect_all` has already searched the rotated photo.
        if least < _SURE:
            return []
        return [face for face in self.detect_turned(image, least) if face.trust > least]

    def detect_turned(self, image: np.ndarray, least: float = _SURE) -> list[Face]:
        """Return lying or upside-down faces with at least this trust, largest first."""
        return _largest_first(self._faces_at(image, search_turned(image, self._near, lying=True), least))

    def _near(self, image: np.ndarray) -> np.ndarray:
        return find_boxes(self._run, NEAR, image, self._min_score)

    def _far(self, image: np.ndarray) -> np.ndarray:
        return find_boxes(self._run, FAR, image, self._min_score * _FAR_SHARE)

    def _faces_at(self, image: np.ndarray, boxes: np.ndarray, least: float) -> list[Face]:
        """Return the faces at the boxes (N, 9) with at least this trust."""
        found = []
        for row in boxes.astype(np.float64):
            side = max(row[3:5] - row[1:3])
            if side < _MIN_BOX:
                continue
            trust, mesh = self._mean_mesh(image, row)
            if _NOTHING < trust < _SURE:
                # The detector's eyes and the mesh's disagree: run the mesh at a box around each, and keep the better.
                points = mesh[MESH_TO_IBUG, :2]
                for eyes in (row[5:].reshape(2, 2), np.array([points[36:42].mean(0), points[42:48].mean(0)])):
                    centre, half = _box_from_eyes(eyes)
                    if 2 * half < _MIN_BOX:
                        continue
                    again = self._mean_mesh(image, np.r_[row[0], centre - half, centre + half, eyes.ravel()])
                    trust, mesh = max((trust, mesh), again, key=lambda pair: pair[0])
            if trust >= least:
                found.append(Face(tuple(row[1:5].tolist()), float(row[0]), mesh, trust))
        return found

    def _mean_mesh(self, image: np.ndarray, row: np.ndarray, moving: bool = False) -> tuple[float, np.ndarray]:
        """Return the trust in a face, 1 at most, and the (468, 3) mean of its meshes at `_VARIED_BOXES`.

        Args:
            moving: whether the face may have moved away from the eyes in `row`.
        """
        side, centre = max(row[3:5] - row[1:3]), np.tile((row[1:3] + row[3:5]) / 2, 2)
        found = []
        for size, up in _VARIED_BOXES:
            move = side * (size / 2 * np.array([-1, -1, 1, 1]) - np.array([0, up, 0, up]))
            found.append(self._mesh(image, np.r_[row[0], centre + move, row[5:]]))
        meshes = np.array([mesh for _, mesh in found])
        points = meshes[:, MESH_TO_IBUG, :2]
        eyes = np.stack([points[:, 36:42].mean(1), points[:, 42:48].mean(1)], 1)
        mean = eyes.mean(0)
        apart = np.hypot(*(eyes.mean(1) - mean.mean(0)).T).max() / side
        elsewhere = 0.0 if moving else np.hypot(*(mean - row[5:].reshape(2, 2)).T).max() / side
        presence = [presence for presence, _ in found]
        # One of the three may find a face by chance.
        if sorted(presence)[len(presence) // 2] < MIN_MESH_PRESENCE:
            return _NOTHING, meshes[0]
        return float(np.mean(presence) - 4 * apart - 2 * elsewhere), meshes.mean(0)

    def follow(self, image: np.ndarray, mesh: np.ndarray, place: np.ndarray, score: float = 1.0) -> Face:
        """Return the face near an earlier mesh, such as that of the frame before, without running the detector.

        Its trust is comparable to that of `detect_all`, but does not fall when the face moves.

        Args:
            image: (H, W, 3) uint8 RGB.
            mesh: (468, 3), x and y in pixels of `image`.
            place: result of `box_in_mesh` for a detection of this face: with another box, the mesh's size and place
                would differ, and from frame to frame more.
            score: the score of the returned face.
        """
        eyes, upright, corner, side = _mesh_frame(mesh)
        centre, half = (corner + side * place[:2]) @ upright, side * place[2] / 2
        row = np.r_[score, centre - half, centre + half, eyes.ravel()]
        if 2 * half < _MIN_BOX:
            return Face(tuple(row[1:5].tolist()), score, mesh, _NOTHING)
        trust, found = self._mean_mesh(image, row, moving=True)
        _, upright, corner, side = _mesh_frame(found)
        centre, half = (corner + side * place[:2]) @ upright, side * place[2] / 2
        return Face((*(centre - half).tolist(), *(centre + half).tolist()), score, found.astype(np.float32), trust)

    def face_at(self, image: np.ndarray, eyes: np.ndarray, mouth: np.ndarray) -> Face | None:
        """Return the face at known eyes and mouth, without running the detector; None if the mesh finds none.

        Args:
            image: (H, W, 3) uint8 RGB photo.
            eyes: (2, 2) centres of the image-left and the image-right eye, x, y in photo pixels.
            mouth: (2,) centre of the mouth.
        """
        middle = eyes.mean(0)
        down = mouth - middle
        centre, half = middle + _BOX_CENTRE * down, _BOX_SIDE / 2 * float(np.hypot(*down))
        return self._face_in(image, (*(centre - half), *(centre + half)), eyes.ravel().tolist())

    def face_in(self, image: np.ndarray, box: tuple[float, float, float, float]) -> Face | None:
        """Return the upright face in a known box (x0, y0, x1, y1), forehead to chin; None if the mesh finds none."""
        return self._face_in(image, box, [box[0], box[1], box[2], box[1]])

    def _face_in(self, image: np.ndarray, box: Sequence[float], eyes: Sequence[float]) -> Face | None:
        faces = self._meshes(image, np.array([[1.0, *box, *eyes]], np.float64))
        return faces[0] if faces else None

    def _run(self, file: str, tensor: np.ndarray) -> list[np.ndarray]:
        if file not in self._networks:
            network = _load(NETWORKS / file)
            # Looked up once: LiteRT takes longer to describe a tensor than to copy it.
            ends = [each["index"] for each in network.get_output_details()]
            self._networks[file] = network, network.get_input_details()[0]["index"], ends
        network, start, ends = self._networks[file]
        network.set_tensor(start, tensor)
        network.invoke()
        return [network.get_tensor(end) for end in ends]

    def _meshes(self, image: np.ndarray, boxes: np.ndarray) -> list[Face]:
        faces = []
        for row in boxes:
            if ROI_SCALE * max(row[3:5] - row[1:3]) < 8:
                continue
            presence, mesh = self._mesh(image, row)
            if presence >= MIN_MESH_PRESENCE:
                faces.append(Face(tuple(row[1:5].tolist()), float(row[0]), mesh))
        return faces

    def _mesh(self, image: np.ndarray, row: np.ndarray) -> tuple[float, np.ndarray]:
        """Return the probability of a face, 0..1, and its (468, 3) float32 mesh, for a row of `find_boxes`."""
        _, x0, y0, x1, y1, *eyes = row.tolist()
        angle = np.arctan2(eyes[3] - eyes[1], eyes[2] - eyes[0])
        # Square region around the box, turned so that the eyes are level -> the network's 192 pixels.
        zoom = MESH_INPUT / (ROI_SCALE * max(x1 - x0, y1 - y0))
        cos, sin = np.cos(angle) * zoom, np.sin(angle) * zoom
        turn = np.array([[cos, sin], [-sin, cos]])
        shift = MESH_INPUT / 2 - turn @ [(x0 + x1) / 2, (y0 + y1) / 2]
        x, y = 0, 0
        if max(image.shape[:2]) > _WARP_LIMIT:
            reach = ROI_SCALE * max(x1 - x0, y1 - y0)
            x, y = (max(0, int((low + high) / 2 - reach)) for low, high in ((x0, x1), (y0, y1)))
            image = image[y : y + int(2 * reach) + 2, x : x + int(2 * reach) + 2]
        placing = np.c_[turn, shift + turn @ [x, y]]
        crop = cv2.warpAffine(image, placing, (MESH_INPUT, MESH_INPUT), flags=cv2.INTER_LINEAR)
        mesh, presence = self._run(MESH_FILE, cv2.LUT(crop, _SHARES)[None])
        mesh = mesh.reshape(468, 3)
        flat = (mesh[:, :2] - shift) @ np.linalg.inv(turn).T
        full = np.c_[flat, mesh[:, 2:] / zoom].astype(np.float32)
        return 1 / (1 + np.exp(-np.clip(float(presence.ravel()[0]), -60, 60))), full


def central_face(faces: list[Face], width: int, height: int) -> Face:
    """Return the face whose box centre is nearest to the photo's centre."""

    def distance(face: Face) -> float:
        x0, y0, x1, y1 = face.box
        return math.hypot(x0 + x1 - width, y0 + y1 - height)

    return min(faces, key=distance)


def _box_from_eyes(eyes: np.ndarray) -> tuple[np.ndarray, float]:
    """Return centre and half side of the detector's box for two eyes (2, 2), image-left first."""
    across = eyes[1] - eyes[0]
    down = np.array([-across[1], across[0]])
    return eyes.mean(0) + _BOX_BELOW_EYES * down, _BOX_PER_EYES / 2 * float(np.hypot(*across))


def box_in_mesh(face: Face) -> np.ndarray:
    """Return the place of a face's box relative to its mesh, for `follow`.

    Returns: (3,) the box's centre and side, from the corner of the upright mesh's bounding box, in its longer sides.
    """
    _, upright, corner, side = _mesh_frame(face.mesh)
    box = np.array(face.box)
    centre = upright @ (box[:2] + box[2:]) / 2
    return np.append(centre - corner, max(box[2:] - box[:2])) / side


def _mesh_frame(mesh: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, float]:
    """Return the eyes' centres (2, 2) of a mesh (468, 3), the rotation (2, 2) that makes them level, and the corner and
    the longer side of the rotated mesh's bounding box."""
    eyes = mesh[MESH_TO_IBUG[36:48], :2].astype(np.float64).reshape(2, 6, 2).mean(1)
    across = (eyes[1] - eyes[0]) / max(float(np.hypot(*(eyes[1] - eyes[0]))), 1e-6)
    upright = np.array([across, [-across[1], across[0]]])
    placed = mesh[:, :2] @ upright.T
    return eyes, upright, placed.min(0), max(float(np.ptp(placed, axis=0).max()), 1e-6)


def _largest_first(faces: list[Face]) -> list[Face]:
    """Return the faces without duplicates (the one with the highest trust is kept), largest first."""
    faces = _distinct(sorted(faces, key=lambda face: -face.trust))
    return sorted(faces, key=lambda face: face.box[0] - face.box[2])


def _distinct(faces: list[Face]) -> list[Face]:
    """Return the faces without those whose eyes are at the place of an earlier one's."""
    kept: list[Face] = []
    for face in faces:
        eyes = face.points[36:48].mean(0)
        if all(np.hypot(*(eyes - o.points[36:48].mean(0))) > 0.35 * (o.box[2] - o.box[0]) for o in kept):
            kept.append(face)
    return kept


def _load(path: Path) -> Any:
    from ai_edge_litert.interpreter import Interpreter

    with silenced_stderr():
        network = Interpreter(model_path=str(path), num_threads=1)
        network.allocate_tensors()
    return network
