"""A generic 3-D head, posed and bent to fit 68 landmarks, on which masks are drawn.

A mask drawn as a flat patch looks wrong as soon as the head turns. Here each style is a small 3-D
surface on a generic head; the head is posed by least squares and then bent so that it passes through the
face's own jaw, nose and eyes. Mouth and brow landmarks are not used: the outline must not depend on the
expression under the mask.

Head coordinates: x to the image's right, y down from the eye line, z to the viewer; 1 = half a face's width.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

# Landmarks that the mask may follow: jaw, nose, eyes (iBUG-68 numbers).
USED = np.r_[0:17, 27:36, 36:48]

# The generic head at those landmarks, averaged over real faces: left half and midline; the rest mirrors it.
_JAW = [
    (-1.00, 0.05, -0.36),
    (-0.99, 0.25, -0.42),
    (-0.98, 0.45, -0.43),
    (-0.95, 0.67, -0.40),
    (-0.89, 0.90, -0.33),
    (-0.69, 1.22, -0.05),
    (-0.56, 1.34, 0.08),
    (-0.33, 1.50, 0.28),
    (0.0, 1.57, 0.37),
]
_NOSE = [(0.0, -0.05, 0.66), (0.0, 0.16, 0.79), (0.0, 0.35, 0.94), (0.0, 0.47, 0.98)]
_NOSTRILS = [(-0.25, 0.61, 0.61), (-0.11, 0.645, 0.70), (0.0, 0.65, 0.73)]
_EYE = [
    (-0.64, 0.00, 0.34),
    (-0.54, -0.05, 0.43),
    (-0.39, -0.06, 0.46),
    (-0.245, 0.02, 0.42),
    (-0.37, 0.05, 0.44),
    (-0.52, 0.045, 0.42),
]


def _mirror(points: list[tuple[float, float, float]]) -> list[tuple[float, float, float]]:
    return [(-x, y, z) for x, y, z in points]


HEAD = np.array(
    _JAW
    + _mirror(_JAW[:8])[::-1]
    + _NOSE
    + _NOSTRILS
    + _mirror(_NOSTRILS[:2])[::-1]
    + _EYE
    + [_mirror(_EYE)[i] for i in (3, 2, 1, 0, 5, 4)],
    np.float64,
)

# The chin moves with the mouth, so it is a weak cue for the rotation of the head.
_POSE_WEIGHT = np.ones(len(HEAD))
_POSE_WEIGHT[5:12] = 0.15
_POSE_WEIGHT[[4, 12]] = 0.5

_REACH = 0.55  # how far a landmark pulls the cloth around it
_STIFFNESS = 0.02


def _kernel(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    far = (a * a).sum(1)[:, None] + (b * b).sum(1)[None] - 2 * a @ b.T
    return np.exp(far / (-2 * _REACH**2))


_BEND = np.linalg.inv(_kernel(HEAD, HEAD) + _STIFFNESS * np.eye(len(HEAD)))


@dataclass(frozen=True)
class HeadPose:
    """The generic head fitted to one face.

    Attributes:
        rotation: (3, 3), rows are the image's x, y and towards-viewer axes in head coordinates.
        scale: pixels per head unit, > 0.
        origin: (2,) pixel position of the head's origin.
        pull: (n, 2) weights that bend the head through the landmarks.
    """

    rotation: np.ndarray
    scale: float
    origin: np.ndarray
    pull: np.ndarray

    def project(self, head_points: np.ndarray) -> np.ndarray:
        """Pixel positions (..., 2) of head coordinates (..., 3)."""
        flat = head_points.reshape(-1, 3)
        rigid = self.scale * flat @ self.rotation[:2].T + self.origin
        return (rigid + _kernel(flat, HEAD) @ self.pull).reshape(head_points.shape[:-1] + (2,))

    def rotate(self, directions: np.ndarray) -> np.ndarray:
        """Head directions (..., 3) as seen by the camera: x right, y down, z towards the viewer."""
        return directions @ self.rotation.T


def fit_head(points: np.ndarray) -> HeadPose:
    """Pose and bend the generic head to landmarks `points` (68, 2) in pixels; any finite values."""
    target = np.asarray(points, np.float64)[USED]
    weight = _POSE_WEIGHT / _POSE_WEIGHT.sum()
    centre_head, centre = weight @ HEAD, weight @ target
    head, face = HEAD - centre_head, target - centre
    moment = (head * weight[:, None]).T
    affine = np.linalg.solve(moment @ head + 1e-3 * np.eye(3), moment @ face).T
    left, stretch, right = np.linalg.svd(affine, full_matrices=False)
    across = left @ right
    rotation = np.vstack([across, np.cross(across[0], across[1])])
    scale = max(float(stretch.mean()), 1e-3)
    origin = centre - scale * across @ centre_head
    miss = target - (scale * HEAD @ across.T + origin)
    length = np.linalg.norm(miss, axis=1, keepdims=True)
    # Landmarks further off than this are wrong rather than unusual.
    miss *= np.minimum(1.0, 0.7 * scale / np.maximum(length, 1e-9))
    return HeadPose(rotation, scale, origin, _BEND @ miss)


def surface_normals(surface: np.ndarray) -> np.ndarray:
    """Outward unit normals (rows, columns, 3) of a grid of head points of the same shape."""
    down = np.gradient(surface, axis=0)
    across = np.gradient(surface, axis=1)
    normal = np.cross(across, down)
    return normal / np.maximum(np.linalg.norm(normal, axis=-1, keepdims=True), 1e-9)
