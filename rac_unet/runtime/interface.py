"""The names a network is spoken to by, whatever form it is stored in, and what opening one of them gives."""

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
# What mask-aware networks say besides.
OCCLUSION, PAINTED, VISIBLE = "occlusion", "painted_image", "visible_emotion"
# The signature of a SavedModel and of a .tflite file.
SIGNATURE = "serving_default"
Call = Callable[[dict[str, np.ndarray]], dict[str, np.ndarray]]


@dataclass(frozen=True)
class Opened:
    """A network as one kind of file gives it, not looked at yet.

    Attributes:
        shapes: input name -> shape with the batch first; None, -1 or a text where a side is not fixed.
        outputs: names of what it returns.
        call: input arrays by name -> output arrays by name, batch first.
        parameters: how many weights it has, statistics of batch norm included; None where the form does not tell.
        graph: gives its TensorFlow graph, a concrete function; None where there is no such graph.
    """

    shapes: dict[str, tuple]
    outputs: tuple[str, ...]
    call: Call
    parameters: int | None = None
    graph: Callable[[], Any] | None = None


def check_interface(path: Path, opened: Opened) -> tuple[int, bool]:
    """Picture size and whether an emotion is taken; raises UserError unless names and shapes fit."""
    shapes, outputs = opened.shapes, opened.outputs
    fits = IMAGE in shapes and set(shapes) <= {IMAGE, EMOTION} and OUTPUT in outputs
    shape = shapes.get(IMAGE, ())
    fits = fits and len(shape) == 4 and shape[1] == shape[2] and isinstance(shape[1], int) and shape[1] > 0
    fits = fits and shape[3] == 3 and tuple(shapes.get(EMOTION, (None, len(EMOTIONS))))[1:] == (len(EMOTIONS),)
    if not fits:
        found = ", ".join(f"{name} {shape}" for name, shape in shapes.items()) or "none by name"
        raise UserError(
            f"{path} is a network of another kind; inputs: {found}; outputs: {', '.join(outputs) or 'unnamed'}; "
            f"expected {IMAGE} (B, S, S, 3), perhaps {EMOTION} (B, {len(EMOTIONS)}), and {OUTPUT}",
            "wrong_type",
        )
    return int(shape[1]), EMOTION in shapes


def available_cores() -> int:
    """Cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
