"""VGG16 and VGG19 (Simonyan & Zisserman 2015, arXiv:1409.1556) as far as features are compared, frozen.

One graph from an RGB picture in [0, 1] to four maps: resizing, normalisation and convolutions are all layers of it, so
whoever holds the model cannot feed it the wrong pixels. Keras's published weights and torchvision's were trained on
differently normalised pictures, and either set runs without complaint on the other's: hence `preprocessing`.
"""

from __future__ import annotations

import keras
import numpy as np
from keras import layers

from rac_unet.core.registry import check_name

# Convolutions in each of the four blocks that are kept; the fifth and the classifier are cut off.
CONVOLUTIONS = {"vgg16": (2, 2, 3, 3), "vgg19": (2, 2, 4, 4)}
FILTERS = (64, 128, 256, 512)
PREPROCESSING = ("keras", "torchvision")
# The size both sets of weights were trained at.
IMAGE_SIZE = 224

# Of ImageNet. Keras's weights were converted from Caffe, which read BGR from 0 to 255 and only subtracted the mean.
CAFFE_MEAN_BGR = (103.939, 116.779, 123.68)
TORCHVISION_MEAN, TORCHVISION_DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def build_vgg_features(name: str, preprocessing: str, image_size: int = IMAGE_SIZE) -> keras.Model:
    """Build a VGG cut after its fourth block, with random weights.

    Convolutions are called as in `keras.applications` (`block1_conv1`, …); the layer `preprocess` holds the
    normalisation and is not to be loaded over. Computed in float32 whatever the precision policy.

    Args:
        name: vgg16 or vgg19.
        preprocessing: whose weights are to be loaded: `keras` (BGR, 0 to 255, less Caffe's means) or `torchvision`
            (RGB less the mean, divided by the deviation).
        image_size: side in pixels to which pictures of any size are resized, bilinearly, first.
    Returns: model, nothing of it trainable, from `image` (B, H, W, 3) RGB in [0, 1] to the last ReLU of each block by
        name: `{"relu1_2": (B, S, S, 64), "relu2_2": (B, S/2, S/2, 128), "relu3_3": (B, S/4, S/4, 256),
        "relu4_3": (B, S/8, S/8, 512)}` for vgg16, `relu3_4` and `relu4_4` for vgg19.
    Raises: UserError for an unknown name.
    """
    check_name("feature extractor", name, CONVOLUTIONS)
    check_name("preprocessing", preprocessing, PREPROCESSING)
    image = keras.Input((None, None, 3), name="image", dtype="float32")
    x = layers.Resizing(image_size, image_size, interpolation="bilinear", dtype="float32", name="resize")(image)
    # A layer of its own, since the convolutions pad with zeros of the normalised picture.
    preprocess = layers.Conv2D(3, 1, dtype="float32", name="preprocess")
    x = preprocess(x)
    taps = {}
    for block, (count, filters) in enumerate(zip(CONVOLUTIONS[name], FILTERS, strict=True), start=1):
        if block > 1:
            x = layers.MaxPooling2D(2, dtype="float32", name=f"block{block - 1}_pool")(x)
        for number in range(1, count + 1):
            x = layers.Conv2D(
                filters, 3, padding="same", activation="relu", dtype="float32", name=f"block{block}_conv{number}"
            )(x)
        taps[f"relu{block}_{count}"] = x
    model = keras.Model(image, taps, name=f"{name}_features")
    preprocess.set_weights(normalisation(preprocessing))
    model.trainable = False
    return model


def normalisation(preprocessing: str) -> list[np.ndarray]:
    """Kernel (1, 1, 3, 3) and bias (3,) of the 1x1 convolution that normalises RGB in [0, 1]."""
    if preprocessing == "keras":
        # Reversed channels: output 0 is blue, input 2.
        kernel, bias = 255 * np.eye(3)[::-1], -np.array(CAFFE_MEAN_BGR)
    else:
        deviation = np.array(TORCHVISION_DEVIATION)
        kernel, bias = np.diag(1 / deviation), -np.array(TORCHVISION_MEAN) / deviation
    return [kernel[None, None].astype(np.float32), bias.astype(np.float32)]
