"""Names of a network's inputs and outputs, the same in every file format, and the result of opening a file."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from rac_unet.core.emotions import EMOTIONS
from rac_unet.core.errors import UserError

IMAGE, EMOTION, OUTPUT = "masked_image", "emotion", "inpainted_image"
# Additional outputs of mask-aware networks.
OCCLUSION, PAINTED, VISIBLE = "occlusion", "painted_image", "visible_emotion"
# The signature of a SavedModel and of a .tflite file.
SIGNATURE = "serving_default"
Call = Callable[[dict[str, np.ndarray]], dict[str, np.ndarray]]


@dataclass(frozen=True)
class Opened:
    """An opened network whose inputs and outputs have not been checked yet.

    Attributes:
        shapes: input name -> shape with the batch first; None, -1 or a text for a side that is not fixed.
        outputs: names of its outputs.
        call: input arrays by name -> output arrays by name, batch first.
        parameters: number of weights, including batch norm statistics; None if the file format does not tell.
        graph: function that returns its TensorFlow graph, a concrete function; None without TensorFlow.
    """

    shapes: dict[str, tuple]
    outputs: tuple[str, ...]
    call: Call
    parameters: int | None = None
    graph: Callable[[], Any] | None = None


def check_interface(path: Path, opened: Opened) -> tuple[int, bool]:
    """Return the image size and whether there is an emotion input; raise UserError unless names and shapes fit."""
    shapes, outputs = opened.shapes, opened.outputs
    fits = IMAGE in shapes and set(shapes) <= {IMAGE, EMOTION} and OUTPUT in outputs
    shape = shapes.get(IMAGE, ())
    fits = fits and len(shape) == 4 and shape[1] == shape[2] and isinstance(shape[1], int) and shape[1] > 0
    fits = fits and shape[3] == 3 and tuple(shapes.get(EMOTION, (None, len(EMOTIONS))))[1:] == (len(EMOTIONS),)
    if not fits:
        found = ", ".join(f"{name} {shape}" for name, shape in shapes.items()) or "none by name"
        raise UserError(
            f"{path} is not an inpainting network; inputs: {found}; outputs: {', '.join(outputs) or 'unnamed'}; "
            f"expected the inputs {IMAGE} (B, S, S, 3) and optionally {EMOTION} (B, {len(EMOTIONS)}), and the output "
            f"{OUTPUT}",
            "wrong_type",
        )
    return int(shape[1]), EMOTION in shapes


def available_cores() -> int:
    """Return the number of CPU cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
