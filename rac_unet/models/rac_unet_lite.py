"""RAC-UNET-lite: a compact RAC-UNET for phones that also predicts the mask's occlusion map.

It has RAC-UNET's parts (residual blocks, attention gates on the skips, the emotion as an input) at 3 % of its
arithmetic: the first convolution halves the resolution, the widest levels are 8 and 16 px, a few channels at full
resolution draw mask edges and teeth, and every operation has a fast 8-bit form. With 32 filters: 1.35 M parameters,
1.4 GFLOP per 128 x 128 image.
"""

from __future__ import annotations

import keras
from keras import layers

from rac_unet.core.emotions import EMOTIONS
from rac_unet.models import blocks

# The map is stretched beyond [0, 1] by this margin and clipped, so that a pixel below 0.115 is copied exactly.
STRETCH = 0.15


def build_rac_unet_lite(filters: int = 32, image_size: int = 128, conditioned: bool = True) -> keras.Model:
    """Build the compact, mask-aware RAC-UNET.

    Args:
        filters: channels at half resolution, 2 or more; the levels below have 2, 3 and 3.5 times as many.
        image_size: side of the square image in pixels, a multiple of 16.
        conditioned: whether `emotion` is an input; an all-zero row means no label.
    Returns: model from `{"masked_image": (B, S, S, 3) in [0, 1], "emotion": (B, 7) one-hot}` to
        `inpainted_image` (B, S, S, 3) in [0, 1], equal to `masked_image` wherever the map is below 0.115;
        `occlusion` (B, S, S, 1) in [0, 1], the probability that a mask hides the pixel;
        `painted_image` (B, S, S, 3) in [0, 1], the whole face as the network paints it;
        `visible_emotion` (B, 7), probabilities of the emotion read from the visible part, independent of the label.
    """
    image, inputs = named_inputs(image_size, conditioned)
    x = layers.ZeroPadding2D(1, name="stem_pad")(image)
    x, seen = half_resolution(convolution(x, filters, "stem", 4, 2, "valid"), inputs, filters)
    x = fine(x, image, filters)
    painted, occlusion = head(x, 3, "painted_image"), head(x, 1, "occlusion")
    return keras.Model(inputs, outputs_of(image, painted, occlusion, seen), name="rac_unet_lite")


def named_inputs(image_size: int, conditioned: bool):
    """Return the image, and all inputs by name: `masked_image` and, if conditioned, `emotion`."""
    image = keras.Input((image_size, image_size, 3), name="masked_image")
    inputs = {"masked_image": image}
    if conditioned:
        inputs["emotion"] = keras.Input((len(EMOTIONS),), name="emotion")
    return image, inputs


def half_resolution(x, inputs, filters: int):
    """Everything between the first convolution and the last few channels at full resolution.

    Args:
        x: (B, S/2, S/2, filters), features of the first convolution.
        inputs: the network's inputs by name; `emotion` is used if it is among them.
    Returns: (B, S/2, S/2, filters), features of the inpainted face; `visible_emotion` (B, 7).
    """
    widths = [filters, 2 * filters, 3 * filters, 7 * filters // 2]
    x = residual(x, widths[0], "stem")
    skips = [x]
    for level, width in enumerate(widths[1:], 1):
        x = convolution(layers.ZeroPadding2D(1, name=f"down{level}_pad")(x), width, f"down{level}", 3, 2, "valid")
        x = residual(x, width, f"down{level}")
        skips.append(x)
    seen = layers.GlobalAveragePooling2D(name="seen_pool")(skips.pop())
    seen = layers.Dense(2 * filters, activation="relu", name="seen_dense")(seen)
    whole = layers.Reshape((1, 1, widths[3]), name="seen_shift")(layers.Dense(widths[3], name="seen_shift_dense")(seen))
    # Probabilities and images are always float32, whatever the precision policy.
    seen = layers.Dense(len(EMOTIONS), activation="softmax", dtype="float32", name="visible_emotion")(seen)

    x = _labelled(layers.Add(name="bottleneck_seen")([x, whole]), inputs, widths[3], "bottleneck")
    x = residual(x, widths[3], "bottleneck")
    for level in (3, 2, 1):
        width = widths[level - 1]
        x = layers.Conv2DTranspose(width, 2, strides=2, name=f"up{level}_conv")(x)
        x = _labelled(blocks.batch_norm(x, f"up{level}_bn"), inputs, width, f"up{level}")
        gated = blocks.attention_gate(skips.pop(), x, width // 2, f"up{level}_gate")
        x = layers.ReLU(name=f"up{level}_act")(layers.Add(name=f"up{level}_sum")([x, gated]))
        x = residual(x, width, f"up{level}")
        if level < 3:
            x = residual(x, width, f"up{level}b")
    return x, seen


def fine(x, image, filters: int):
    """Double the resolution with a few channels, enough to draw a mask's edge and teeth, and join them with the image.

    Args:
        x: (B, S/2, S/2, filters).
        image: (B, S, S, 3) in [0, 1].
    Returns: (B, S, S, filters / 2).
    """
    x = layers.Conv2DTranspose(max(3 * filters // 8, 1), 2, strides=2, use_bias=False, name="fine_upsample")(x)
    x = layers.ReLU(name="fine_upsample_act")(blocks.batch_norm(x, "fine_upsample_bn"))
    # In 8 bits, concatenated tensors share one scale; this copy lets the image itself keep its own.
    copy = layers.ReLU(max_value=1.0, name="fine_image")(image)
    return convolution(layers.Concatenate(name="fine_concat")([x, copy]), filters // 2, "fine")


def outputs_of(image, painted, occlusion, seen) -> dict:
    """Return the network's outputs by name; the map decides where the image is replaced by the painting."""
    share = layers.Rescaling(1 + 2 * STRETCH, -STRETCH, dtype="float32", name="share_stretched")(occlusion)
    share = layers.ReLU(max_value=1.0, dtype="float32", name="share_painted")(share)
    rest = layers.Rescaling(-1.0, 1.0, dtype="float32", name="share_kept")(share)
    parts = [
        layers.Multiply(dtype="float32", name="part_painted")([painted, share]),
        layers.Multiply(dtype="float32", name="part_kept")([image, rest]),
    ]
    return {
        "inpainted_image": layers.Add(dtype="float32", name="inpainted_image")(parts),
        "occlusion": occlusion,
        "painted_image": painted,
        "visible_emotion": seen,
    }


def convolution(x, filters, name, kernel_size=3, strides=1, padding="same"):
    """Convolution, batch norm and ReLU, which a converter folds into one operation for inference."""
    x = layers.Conv2D(filters, kernel_size, strides=strides, padding=padding, use_bias=False, name=f"{name}_conv")(x)
    return layers.ReLU(name=f"{name}_act")(blocks.batch_norm(x, f"{name}_bn"))


def residual(x, filters, name):
    """Residual block: two convolutions and an identity shortcut, with a ReLU after the sum."""
    h = convolution(x, filters, f"{name}_res1")
    h = layers.Conv2D(filters, 3, padding="same", use_bias=False, name=f"{name}_res2_conv")(h)
    h = blocks.batch_norm(h, f"{name}_res2_bn")
    return layers.ReLU(name=f"{name}_res_act")(layers.Add(name=f"{name}_res_sum")([x, h]))


def _labelled(x, inputs, filters, name):
    """Shift every channel by a learned number per emotion; no shift for an all-zero label or without the input."""
    if "emotion" not in inputs:
        return x
    table = keras.initializers.RandomNormal(stddev=0.5)
    shift = layers.Dense(filters, use_bias=False, kernel_initializer=table, name=f"{name}_emotion")(inputs["emotion"])
    shift = layers.Reshape((1, 1, filters), name=f"{name}_emotion_shift")(shift)
    return layers.Add(name=f"{name}_labelled")([x, shift])


def head(x, channels, name):
    """Convolution and sigmoid: an image or a map in [0, 1]."""
    x = layers.Conv2D(channels, 3, padding="same", dtype="float32", name=f"{name}_conv")(x)
    return layers.Activation("sigmoid", dtype="float32", name=name)(x)
