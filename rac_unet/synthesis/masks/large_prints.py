"""Large prints on cloth masks: flags, words, drawn mouths, muzzles and skulls, tie-dye, lace, marble and glitter."""

from __future__ import annotations

import string

import cv2
import numpy as np

from rac_unet.synthesis.masks.sheet import Sheet, hsv, smooth_noise


def picture_print(
    rng: np.random.Generator, sheet: Sheet, colour: np.ndarray, second: np.ndarray, third: np.ndarray
) -> np.ndarray:
    """(h, w, 3) reflectance of one large print over the ground `colour` (h, w, 3), in `second` and `third`."""
    draw = (_flag, _words, _mouth, _muzzle, _teeth, _tie_dye, _lace, _marble, _glitter)[int(rng.integers(9))]
    return draw(rng, sheet, colour, second, third)


def _ink(colour: np.ndarray, where: np.ndarray, tint: np.ndarray) -> np.ndarray:
    where = np.clip(where, 0, 1).astype(np.float32)[..., None]
    return colour + where * (tint - colour)


def _flag(rng, sheet, colour, second, third):
    """Three bands, upright or level, sometimes with a disc or a corner field."""
    along = (sheet.u + 1) / 2 + 0 * sheet.v if rng.random() < 0.5 else sheet.v + 0 * sheet.u
    colour = _ink(_ink(colour, 200 * (along - 1 / 3), second), 200 * (along - 2 / 3), third)
    kind = rng.random()
    if kind < 0.35:
        disc = np.hypot(sheet.u, (sheet.v - 0.5) * sheet.tall)
        colour = _ink(colour, 60 * (rng.uniform(0.15, 0.4) - disc), hsv(rng.uniform(0, 1), 0.9, 0.9))
    elif kind < 0.55:
        corner = np.minimum(-0.1 - sheet.u, 0.55 - sheet.v) * 60
        colour = _ink(colour, corner, hsv(0.62, 0.8, 0.5))
        stars = np.minimum(np.sin(sheet.u * 30) * np.sin(sheet.v * sheet.tall * 30) - 0.6, corner)
        colour = _ink(colour, 8 * stars, hsv(0, 0, 0.95))
    return colour


def _words(rng, sheet, colour, second, third):
    """One to three lines of letters."""
    height, width = sheet.shape
    page = np.zeros((height, width), np.uint8)
    lines = int(rng.integers(1, 4))
    font = int(rng.choice([cv2.FONT_HERSHEY_SIMPLEX, cv2.FONT_HERSHEY_TRIPLEX, cv2.FONT_HERSHEY_SCRIPT_SIMPLEX]))
    scale = width * rng.uniform(0.006, 0.016)
    for line in range(lines):
        text = "".join(rng.choice(list(string.ascii_uppercase + string.digits), int(rng.integers(2, 8))))
        wide, tall = cv2.getTextSize(text, font, scale, 1)[0]
        place = (
            int((width - wide) / 2 + rng.uniform(-0.15, 0.15) * width),
            int(height * (line + 1) / (lines + 1) + tall / 2 + rng.uniform(-0.05, 0.1) * height),
        )
        cv2.putText(
            page, text, place, font, scale, 255, int(rng.integers(1, 1 + max(1, round(2.5 * scale)) + 1)), cv2.LINE_AA
        )
    return _ink(colour, page.astype(np.float32) / 255, second)


def _mouth(rng, sheet, colour, second, third):
    """Lips or a grin; place and shape are independent of the face's real mouth."""
    u, v = sheet.u - rng.normal(0, 0.08), (sheet.v - rng.uniform(0.42, 0.65)) * sheet.tall
    wide, bend = rng.uniform(0.25, 0.55), rng.uniform(-0.35, 0.45)
    middle = v + bend * (u / wide) ** 2 * wide
    half = rng.uniform(0.08, 0.2) * np.sqrt(np.clip(1 - (u / wide) ** 2, 0, 1))
    lips = hsv(rng.normal(0.98, 0.03), rng.uniform(0.5, 0.95), rng.uniform(0.5, 0.95))
    colour = _ink(colour, 60 * (half - np.abs(middle)) * (np.abs(u) < wide), lips if rng.random() < 0.7 else second)
    inner = half - rng.uniform(0.03, 0.07) - np.abs(middle)
    if rng.random() < 0.6:
        colour = _ink(colour, 60 * inner, hsv(0, 0, 0.95))
        colour = _ink(colour, np.minimum(60 * inner, 8 * (np.cos(u * 40) - 0.85)), hsv(0, 0, 0.3))
    else:
        colour = _ink(colour, 60 * (0.012 - np.abs(middle)) * (np.abs(u) < 0.9 * wide), hsv(0, 0.4, 0.2))
    return colour


def _muzzle(rng, sheet, colour, second, third):
    """An animal's nose, whiskers and mouth."""
    u, v = sheet.u, (sheet.v - rng.uniform(0.3, 0.45)) * sheet.tall
    pale = np.minimum(np.hypot((u - 0.22) / 0.36, (v - 0.25) / 0.3), np.hypot((u + 0.22) / 0.36, (v - 0.25) / 0.3))
    colour = _ink(colour, 20 * (1 - pale), third if rng.random() < 0.5 else hsv(0.1, 0.1, 0.95))
    dark = hsv(rng.uniform(0, 1), rng.uniform(0, 0.6), rng.uniform(0.02, 0.3))
    colour = _ink(colour, 12 * (1 - np.hypot(u / 0.17, v / 0.11)), dark)
    smile = np.abs(np.hypot(np.abs(u) - 0.2, v - 0.2) - 0.2) - 0.02
    colour = _ink(colour, -50 * np.maximum(smile, 0.2 - v), dark)
    for slope in (-0.35, 0.0, 0.35):
        whisker = np.maximum(np.abs(v - 0.2 - slope * (np.abs(u) - 0.3)) - 0.01, np.abs(np.abs(u) - 0.55) - 0.25)
        colour = _ink(colour, -50 * whisker, dark)
    return colour


def _teeth(rng, sheet, colour, second, third):
    """A skull's or a shark's rows of teeth."""
    colour = colour * np.float32(rng.uniform(0.2, 1.0))
    u, v = sheet.u, (sheet.v - rng.uniform(0.45, 0.6)) * sheet.tall
    bend, many = rng.uniform(-0.2, 0.3), rng.uniform(8, 22)
    line = v + bend * u**2
    pointed = rng.random() < 0.5
    cell = np.abs((u * many / np.pi) % 1 - 0.5) * 2
    long = (
        rng.uniform(0.16, 0.34) * (1 - 0.5 * u**2) * ((1 - cell) if pointed else np.sqrt(np.clip(1.05 - cell**4, 0, 1)))
    )
    gap = rng.uniform(0.01, 0.06)
    bone = hsv(0.12, rng.uniform(0, 0.3), rng.uniform(0.7, 1.0))
    colour = _ink(colour, 40 * (gap + 0.05 - np.abs(line)) * (np.abs(u) < 0.85), hsv(0, rng.uniform(0, 0.9), 0.08))
    return _ink(
        colour, 40 * np.minimum(long - np.abs(np.abs(line) - gap), np.abs(line) - gap) * (np.abs(u) < 0.8), bone
    )


def _tie_dye(rng, sheet, colour, second, third):
    """Rings or a spiral of strong colours that blend into each other."""
    x, y = sheet.u - rng.normal(0, 0.4), (sheet.v - rng.uniform(0.2, 0.8)) * sheet.tall
    far = np.hypot(x, y) + 0.12 * smooth_noise(rng, sheet.shape, (6, 6))
    turn = rng.integers(0, 4) * np.arctan2(y, x) / (2 * np.pi)
    phase = far * rng.uniform(0.8, 2.5) + turn + rng.uniform(0, 1)
    wheel = np.stack([0.5 + 0.5 * np.cos(2 * np.pi * (phase + shift)) for shift in (0, 1 / 3, 2 / 3)], -1)
    vivid = rng.uniform(0.6, 1.0)
    return (0.15 + 0.8 * (wheel * vivid + (1 - vivid) * colour)).astype(np.float32)


def _lace(rng, sheet, colour, second, third):
    """Net or lace over cloth of another colour; or rows of punched holes."""
    pitch = rng.uniform(0.06, 0.16)
    x, y = sheet.u / pitch, sheet.v * sheet.tall / pitch
    holes = np.cos(2 * np.pi * (x + 0.5 * y)) + np.cos(2 * np.pi * (x - 0.5 * y)) + np.cos(2 * np.pi * y)
    colour = _ink(colour, 3 * (holes - rng.uniform(-0.5, 1.0)), second)
    if rng.random() < 0.5:
        flower = smooth_noise(rng, sheet.shape, (6, 9))
        colour = _ink(colour, 8 * (flower - 0.5), third)
    return colour


def _marble(rng, sheet, colour, second, third):
    """Clouds and veins, as in prints of galaxies, water-colour and marble."""
    cloud = smooth_noise(rng, sheet.shape, (4, 5)) + 0.5 * smooth_noise(rng, sheet.shape, (10, 12))
    colour = _ink(colour, 0.5 + 0.5 * cloud, second)
    vein = smooth_noise(rng, sheet.shape, (5, 7)) + 0.3 * smooth_noise(rng, sheet.shape, (16, 20))
    return _ink(colour, 1 - np.abs(vein) / rng.uniform(0.06, 0.3), third)


def _glitter(rng, sheet, colour, second, third):
    """Sequins: scattered bright points."""
    sparkle = rng.standard_normal(sheet.shape, np.float32)
    colour = colour * (1 + 0.25 * np.clip(sparkle, -2, 2))[..., None]
    return np.clip(_ink(colour, 2 * (sparkle - 1.6), np.ones(3, np.float32)), 0, 1.4)
