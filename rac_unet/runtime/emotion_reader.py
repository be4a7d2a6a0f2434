"""The emotion classifier behind `--emotion auto`: a .tflite file from a masked crop to seven probabilities.

A network that paints learns to read only what helps it paint; this small one learns nothing but to read, and its
probabilities are calibrated. TensorFlow is never imported.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from rac_unet.core.emotions import EMOTIONS
from rac_unet.core.errors import UserError
from rac_unet.runtime.interface import IMAGE, VISIBLE, Call, available_cores
from rac_unet.runtime.lite_form import open_lite


@dataclass(frozen=True)
class EmotionReader:
    """A reader ready to run; made by `load_emotion_reader`.

    Attributes:
        name: file it came from.
        image_size: side S of the crops it takes, in pixels.
    """

    name: str
    image_size: int
    _call: Call

    def __call__(self, masked_image: np.ndarray) -> np.ndarray:
        """Probabilities of what can be read from the seen part of each face.

        Args:
            masked_image: float32 (B, S, S, 3) in [0, 1], upright crops of faces with masks.
        Returns: float32 (B, 7) in the order of `rac_unet.core.emotions.EMOTIONS`, rows sum to 1.
        Raises: UserError when what comes out is not a number.
        """
        read = self._call({IMAGE: np.asarray(masked_image, np.float32)})[VISIBLE]
        if not np.isfinite(read).all():
            raise UserError(f"{self.name} gives values that are not numbers; its weights are broken", "diverged")
        return read


def load_emotion_reader(path: str | os.PathLike, threads: int | None = None) -> EmotionReader:
    """Open a .tflite file that `rac_unet.calibrate_reader` wrote.

    Args:
        threads: how many it may compute with; default: as many as there are cores.
    Raises: UserError when there is none at the path, or it is damaged, or a network of another kind.
    """
    path = Path(path)
    if not path.is_file():
        raise UserError(f"there is no file at {path}; give a .tflite file of rac_unet.calibrate_reader", "missing")
    opened = open_lite(path, threads or available_cores())
    shape = opened.shapes.get(IMAGE, ())
    if set(opened.shapes) != {IMAGE} or opened.outputs != (VISIBLE,) or len(shape) != 4 or shape[1] != shape[2]:
        raise UserError(
            f"{path} is no emotion reader: it takes {', '.join(opened.shapes)} and gives {', '.join(opened.outputs)}; "
            f"expected {IMAGE} alone, and {VISIBLE} of {len(EMOTIONS)}; make one with rac_unet.calibrate_reader",
            "wrong_type",
        )
    return EmotionReader(str(path), int(shape[1]), opened.call)
