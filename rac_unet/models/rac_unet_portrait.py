"""RAC-UNET-portrait: RAC-UNET-lite at twice the resolution, for faces that are large in the photo.

It is the compact network with a first convolution that divides the resolution by four instead of two, so that all its
levels have the size and the names of those of `rac_unet_lite` at half the side; it starts with that network's weights
(`rac_unet.models.importing.enlarging`). A second branch of a few channels adds detail at full resolution. Its last
convolutions start at zero: before it is trained, the network paints what the compact one paints, enlarged. With 32
filters at 256 px: 1.41 M parameters, 3.2 GFLOP.
"""

from __future__ import annotations

import keras
from keras import layers

from rac_unet.models.rac_unet_lite import (
    convolution,
    doubled,
    fine,
    half_resolution,
    named_inputs,
    outputs_of,
    residual,
)

# Names of the layers that `rac_unet_lite` does not have start with this word.
DETAIL = "detail"


def build_rac_unet_portrait(filters: int = 32, image_size: int = 256, conditioned: bool = True) -> keras.Model:
    """Build the compact, mask-aware RAC-UNET for large faces.

    Args:
        filters: channels at a quarter of the resolution, 2 or more; see `build_rac_unet_lite`.
        image_size: side of the square image in pixels, a multiple of 32.
        conditioned: whether `emotion` is an input; an all-zero row means no label.
    Returns: model with the inputs and outputs of `build_rac_unet_lite`.
    """
    image, inputs = named_inputs(image_size, conditioned)
    x = layers.ZeroPadding2D(2, name="stem_pad")(image)
    quarter, seen = half_resolution(convolution(x, filters, "stem", 8, 4, "valid"), inputs, filters)
    half = fine(quarter, layers.AveragePooling2D(2, name="half_image")(image), filters)

    # Most of the work is done at half the resolution, where the image is seen as 4 x 4 blocks.
    copy = layers.ReLU(max_value=1.0, name=f"{DETAIL}_image")(image)
    seen_blocks = layers.ZeroPadding2D(1, name=f"{DETAIL}_image_pad")(copy)
    seen_blocks = convolution(seen_blocks, max(filters // 2, 1), f"{DETAIL}_blocks", 4, 2, "valid")
    x = doubled(quarter, max(3 * filters // 4, 1), f"{DETAIL}_half")
    x = layers.Concatenate(name=f"{DETAIL}_half_concat")([x, half, seen_blocks])
    x = residual(convolution(x, filters, f"{DETAIL}_half"), filters, f"{DETAIL}_half")
    x = doubled(x, max(3 * filters // 8, 1), f"{DETAIL}_full")
    x = layers.Concatenate(name=f"{DETAIL}_full_concat")([x, copy])
    x = convolution(x, max(3 * filters // 8, 1), f"{DETAIL}_full")

    painted = _detailed_head(half, x, 3, "painted_image")
    occlusion = _detailed_head(half, x, 1, "occlusion")
    return keras.Model(inputs, outputs_of(image, painted, occlusion, seen), name="rac_unet_portrait")


def _detailed_head(half, full, channels, name):
    """Enlarge what the compact network's last convolution gives, and add detail: an image or a map in [0, 1]."""
    x = layers.Conv2D(channels, 3, padding="same", dtype="float32", name=f"{name}_conv")(half)
    x = layers.UpSampling2D(2, interpolation="bilinear", dtype="float32", name=f"{name}_enlarged")(x)
    detail = layers.Conv2D(
        channels,
        3,
        padding="same",
        use_bias=False,
        kernel_initializer="zeros",
        dtype="float32",
        name=f"{DETAIL}_{name}_conv",
    )(full)
    x = layers.Add(dtype="float32", name=f"{DETAIL}_{name}_added")([x, detail])
    return layers.Activation("sigmoid", dtype="float32", name=name)(x)
