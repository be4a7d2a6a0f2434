"""The emotion classifier of `--emotion auto`: a .tflite file from a masked crop to seven probabilities.

It is a separate small network, since an inpainting network learns to read only what helps it paint. Its probabilities
are calibrated. TensorFlow is never imported.
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
    """A loaded emotion reader; made by `load_emotion_reader`.

    Attributes:
        name: its file.
        image_size: side S of the input crops, in pixels.
    """

    name: str
    image_size: int
    _call: Call

    def __call__(self, masked_image: np.ndarray) -> np.ndarray:
        """Return the probabilities of the emotions, read from the visible part of each face.

        Args:
            masked_image: float32 (B, S, S, 3) in [0, 1], upright crops of faces with masks.
        Returns: float32 (B, 7) in the order of `rac_unet.core.emotions.EMOTIONS`, rows sum to 1.
        Raises: UserError when the outputs are not finite.
        """
        read = self._call({IMAGE: np.asarray(masked_image, np.float32)})[VISIBLE]
        if not np.isfinite(read).all():
            raise UserError(f"{self.name} returns values that are not numbers; its weights are broken", "diverged")
        return read


def load_emotion_reader(path: str | os.PathLike, threads: int | None = None) -> EmotionReader:
    """Load a .tflite file that `rac_unet.calibrate_reader` wrote.

    Args:
        threads: number of threads; by default one per core.
    Raises: UserError when the file is missing, damaged, or not an emotion reader.
    """
    path = Path(path)
    if not path.is_file():
        raise UserError(f"{path} does not exist; give a .tflite file written by rac_unet.calibrate_reader", "missing")
    opened = open_lite(path, threads or available_cores())
    shape = opened.shapes.get(IMAGE, ())
    if set(opened.shapes) != {IMAGE} or opened.outputs != (VISIBLE,) or len(shape) != 4 or shape[1] != shape[2]:
        raise UserError(
            f"{path} is not an emotion reader: its inputs are {', '.join(opened.shapes)}, its outputs "
            f"{', '.join(opened.outputs)}; expected the input {IMAGE} and the output {VISIBLE} of {len(EMOTIONS)}; "
            "make one with rac_unet.calibrate_reader",
            "wrong_type",
        )
    return EmotionReader(str(path), int(shape[1]), opened.call)
