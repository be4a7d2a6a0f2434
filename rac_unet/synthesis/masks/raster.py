"""Rasterise textured grids and straps with soft edges; OpenCV can fill triangles but not texture them."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np


def draw_grid(
    grid: np.ndarray, depth: np.ndarray, texture: np.ndarray, size: tuple[int, int], blur: float
) -> tuple[np.ndarray, np.ndarray]:
    """Draw a textured grid of quadrilaterals, nearer ones over farther ones.

    Args:
        grid: (rows, columns, 2) pixel positions (x, y), pixel centres at integers.
        depth: (rows, columns) nearness to the viewer; larger is nearer.
        texture: (h, w, 3) float32; its corners are mapped to the grid's corners.
        size: (height, width) of the drawing.
        blur: standard deviation in pixels of the softness of cloth and edge, >= 0.3.
    Returns: colour (height, width, 3) float32, already multiplied by coverage, and coverage (height, width)
        float32 in [0, 1], 1 inside.
    """
    rows, columns = depth.shape
    height, width = size
    place = grid * 2 + 0.5  # edges are drawn at twice the resolution, the texture is sampled once per pixel
    row, column = np.meshgrid(np.arange(rows - 1), np.arange(columns - 1), indexing="ij")
    a = (row * columns + column).ravel()
    b, c, d = a + 1, a + columns, a + columns + 1
    corners = np.concatenate([np.stack([a, b, c], 1), np.stack([b, d, c], 1)])
    corners = corners[np.argsort(depth.ravel()[corners].mean(1), kind="stable")]
    points = place.reshape(-1, 2)[corners]
    scale_u, scale_v = (texture.shape[1] - 1) / (columns - 1), (texture.shape[0] - 1) / (rows - 1)
    where = np.stack([corners % columns * scale_u, corners // columns * scale_v], -1)

    # Affine map pixel -> texture of every triangle; entry 0 means "nothing drawn".
    side1, side2 = points[:, 1] - points[:, 0], points[:, 2] - points[:, 0]
    area = side1[:, 0] * side2[:, 1] - side1[:, 1] * side2[:, 0]
    # A triangle seen edge-on gets one colour; its slopes would be noise.
    slope = np.where(np.abs(area) < 2.0, 0.0, 1 / np.where(np.abs(area) < 2.0, 1.0, area))[:, None]
    step1, step2 = where[:, 1] - where[:, 0], where[:, 2] - where[:, 0]
    by_x = (step1 * side2[:, 1:] - step2 * side1[:, 1:]) * slope
    by_y = (step2 * side1[:, :1] - step1 * side2[:, :1]) * slope
    base = where[:, 0] - by_x * points[:, :1, 0] - by_y * points[:, :1, 1]
    table = np.zeros((6, len(corners) + 1), np.float32)
    table[:, 1:] = np.concatenate([base, by_x, by_y], 1).T

    number = np.zeros((height * 2, width * 2), np.int16)
    fixed = np.rint(np.clip(points, -20000, 20000) * 16).astype(np.int32)
    for k, triangle in enumerate(fixed, 1):
        cv2.fillConvexPoly(number, triangle, k, cv2.LINE_8, 4)
    x = np.arange(0, 2 * width, 2, dtype=np.float32)[None]
    y = np.arange(0, 2 * height, 2, dtype=np.float32)[:, None]
    index = number[::2, ::2].astype(np.intp)
    map_u, map_v = (
        # mode="clip" avoids a buffered copy in NumPy; no index is out of range.
        table[k].take(index, mode="clip")
        + table[k + 2].take(index, mode="clip") * x
        + table[k + 4].take(index, mode="clip") * y
        for k in (0, 1)
    )
    colour = cv2.remap(texture, map_u, map_v, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    hit = (index > 0).astype(np.float32)
    colour *= hit[..., None]
    cover = cv2.resize((number > 0).astype(np.float32), (width, height), interpolation=cv2.INTER_AREA)
    # Edge pixels whose sample missed the cloth take the colour of the cloth next to them.
    missed = (1 - hit) / np.maximum(cv2.blur(hit, (3, 3)), 0.05)
    colour += cv2.blur(colour, (3, 3)) * missed[..., None]
    colour *= cover[..., None]
    return cv2.GaussianBlur(colour, (0, 0), blur), cv2.GaussianBlur(cover, (0, 0), blur)


@dataclass(frozen=True)
class Ribbon:
    """A strap to be drawn.

    Attributes:
        path: (n, 2) pixel positions of its centre line, n >= 2.
        width: (n,) width in pixels.
        colour, rim: (3,) colours of its middle and of its two edges, 0 to 255.
    """

    path: np.ndarray
    width: np.ndarray
    colour: np.ndarray
    rim: np.ndarray


def draw_ribbons(ribbons: list[Ribbon], size: tuple[int, int], blur: float) -> tuple[np.ndarray, np.ndarray]:
    """Draw ribbons, later ones over earlier ones.

    Args:
        size: (height, width) of the drawing.
        blur: standard deviation in pixels of the softness of their edges.
    Returns: colour (height, width, 3) float32, not multiplied by coverage, and coverage (height, width) float32.
    """
    over = 2
    cover = np.zeros((size[0] * over, size[1] * over), np.uint8)
    colour = np.zeros((*size, 3), np.uint8)
    for ribbon in ribbons:
        along = np.gradient(ribbon.path, axis=0)
        along /= np.maximum(np.linalg.norm(along, axis=1, keepdims=True), 1e-6)
        across = 0.5 * along[:, ::-1] * [-1, 1]
        outline = _outline(ribbon.path, across * ribbon.width[:, None])
        cv2.fillPoly(cover, [_fixed((outline + 0.5) * over - 0.5)], 255, cv2.LINE_AA, 4)
        # The colour extends beyond the edge, which is softened later.
        wide = _outline(ribbon.path, across * (ribbon.width[:, None] + 2 + 4 * blur))
        cv2.fillPoly(colour, [_fixed(wide)], ribbon.rim.tolist(), cv2.LINE_8, 4)
        cv2.fillPoly(
            colour,
            [_fixed(_outline(ribbon.path, across * 0.55 * ribbon.width[:, None]))],
            ribbon.colour.tolist(),
            cv2.LINE_AA,
            4,
        )
    soft = cv2.resize(cover, size[::-1], interpolation=cv2.INTER_AREA).astype(np.float32) / 255
    return colour.astype(np.float32), cv2.GaussianBlur(soft, (0, 0), blur)


def _outline(path: np.ndarray, half: np.ndarray) -> np.ndarray:
    return np.concatenate([path + half, (path - half)[::-1]])


def _fixed(points: np.ndarray) -> np.ndarray:
    """Convert points to sixteenths of a pixel, OpenCV's fixed-point coordinates."""
    return np.rint(np.clip(points, -20000, 20000) * 16).astype(np.int32)
