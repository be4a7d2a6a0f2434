"""A-UNET: a U-Net with an attention gate on every skip; no residuals, no label.

The original project's first baseline. U-Net: Ronneberger et al. 2015 (arXiv:1505.04597); attention gate: Oktay et al.
2018 (arXiv:1804.03999). With 64 filters: 31,916,463 trainable parameters, 28.7 GFLOP per 128 x 128 image.
"""

from __future__ import annotations

import keras
from keras import layers

from rac_unet.models import blocks

LEVELS = 4


def build_a_unet(filters: int = 64, image_size: int = 128) -> keras.Model:
    """Build A-UNET.

    Args:
        filters: channels at full resolution, an even number; doubled at each of 4 levels down. 64 is the original.
        image_size: side of the square image in pixels, a multiple of 16.
    Returns: model from `{"masked_image": (B, S, S, 3) in [0, 1]}` to `{"inpainted_image": (B, S, S, 3) float32}`,
        unbounded.
    """
    image = keras.Input((image_size, image_size, 3), name="masked_image")
    x = blocks.double_convolution(image, filters, "stem")
    skips = [x]
    for level in range(1, LEVELS + 1):
        x = blocks.max_pool(x, f"down{level}_pool")
        x = blocks.double_convolution(x, filters * 2**level, f"down{level}")
        skips.append(x)
    skips.pop()
    for level in range(LEVELS, 0, -1):
        width = filters * 2 ** (level - 1)
        x = blocks.upsample(x, f"up{level}_upsample")
        gated = blocks.attention_gate(skips.pop(), x, width // 2, f"up{level}_gate")
        x = layers.Concatenate(name=f"up{level}_concat")([x, gated])
        x = blocks.double_convolution(x, width, f"up{level}")
    # Always float32, whatever the precision policy: losses and images need the bits that half precision drops.
    output = layers.Conv2D(3, 1, dtype="float32", name="inpainted_image")(x)
    return keras.Model({"masked_image": image}, {"inpainted_image": output}, name="a_unet")
