"""Write an emotion classifier of masked faces as the .tflite file that `predict --emotion auto` uses."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from rac_unet.core.emotions import EMOTIONS
from rac_unet.core.errors import UserError
from rac_unet.core.files.whole import placed
from rac_unet.data.frames import WHOLE_CROP, frame_pixels
from rac_unet.exporting.lite_writing import write_lite_weights8
from rac_unet.runtime.emotion_reader import load_emotion_reader
from rac_unet.runtime.interface import IMAGE, VISIBLE

if TYPE_CHECKING:
    from rac_unet.runtime.classifier import ClassifierConfig

# Side in pixels of the crops that `predict` cuts for the published network.
CROP = 128
# Largest allowed mean difference from the classifier's probabilities, and the number of crops compared.
_ALLOWED, CHECKED = 0.01, 64


def reader_model(model, config: ClassifierConfig, temperature: float = 1.0, bias=0.0, crop: int = CROP):
    """Combine preprocessing and classifier into one keras.Model, `masked_image` -> `visible_emotion`.

    The crop is cut to the classifier's frame and averaged down to its size. The logits are the mean over the image and
    its mirror image in the order of `EMOTIONS`, plus the bias, divided by the temperature.

    Args:
        model: model of `read_classifier`; its last layer is changed.
        config: settings of that classifier.
        temperature: divisor of the logits, after the bias is added.
        bias: (7,) in the order of `EMOTIONS`, or one number.
        crop: side of the crops in pixels.
    """
    import keras
    from keras import layers

    order = [config.classes.index(name) for name in EMOTIONS]
    last = model.get_layer("logits")
    kernel, own_bias = last.get_weights()
    last.set_weights([kernel[:, order] / temperature, (own_bias[order] + bias) / temperature])
    top, left, side = frame_pixels(config.frame or WHOLE_CROP, crop)
    shrink = max(1, round(side / config.image_size))
    image = x = keras.Input((crop, crop, 3), name=IMAGE)
    if side < crop:
        x = layers.Cropping2D(((top, crop - top - side), (left, crop - left - side)), name="frame")(x)
    if side != shrink * config.image_size:
        x = layers.Resizing(*[shrink * config.image_size] * 2, interpolation="bilinear", name="resize")(x)
    if shrink > 1:
        x = layers.AveragePooling2D(shrink, name="shrink")(x)
    mirrored = keras.ops.flip(x, axis=2)
    logits = layers.Average(dtype="float32", name="looks")([model({"image": look})["logits"] for look in (x, mirrored)])
    return keras.Model({IMAGE: image}, {VISIBLE: layers.Softmax(dtype="float32", name=VISIBLE)(logits)})


def write_reader(model, path: Path, crops: np.ndarray) -> float:
    """Write a model of `reader_model` as a .tflite file with 8-bit weights, and check its probabilities.

    Args:
        crops: (N, S, S, 3) float32 in [0, 1], used for the check.
    Returns: mean absolute difference of the file's probabilities from the model's.
    Raises: UserError when the difference is too large; the path is then unchanged.
    """
    expected = model({IMAGE: crops}, training=False)[VISIBLE].numpy()
    with placed(path) as temporary:
        write_lite_weights8(model, temporary)
        difference = float(np.abs(load_emotion_reader(temporary)(crops) - expected).mean())
        if not difference <= _ALLOWED:
            raise UserError(
                f"the file's probabilities differ from the classifier's by {difference:.3f} on average; the limit is "
                f"{_ALLOWED}; nothing was written",
                "failed_check",
            )
    return difference
