"""ResNet-18 (He et al. 2015, arXiv:1512.03385) as an emotion classifier, numerically equal to PyTorch's.

Its strided convolutions and its max-pool are padded explicitly: TensorFlow's `same` would pad bottom and right only and
shift every feature. Preprocessing is a layer of the network; its input is always RGB in [0, 1].
"""

from __future__ import annotations

import keras
from keras import layers

from rac_unet.core.emotions import EMOTIONS
from rac_unet.core.errors import UserError
from rac_unet.core.registry import check_name
from rac_unet.models.blocks import batch_norm
from rac_unet.models.classifiers.grey import standardised_luminance
from rac_unet.models.vgg import TORCHVISION_DEVIATION, TORCHVISION_MEAN

# `none`: RGB in [0, 1], as in the original. `torchvision`: minus ImageNet's mean, divided by its deviation, which
# torchvision's weights expect. `grey`: standardised luminance.
PREPROCESSING = ("none", "torchvision", "grey")
STAGES = (64, 128, 256, 512)
BLOCKS_PER_STAGE = 2
# A smaller picture would have less than one pixel in the last stage.
SMALLEST_IMAGE = 32


def build_resnet18(
    image_size: int = 128, classes: int = len(EMOTIONS), preprocessing: str = "none", filters: int = STAGES[0]
) -> keras.Model:
    """Build ResNet-18 with random weights; 11,180,103 trainable parameters for 7 classes.

    Args:
        image_size: side of the square picture in pixels, 32 or more.
        classes: number of logits.
        preprocessing: a name from `PREPROCESSING`, applied inside the network.
        filters: channels of the first stage, doubled at each of the three that follow; 64 is ResNet-18.
    Returns: model from `{"image": (B, S, S, 3) RGB in [0, 1]}` to `{"logits": (B, classes) float32}`.
    Raises: UserError for an unknown preprocessing or a picture that is too small.
    """
    check_name("preprocessing", preprocessing, PREPROCESSING)
    if image_size < SMALLEST_IMAGE:
        raise UserError(f"image_size: ResNet-18 takes {SMALLEST_IMAGE} px or more. Received: {image_size}", "bad_value")
    image = x = keras.Input((image_size, image_size, 3), name="image")
    if preprocessing == "torchvision":
        scale = [1 / deviation for deviation in TORCHVISION_DEVIATION]
        offset = [-mean / dev for mean, dev in zip(TORCHVISION_MEAN, TORCHVISION_DEVIATION, strict=True)]
        x = layers.Rescaling(scale, offset, dtype="float32", name="preprocess")(x)
    elif preprocessing == "grey":
        x = standardised_luminance(x)
    x = _convolution(x, filters, "stem_conv", kernel_size=7, strides=2)
    x = layers.ReLU(name="stem_act")(batch_norm(x, "stem_bn"))
    # PyTorch pads a max-pool with minus infinity. Zeros give the same maximum, since every window has at least one
    # value of the ReLU, and none is negative.
    x = layers.ZeroPadding2D(1, name="stem_pool_pad")(x)
    x = layers.MaxPooling2D(3, strides=2, padding="valid", name="stem_pool")(x)
    for stage in range(len(STAGES)):
        for block in range(BLOCKS_PER_STAGE):
            strides = 2 if stage and not block else 1
            x = _basic_block(x, filters * 2**stage, strides, f"stage{stage + 1}_block{block + 1}")
    x = layers.GlobalAveragePooling2D(name="pool")(x)
    # float32 whatever the precision policy: probabilities are computed from these.
    logits = layers.Dense(classes, dtype="float32", name="logits")(x)
    return keras.Model({"image": image}, {"logits": logits}, name="resnet18")


def _basic_block(x, filters, strides, name):
    """Two 3x3 convolutions and a shortcut; a strided block's shortcut is a 1x1 convolution with batch norm."""
    shortcut = x
    if strides > 1:
        shortcut = _convolution(x, filters, f"{name}_shortcut_conv", kernel_size=1, strides=strides)
        shortcut = batch_norm(shortcut, f"{name}_shortcut_bn")
    h = _convolution(x, filters, f"{name}_conv1", strides=strides)
    h = layers.ReLU(name=f"{name}_act1")(batch_norm(h, f"{name}_bn1"))
    h = batch_norm(_convolution(h, filters, f"{name}_conv2"), f"{name}_bn2")
    return layers.ReLU(name=f"{name}_act2")(layers.Add(name=f"{name}_sum")([h, shortcut]))


def _convolution(x, filters, name, kernel_size=3, strides=1):
    """Convolution without bias, padded by half its kernel on each side."""
    if kernel_size > 1:
        x = layers.ZeroPadding2D(kernel_size // 2, name=f"{name}_pad")(x)
    return layers.Conv2D(filters, kernel_size, strides=strides, padding="valid", use_bias=False, name=name)(x)
