"""Frozen VGG16 and VGG19 feature extractors (Simonyan & Zisserman 2015, arXiv:1409.1556), cut after the fourth block.

One graph from an RGB image in [0, 1] to four feature maps. Resizing and normalisation are layers of it, so that a
caller cannot preprocess wrongly. Keras's and torchvision's published weights were trained on differently normalised
images, and either set runs on the other's without an error; `preprocessing` selects the right one.
"""

from __future__ import annotations

import keras
import numpy as np
from keras import layers

from rac_unet.core.registry import check_name

# Number of convolutions in each of the four blocks; the fifth block and the classifier are left out.
CONVOLUTIONS = {"vgg16": (2, 2, 3, 3), "vgg19": (2, 2, 4, 4)}
FILTERS = (64, 128, 256, 512)
PREPROCESSING = ("keras", "torchvision")
# Both sets of weights were trained at this size.
IMAGE_SIZE = 224

# ImageNet statistics. Keras's weights come from Caffe, which read BGR in [0, 255] and only subtracted the mean.
CAFFE_MEAN_BGR = (103.939, 116.779, 123.68)
TORCHVISION_MEAN, TORCHVISION_DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def build_vgg_features(name: str, preprocessing: str, image_size: int = IMAGE_SIZE) -> keras.Model:
    """Build a VGG cut after its fourth block, with random weights.

    Convolutions are named as in `keras.applications` (`block1_conv1`, …). The layer `preprocess` holds the
    normalisation: do not load weights into it. It computes in float32, whatever the precision policy.

    Args:
        name: vgg16 or vgg19.
        preprocessing: the normalisation of the weights that will be loaded: `keras` (BGR in [0, 255] minus Caffe's
            means) or `torchvision` (RGB minus the mean, divided by the standard deviation).
        image_size: side in pixels; images of any size are first resized to it bilinearly.
    Returns: frozen model from `image` (B, H, W, 3) RGB in [0, 1] to the last ReLU of each block by name:
        `{"relu1_2": (B, S, S, 64), "relu2_2": (B, S/2, S/2, 128), "relu3_3": (B, S/4, S/4, 256),
        "relu4_3": (B, S/8, S/8, 512)}` for vgg16, `relu3_4` and `relu4_4` for vgg19.
    Raises: UserError for an unknown name.
    """
    check_name("feature extractor", name, CONVOLUTIONS)
    check_name("preprocessing", preprocessing, PREPROCESSING)
    image = keras.Input((None, None, 3), name="image", dtype="float32")
    x = layers.Resizing(image_size, image_size, interpolation="bilinear", dtype="float32", name="resize")(image)
    # Cannot be folded into block1_conv1, which pads the normalised image with zeros.
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
    """Return kernel (1, 1, 3, 3) and bias (3,) of the 1 x 1 convolution that normalises RGB in [0, 1]."""
    if preprocessing == "keras":
        # Channels are reversed: output 0 is blue, which is input 2.
        kernel, bias = 255 * np.eye(3)[::-1], -np.array(CAFFE_MEAN_BGR)
    else:
        deviation = np.array(TORCHVISION_DEVIATION)
        kernel, bias = np.diag(1 / deviation), -np.array(TORCHVISION_MEAN) / deviation
    return [kernel[None, None].astype(np.float32), bias.astype(np.float32)]
