"""RAC-UNET-portrait: RAC-UNET-lite at twice the resolution, for faces that are large in the photo.

It is the compact network with a first convolution that divides the resolution by four instead of two, so that all its
levels have the size and the names of those of `rac_unet_lite` at half the side; it starts with that network's weights
(`rac_unet.models.importing.enlarging`). A second branch adds detail at full resolution. Its last convolutions start at
zero: before it is trained, the network paints what the compact one paints, enlarged. With 32 filters at 256 px:
1.40 M parameters, 2.8 GFLOP.
"""

from __future__ import annotations

import keras
from keras import layers

from rac_unet.models.rac_unet_lite import (
    convolution,
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

    # All convolutions work at half the resolution, where the image is seen as blocks of 4 x 4 pixels: on a phone, few
    # channels at full resolution would take twice as long as all the rest.
    pixels = layers.ZeroPadding2D(1, name=f"{DETAIL}_image_pad")(image)
    pixels = convolution(pixels, max(filters // 2, 1), f"{DETAIL}_image", 4, 2, "valid")
    x = layers.UpSampling2D(2, name=f"{DETAIL}_enlarged")(quarter)
    x = layers.Concatenate(name=f"{DETAIL}_concat")([x, half, pixels])
    x = residual(convolution(x, filters, DETAIL), filters, DETAIL)

    painted = _detailed_head(half, x, 3, "painted_image")
    occlusion = _detailed_head(half, x, 1, "occlusion")
    return keras.Model(inputs, outputs_of(image, painted, occlusion, seen), name="rac_unet_portrait")


def _detailed_head(half, features, channels, name):
    """Enlarge what the compact network's last convolution gives, and add detail: an image or a map in [0, 1]."""
    x = layers.Conv2D(channels, 3, padding="same", dtype="float32", name=f"{name}_conv")(half)
    x = layers.UpSampling2D(2, interpolation="bilinear", dtype="float32", name=f"{name}_enlarged")(x)
    detail = layers.Conv2D(
        4 * channels,
        3,
        padding="same",
        use_bias=False,
        kernel_initializer="zeros",
        dtype="float32",
        name=f"{DETAIL}_{name}_conv",
    )(features)
    detail = _blocks_to_pixels(detail, channels, f"{DETAIL}_{name}")
    x = layers.Add(dtype="float32", name=f"{DETAIL}_{name}_added")([x, detail])
    return layers.Activation("sigmoid", dtype="float32", name=name)(x)


def _blocks_to_pixels(x, channels, name):
    """Turn 4 numbers a channel into a block of 2 x 2 pixels: (B, S, S, 4 C) -> (B, 2 S, 2 S, C)."""
    side = x.shape[1]
    x = layers.Reshape((side, side, 2, 2, channels), dtype="float32", name=f"{name}_blocks")(x)
    x = layers.Permute((1, 3, 2, 4, 5), dtype="float32", name=f"{name}_rows")(x)
    return layers.Reshape((2 * side, 2 * side, channels), dtype="float32", name=f"{name}_pixels")(x)
