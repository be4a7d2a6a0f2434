"""RAC-UNET: a residual, attention-gated U-Net conditioned on an emotion label.

The original's network, layer by layer, with one difference: two batch norms that shared one set of weights by accident
are separate here. With 64 filters: 65,897,611 trainable parameters, 49.4 GFLOP per 128 x 128 image (51.9 in the
original, which computes each shortcut twice).
"""

from __future__ import annotations

import keras
from keras import layers

from rac_unet.core.emotions import EMOTIONS
from rac_unet.models import blocks

LEVELS = 4


def build_rac_unet(filters: int = 64, image_size: int = 128, conditioned: bool = True) -> keras.Model:
    """Build RAC-UNET.

    Args:
        filters: channels at full resolution; doubled at each of 4 levels down. 64 is the original.
        image_size: side of the square image in pixels, a multiple of 16.
        conditioned: whether `emotion` is an input; without it the network is the original's unlabelled baseline.
    Returns: model from `{"masked_image": (B, S, S, 3) in [0, 1], "emotion": (B, 7) one-hot}` to
        `{"inpainted_image": (B, S, S, 3) float32}`, unbounded.
    """
    image = keras.Input((image_size, image_size, 3), name="masked_image")
    inputs, x = {"masked_image": image}, image
    if conditioned:
        inputs["emotion"] = keras.Input((len(EMOTIONS),), name="emotion")
        planes = blocks.emotion_planes(inputs["emotion"], image_size)
        x = layers.Concatenate(name="labelled_image")([image, planes])

    x = blocks.convolution(x, filters // 2, "stem_conv1")
    x = blocks.convolution(x, filters, "stem_conv2")
    x = blocks.leaky_relu(blocks.batch_norm(x, "stem_bn"), "stem_act")
    skips = [x]
    for level in range(1, LEVELS + 1):
        x = blocks.residual_down(x, filters * 2**level, f"down{level}")
        skips.append(x)
    x = blocks.convolution(skips.pop(), filters * 2**LEVELS, "bottleneck")
    for level in range(LEVELS, 0, -1):
        x = blocks.residual_up(x, skips.pop(), filters * 2 ** (level - 1), f"up{level}")
    # Always float32, whatever the precision policy: losses and images need the bits that half precision drops.
    output = layers.Conv2D(3, 3, padding="same", dtype="float32", name="inpainted_image")(x)
    return keras.Model(inputs, {"inpainted_image": output}, name="rac_unet")
