"""A small residual network that reads emotions from faces of 48 to 112 px, fast enough to guide a training.

Guidance runs two or three readers forward and backward in every step, so each must cost less than the network it
guides: at 48 px this one takes 0.16 GFLOP a picture, ResNet-18 at 128 px 1.2. Its plain 3x3 convolutions with residual
sums and early pooling follow the VGG13 that FER+ was published with (Barsoum et al. 2016, arXiv:1608.01041), at a
tenth of the arithmetic. Its architecture differs from ResNet-18's, and so do its mistakes.
"""

from __future__ import annotations

import keras
from keras import layers

from rac_unet.core.emotions import EMOTIONS
from rac_unet.core.errors import UserError
from rac_unet.core.registry import check_name
from rac_unet.models.blocks import batch_norm
from rac_unet.models.classifiers.grey import standardised_luminance

# `none`: RGB in [0, 1]. `grey`: standardised luminance.
PREPROCESSING = ("none", "grey")
SMALLEST_IMAGE = 32
DROPOUT = 0.3


def build_small_reader(
    image_size: int = 48, classes: int = len(EMOTIONS), preprocessing: str = "grey", filters: int = 32
) -> keras.Model:
    """Build the reader with random weights.

    Args:
        image_size: side of the square picture in pixels, 32 or more.
        classes: number of logits.
        preprocessing: a name from `PREPROCESSING`, applied inside the network.
        filters: channels at full resolution, doubled at each of the three levels below.
    Returns: model from `{"image": (B, S, S, 3) RGB in [0, 1]}` to `{"logits": (B, classes) float32}`.
    Raises: UserError for an unknown preprocessing or a picture that is too small.
    """
    check_name("preprocessing", preprocessing, PREPROCESSING)
    if image_size < SMALLEST_IMAGE:
        raise UserError(
            f"image_size: small_reader takes {SMALLEST_IMAGE} px or more. Received: {image_size}", "bad_value"
        )
    image = x = keras.Input((image_size, image_size, 3), name="image")
    if preprocessing == "grey":
        x = standardised_luminance(x)
    x = _convolution(x, filters, "stem")
    x = layers.MaxPooling2D(2, name="stem_pool")(x)
    for level in (1, 2, 3):
        x = _convolution(x, filters * 2**level, f"level{level}")
        h = _convolution(x, filters * 2**level, f"level{level}_res")
        x = layers.Add(name=f"level{level}_sum")([x, h])
        if level < 3:
            x = layers.MaxPooling2D(2, name=f"level{level}_pool")(x)
            x = layers.SpatialDropout2D(DROPOUT / 3, name=f"level{level}_drop")(x)
    x = layers.GlobalAveragePooling2D(name="pool")(x)
    x = layers.Dropout(DROPOUT, name="drop")(x)
    logits = layers.Dense(classes, dtype="float32", name="logits")(x)
    return keras.Model({"image": image}, {"logits": logits}, name="small_reader")


def _convolution(x, filters, name):
    x = layers.Conv2D(filters, 3, padding="same", use_bias=False, name=f"{name}_conv")(x)
    return layers.ReLU(name=f"{name}_act")(batch_norm(x, f"{name}_bn"))
