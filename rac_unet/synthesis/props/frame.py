"""The plane in front of a face on which a prop is drawn: head coordinates of pixels, soft edges, the photo's light.

A prop is drawn as signed distances in head units (1 = half a face's width) on a plane that follows the pose of the
head, so that it scales, rotates and narrows with the face.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from rac_unet.synthesis.masks.geometry import HeadPose
from rac_unet.synthesis.masks.light import LUMA, Light, shoulder


@dataclass(frozen=True)
class Layer:
    """A drawn prop.

    Attributes:
        colour: (H, W, 3) float32, 0 to 255.
        cover: (H, W) float32 coverage, 1 where only the prop is visible, 0 where it is not.
        shade: (H, W) float32 factor for the picture behind the prop, its shadow.
        over_mask: whether it is in front of a mask; otherwise the mask is in front of it.
    """

    colour: np.ndarray
    cover: np.ndarray
    shade: np.ndarray
    over_mask: bool = True

    def lay_over(self, image: np.ndarray) -> np.ndarray:
        """Composite the prop over `image` (H, W, 3) uint8; unchanged bit for bit outside the prop and its shadow."""
        cover, shade = self.cover[..., None], self.shade[..., None]
        return np.clip(np.rint(image * (shade * (1 - cover)) + self.colour * cover), 0, 255).astype(np.uint8)


class Frame:
    """A plane through a head point, parallel to the face, with the coordinates of the pixels on it.

    Attributes:
        x, y: (H, W) float32, head units to the image's right and down from `centre`.
        unit: pixels per head unit.
    """

    def __init__(self, pose: HeadPose, light: Light, shape: tuple[int, int], centre: tuple[float, float, float]):
        self.pose, self.light, self.shape, self.unit = pose, light, shape, pose.scale
        origin = pose.project(np.array([centre], np.float64))[0]
        axes = pose.scale * pose.rotation[:2, :2]
        # In full profile the plane has no width; a quarter of it is kept so that props can be drawn.
        if np.linalg.norm(axes[:, 0]) < 0.25 * pose.scale:
            axes[:, 0] *= 0.25 * pose.scale / max(np.linalg.norm(axes[:, 0]), 1e-6)
        across = np.linalg.inv(axes + 1e-9 * np.eye(2))
        column = np.arange(shape[1], dtype=np.float32)[None] - np.float32(origin[0])
        row = np.arange(shape[0], dtype=np.float32)[:, None] - np.float32(origin[1])
        self.x = (np.float32(across[0, 0]) * column + np.float32(across[0, 1]) * row).astype(np.float32)
        self.y = (np.float32(across[1, 0]) * column + np.float32(across[1, 1]) * row).astype(np.float32)

    def inside(self, distance: np.ndarray) -> np.ndarray:
        """Return the coverage (H, W) of the area with negative `distance` (head units), with an edge of one pixel."""
        return np.clip(0.5 - distance * self.unit, 0, 1)

    def capsule(self, start, stop, first: float, last: float) -> tuple[np.ndarray, np.ndarray]:
        """Return a round bar from `start` to `stop` (x, y) with radii `first` and `last`.

        Returns: signed distance (H, W), and height (H, W) of its surface over its axis, 0 outside.
        """
        ax, ay = start
        bx, by = stop[0] - ax, stop[1] - ay
        dx, dy = self.x - np.float32(ax), self.y - np.float32(ay)
        along = np.clip((dx * bx + dy * by) / max(bx * bx + by * by, 1e-6), 0, 1)
        squared = (dx - along * bx) ** 2 + (dy - along * by) ** 2
        radius = first + (last - first) * along
        return np.sqrt(squared) - radius, np.sqrt(np.maximum(radius * radius - squared, 0))

    def shade_of(self, height: np.ndarray) -> np.ndarray:
        """Return the relative brightness (H, W) of a surface with this `height` towards the viewer, in head units."""
        down, across = np.gradient(height * np.float32(self.unit))
        normal = np.stack([-across, -down, np.ones_like(height)], -1)
        normal /= np.linalg.norm(normal, axis=-1, keepdims=True)
        return self.light.shade(normal).astype(np.float32)

    def lit(self, reflectance: np.ndarray, shade: np.ndarray | float = 1.0, gloss: np.ndarray | float = 0.0):
        """Return a `reflectance` (..., 3) in 0..1 under the photo's light, as (H, W, 3) float32 in 0..255.

        Args:
            shade: relative brightness (H, W).
            gloss: brightness (H, W) of highlights in the colour of the light.
        """
        light = self.light
        if light.saturation < 1:
            reflectance = reflectance + (1 - light.saturation) * ((reflectance @ LUMA)[..., None] - reflectance)
        level = (light.exposure * light.cast).astype(np.float32)
        shade, gloss = (np.broadcast_to(np.float32(value), self.shape)[..., None] for value in (shade, gloss))
        return shoulder((reflectance * shade + 0.03 + gloss) * level).astype(np.float32)

    def layer(
        self,
        colour: np.ndarray,
        cover: np.ndarray,
        rng: np.random.Generator,
        shadow: float = 0.0,
        reach: float = 0.12,
        over_mask: bool = True,
    ) -> Layer:
        """Return a prop with the sharpness and grain of the photo.

        Args:
            shadow: darkness of its shadow, 0 to 1; it is shifted down and away from the light by about `reach` head
                units.
        """
        light, (height, width) = self.light, self.shape
        blur = max(0.35, light.blur * rng.uniform(0.8, 1.2))
        cover = cover.astype(np.float32)
        thin = cv2.GaussianBlur(colour * cover[..., None], (0, 0), blur)
        cover = cv2.GaussianBlur(cover, (0, 0), blur)
        grain = cv2.GaussianBlur(rng.standard_normal((height, width), np.float32), (0, 0), 0.5) * (1.7 * light.grain)
        colour = thin / np.maximum(cover, 1e-3)[..., None] + grain[..., None]
        cover[cover < 0.5 / 255] = 0
        shade = np.ones((height, width), np.float32)
        if shadow:
            spread = float(np.clip(reach * self.unit, 0.5, 30))
            toward = -light.direction[:2] * spread + [0, 0.6 * spread]
            move = np.array([[1, 0, toward[0]], [0, 1, toward[1]]])
            thrown = cv2.warpAffine(cover, move, (width, height), borderMode=cv2.BORDER_REPLICATE)
            shade -= np.float32(shadow) * cv2.GaussianBlur(thrown, (0, 0), 0.6 * spread)
        return Layer(np.clip(colour, 0, 255), np.minimum(cover, 1), shade, over_mask)
