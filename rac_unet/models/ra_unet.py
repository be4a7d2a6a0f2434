"""RA-UNET: A-UNET with residual blocks, gates at the coarser resolution and a sigmoid at the end; no label.

The original project's second baseline: Hosen and Islam, "Masked Face Inpainting Through Residual Attention UNet", ASYU
2022. It has batch norms only in the gates and before the last sigmoid. With 64 filters: 39,051,347 parameters,
39,049,421 of them trainable, and 32.4 GFLOP per 128 x 128 image.
"""

from __future__ import annotations

import keras
from keras import layers

from rac_unet.models import blocks

LEVELS = 4


def build_ra_unet(filters: int = 64, image_size: int = 128) -> keras.Model:
    """Build RA-UNET.

    Args:
        filters: channels at full resolution; doubled at each of 4 levels down. 64 is the original.
        image_size: side of the square image in pixels, a multiple of 16.
    Returns: model from `{"masked_image": (B, S, S, 3) in [0, 1]}` to
        `{"inpainted_image": (B, S, S, 3) float32 in [0, 1]}`.
    """
    image = keras.Input((image_size, image_size, 3), name="masked_image")
    x = blocks.residual_convolution(image, filters, "stem")
    skips = [x]
    for level in range(1, LEVELS + 1):
        x = blocks.max_pool(x, f"down{level}_pool")
        x = blocks.residual_convolution(x, filters * 2**level, f"down{level}")
        skips.append(x)
    skips.pop()
    for level in range(LEVELS, 0, -1):
        gated = blocks.coarse_attention_gate(skips.pop(), x, f"up{level}_gate")
        x = layers.Concatenate(name=f"up{level}_concat")([blocks.upsample(x, f"up{level}_upsample"), gated])
        x = blocks.residual_convolution(x, filters * 2 ** (level - 1), f"up{level}")
    # Always float32, whatever the precision policy: losses and images need the bits that half precision drops.
    x = layers.Conv2D(3, 1, dtype="float32", name="head_conv")(x)
    x = layers.BatchNormalization(dtype="float32", name="head_bn", **blocks.BATCH_NORM)(x)
    output = layers.Activation("sigmoid", dtype="float32", name="inpainted_image")(x)
    return keras.Model({"masked_image": image}, {"inpainted_image": output}, name="ra_unet")
