"""Turn generated heads along one direction of the generator's latent space, which was found by linear regression.

The direction in turning.npy was found in generated faces, with the command in tests/find_turning.py.
Directions of this kind were described by Shen et al., Interpreting the latent space of GANs for semantic face editing,
CVPR 2020.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from pathlib import Path

import numpy as np

FILE = Path(__file__).with_name("turning.npy")
# Largest yaw of turned heads, about 45 degrees. Beyond 0.7 the generator's faces fall apart.
MOST = 0.6
_RIDGE = 30.0


@dataclass(frozen=True)
class Turning:
    """How far a latent turns the head, and the change of a latent that turns it further.

    Attributes:
        reading: (D,), yaw of a latent's distance from the average face, less `straight`.
        direction: (D,), change of a latent per unit of yaw; `reading @ direction` is 1.
        straight: yaw of the average face.
    """

    reading: np.ndarray
    direction: np.ndarray
    straight: float

    def turn(self, latent: np.ndarray, yaw: float | np.ndarray) -> np.ndarray:
        """Return a latent changed so that the head has this yaw.

        Args:
            latent: (..., D), its distance from the average face.
            yaw: one for all latents, or (...).
        """
        now = latent @ self.reading + self.straight
        return latent + (yaw - now)[..., None] * self.direction

    def save(self, path: Path) -> None:
        """Write the file that `load_turning` reads."""
        straight = np.full_like(self.reading, self.straight)
        np.save(path, np.stack([self.reading, self.direction, straight]).astype(np.float32))


@functools.cache
def load_turning(path: Path = FILE) -> Turning:
    """Read a file written by `Turning.save`; without a path, the direction that comes with the package."""
    reading, direction, straight = np.load(path)
    return Turning(reading, direction, float(straight[0]))


def find_turning(latents: np.ndarray, yaws: np.ndarray) -> Turning:
    """Find the direction along which heads turn.

    `reading` is the ridge regression of the yaws on the latents. `direction` is the mean change of a latent with the
    yaw, not the weights of the regression: along these, the network's heads turn by a third as far as read.

    Args:
        latents: (N, D), distances from the average face.
        yaws: (N,), as `head_yaw` returns them.
    """
    straight = float(yaws.mean())
    change = latents.T @ (yaws - straight)
    reading = np.linalg.solve(latents.T @ latents + _RIDGE * np.eye(latents.shape[1]), change)
    return Turning(reading, change / (reading @ change), straight)


def head_yaw(points: np.ndarray) -> float:
    """Return how far a head is turned: the nose's distance from the middle of the eyes, in distances of the eyes.

    Args:
        points: (68, 2) landmarks.
    Returns: 0 for a face seen from the front, about 0.6 for one turned by 45 degrees to the right of the picture.
    """
    left, right = points[36:42, 0].mean(), points[42:48, 0].mean()
    return float((points[30, 0] - (left + right) / 2) / (right - left))
