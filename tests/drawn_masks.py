"""Photos of drawn people with plain green masks, and a network that finds only green; shared by tests of predict.

The detector finds these faces, and the network has the interface of mask-aware networks, so everything from the file to
the pasted photo runs without training.
"""

from functools import cache

import cv2
import numpy as np

from rac_unet.core.emotions import EMOTIONS
from rac_unet.runtime.runners import Runner
from rac_unet.synthesis.toys.face import draw_face

GREEN = (0, 255, 0)


def drawn_photo(people=1, masked=True, side=200, edge=60):
    """Return (side + 2 edge, people * side + 2 edge, 3) uint8 RGB: people side by side before a plain wall."""
    return _drawn_photo(people, masked, side, edge).copy()


@cache
def _drawn_photo(people, masked, side, edge):
    faces = []
    for number in range(people):
        face = draw_face(number, "neutral", number, side)
        image = face.image.copy()
        if masked:
            outline = np.concatenate([face.points[1:16], face.points[29:30]])
            cv2.fillPoly(image, [np.rint(outline).astype(int)], GREEN)
        faces.append(image)
    return cv2.copyMakeBorder(np.hstack(faces), *[edge] * 4, cv2.BORDER_CONSTANT, value=(120, 150, 170))


def is_green(image):
    """Return (H, W) bool, the green pixels of an RGB image of any range."""
    image = np.asarray(image, np.float32)
    return image[..., 1] > 1.5 * np.maximum(image[..., 0], image[..., 2]) + 0.2 * image.max()


def green_network(inputs):
    """Return the outputs of a mask-aware network: the mask is green; it paints skin and a dark line per emotion."""
    image = inputs["masked_image"]
    occlusion = is_green(image)[..., None].astype(np.float32)
    painted = np.full(image.shape, (0.8, 0.6, 0.5), np.float32)
    scale = image.shape[1] // 128
    for picture, label in zip(painted, inputs.get("emotion", np.zeros((len(image), 7))), strict=True):
        for number in np.flatnonzero(label):
            picture[scale * (80 + 4 * number) : scale * (83 + 4 * number)] = 0.1
    visible = np.full((len(image), len(EMOTIONS)), 0.05, np.float32)
    visible[:, EMOTIONS.index("happiness")] = 0.7
    return {
        "inpainted_image": occlusion * painted + (1 - occlusion) * image,
        "occlusion": occlusion,
        "painted_image": painted,
        "visible_emotion": visible,
    }


def green_runner(conditioned=True, without=(), size=128, name="green.tflite"):
    """Return the green network as a `Runner` for crops of 128 or 256 pixels, without the given outputs."""

    def call(inputs):
        return {name: value for name, value in green_network(inputs).items() if name not in without}

    names = ("inpainted_image", "occlusion", "painted_image", "visible_emotion")
    outputs = tuple(name for name in names if name not in without)
    return Runner(name, "litert", size, conditioned, call, outputs=outputs)
