"""Textures of mask materials: colour, folds, seams and fittings, flat in the (u, v) plane.

Colours have realistic shares: most surgical masks are pale blue or white, most KN95 white, cloth has any colour.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from rac_unet.synthesis.masks.prints import printed
from rac_unet.synthesis.masks.sheet import Sheet, hsv, smooth_noise


@dataclass(frozen=True)
class Cloth:
    """One mask's material.

    Attributes:
        colour: (h, w, 3) float32 reflectance, 0 to 1.
        relief: (h, w) float32 change of brightness by folds, seams and weave, lit from above; 0 means no change.
        contrast: strength of the shading, 1 = as much as on skin; less on thin fleece.
        strap: (3,) reflectance of the straps.
        band: strap width in head units.
    """

    colour: np.ndarray
    relief: np.ndarray
    contrast: float
    strap: np.ndarray
    band: float


def surgical(rng: np.random.Generator, sheet: Sheet) -> Cloth:
    """Pleated fleece: folds that open over the mouth, a paler bound edge over the nose wire, welded sides."""
    kind = rng.random()
    if kind < 0.44:
        base = hsv(rng.normal(0.55, 0.015), rng.uniform(0.06, 0.28), rng.uniform(0.88, 1.0))
    elif kind < 0.70:
        base = hsv(rng.uniform(0, 1), rng.uniform(0, 0.04), rng.uniform(0.90, 1.0))
    elif kind < 0.80:
        base = hsv(rng.normal(0.43, 0.03), rng.uniform(0.10, 0.32), rng.uniform(0.80, 0.95))
    elif kind < 0.86:
        base = hsv(rng.normal(0.95, 0.02), rng.uniform(0.12, 0.35), rng.uniform(0.88, 1.0))
    elif kind < 0.92:
        base = hsv(rng.uniform(0.55, 0.7), rng.uniform(0, 0.15), rng.uniform(0.02, 0.20))
    else:
        base = hsv(rng.uniform(0, 1), rng.uniform(0.15, 1.0), rng.uniform(0.5, 1.0))
    dark = base.max() < 0.3
    u, v = sheet.u, sheet.v
    colour = sheet.fill(base)
    relief = _wrinkles(rng, sheet, rng.uniform(0.03, 0.07) if rng.random() < 0.75 else rng.uniform(0.07, 0.14))
    count = int(rng.integers(3, 5))
    sag = rng.uniform(-0.02, 0.06)
    strength = rng.uniform(0.08, 0.24) if rng.random() < 0.8 else rng.uniform(0.24, 0.40)
    for k in range(count):
        # Pleats are stitched together at the sides and pulled apart in the middle.
        start = 0.27 + 0.42 * (k + rng.uniform(-0.15, 0.15)) / max(count - 1, 1)
        bend = sag * (1 - u**2) + (start - 0.48) * 0.30 * (1 - u**2)
        path = start + bend + 0.008 * smooth_noise(rng, (1, sheet.shape[1]), (1, 4))
        rows = sheet.rows(start - 0.20, start + 0.22)
        below = v[rows] - path
        fade = (0.5 + 0.5 * np.abs(u) if k % 2 else 1.0 - 0.35 * u**2) * (
            1 + 0.35 * smooth_noise(rng, (1, sheet.shape[1]), (1, 3))
        )
        # Above the fold the cloth faces the light; below, the next layer is in shadow.
        lip = np.maximum(0, 1 + below / 0.07) * (below < 0)
        under = (np.maximum(0, 1 - below / 0.035) ** 2 + 0.35 * np.maximum(0, 1 - below / 0.10)) * (below >= 0)
        relief[rows] += strength * fade * (0.45 * lip - under)

    bound = rng.uniform(0.035, 0.06)
    pale = 0.6 * rng.random() + 0.25
    top = np.clip((bound - v) / 0.008, 0, 1) * np.ones_like(u)
    colour += (top * pale)[..., None] * ((0.12 if dark else 1.0) - colour) * (0.5 if dark else 1.0)
    relief -= 0.07 * sheet.line(v - bound, 0.012)
    wire = sheet.line(v - bound * 1.6, 0.016) * np.clip((0.38 - np.abs(u)) / 0.05, 0, 1)
    relief += rng.uniform(0.0, 0.06) * wire
    relief -= 0.05 * sheet.line(v - (1 - bound * 0.8), 0.012)
    weld = sheet.line(np.abs(u) - 0.93, 0.012)
    relief -= weld * (0.07 + 0.04 * np.sin(v * 150))
    strap = np.clip(base if dark else 0.35 * base + 0.62, 0, 1) if rng.random() < 0.9 else base
    return Cloth(colour, relief, 1.1 if dark else 0.9, strap, rng.uniform(0.018, 0.032))


def kn95(rng: np.random.Generator, sheet: Sheet) -> Cloth:
    """Two halves welded along the midline, embossed edge, stiff smooth fleece."""
    kind = rng.random()
    if kind < 0.70:
        base = hsv(rng.uniform(0.08, 0.6), rng.uniform(0, 0.05), rng.uniform(0.90, 1.0))
    elif kind < 0.82:
        base = hsv(rng.uniform(0, 1), rng.uniform(0, 0.1), rng.uniform(0.02, 0.18))
    else:
        base = hsv(rng.uniform(0, 1), rng.uniform(0.1, 1.0), rng.uniform(0.45, 1.0))
    u, v = sheet.u, sheet.v
    relief = _wrinkles(rng, sheet, rng.uniform(0.01, 0.025))
    seam = np.abs(u)
    relief += 0.10 * sheet.line(seam, 0.010) - 0.09 * sheet.line(seam - 0.035, 0.016)
    relief += _edge_weld(sheet, 0.05, 0.07, dots=True)
    # Most have a short fold from the nose clip towards the cheeks.
    if rng.random() < 0.7:
        crease = v - (0.30 - 0.12 * np.abs(u))
        relief -= 0.05 * sheet.line(crease, 0.02) * (np.abs(u) > 0.05)
    if rng.random() < 0.5:
        clip = np.clip((0.34 - np.abs(u)) / 0.04, 0, 1) * np.clip(1 - np.abs(v - 0.085) / 0.03, 0, 1)
        relief += rng.uniform(-0.08, 0.08) * np.minimum(1, 2 * clip)
    dark = base.max() < 0.3
    return Cloth(sheet.fill(base), relief, 1.3 if dark else 1.15, base, rng.uniform(0.022, 0.04))


def n95_cup(rng: np.random.Generator, sheet: Sheet) -> Cloth:
    """Moulded cup: embossed ring, flat rim, metal nose clip, speckled stiff surface."""
    kind = rng.random()
    if kind < 0.72:
        base = hsv(rng.uniform(0.07, 0.16), rng.uniform(0, 0.10), rng.uniform(0.86, 1.0))
    elif kind < 0.88:
        base = hsv(rng.normal(0.53, 0.04), rng.uniform(0.12, 0.4), rng.uniform(0.7, 0.92))
    else:
        base = hsv(rng.uniform(0, 1), rng.uniform(0, 0.9), rng.uniform(0.1, 0.9))
    u, v = sheet.u, sheet.v
    radius = np.sqrt((u * 0.98) ** 2 + ((v - 0.52) * 2.0) ** 2)
    ring = rng.uniform(0.50, 0.68)
    relief = 0.06 * sheet.line(radius - ring + 0.03, 0.025) - 0.08 * sheet.line(radius - ring - 0.02, 0.025)
    relief += _edge_weld(sheet, 0.06, 0.05, dots=False)
    if rng.random() < 0.45:
        for k in (-1, 1):
            relief -= 0.07 * sheet.line(v - 0.5 - k * 0.13 - 0.05 * u**2, 0.014) * (np.abs(u) < 0.62)
    relief += rng.uniform(0.012, 0.03) * smooth_noise(rng, sheet.shape, (40, 44))
    colour = sheet.fill(base)
    if rng.random() < 0.7:
        clip = np.clip((0.42 - np.abs(u)) / 0.03, 0, 1) * np.clip((0.032 - np.abs(v - 0.075)) / 0.01, 0, 1)
        colour += clip[..., None] * (np.float32(rng.uniform(0.5, 0.75)) - colour)
        relief += clip * (0.15 * (v < 0.07) - 0.05)
    strap = (hsv(0.13, 0.5, 0.85), hsv(0, 0, 0.93), hsv(0, 0, 0.12))[rng.integers(3)]
    return Cloth(colour, relief, 0.95, strap, rng.uniform(0.035, 0.055))


def cloth_plain(rng: np.random.Generator, sheet: Sheet, base: np.ndarray | None = None) -> Cloth:
    """Sewn cotton of any colour: hem, often a middle seam or pleats, visible weave, soft folds."""
    if base is None:
        if rng.random() < 0.4:  # vivid: red, yellow, green, royal blue
            base = hsv(rng.uniform(0, 1), rng.uniform(0.75, 1.0), rng.uniform(0.6, 1.0))
        else:
            base = hsv(rng.uniform(0, 1), rng.beta(1.2, 1.6), rng.uniform(0.25, 1.0))
    u, v = sheet.u, sheet.v
    relief = _wrinkles(rng, sheet, rng.uniform(0.04, 0.09) if rng.random() < 0.75 else rng.uniform(0.09, 0.16))
    kind = rng.random()
    if kind < 0.55:
        relief += 0.04 * sheet.line(np.abs(u) - 0.03, 0.02) - 0.13 * sheet.line(np.abs(u), 0.011)
    elif kind < 0.8:
        for start in (0.36, 0.56, 0.74):
            below = v - start - 0.05 * (start - 0.4) * (1 - u**2) - 0.02 * (1 - u**2)
            relief += 0.16 * (
                0.4 * np.clip(1 + below / 0.06, 0, 1) * (below < 0)
                - np.clip(1 - below / 0.06, 0, 1) ** 2 * (below >= 0)
            )
    relief += _edge_weld(sheet, rng.uniform(0.03, 0.06), 0.06, dots=False)
    weave = rng.standard_normal(sheet.shape, np.float32)
    relief += rng.uniform(0.015, 0.04) * weave
    strap = base if rng.random() < 0.6 else hsv(0, 0, rng.choice([0.08, 0.95]))
    return Cloth(sheet.fill(base), relief, 0.95, strap, rng.uniform(0.025, 0.06))


def cloth_black(rng: np.random.Generator, sheet: Sheet) -> Cloth:
    """Black to charcoal cotton or foam, by far the most common reusable mask."""
    grey = hsv(rng.uniform(0.55, 0.75), rng.uniform(0, 0.25), rng.uniform(0.015, 0.20))
    cloth = cloth_plain(rng, sheet, grey)
    return Cloth(cloth.colour, 1.6 * cloth.relief, 1.3, grey, rng.uniform(0.03, 0.09))


def cloth_patterned(rng: np.random.Generator, sheet: Sheet) -> Cloth:
    """Printed cotton in two or three colours, see `prints`."""
    first = hsv(rng.uniform(0, 1), rng.uniform(0, 1.0), rng.uniform(0.05, 1.0))
    cloth = cloth_plain(rng, sheet, first)
    colour = printed(rng, sheet, first)
    return Cloth(colour, cloth.relief, cloth.contrast, cloth.strap, cloth.band)


def bandana(rng: np.random.Generator, sheet: Sheet) -> Cloth:
    """A large soft cloth with deep hanging folds; plain, black or printed."""
    base = hsv(rng.uniform(0, 1), rng.beta(1.2, 1.4), rng.uniform(0.08, 0.95))
    kind = rng.random()
    if kind < 0.30:
        base = hsv(rng.uniform(0.5, 0.8), rng.uniform(0, 0.2), rng.uniform(0.05, 0.18))
    colour = printed(rng, sheet, base) if kind > 0.60 else sheet.fill(base)
    u, v = sheet.u, sheet.v
    relief = _wrinkles(rng, sheet, rng.uniform(0.06, 0.10))
    for _ in range(int(rng.integers(4, 8))):
        # Folds hang between the ears: sagging arcs, deeper towards the bottom.
        low = rng.uniform(0.22, 0.85)
        tilt, sag = rng.uniform(-0.10, 0.10), rng.uniform(0.05, 0.30)
        arc = v - low + sag * u**2 + tilt * u + 0.015 * smooth_noise(rng, (1, sheet.shape[1]), (1, 5))
        width = rng.uniform(0.015, 0.05)
        where = np.exp(-(((u - rng.uniform(-0.5, 0.5)) / rng.uniform(0.35, 0.9)) ** 2))
        relief += where * rng.uniform(0.10, 0.26) * (sheet.line(arc + width, width) - sheet.line(arc - width, width))
    relief -= 0.06 * sheet.line(v - 0.022, 0.008)
    relief += rng.uniform(0.01, 0.03) * rng.standard_normal(sheet.shape, np.float32)
    return Cloth(colour, relief, 1.05, base, 0.0)


def add_valve(rng: np.random.Generator, sheet: Sheet, cloth: Cloth) -> Cloth:
    """Add an exhalation valve to a mask: a raised, ribbed plastic disc off the midline and its shadow."""
    side = float(rng.choice([-1.0, 1.0])) * rng.uniform(0.22, 0.42)
    height, size = rng.uniform(0.46, 0.64), rng.uniform(0.15, 0.22)
    x, y = (sheet.u - side) / size, (sheet.v - height) / (size * 1.2 / sheet.tall)
    square = rng.random() < 0.3
    radius = (x**4 + y**4) ** 0.25 if square else np.sqrt(x**2 + y**2)
    disc = np.clip((1.0 - radius) / 0.10, 0, 1)
    plain = float(cloth.colour.mean())
    shade = rng.choice([0.90, 0.12, plain * 0.8])
    tint = np.array([shade] * 3, np.float32)
    colour = cloth.colour + disc[..., None] * (tint - cloth.colour)
    relief = cloth.relief * (1 - disc)
    relief -= 0.35 * np.exp(-(((np.sqrt(x**2 + (y - 0.22) ** 2) - 1.05) / 0.13) ** 2)) * (1 - disc)
    relief += disc * 0.22 * sheet.line(radius - 0.88, 0.07) * -y
    relief -= disc * 0.22 * sheet.line(radius - 0.68, 0.05)
    ribs = np.cos(y * rng.uniform(9, 13)) if rng.random() < 0.6 else np.cos(np.arctan2(y, x) * 6)
    relief += disc * (radius < 0.6) * 0.10 * ribs
    return Cloth(colour, relief.astype(np.float32), cloth.contrast, cloth.strap, cloth.band)


def _wrinkles(rng: np.random.Generator, sheet: Sheet, strength: float) -> np.ndarray:
    """Soft dents, and creases that run outwards from the mouth."""
    across = smooth_noise(rng, sheet.shape, (7, 3))
    relief = 0.7 * strength * across
    for _ in range(int(rng.integers(3, 7))):
        # A crease is bright on one flank and dark on the other.
        x, y = rng.uniform(-0.9, 0.9), rng.uniform(0.15, 0.9)
        angle = math.atan2((y - 0.5) * sheet.tall, x) + rng.normal(0, 0.5)
        width, length = rng.uniform(0.04, 0.12), rng.uniform(0.25, 0.7)
        rows = sheet.rows(y - length / sheet.tall, y + length / sheet.tall)
        du, dv = sheet.u - x, (sheet.v[rows] - y) * sheet.tall
        along = (du * math.cos(angle) + dv * math.sin(angle)) * (1 / length)
        off = np.clip((dv * math.cos(angle) - du * math.sin(angle)) * (0.5 / width), -1, 1)
        bump = off * (1 - off * off)
        relief[rows] += (strength * rng.uniform(1.5, 4.5)) * bump * np.maximum(0, 1 - along * along)
    return relief


def _edge_weld(sheet: Sheet, inset: float, strength: float, dots: bool) -> np.ndarray:
    """Seam around the mask a little inside its edge."""
    gap = np.minimum(np.minimum(sheet.v, 1 - sheet.v) * 2.0, 1 - np.abs(sheet.u))
    line = sheet.line(gap - 2 * inset, 0.02)
    if dots:
        line = line * (0.7 + 0.3 * np.sin((sheet.u + sheet.v) * 110))
    return -strength * line
