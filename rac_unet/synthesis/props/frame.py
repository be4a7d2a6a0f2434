"""The plane a thing in front of a face is drawn on: head coordinates of pixels, soft edges, the photo's light.

A thing is drawn as signed distances in head units (1 = half a face's width) on a plane that turns with the head, so
that it grows, leans and narrows with the face.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from rac_unet.synthesis.masks.geometry import HeadPose
from rac_unet.synthesis.masks.light import LUMA, Light, shoulder


@dataclass(frozen=True)
class Layer:
    """Something that lies in front of a picture.

    Attributes:
        colour: (H, W, 3) float32, 0 to 255.
        cover: (H, W) float32, 1 where only the thing is seen, 0 where it is not.
        shade: (H, W) float32 that what lies behind is multiplied with: the shadow that the thing throws.
        over_mask: it lies over a mask; otherwise the mask is worn over it.
    """

    colour: np.ndarray
    cover: np.ndarray
    shade: np.ndarray
    over_mask: bool = True

    def lay_over(self, image: np.ndarray) -> np.ndarray:
        """`image` (H, W, 3) uint8 with the thing in front of it; untouched bit for bit where there is none of it."""
        cover, shade = self.cover[..., None], self.shade[..., None]
        return np.clip(np.rint(image * (shade * (1 - cover)) + self.colour * cover), 0, 255).astype(np.uint8)


class Frame:
    """A plane through a head point, parallel to the face, and the pixels' places on it.

    Attributes:
        x, y: (H, W) float32, head units to the image's right and down from `centre`.
        unit: pixels per head unit.
    """

    def __init__(self, pose: HeadPose, light: Light, shape: tuple[int, int], centre: tuple[float, float, float]):
        self.pose, self.light, self.shape, self.unit = pose, light, shape, pose.scale
        origin = pose.project(np.array([centre], np.float64))[0]
        axes = pose.scale * pose.rotation[:2, :2]
        # A head in full profile has no width left on its plane; a quarter of it keeps things drawable.
        if np.linalg.norm(axes[:, 0]) < 0.25 * pose.scale:
            axes[:, 0] *= 0.25 * pose.scale / max(np.linalg.norm(axes[:, 0]), 1e-6)
        across = np.linalg.inv(axes + 1e-9 * np.eye(2))
        column = np.arange(shape[1], dtype=np.float32)[None] - np.float32(origin[0])
        row = np.arange(shape[0], dtype=np.float32)[:, None] - np.float32(origin[1])
        self.x = (np.float32(across[0, 0]) * column + np.float32(across[0, 1]) * row).astype(np.float32)
        self.y = (np.float32(across[1, 0]) * column + np.float32(across[1, 1]) * row).astype(np.float32)

    def inside(self, distance: np.ndarray) -> np.ndarray:
        """Coverage (H, W) of what has a negative `distance` (head units), one pixel soft."""
        return np.clip(0.5 - distance * self.unit, 0, 1)

    def capsule(self, start, stop, first: float, last: float) -> tuple[np.ndarray, np.ndarray]:
        """A round bar from `start` to `stop` (x, y) with radii `first` and `last`.

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
        """Relative brightness (H, W) of a surface whose height towards the viewer is `height`, in head units."""
        down, across = np.gradient(height * np.float32(self.unit))
        normal = np.stack([-across, -down, np.ones_like(height)], -1)
        normal /= np.linalg.norm(normal, axis=-1, keepdims=True)
        return self.light.shade(normal).astype(np.float32)

    def lit(self, reflectance: np.ndarray, shade: np.ndarray | float = 1.0, gloss: np.ndarray | float = 0.0):
        """(H, W, 3) float32 in 0..255 of a `reflectance` (..., 3) in 0..1 under the photo's light.

        Args:
            shade: relative brightness (H, W).
            gloss: brightness (H, W) of highlights, which have the light's colour.
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
        """A drawn thing softened and grained like the photo.

        Args:
            shadow: how dark its shadow is, 0 to 1; it falls down and away from the light by about `reach` head units.
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
