"""Props held in front of a face: a hand, a microphone, a cup, fruit, a telephone. `frame` is in front of the mouth."""

from __future__ import annotations

import numpy as np

from rac_unet.synthesis.masks.light import LUMA, shoulder
from rac_unet.synthesis.masks.sheet import hsv, smooth_noise
from rac_unet.synthesis.props.frame import Frame, Layer


def hand(frame: Frame, rng: np.random.Generator) -> Layer:
    """A hand in front of mouth or chin, or at the edge of the mask."""
    turn = rng.uniform(-1.5, 1.5)  # radians from pointing up
    kind = rng.choice(["over the mouth", "at the edge", "at the chin"])
    if kind == "over the mouth":
        tip = rng.uniform([-0.35, -0.75], [0.35, -0.1])
    elif kind == "at the edge":
        side = rng.choice([-1.0, 1.0])
        tip = np.array([side * rng.uniform(0.25, 0.75), rng.uniform(-0.45, 0.6)])
        turn = -side * abs(turn) * rng.uniform(0.3, 1.0)
    else:
        tip = rng.uniform([-0.6, 0.05], [0.6, 0.5])
    cover, colour = _hand_at(frame, rng, tip, turn, rng.uniform(0.25, 0.55) if kind == "at the chin" else 1.0)
    return frame.layer(colour, cover, rng, rng.uniform(0.25, 0.55), 0.12)


def _hand_at(frame: Frame, rng: np.random.Generator, tip, turn: float, bent: float) -> tuple[np.ndarray, np.ndarray]:
    """Return coverage (H, W) and colour (H, W, 3) of a hand whose middle finger ends at `tip`.

    Args:
        turn: angle of the fingers from pointing up, radians.
        bent: length of the fingers, 0 to 1 (stretched).
    """
    ahead = np.array([np.sin(turn), -np.cos(turn)])
    aside = np.array([-ahead[1], ahead[0]]) * rng.choice([-1.0, 1.0])
    large = rng.uniform(0.82, 1.05)
    length = large * 0.92 * (0.4 + 0.6 * bent)
    wrist = np.asarray(tip) - ahead * (length + 0.95 * large)
    knuckle = np.asarray(tip) - ahead * length
    spread = rng.uniform(0.0, 0.16)
    distance = np.full(frame.shape, 9.0, np.float32)
    height = np.zeros(frame.shape, np.float32)
    crease = np.zeros(frame.shape, np.float32)
    nail = np.zeros(frame.shape, np.float32)

    def bar(start, stop, first: float, last: float, raised: float = 0.0) -> None:
        away, high = frame.capsule(start, stop, first, last)
        np.minimum(distance, away, out=distance)
        np.maximum(height, high + raised * (away < 0), out=height)

    bar(wrist - 3 * ahead, wrist, 0.36 * large, 0.27 * large)
    for place, short in zip((-0.33, -0.11, 0.11, 0.33), (0.86, 1.0, 0.94, 0.74), strict=True):
        root = knuckle + aside * (place * large)
        bar(wrist + aside * (0.5 * place * large), root, 0.20 * large, 0.145 * large, 0.02)
        way = ahead + aside * (place * spread * 3)
        curl = aside * rng.normal(0, 0.05)
        joint = root + way * (0.52 * length * short) + curl
        end = root + way * (length * short) + 1.6 * curl
        thick = large * rng.uniform(0.105, 0.12)
        bar(root, joint, 1.12 * thick, thick, 0.03)
        bar(joint, end, thick, 0.8 * thick, 0.03)
        crease = np.maximum(crease, np.exp(-(((frame.x - joint[0]) ** 2 + (frame.y - joint[1]) ** 2) / thick**2) * 2))
        seen = ((frame.x - end[0]) ** 2 + (frame.y - end[1]) ** 2) / (0.55 * thick) ** 2
        nail = np.maximum(nail, np.clip(1.5 - seen, 0, 1))
    thumb = wrist + aside * (-0.22 * large) + ahead * (0.3 * large)
    out = thumb + (ahead * rng.uniform(0.3, 0.6) - aside * rng.uniform(0.1, 0.45)) * large
    bar(thumb, out, 0.17 * large, 0.13 * large, 0.05)
    bar(out, out + (ahead * 0.3 - aside * rng.uniform(-0.15, 0.15)) * large, 0.125 * large, 0.10 * large, 0.05)

    shade = frame.shade_of(height) * (0.86 + 0.14 * np.clip(height / 0.12, 0, 1)) * (1 - 0.10 * crease)
    shade *= 1 + 0.04 * smooth_noise(rng, frame.shape, (9, 9))
    if rng.random() < 0.1:  # a rubber glove
        glove = (hsv(0.58, 0.5, 0.85), hsv(0.6, 0.03, 0.95), hsv(0, 0, 0.08), hsv(0.75, 0.4, 0.6))[rng.integers(4)]
        return frame.inside(distance), frame.lit(np.broadcast_to(glove, (*frame.shape, 3)), shade)
    skin = (
        frame.light.skin / 255 * rng.uniform(0.85, 1.1) * rng.uniform([0.97, 0.96, 0.95], [1.03, 1.02, 1.03])
    ).astype(np.float32)
    if frame.light.saturation < 1:
        skin = skin + np.float32(1 - frame.light.saturation) * (skin @ LUMA - skin)
    colour = skin * shade[..., None] * (1.0 + 0.08 * (rng.random() < 0.7) * nail[..., None])
    colour = shoulder(colour).astype(np.float32)
    if rng.random() < 0.5:  # a sleeve
        sleeve = hsv(rng.uniform(0, 1), rng.uniform(0, 0.6), rng.uniform(0.05, 0.9))
        from_wrist = (frame.x - wrist[0]) * ahead[0] + (frame.y - wrist[1]) * ahead[1]
        covered = frame.inside(from_wrist + rng.uniform(0.15, 0.5))[..., None]
        folded = shade * (1 + 0.15 * smooth_noise(rng, frame.shape, (12, 12)))
        colour = colour + covered * (frame.lit(np.broadcast_to(sleeve, (*frame.shape, 3)), folded) - colour)
    return frame.inside(distance), colour


def microphone(frame: Frame, rng: np.random.Generator) -> Layer:
    """A microphone: a ball of foam or wire on a stick, sometimes with the cube of a television station."""
    top = rng.uniform([-0.45, 0.0], [0.45, 0.75])
    turn = rng.normal(0, 0.5)
    down = np.array([np.sin(turn), np.cos(turn)])
    radius = rng.uniform(0.18, 0.40)
    long = radius * rng.uniform(0.0, 0.8)
    head_away, head = frame.capsule(top, top + down * long, radius, 0.95 * radius)
    grip_away, grip = frame.capsule(
        top + down * (long + 0.6 * radius), top + down * 4, 0.55 * radius, rng.uniform(0.3, 0.5) * radius
    )
    foam = rng.random() < 0.6
    grey = hsv(
        rng.uniform(0, 1), rng.uniform(0, 0.2) if rng.random() < 0.7 else 0.85, rng.uniform(0.04, 0.3 + 0.4 * foam)
    )
    weave = (
        rng.standard_normal(frame.shape, np.float32) if foam else (np.sin(frame.x * 60 + 0.3) * np.sin(frame.y * 60))
    )
    shade = frame.shade_of(np.maximum(head, 0.8 * grip)) * (1 + rng.uniform(0.06, 0.25) * weave)
    tint = np.broadcast_to(grey, (*frame.shape, 3)).astype(np.float32)
    stick = hsv(0, 0, rng.uniform(0.03, 0.5))
    cover, on_head = frame.inside(np.minimum(head_away, grip_away)), frame.inside(head_away)
    tint = stick + on_head[..., None] * (tint - stick)
    gloss = 0.0 if foam else 0.25 * np.exp(-(((frame.x - top[0] + 0.4 * radius) / 0.1) ** 2))
    if rng.random() < 0.35:  # the cube of a television station
        place = top + down * (long + 1.9 * radius)
        along = (frame.x - place[0]) * down[0] + (frame.y - place[1]) * down[1]
        across = (frame.x - place[0]) * down[1] - (frame.y - place[1]) * down[0]
        side = rng.uniform(0.2, 0.34)
        cube = frame.inside(np.maximum(np.abs(along), np.abs(across)) - side)
        logo = np.maximum(np.abs(along), np.abs(across) * 1.3) < 0.6 * side
        first, second = hsv(rng.uniform(0, 1), rng.uniform(0, 1), 0.9), hsv(rng.uniform(0, 1), rng.uniform(0, 1), 0.4)
        sign = np.where((logo & (smooth_noise(rng, frame.shape, (40, 40)) > 0))[..., None], second, first)
        tint, cover = tint + cube[..., None] * (sign - tint), np.maximum(cover, cube)
        shade = shade + cube * (1 - shade)
    return frame.layer(frame.lit(tint, shade, gloss), cover, rng, rng.uniform(0.2, 0.5), 0.15)


def cup(frame: Frame, rng: np.random.Generator) -> Layer:
    """A paper cup or mug in front of the mouth, usually with the hand that holds it."""
    place = rng.uniform([-0.3, 0.0], [0.3, 0.5])
    lean = rng.normal(0, 0.2)
    wide, tall, taper = rng.uniform(0.30, 0.45), rng.uniform(0.7, 1.2), rng.uniform(0.0, 0.25)
    x = (frame.x - place[0]) * np.cos(lean) + (frame.y - place[1]) * np.sin(lean)
    y = -(frame.x - place[0]) * np.sin(lean) + (frame.y - place[1]) * np.cos(lean)
    half = wide * (1 - taper * np.clip(y / tall, 0, 1))
    rim, foot = 0.06 * np.sqrt(np.clip(1 - (x / wide) ** 2, 0, 1)), 0.08 * np.sqrt(np.clip(1 - (x / half) ** 2, 0, 1))
    away = np.maximum(np.abs(x) - half, np.maximum(-y - rim, y - tall - foot))
    height = np.sqrt(np.maximum(half**2 - x**2, 0)) * 0.9
    paper, second = (hsv(rng.uniform(0, 1), rng.beta(0.8, 1.6), rng.uniform(0.25, 1.0)) for _ in range(2))
    tint = np.broadcast_to(paper, (*frame.shape, 3)).astype(np.float32)
    if rng.random() < 0.5:
        start = rng.uniform(0.2, 0.5)
        tint = np.where(((y > start) & (y < start + 0.35))[..., None], second, tint)
    shade = frame.shade_of(height)
    lid = frame.inside(np.abs(y + 0.02) - rng.uniform(0.03, 0.1)) * rng.integers(2)
    tint = tint + lid[..., None] * (hsv(0, 0, rng.choice([0.05, 0.95])) - tint)
    gloss = 0.25 * rng.random() * np.exp(-(((x + 0.5 * half) / 0.05) ** 2))
    colour, cover = frame.lit(tint, shade, gloss), frame.inside(away)
    if rng.random() < 0.75:
        side = rng.choice([-1.0, 1.0])
        tip = place + np.array([-0.2 * side, rng.uniform(0.35, 0.7)])
        grip, skin = _hand_at(frame, rng, tip, -side * rng.uniform(1.0, 1.7), 0.6)
        colour, cover = colour + grip[..., None] * (skin - colour), np.maximum(cover, grip)
    return frame.layer(colour, cover, rng, rng.uniform(0.2, 0.5), 0.12)


def fruit(frame: Frame, rng: np.random.Generator) -> Layer:
    """A round fruit held to the mouth, with the hand."""
    place, radius = rng.uniform([-0.3, 0.05], [0.3, 0.5]), rng.uniform(0.22, 0.42)
    angle = np.arctan2(frame.y - place[1], frame.x - place[0])
    ripple = 1 + 0.04 * np.sin(2 * angle + rng.uniform(0, 6)) + 0.02 * np.sin(5 * angle + rng.uniform(0, 6))
    far = np.hypot(frame.x - place[0], frame.y - place[1]) / ripple
    height = np.sqrt(np.maximum(radius**2 - far**2, 0))
    skin = hsv(
        rng.choice([0.0, 0.02, 0.07, 0.10, 0.15, 0.27]) + rng.normal(0, 0.01),
        rng.uniform(0.5, 0.9),
        rng.uniform(0.5, 0.9),
    )
    tint = skin * (1 + 0.15 * smooth_noise(rng, frame.shape, (9, 9)))[..., None]
    spot = np.hypot(frame.x - place[0] + 0.35 * radius, frame.y - place[1] + 0.4 * radius) / (0.25 * radius)
    colour = frame.lit(np.clip(tint, 0, 1), frame.shade_of(height), rng.uniform(0, 0.5) * np.exp(-(spot**2)))
    cover = frame.inside(far - radius)
    tip = place + rng.uniform([-0.5, 0.25], [0.5, 0.45]) * radius
    grip, hand_colour = _hand_at(frame, rng, tip, rng.uniform(-1.0, 1.0), 0.8)
    colour, cover = colour + grip[..., None] * (hand_colour - colour), np.maximum(cover, grip)
    return frame.layer(colour, cover, rng, rng.uniform(0.2, 0.5), 0.12)


def telephone(frame: Frame, rng: np.random.Generator) -> Layer:
    """A telephone held upright in front of part of the face, with the hand."""
    side = rng.choice([-1.0, 1.0])
    place = np.array([side * rng.uniform(0.0, 0.9), rng.uniform(-0.1, 0.7)])
    lean, wide, tall = rng.normal(0, 0.3), rng.uniform(0.36, 0.46), rng.uniform(0.75, 0.95)
    x = (frame.x - place[0]) * np.cos(lean) + (frame.y - place[1]) * np.sin(lean)
    y = -(frame.x - place[0]) * np.sin(lean) + (frame.y - place[1]) * np.cos(lean)
    corner = 0.08
    dx, dy = np.maximum(np.abs(x) - wide + corner, 0), np.maximum(np.abs(y) - tall + corner, 0)
    away = np.hypot(dx, dy) - corner
    case = hsv(rng.uniform(0, 1), rng.uniform(0, 0.7), rng.choice([0.04, 0.1, 0.5, 0.9]))
    tint = np.broadcast_to(case, (*frame.shape, 3)).astype(np.float32)
    lens = frame.inside(np.hypot(x + 0.6 * wide, y + 0.8 * tall) - 0.07)
    tint = tint * (1 - 0.9 * lens[..., None])
    sheen = np.maximum(0, 1 - ((x + 0.5 * y - rng.uniform(-0.4, 0.4)) * 4) ** 2) * rng.uniform(0, 0.2)
    colour, cover = frame.lit(tint, 1.0, sheen), frame.inside(away)
    tip = place + np.array([-0.2 * side, 0.5])
    grip, skin = _hand_at(frame, rng, tip, -side * rng.uniform(0.9, 1.5), 0.7)
    colour, cover = colour + grip[..., None] * (skin - colour), np.maximum(cover, grip)
    return frame.layer(colour, cover, rng, rng.uniform(0.2, 0.5), 0.12)
