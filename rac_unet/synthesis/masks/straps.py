"""Straps that hold a mask: ear loops, ties, head bands and broad loops cut from the cloth itself.

Straps are hard for a network to detect: they are thin, of any colour, and cross skin, hair and background. So they vary
in shape, colour and place, and end anywhere, because hair hides many.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rac_unet.synthesis.masks.geometry import HeadPose
from rac_unet.synthesis.masks.light import LUMA, Light, shoulder
from rac_unet.synthesis.masks.raster import Ribbon
from rac_unet.synthesis.masks.sheet import hsv
from rac_unet.synthesis.masks.textures import Cloth

# `Cut.straps` -> the kinds of straps and their shares.
_KINDS = {
    "ears": {
        "cord": 0.34,
        "double": 0.09,
        "gathered": 0.15,
        "twisted": 0.06,
        "crossed": 0.05,
        "ties": 0.07,
        "broad": 0.24,
    },
    "corners": {"cord": 0.52, "double": 0.13, "gathered": 0.16, "twisted": 0.06, "crossed": 0.05, "ties": 0.08},
    "head": {"cord": 0.78, "double": 0.12, "twisted": 0.10},
}
_STEPS = np.linspace(0, 1, 9)[:, None]


@dataclass(frozen=True)
class Strap:
    """One strap on the generic head.

    Attributes:
        path: (n, 3) centre line in head coordinates, from the mask outwards.
        width: (n,) width in head units.
        broad: whether it is made of the mask's cloth and has its colour.
        knot: whether it is a knot or a slide on a strap, lighter or darker than the strap.
    """

    path: np.ndarray
    width: np.ndarray
    broad: bool = False
    knot: bool = False


def choose_straps(rng: np.random.Generator, held: str) -> str:
    """Choose the kind of a mask's straps at random.

    Args:
        held: `Cut.straps`: "ears" (sewn cloth), "corners" (ear loops at a stiff mask's corners), "head" or "none".
    Returns: "none", or a kind for `make_straps`; "broad" loops are cut from cloth that ends on the cheeks.
    """
    shares = _KINDS.get(held, {"none": 1.0})
    return str(rng.choice(list(shares), p=list(shares.values())))


def make_straps(kind: str, held: str, surface: np.ndarray, band: float, rng: np.random.Generator) -> list[Strap]:
    """Return the straps of one mask.

    Args:
        kind: result of `choose_straps`.
        held: see `choose_straps`.
        surface: (rows, columns, 3) head points of the mask on the face.
        band: usual width of a strap, head units.
    """
    if kind == "none":
        return []
    broad, rows = kind == "broad", len(surface)
    upper, lower = (2, rows - 3) if held == "head" or broad else (1, rows - 2)
    ends, width = _ends(kind, held, rng), _width(kind, band, rng)
    sag = _sag(rng) * (not broad)
    bow = rng.uniform(0.0, 0.06)
    # Hair or a cap hides the ends of some straps.
    hidden = rng.random() < 0.3 and not broad
    knots, slides = rng.random() < 0.12 and not broad, rng.random() < 0.06 and not broad
    arch = 4 * _STEPS[:, 0] * (1 - _STEPS[:, 0])
    straps = []
    for side, column, inner in ((-1, 0, 1), (1, -1, -2)):
        for row, end in zip((upper, lower), ends, strict=True):
            start = surface[row, column]
            # It starts a little inside the rim, so that no gap is visible at a bent corner.
            start = start + (1.0 if broad else 0.25) * (surface[row, inner] - start)
            stop = np.array([side * end[0], end[1] + rng.normal(0, 0.015), end[2]])
            path = start + (stop - start) * _STEPS
            path[:, 1] += sag * arch * rng.uniform(0.7, 1.3)
            path[:, 0] += side * bow * arch
            shown = int(rng.integers(4, len(path) + 1)) if hidden else len(path)
            straps.append(Strap(path[:shown], width[:shown], broad))
            if kind == "double":
                apart = np.array([0.0, rng.uniform(0.03, 0.09), 0.0]) * (0.4 + 0.6 * arch[:, None])
                straps.append(Strap((path + apart)[:shown], width[:shown]))
            if knots:
                straps.append(_blob(path, rng.uniform(0.08, 0.22), width[-1] * rng.uniform(1.6, 2.4) + 0.015))
            elif slides and row == lower:
                straps.append(_blob(path, rng.uniform(0.3, 0.7), width[-1] + rng.uniform(0.03, 0.06)))
    return straps


def _ends(kind: str, held: str, rng: np.random.Generator) -> list[tuple[float, float, float]]:
    """Return the ends of the upper and the lower strap of the image-right side, head coordinates."""
    if kind == "broad":  # both ends run together behind the ear
        return [(1.05, 0.10 + rng.uniform(-0.06, 0.06), -0.58), (1.05, 0.32 + rng.uniform(-0.06, 0.06), -0.58)]
    if held == "head" or kind == "ties":
        return [(1.06, -0.25 + rng.uniform(-0.2, 0.12), -0.6), (1.05, 0.74 + rng.uniform(-0.12, 0.16), -0.6)]
    ends = [(1.03, 0.10 + rng.uniform(-0.10, 0.08), -0.55), (1.02, 0.50 + rng.uniform(-0.14, 0.08), -0.52)]
    return ends[::-1] if kind == "crossed" else ends


def _width(kind: str, band: float, rng: np.random.Generator) -> np.ndarray:
    """Return (n,) widths along a strap, head units."""
    band *= float(np.exp(rng.uniform(-0.4, 0.5))) * (1.5 if kind == "ties" else 1.0)
    away = 1 - _STEPS[:, 0]
    if kind == "broad":
        band = rng.uniform(0.03, 0.07)
        return band + (rng.uniform(0.24, 0.36) - band) * away ** rng.uniform(1.0, 2.0)
    if kind == "gathered":
        return band + max(0.0, rng.uniform(0.10, 0.24) - band) * away ** rng.uniform(3.0, 7.0)
    if kind == "twisted":
        return band * (0.4 + 0.6 * np.abs(np.cos(rng.uniform(3, 9) * away + rng.uniform(0, 3))))
    return np.full(len(away), band)


def _sag(rng: np.random.Generator) -> float:
    """Return how far the middle of a strap sags, head units: most are taut, loops that are too long sag."""
    kind = rng.random()
    if kind < 0.65:
        return rng.uniform(-0.02, 0.03)
    return rng.uniform(0.03, 0.10) if kind < 0.85 else rng.uniform(0.1, 0.3)


def _blob(path: np.ndarray, place: float, size: float) -> Strap:
    """Return a short thick piece at a share `place` of the path's length."""
    along = path[-1] - path[0]
    middle = path[int(place * (len(path) - 1))]
    step = along / max(float(np.linalg.norm(along)), 1e-6) * size * 0.6
    path = middle + np.array([-1.0, -0.5, 0.5, 1.0])[:, None] * step
    return Strap(path, size * np.array([0.5, 1.0, 1.0, 0.5]), knot=True)


def strap_ribbons(
    straps: list[Strap], cloth: Cloth, pose: HeadPose, light: Light, level: np.ndarray, rng: np.random.Generator
) -> list[Ribbon]:
    """Project and light straps for drawing; those on the far side of the head are left out.

    Args:
        level: (3,) brightness and colour that a white sheet facing the camera would have, 1 = clipping.
    """
    tint, rim = cloth.strap, cloth.colour[:, [0, -1]].mean((0, 1))
    other = rng.random()
    if other < 0.10:
        tint = hsv(0, 0, rng.choice([0.05, 0.5, 0.97]))
    elif other < 0.18:
        tint = hsv(rng.uniform(0, 1), rng.uniform(0.4, 1.0), rng.uniform(0.3, 1.0))
    sides = {side: float(light.shade(pose.rotate(np.array([0.85 * side, -0.1, 0.5])))) for side in (-1.0, 1.0)}
    tone, edge = rng.uniform(0.75, 1.1), rng.uniform(0.6, 1.05)
    piece = rng.choice([0.5, 0.8, 1.3])
    ribbons = []
    for strap in straps:
        side = float(np.sign(strap.path[0, 0])) or 1.0
        if pose.rotate(np.array([side, 0.0, 0.12]))[2] <= -0.10:
            continue
        stuff = rim if strap.broad else tint * piece if strap.knot else tint
        if light.saturation < 1:
            stuff = stuff + (1 - light.saturation) * (stuff @ LUMA - stuff)
        shade = sides[side] * (1.0 if strap.broad else tone)
        path = pose.project(strap.path)
        lit = [
            shoulder((0.02 + stuff * level) * shade * part) for part in (1.0, 0.5 + 0.5 * edge if strap.broad else edge)
        ]
        ribbons.append(Ribbon(path, np.clip(strap.width * pose.scale, 0.8, 160.0), *lit))
    return ribbons
