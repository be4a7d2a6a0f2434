"""Frozen SqueezeNet 1.1 feature extractor (Iandola et al. 2016, arXiv:1602.07360), without its classifier.

As for VGG, one graph from an RGB image in [0, 1] to feature maps, with the normalisation as a layer of it.
"""

from __future__ import annotations

import hashlib

import keras
from keras import layers

from rac_unet.core.registry import check_name
from rac_unet.models.vgg import PREPROCESSING, normalisation

# Channels of each fire module: squeezed, and of each of the two expanded halves.
FIRES = {2: (16, 64), 3: (16, 64), 4: (32, 128), 5: (32, 128), 6: (48, 192), 7: (48, 192), 8: (64, 256), 9: (64, 256)}
# Fire modules that are followed by a pooling, and those whose maps are outputs.
POOLED, TAPPED = (3, 5), (3, 5, 7, 9)


def build_squeezenet_features(preprocessing: str) -> keras.Model:
    """Build SqueezeNet 1.1 up to its last fire module, with random weights.

    Convolutions are named `conv1` and `fire2_squeeze1x1`, `fire2_expand1x1`, `fire2_expand3x3` to `fire9_…`. The layer
    `preprocess` holds the normalisation: do not load weights into it. All layers compute in float32.

    Args:
        preprocessing: the normalisation of the weights that will be loaded: `keras` (BGR in [0, 255] minus Caffe's
            means) or `torchvision` (RGB minus the mean, divided by the standard deviation).
    Returns: frozen model from `image` (B, H, W, 3) RGB in [0, 1], H and W at least 32, to five maps by name. For sides
        of 16 k pixels: `{"conv1": (B, 8k-1, 8k-1, 64), "fire3": (B, 4k-1, 4k-1, 128), "fire5": (B, 2k-1, 2k-1, 256),
        "fire7": (B, k-1, k-1, 384), "fire9": (B, k-1, k-1, 512)}`. For other sides torchvision rounds pooled sizes up;
        here they are rounded down.
    Raises: UserError for an unknown preprocessing.
    """
    check_name("preprocessing", preprocessing, PREPROCESSING)

    def convolution(x, filters, side, name, **more):
        return layers.Conv2D(filters, side, activation="relu", dtype="float32", name=name, **more)(x)

    def pool(x, name):
        return layers.MaxPooling2D(3, strides=2, dtype="float32", name=name)(x)

    image = keras.Input((None, None, 3), name="image", dtype="float32")
    preprocess = layers.Conv2D(3, 1, dtype="float32", name="preprocess")
    x = convolution(preprocess(image), 64, 3, "conv1", strides=2)
    taps = {"conv1": x}
    x = pool(x, "pool1")
    for number, (squeezed, expanded) in FIRES.items():
        name = f"fire{number}"
        x = convolution(x, squeezed, 1, f"{name}_squeeze1x1")
        halves = [convolution(x, expanded, n, f"{name}_expand{n}x{n}", padding="same") for n in (1, 3)]
        x = layers.Concatenate(dtype="float32", name=name)(halves)
        if number in TAPPED:
            taps[name] = x
        if number in POOLED:
            x = pool(x, f"pool{number}")
    model = keras.Model(image, taps, name="squeezenet11_features")
    preprocess.set_weights(normalisation(preprocessing))
    model.trainable = False
    return model


def fire_digest(model: keras.Model) -> str:
    """Return the SHA-256 of the weights of all fire modules of a SqueezeNet.

    Whatever file they are in, and whether the normalisation is a layer or folded into `conv1`. Kernel and bias of each
    convolution count, from `fire2_squeeze1x1` to `fire9_expand3x3`, as little-endian float32 in Keras's order of axes.
    """
    digest = hashlib.sha256()
    for number in FIRES:
        for part in ("squeeze1x1", "expand1x1", "expand3x3"):
            for value in model.get_layer(f"fire{number}_{part}").get_weights():
                digest.update(value.astype("<f4").tobytes())
    return digest.hexdigest()
