"""Props worn on the head: glasses and sunglasses, caps, hats, helmets, knitted hats, headscarves and hoods."""

from __future__ import annotations

import numpy as np

from rac_unet.synthesis.masks.sheet import hsv, smooth_noise
from rac_unet.synthesis.props.frame import Frame, Layer


def glasses(frame: Frame, rng: np.random.Generator) -> Layer:
    """Glasses with two lenses, bridge and side pieces; half are sunglasses. `frame` is the plane of the eyes."""
    dark = rng.random() < 0.5
    wide, high = rng.uniform(0.29, 0.40), rng.uniform(0.19, 0.27) + 0.07 * dark
    power, low = rng.uniform(2.0, 4.5), rng.uniform(0.0, 0.08)
    slope, apart = rng.uniform(-0.08, 0.12), 0.44 + rng.uniform(-0.02, 0.03) + 0.4 * max(0.0, wide - 0.34)
    rim = rng.uniform(0.012, 0.03) if rng.random() < 0.5 else rng.uniform(0.03, 0.075)
    x, y = frame.x, frame.y
    out = np.abs(x) - np.float32(apart)
    tall = high * (1 + 0.25 * out / wide * rng.uniform(-0.4, 0.8))
    across, down = np.abs(out / wide), np.abs((y - low + slope * out) / np.maximum(tall, 0.05))
    lens = ((across**power + down**power) ** (1 / power) - 1) * min(wide, high)
    bridge = np.maximum(np.abs(y - low + 0.35 * high - 0.25 * x * x) - 0.6 * rim, np.abs(x) - (apart - wide))
    edge = frame.inside(np.minimum(np.abs(lens) - rim / 2, bridge - 0.004))
    edge = np.maximum(edge, _side_pieces(frame, apart + wide, low - 0.3 * high, rim))
    glass = frame.inside(lens)

    band = (x * rng.uniform(0.5, 1.0) + y - rng.uniform(-0.4, 0.4)) * rng.uniform(2.5, 6.0)
    streak = np.maximum(0, 1 - band**2) * rng.uniform(0.0, 0.5)
    fall = np.clip((y - low) / high * 0.5 + 0.5, 0, 1)[..., None]
    if dark:
        tint = hsv(rng.uniform(0, 1), rng.uniform(0, 0.35), rng.uniform(0.02, 0.13))
        if rng.random() < 0.2:  # mirrored: sky above, ground below
            top, tint = hsv(rng.uniform(0.45, 0.7), 0.5, rng.uniform(0.5, 0.9)), hsv(rng.uniform(0, 1), 0.6, 0.35)
        else:
            top = tint * rng.uniform(0.5, 1.1)
        clear = rng.uniform(0.0, 0.25) * rng.integers(2)
        body, opaque = top + (tint - top) * fall, (1 - clear * fall[..., 0]).astype(np.float32)
    else:
        body, opaque = np.full((1, 1, 3), 0.9, np.float32), np.float32(rng.uniform(0, 0.08)) + 0.8 * streak
    body = frame.lit(np.broadcast_to(body, (*frame.shape, 3)).astype(np.float32), 1.0, 0.7 * streak)
    kind = rng.random()
    plastic = (
        hsv(rng.uniform(0, 1), rng.uniform(0, 0.3), rng.uniform(0.03, 0.15))
        if kind < 0.6
        else (hsv(0.11, rng.uniform(0, 0.6), rng.uniform(0.5, 0.9)) if kind < 0.8 else hsv(rng.uniform(0, 1), 0.7, 0.6))
    )
    shine = np.maximum(0, 1 - ((y - low + 0.8 * high) / 0.06) ** 2) * rng.uniform(0, 0.25)
    colour = body + edge[..., None] * (frame.lit(np.broadcast_to(plastic, (*frame.shape, 3)), 1.0, shine) - body)
    cover = np.maximum(edge, glass * opaque)
    return frame.layer(colour, cover, rng, rng.uniform(0.0, 0.3) * (1 + dark) / 2, 0.05, rng.random() < 0.8)


def _side_pieces(frame: Frame, start: float, height: float, rim: float) -> np.ndarray:
    """Return the coverage of the pieces from the lenses to the ears, on the visible sides of the head."""
    cover = np.zeros(frame.shape, np.float32)
    row, column = np.mgrid[: frame.shape[0], : frame.shape[1]].astype(np.float32)
    for side in (-1, 1):
        if frame.pose.rotate(np.array([side, 0.0, 0.25]))[2] < 0:
            continue
        ends = frame.pose.project(np.array([[side * start, height, 0.40], [side * 1.03, height + 0.08, -0.45]]))
        (ax, ay), (bx, by) = ends
        bx, by = bx - ax, by - ay
        along = np.clip(((column - ax) * bx + (row - ay) * by) / max(bx * bx + by * by, 1e-6), 0, 1)
        away = np.hypot(column - ax - along * bx, row - ay - along * by)
        cover = np.maximum(cover, np.clip(0.5 + 0.8 * rim * frame.unit - away, 0, 1))
    return cover


def hat(frame: Frame, rng: np.random.Generator) -> Layer:
    """A cap, brimmed hat, helmet or knitted hat; `frame` is at the front of the head, with y = 0 at the eyes."""
    x, y = frame.x, frame.y
    kind = rng.choice(["cap", "brimmed", "helmet", "knitted", "knitted"])
    base = _cloth_colour(rng)
    wide, line = rng.uniform(1.08, 1.25), rng.uniform(-0.72, -0.48)
    round_edge = line + (0.16 if kind == "knitted" else 0.06) * x**2 * rng.uniform(0.4, 1.6) + 0.04 * rng.normal() * x
    top = line - rng.uniform(0.9, 1.3)
    dome = np.sqrt((x / wide) ** 2 + np.minimum((y - line) / (line - top), 0) ** 2) - 1
    crown = np.maximum(dome, y - round_edge)
    height = np.sqrt(np.maximum(1.0 - np.minimum(dome + 1, 1) ** 2, 0)) * 0.7
    relief = 0.05 * smooth_noise(rng, frame.shape, (5, 5))
    tint, second = np.broadcast_to(base, (*frame.shape, 3)).astype(np.float32), _cloth_colour(rng)
    gloss, shadow = np.float32(0), rng.uniform(0.2, 0.5)
    cover = frame.inside(crown)
    if kind == "knitted":
        relief = relief + rng.uniform(0.04, 0.14) * np.sin(x * rng.uniform(20, 50))
        fold = y - round_edge + rng.uniform(0.2, 0.4)
        relief = relief - 0.25 * np.maximum(0, 1 - (fold / 0.04) ** 2)
        if rng.random() < 0.4:
            tint = np.where((np.sin(y * rng.uniform(10, 25)) > 0.4)[..., None], second, tint)
    elif kind == "helmet":
        gloss = np.maximum(0, 1 - ((x - rng.uniform(-0.6, 0.6)) / 0.22) ** 2) * rng.uniform(0.1, 0.6)
        gloss = gloss * np.maximum(0, 1 - ((y - line + 0.45) / 0.3) ** 2)
        relief = relief - 0.3 * np.maximum(0, 1 - ((y - round_edge + 0.08) / 0.03) ** 2)
    else:
        reach = rng.uniform(1.4, 1.9) if kind == "brimmed" else rng.uniform(0.75, 1.0)
        deep, aside = rng.uniform(0.10, 0.24), rng.normal(0, 0.06)
        sag = (line + 0.03 - 0.35 * deep * (x / reach) ** 2) if kind == "cap" else line + 0.10 * (x / reach) ** 2
        brim = (np.sqrt(((x - aside) / reach) ** 2 + ((y - sag) / deep) ** 2) - 1) * deep
        on = frame.inside(brim)
        under = rng.uniform(0.45, 0.85)
        relief = relief * (1 - on) + on * (under - 1 + 0.5 * np.clip((sag - y) / deep, 0, 1))
        if rng.random() < 0.4:
            tint = tint + on[..., None] * (second - tint)
        cover = np.maximum(cover, on)
        shadow += 0.2
        if kind == "cap" and rng.random() < 0.6:  # an emblem
            badge = np.maximum(np.abs(x - aside) - 0.2, np.abs(y - line + 0.42) - 0.12)
            ink = frame.inside(badge) * (smooth_noise(rng, frame.shape, (40, 40)) > -0.2)
            tint = tint + ink[..., None] * (_cloth_colour(rng) - tint)
    shade = frame.shade_of(height) * np.clip(1 + relief, 0.2, 1.5)
    return frame.layer(frame.lit(tint, shade, gloss), cover, rng, min(shadow, 0.65), 0.3, True)


def headscarf(frame: Frame, rng: np.random.Generator) -> Layer:
    """A headscarf or hood: cloth around the face, over the hair and down to the shoulders."""
    x, y = frame.x, frame.y
    angle = np.arctan2(y - 0.5, x)
    wave = 0.03 * np.sin(3 * angle + rng.uniform(0, 6)) + 0.02 * np.sin(7 * angle + rng.uniform(0, 6))
    wide, high = rng.uniform(0.92, 1.08), rng.uniform(1.18, 1.40)
    face = (np.sqrt((x / wide) ** 2 + ((y - 0.52) / high) ** 2) - 1 + wave) * wide
    outer_wide, outer_high = rng.uniform(1.3, 1.65), rng.uniform(1.6, 1.9)
    outer = (np.sqrt((x / outer_wide) ** 2 + ((y - 0.45) / outer_high) ** 2) - 1 + wave) * outer_wide
    outer = np.where(y > 1.0, np.minimum(outer, np.abs(x) - outer_wide * (0.95 + 0.3 * (y - 1.0))), outer)
    cover = frame.inside(np.maximum(outer, -face))
    folds = np.sin(face * rng.uniform(14, 30) + 3 * smooth_noise(rng, frame.shape, (4, 4)))
    relief = rng.uniform(0.04, 0.14) * folds + 0.06 * smooth_noise(rng, frame.shape, (6, 6))
    # The cloth is turned in around the face, in shadow.
    relief = relief - 0.35 * np.exp(-np.maximum(face, 0) / rng.uniform(0.05, 0.14))
    base = _cloth_colour(rng)
    tint = np.broadcast_to(base, (*frame.shape, 3)).astype(np.float32)
    if rng.random() < 0.35:
        ink = smooth_noise(rng, frame.shape, (22, 22)) > rng.uniform(0.2, 0.9)
        tint = np.where(ink[..., None], _cloth_colour(rng), tint)
    shade = frame.shade_of(-0.25 * np.maximum(outer + 0.5, 0) ** 2) * np.clip(1 + relief, 0.2, 1.4)
    return frame.layer(frame.lit(tint, shade), cover, rng, rng.uniform(0.1, 0.4), 0.1, rng.random() < 0.5)


def _cloth_colour(rng: np.random.Generator) -> np.ndarray:
    """Return a reflectance (3,): dark in nearly half of the cases, otherwise any colour."""
    if rng.random() < 0.45:
        return hsv(rng.uniform(0, 1), rng.uniform(0, 0.5), rng.uniform(0.04, 0.25))
    return hsv(rng.uniform(0, 1), rng.beta(1.2, 1.4), rng.uniform(0.3, 1.0))
