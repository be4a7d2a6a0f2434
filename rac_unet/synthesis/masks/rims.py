"""Finish the edge of a mask: bindings, piping, stitches, gathers, side panels, a metal nose clip.

A network learns from the edge where a mask ends, so the edge varies within each style.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from rac_unet.synthesis.masks.sheet import Sheet, hsv
from rac_unet.synthesis.masks.textures import Cloth


def finish_rim(rng: np.random.Generator, sheet: Sheet, cloth: Cloth, hem: bool) -> Cloth:
    """Add none, one or two of the finishes above to the edge of a cloth.

    Args:
        hem: whether all four edges are sewn; a bandana's side edges are behind the head.
    """
    colour, relief = cloth.colour, cloth.relief.copy()
    if rng.random() < 0.30:
        colour, relief = _binding(rng, sheet, colour, relief, hem)
    if rng.random() < 0.12:
        colour = _stitches(rng, sheet, colour, hem)
    if rng.random() < 0.45:
        # Thin cloth lets light through at its edge; a fold or dirt darkens it.
        reach = sheet.rows(0, 0.10)
        fade = np.clip(1 - sheet.v[reach] / rng.uniform(0.02, 0.10), 0, 1) ** 2
        relief[reach] += rng.uniform(-0.28, 0.22) * fade
    if hem and rng.random() < 0.25:
        # The strap gathers the sides.
        near = np.clip((np.abs(sheet.u) - rng.uniform(0.70, 0.86)) / 0.14, 0, 1)
        relief += rng.uniform(0.06, 0.20) * near * np.sin(sheet.v * rng.uniform(25, 70) + 2 * sheet.u)
    if hem and rng.random() < 0.04:
        panel = np.abs(sheet.u) + rng.uniform(-0.2, 0.2) * sheet.v > rng.uniform(0.62, 0.85)
        colour = np.where(panel[..., None], _tint(rng, colour), colour)
    if rng.random() < 0.07:
        colour, relief = _nose_clip(rng, sheet, colour, relief)
    return dataclasses.replace(cloth, colour=colour, relief=relief)


def _tint(rng: np.random.Generator, colour: np.ndarray) -> np.ndarray:
    """Return (3,) white, black, a vivid colour, or a lighter or darker shade of the cloth."""
    kind = rng.random()
    if kind < 0.22:
        return hsv(0, 0, rng.uniform(0.85, 1.0))
    if kind < 0.40:
        return hsv(0, 0, rng.uniform(0.03, 0.15))
    if kind < 0.65:
        return hsv(rng.uniform(0, 1), rng.uniform(0.5, 1.0), rng.uniform(0.35, 1.0))
    return np.clip(colour[0].mean(0) * rng.uniform(0.55, 1.5), 0, 1).astype(np.float32)


def _edge_distance(sheet: Sheet, hem: bool) -> np.ndarray:
    """Return (h, w) distances from the edge in units of v."""
    level = np.minimum(sheet.v, 1 - sheet.v)
    return np.minimum(level, (1 - np.abs(sheet.u)) / sheet.tall) if hem else level + 0 * sheet.u


def _binding(rng, sheet, colour, relief, hem):
    """A band of another colour sewn around the edge or only along the top."""
    broad = rng.uniform(0.012, 0.035) if rng.random() < 0.6 else rng.uniform(0.035, 0.085)
    inside = sheet.v + 0 * sheet.u if rng.random() < 0.4 else _edge_distance(sheet, hem)
    on = np.clip((broad - inside) / 0.008, 0, 1)
    colour = colour + on[..., None] * (_tint(rng, colour) - colour)
    relief = relief * (1 - 0.7 * on) + rng.uniform(0, 0.12) * sheet.line(inside - 0.5 * broad, 0.3 * broad)
    return colour, relief - rng.uniform(0.03, 0.16) * sheet.line(inside - broad, 0.012)


def _stitches(rng, sheet, colour, hem):
    """A dashed seam of another colour a little inside the edge."""
    line = sheet.line(_edge_distance(sheet, hem) - rng.uniform(0.03, 0.08), rng.uniform(0.004, 0.008))
    line = line * (np.sin((sheet.u + sheet.v * sheet.tall) * rng.uniform(70, 160)) > -0.3)
    return colour + rng.uniform(0.4, 1.0) * line[..., None] * (_tint(rng, colour) - colour)


def _nose_clip(rng, sheet, colour, relief):
    """A bare metal strip over the nose."""
    half, thick = rng.uniform(0.16, 0.36), rng.uniform(0.012, 0.035)
    on = np.clip((half - np.abs(sheet.u)) / 0.03, 0, 1) * np.clip((thick - np.abs(sheet.v - 0.06)) / 0.008, 0, 1)
    colour = colour + on[..., None] * (np.float32(rng.uniform(0.35, 0.9)) - colour)
    return colour, relief * (1 - on) + on * rng.uniform(0.1, 0.5) * np.cos(sheet.u * rng.uniform(4, 12))
