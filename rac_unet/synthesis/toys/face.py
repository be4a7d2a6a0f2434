"""Draw toy faces: procedural portraits with a known expression, the built-in default data.

They need no download and no licence, their expression is known exactly, and they have landmarks, so masks are
painted on them as on photographs. Drawn with splines, soft layers and one light; see identity (person),
expression (movement), head (pose and light), eyes, mouth, hair and accessories (painting).
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from rac_unet.core.emotions import EMOTIONS
from rac_unet.core.errors import UserError
from rac_unet.synthesis.toys.accessories import paint_beard, paint_glasses, paint_marks, paint_moustache
from rac_unet.synthesis.toys.body import face_outline, paint_body
from rac_unet.synthesis.toys.canvas import Canvas
from rac_unet.synthesis.toys.expression import action_units, apply_action_units
from rac_unet.synthesis.toys.eyes import paint_brows, paint_eyes
from rac_unet.synthesis.toys.hair import paint_hair, paint_hair_behind
from rac_unet.synthesis.toys.head import Portrait, light_skin, make_pose, mouth_window
from rac_unet.synthesis.toys.identity import make_identity
from rac_unet.synthesis.toys.mouth import paint_mouth, paint_nose

MODES = ("natural", "ambiguous")
MIN_SIZE, MAX_SIZE = 48, 512

_BACKDROPS = np.array(
    [
        (206, 216, 222),
        (222, 206, 188),
        (176, 196, 186),
        (196, 186, 210),
        (146, 162, 178),
        (226, 214, 204),
        (120, 128, 140),
        (212, 178, 160),
        (158, 182, 204),
    ],
    np.float32,
)
_CLOTHES = np.array(
    [
        (72, 96, 138),
        (168, 76, 70),
        (92, 126, 104),
        (228, 222, 212),
        (58, 60, 70),
        (206, 158, 82),
        (120, 92, 140),
        (196, 128, 124),
        (70, 130, 138),
    ],
    np.float32,
)


@dataclass(frozen=True)
class ToyFace:
    """A drawn face: image uint8 RGB (size, size, 3), landmarks float32 (68, 2) in pixels."""

    image: np.ndarray
    points: np.ndarray
    emotion: str
    identity: int


def draw_face(identity: int, emotion: str, seed: int, size: int = 128, mode: str = "natural") -> ToyFace:
    """Draw a person with an expression.

    Args:
        identity: any int; determines the person (skin, hair, face shape, glasses, beard).
        emotion: one of `rac_unet.core.emotions.EMOTIONS`.
        seed: any int; determines pose, light, background, clothes, strength of the expression (0.7..1) and camera
            noise.
        size: side in pixels, 48..512; the picture is the same at every size.
        mode: `natural`, or `ambiguous`: pixels and landmarks depend on the emotion only in the mouth region, inside
            the jaw (landmarks 1..15) and below the nose tip (30); all else is bit-identical for all emotions.
    Returns: `ToyFace`; equal arguments give equal bytes. Landmarks are iBUG-68, on the drawn features.
    Raises: UserError for an unknown emotion or mode, or a size out of range.
    """
    if emotion not in EMOTIONS:
        raise UserError(f"unknown emotion {emotion!r}; use one of: {', '.join(EMOTIONS)}", "unknown_emotion")
    if mode not in MODES:
        raise UserError(f"unknown toy face mode {mode!r}; use one of: {', '.join(MODES)}", "unknown_name")
    if not MIN_SIZE <= size <= MAX_SIZE:
        raise UserError(f"toy face size {size} is out of range; use {MIN_SIZE}..{MAX_SIZE}", "bad_value")
    rng = np.random.default_rng([abs(int(seed)), int(seed < 0), abs(int(identity)), int(identity < 0)])
    face, cloth = _make_portrait(identity, emotion, mode, rng)
    side = size * max(2, -(-2 * 128 // size))
    canvas = Canvas(side)
    _paint_backdrop(canvas, rng)
    _paint(canvas, face, cloth)
    image = _develop(canvas, face, rng, size)
    return ToyFace(image, (face.points * size - 0.5).astype(np.float32), emotion, int(identity))


def _make_portrait(identity: int, emotion: str, mode: str, rng: np.random.Generator) -> tuple[Portrait, np.ndarray]:
    """Return the portrait and the colour of its clothes; all emotions use the same random draws."""
    who = make_identity(identity)
    yaw, pitch, roll = np.clip(rng.normal(size=3), -2, 2) * (11.0, 3.5, 1.8)
    pose = make_pose(yaw, pitch, roll, who, np.clip(rng.normal(size=2), -2, 2) * 0.006)
    intensity = rng.uniform(0.7, 1.0)
    sneer = (1.0 if rng.random() < 0.5 else -1.0) * rng.uniform(0.6, 1.0)
    light = np.array([rng.uniform(-0.75, 0.75), rng.uniform(-0.75, -0.15), 1.0])
    warmth, level = rng.uniform(-1, 1), rng.uniform(0.92, 1.04)
    tint = level * np.array([1 + 0.05 * warmth, 1.0, 1 - 0.07 * warmth])
    cloth = _CLOTHES[rng.integers(len(_CLOTHES))] + rng.normal(0, 8, 3)
    units = action_units(emotion, intensity)
    points = pose.landmarks(apply_action_units(who.points, units, sneer))
    upper, window = units, None
    if mode == "ambiguous":
        resting = pose.landmarks(who.points)
        points = np.concatenate([resting[:48], points[48:]])
        upper, window = {}, mouth_window(resting)
    face = Portrait(who, pose, points, upper, units, light / np.linalg.norm(light), tint.astype(np.float32), window)
    return face, cloth.astype(np.float32)


def _paint_backdrop(canvas: Canvas, rng: np.random.Generator) -> None:
    """Fill the canvas with an out-of-focus background: a gradient between two shades and a few soft blobs."""
    a = _BACKDROPS[rng.integers(len(_BACKDROPS))]
    b = a * rng.uniform(0.55, 0.95) + rng.normal(0, 8, 3)
    angle = rng.uniform(0, 2 * np.pi)
    axis = (np.arange(48, dtype=np.float32) + 0.5) / 48
    x, y = axis[None], axis[:, None]
    t = np.clip(0.5 + (x - 0.5) * np.cos(angle) + (y - 0.5) * np.sin(angle), 0, 1)[None]
    small = a[:, None, None] * (1 - t) + b[:, None, None] * t
    for _ in range(4):
        cx, cy, radius, strength = (
            *rng.uniform(-0.1, 1.1, 2),
            rng.uniform(0.08, 0.25),
            rng.uniform(-0.2, 0.25),
        )
        small = small * (1 + strength * np.exp(-((x - cx) ** 2 + (y - cy) ** 2) / (2 * radius**2))[None])
    for plane, tone in zip(canvas.pixels, small.astype(np.float32), strict=True):
        cv2.resize(tone, plane.shape, dst=plane, interpolation=cv2.INTER_LINEAR)


def _paint(canvas: Canvas, face: Portrait, cloth: np.ndarray) -> None:
    """Paint all layers, back to front. Only the mouth's layers use `face.lower`; a window limits them."""
    face.skin = light_skin(face, canvas.side)
    paint_hair_behind(canvas, face)
    paint_body(canvas, face, cloth)
    outline = face_outline(face)
    canvas.fill(outline, face.skin)
    paint_marks(canvas, face)
    if face.who.beard != "none":
        paint_beard(canvas, face, canvas.mask(outline))
    paint_nose(canvas, face)
    if face.window is not None:
        canvas.window = cv2.resize(face.window, (canvas.side, canvas.side), interpolation=cv2.INTER_LINEAR)
    paint_moustache(canvas, face)
    paint_mouth(canvas, face)
    canvas.window = None
    paint_eyes(canvas, face)
    paint_brows(canvas, face)
    paint_hair(canvas, face)
    paint_glasses(canvas, face)


def _develop(canvas: Canvas, face: Portrait, rng: np.random.Generator, size: int) -> np.ndarray:
    """Down-sample by area, apply light fall-off and camera noise, and round to uint8 RGB."""
    planes = [cv2.resize(plane, (size, size), interpolation=cv2.INTER_AREA) for plane in canvas.pixels]
    axis = (np.arange(size, dtype=np.float32) + 0.5) / size - 0.5
    right, down = (float(v) for v in face.light[:2])
    fall = 1 + 0.10 * (axis[None] * right + axis[:, None] * down)
    noise = rng.standard_normal((size, size), np.float32) * np.float32(rng.uniform(0.6, 1.6))
    image = np.empty((size, size, 3), np.uint8)
    for c, plane in enumerate(planes):
        image[..., c] = np.clip(np.rint(plane * fall + noise), 0, 255)
    return image
