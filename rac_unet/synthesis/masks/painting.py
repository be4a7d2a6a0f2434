"""Paint a realistic face mask on a photographed or drawn face.

Training needs pairs that differ only by the mask, and a network trained on flat stickers fails on real
masks. Therefore the cloth is a 3-D surface fitted to the head (`geometry`, `shapes`), made of a named
material (`textures`, `prints`), drawn by `raster`, lit by the photo's own light and softened
like the photo (`light`).
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass

import cv2
import numpy as np

from rac_unet.core.errors import UserError
from rac_unet.synthesis.masks import textures
from rac_unet.synthesis.masks.geometry import HeadPose, fit_head, surface_normals
from rac_unet.synthesis.masks.light import LUMA, Light, measure_light, shoulder
from rac_unet.synthesis.masks.raster import Ribbon, draw_grid, draw_ribbons
from rac_unet.synthesis.masks.rims import finish_rim
from rac_unet.synthesis.masks.shapes import CUTS, choose_wear, mask_surface
from rac_unet.synthesis.masks.sheet import Sheet
from rac_unet.synthesis.masks.straps import choose_straps, make_straps, strap_ribbons

# Style -> (materials, cuts); the seed draws one place in both lists, so that KN95 cloth gets a KN95's cut.
_STYLES = {
    "surgical": (("surgical",), ("pleated",)),
    "kn95": (("kn95",), ("folded",)),
    "n95_cup": (("n95_cup",), ("cup",)),
    "cloth_plain": (("cloth_plain",), ("fitted", "fitted", "pleated")),
    "cloth_patterned": (("cloth_patterned",), ("fitted", "fitted", "pleated")),
    "cloth_black": (("cloth_black",), ("fitted", "fitted", "pleated")),
    "valve": (("kn95", "n95_cup", "cloth_plain", "cloth_black"), ("folded", "cup", "fitted", "fitted")),
    "bandana": (("bandana",), ("triangle", "gaiter")),
}
STYLES: tuple[str, ...] = tuple(_STYLES)
# Version of the drawing: raised whenever the same arguments give another mask, so that no data set mixes two versions.
DRAWING = 3


@dataclass(frozen=True)
class MaskedFace:
    """A face with a mask painted on.

    Attributes:
        image: (H, W, 3) uint8 RGB.
        occlusion: (H, W) uint8; 255 where only the mask is visible, 0 where the input is unchanged bit for bit,
            between on the soft edge and in the shadow of the mask on the skin.
    """

    image: np.ndarray
    occlusion: np.ndarray


def paint_mask(image: np.ndarray, points: np.ndarray, style: str, seed: int) -> MaskedFace:
    """Paint a mask of `style` on the face in `image`.

    Args:
        image: (H, W, 3) uint8 RGB.
        points: (68, 2) iBUG-68 landmarks in pixels; may be outside the image. Mouth and brows are not used.
        style: one of `STYLES`.
        seed: chooses colour, wear and folds; the same arguments give the same bytes.
    Raises:
        UserError: unknown style, image not (H, W, 3) uint8, or points not 68 finite pairs.
    """
    if style not in _STYLES:
        raise UserError(f"unknown mask style {style!r}; choose one of: {', '.join(STYLES)}", "unknown_name")
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8 or not image.size:
        raise UserError(
            f"cannot paint a mask: image must be (H, W, 3) uint8, received {image.shape} {image.dtype}", "bad_value"
        )
    points = np.asarray(points, np.float64)
    if points.shape != (68, 2) or not np.isfinite(points).all():
        raise UserError(
            f"cannot paint a mask: points must be 68 finite (x, y) pairs, received shape {points.shape}", "bad_value"
        )

    rng = np.random.default_rng([int(seed) % 2**63, zlib.crc32(style.encode())])
    pose = fit_head(points)
    materials, cuts = _STYLES[style]
    pick = int(rng.integers(12))
    cut_name = cuts[pick % len(cuts)]
    cut = CUTS[cut_name]
    kind = choose_straps(rng, cut.straps)
    surface = mask_surface(cut, choose_wear(rng, cut_name, narrow=kind == "broad"), rng)
    grid = pose.project(surface)
    side = int(np.clip(2.1 * pose.scale, 48, 400))
    tall = cut.centre[-1, 0] - cut.centre[0, 0]
    sheet = Sheet(int(side * (0.76 if tall < 2 else 1.1)), side, float(tall))
    cloth = getattr(textures, materials[pick % len(materials)])(rng, sheet)
    if style == "valve":
        cloth = textures.add_valve(rng, sheet, cloth)
    cloth = finish_rim(rng, sheet, cloth, cut.straps != "none")
    light = measure_light(image, pose)
    level = light.exposure * rng.uniform(0.92, 1.06) * light.cast
    straps = make_straps(kind, cut.straps, surface, cloth.band, rng)
    ribbons = strap_ribbons(straps, cloth, pose, light, level, rng)

    box = _bounding_box(grid, ribbons, pose.scale, image.shape)
    if box is None:
        return MaskedFace(image.copy(), np.zeros(image.shape[:2], np.uint8))
    x0, y0, x1, y1 = box
    size = (y1 - y0, x1 - x0)
    texture = _light_cloth(cloth, surface, pose, light, level, rng)

    corner = np.array([x0, y0], np.float64)
    depth = surface @ pose.rotation[2]
    blur = max(0.3, light.blur * rng.uniform(0.8, 1.2))
    colour, cover = draw_grid(grid - corner, depth, texture, size, blur)
    cover, colour = _thin_rim(cover, colour, pose.scale, rng)
    if ribbons:
        moved = [Ribbon(each.path - corner, each.width, each.colour, each.rim) for each in ribbons]
        tint, strap = draw_ribbons(moved, size, blur)
        strap *= 1 - cover
        colour += strap[..., None] * tint
        cover = cover + strap
    noise = cv2.GaussianBlur(rng.standard_normal(size, np.float32), (0, 0), 0.5) * (1.7 * light.grain)
    colour += (noise * cover)[..., None]
    bounce = cloth.colour[:: max(1, sheet.shape[0] // 8), :: max(1, sheet.shape[1] // 8)].mean((0, 1))
    colour, cover = _cast_shadow(colour, cover, pose.scale, light, bounce, rng)
    return _composite(image, colour, cover, box)


def _bounding_box(
    grid: np.ndarray, ribbons: list[Ribbon], scale: float, shape: tuple[int, ...]
) -> tuple[int, int, int, int] | None:
    """Return (x0, y0, x1, y1) of the painted area inside the image; None if it is empty."""
    every = np.concatenate([grid.reshape(-1, 2), *(ribbon.path for ribbon in ribbons)])
    margin = 4 + 0.08 * min(scale, 1e4)
    limit = np.array([shape[1], shape[0]])
    low = np.clip(np.floor(every.min(0) - margin), 0, limit).astype(int)
    high = np.clip(np.ceil(every.max(0) + margin) + 1, 0, limit).astype(int)
    if (high - low < 2).any():
        return None
    return int(low[0]), int(low[1]), int(high[0]), int(high[1])


def _light_cloth(
    cloth: textures.Cloth,
    surface: np.ndarray,
    pose: HeadPose,
    light: Light,
    level: np.ndarray,
    rng: np.random.Generator,
) -> np.ndarray:
    """Return the lit texture of the cloth, (h, w, 3) float32 in 0..255.

    Args:
        level: (3,) brightness and colour that a white sheet facing the camera would have, 1 = clipping.
    """
    height, width = cloth.relief.shape
    normals = pose.rotate(surface_normals(surface))
    shade = 1 + cloth.contrast * (light.shade(normals) - 1)
    # Less of the sky reaches the cloth where it meets the neck.
    shade *= 1 - 0.14 * np.linspace(0, 1, len(shade))[:, None] ** 3
    if rng.random() < 0.3:
        # Light from a window or a lamp at one side that hardly reaches the skin above.
        slope = rng.uniform(-0.35, 0.35)
        shade *= 1 + slope * np.linspace(-1, 1, shade.shape[1])[None]
    # Even black cloth has a sheen where it faces the light, and satin and plastic shine; none of it in the dark.
    sheen = rng.uniform(0.03, 0.06) if rng.random() < 0.6 else rng.uniform(0.005, 0.12)
    shine = None
    if rng.random() < 0.12:
        toward = np.array([*light.direction[:2], max(float(light.direction[2]), 0.3) + 0.35])
        facing = np.clip(normals @ (toward / np.linalg.norm(toward)), 0, 1)
        shine = rng.uniform(0.05, 0.30) * facing ** rng.uniform(6, 30)
        shine = cv2.resize(shine.astype(np.float32), (width, height), interpolation=cv2.INTER_CUBIC)
    shade = cv2.resize(shade.astype(np.float32), (width, height), interpolation=cv2.INTER_CUBIC)
    shade *= 1 + cloth.relief
    across = 1 - np.abs(np.linspace(-1, 1, width, dtype=np.float32))[None]
    up = 2 * np.linspace(1, 0, height, dtype=np.float32)[:, None]
    shade *= (1 - 0.10 * np.maximum(0, 1 - across / 0.15)) * (1 - 0.10 * np.maximum(0, 1 - up / 0.15))
    reflectance = cloth.colour
    if light.saturation < 1:
        reflectance = reflectance + (1 - light.saturation) * ((reflectance @ LUMA)[..., None] - reflectance)
    lit = reflectance * level.astype(np.float32)
    lit *= shade[..., None]
    lit += (light.exposure * (sheen * shade**2 if shine is None else sheen * shade**2 + shine))[..., None]
    return shoulder(lit)


def _thin_rim(
    cover: np.ndarray, colour: np.ndarray, scale: float, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Make the rim of some masks translucent, where fleece has one layer or is frayed."""
    if rng.random() >= 0.2:
        return cover, colour
    spread = float(np.clip(rng.uniform(0.006, 0.018) * scale, 0.5, 8))
    inner = np.clip(2 * cv2.GaussianBlur(cover, (0, 0), spread) - 1, 0, 1)
    kept = 1 - rng.uniform(0.2, 0.6) * (1 - inner / max(float(inner.max()), 1e-3)) ** 2
    return cover * kept, colour * kept[..., None]


def _cast_shadow(
    colour: np.ndarray,
    cover: np.ndarray,
    scale: float,
    light: Light,
    bounce: np.ndarray,
    rng: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray]:
    """Add the mask's soft shadow on the skin around it, and the colour it reflects there.

    Args:
        bounce: (3,) reflectance of the cloth, which reflects light onto the skin.
    """
    spread = float(np.clip(rng.uniform(0.015, 0.045) * scale, 0.6, 12))
    toward = -light.direction[:2] * spread * 2.5 + [0, 0.5 * spread]
    move = np.array([[1, 0, toward[0]], [0, 1, toward[1]]])
    shadow = cv2.warpAffine(cover, move, cover.shape[::-1], borderMode=cv2.BORDER_REPLICATE)
    shadow = cv2.GaussianBlur(shadow, (0, 0), spread) * rng.uniform(0.15, 0.6)
    shadow = np.maximum(shadow - 0.04, 0) * (1 - cover)
    dark = 0.25 * light.skin
    if rng.random() < 0.4:
        # Vivid cloth colours the skin next to it, bright cloth lights it.
        lit = light.skin * (0.35 + 0.9 * bounce)
        if light.saturation < 1:
            lit = lit + (1 - light.saturation) * (lit @ LUMA - lit)
        dark = dark + rng.uniform(0.3, 1.0) * (lit - dark)
    return colour + shadow[..., None] * dark.astype(np.float32), cover + shadow


def _composite(image: np.ndarray, colour: np.ndarray, cover: np.ndarray, box: tuple[int, int, int, int]) -> MaskedFace:
    """Composite premultiplied `colour` over `image` inside `box`, with the coverage first rounded to bytes."""
    x0, y0, x1, y1 = box
    alpha = np.rint(np.clip(cover, 0, 1) * 255).astype(np.uint8)
    layer = colour / np.maximum(cover, 1e-3)[..., None]
    share = (alpha.astype(np.float32) / 255)[..., None]
    face = image[y0:y1, x0:x1].astype(np.float32)
    painted = image.copy()
    painted[y0:y1, x0:x1] = np.clip(np.rint(face + share * (layer - face)), 0, 255)
    occlusion = np.zeros(image.shape[:2], np.uint8)
    occlusion[y0:y1, x0:x1] = alpha
    return MaskedFace(painted, occlusion)
