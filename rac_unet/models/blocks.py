"""Building blocks of the networks: functions from Keras tensors to Keras tensors.

They use stock layers only, so that an exported model loads where this package is not installed. Every function takes a
name, the prefix of its layers' names: `{name}_conv1`, `{name}_bn1`, …
"""

from __future__ import annotations

from keras import initializers, layers

# PyTorch's defaults, which the original's checkpoints assume. Its batch-norm momentum 0.1 is Keras's 0.9.
BATCH_NORM = {"epsilon": 1e-5, "momentum": 0.9}
LEAKY_SLOPE = 0.01


def convolution(x, filters, name, kernel_size=3, strides=1):
    """Convolution with bias that keeps H and W, or divides them by `strides`.

    A strided convolution is padded by 1 on every side first, as PyTorch does. Keras's `same` would pad bottom and right
    only, and shift every feature by half a pixel per level.
    """
    if strides == 1:
        return layers.Conv2D(filters, kernel_size, padding="same", name=name)(x)
    x = layers.ZeroPadding2D(kernel_size // 2, name=f"{name}_pad")(x)
    return layers.Conv2D(filters, kernel_size, strides=strides, padding="valid", name=name)(x)


def batch_norm(x, name):
    """Batch normalisation with PyTorch's default epsilon and momentum."""
    return layers.BatchNormalization(name=name, **BATCH_NORM)(x)


def leaky_relu(x, name):
    """Leaky ReLU with PyTorch's slope of 0.01."""
    return layers.LeakyReLU(negative_slope=LEAKY_SLOPE, name=name)(x)


def emotion_planes(emotion, image_size, name="emotion", planes=4):
    """Spread a label over the image: (B, 7) one-hot -> (B, image_size, image_size, 4).

    Each emotion has a learned row of 4 numbers, the same at every pixel; an all-zero label gives all-zero planes.
    """
    # Initialised as PyTorch initialises an embedding, to values as large as the image's. Keras's default for a dense
    # layer has a quarter of that variance, and the network then takes far longer to use the label.
    table = initializers.RandomNormal(stddev=1.0)
    row = layers.Dense(planes, use_bias=False, kernel_initializer=table, name=f"{name}_embedding")(emotion)
    row = layers.RepeatVector(image_size * image_size, name=f"{name}_repeat")(row)
    return layers.Reshape((image_size, image_size, planes), name=f"{name}_planes")(row)


def residual_down(x, filters, name):
    """Halve H and W: (B, H, W, C) -> (B, H/2, W/2, filters).

    The strided convolution is both the first layer of the branch and the shortcut. No activation follows the sum.
    """
    shortcut = convolution(x, filters, f"{name}_conv1", strides=2)
    h = leaky_relu(batch_norm(shortcut, f"{name}_bn1"), f"{name}_act1")
    h = convolution(h, filters, f"{name}_conv2")
    h = leaky_relu(batch_norm(h, f"{name}_bn2"), f"{name}_act2")
    h = batch_norm(convolution(h, filters, f"{name}_conv3"), f"{name}_bn3")
    return layers.Add(name=f"{name}_sum")([shortcut, h])


def attention_gate(skip, gating_signal, inter_filters, name):
    """Scale a skip connection by coefficients computed from it and the decoder.

    Additive gate of Oktay et al. 2018 (arXiv:1804.03999); both tensors have the same H and W.

    Args:
        skip: (B, H, W, C) float, any range.
        gating_signal: (B, H, W, G) float.
        inter_filters: channels of the shared projection, usually C // 2.
    Returns: (B, H, W, C), `skip` times a coefficient map in [0, 1].
    """
    g = batch_norm(convolution(gating_signal, inter_filters, f"{name}_gating_conv", 1), f"{name}_gating_bn")
    s = batch_norm(convolution(skip, inter_filters, f"{name}_skip_conv", 1), f"{name}_skip_bn")
    a = layers.ReLU(name=f"{name}_act")(layers.Add(name=f"{name}_sum")([g, s]))
    psi = batch_norm(convolution(a, 1, f"{name}_psi_conv", 1), f"{name}_psi_bn")
    psi = layers.Activation("sigmoid", name=f"{name}_psi")(psi)
    return layers.Multiply(name=f"{name}_scale")([skip, psi])


def residual_up(x, skip, filters, name):
    """Double H and W and merge a skip: (B, H, W, C), (B, 2H, 2W, filters) -> (B, 2H, 2W, filters).

    The residual is taken from the gated skip, as in the original's code (its figure shows the ungated skip).
    """
    u = layers.Conv2DTranspose(filters, 2, strides=2, name=f"{name}_upsample")(x)
    u = convolution(batch_norm(u, f"{name}_upsample_bn"), filters, f"{name}_conv1")
    u = leaky_relu(batch_norm(u, f"{name}_bn1"), f"{name}_act1")
    gated = attention_gate(skip, u, filters // 2, f"{name}_gate")
    h = layers.Concatenate(name=f"{name}_concat")([u, gated])
    h = leaky_relu(batch_norm(convolution(h, 2 * filters, f"{name}_conv2"), f"{name}_bn2"), f"{name}_act2")
    h = batch_norm(convolution(h, filters, f"{name}_conv3"), f"{name}_bn3")
    return leaky_relu(layers.Add(name=f"{name}_sum")([h, gated]), f"{name}_act3")


def double_convolution(x, filters, name):
    """Two 3 x 3 convolutions, each with batch norm and ReLU: (B, H, W, C) -> (B, H, W, filters)."""
    for i in (1, 2):
        x = batch_norm(convolution(x, filters, f"{name}_conv{i}"), f"{name}_bn{i}")
        x = layers.ReLU(name=f"{name}_act{i}")(x)
    return x


def residual_convolution(x, filters, name):
    """Residual block without norm: two 3 x 3 convolutions and a 1 x 1 shortcut, (B, H, W, C) -> (B, H, W, filters).

    There is a ReLU between the two convolutions and one after the sum, so the output is 0 or more.
    """
    shortcut = convolution(x, filters, f"{name}_shortcut", 1)
    h = layers.ReLU(name=f"{name}_act1")(convolution(x, filters, f"{name}_conv1"))
    h = convolution(h, filters, f"{name}_conv2")
    return layers.ReLU(name=f"{name}_act2")(layers.Add(name=f"{name}_sum")([shortcut, h]))


def max_pool(x, name):
    """2 x 2 max pooling: (B, H, W, C) -> (B, H/2, W/2, C)."""
    return layers.MaxPooling2D(2, name=name)(x)


def upsample(x, name):
    """Nearest-neighbour up-sampling by 2, without weights: (B, H, W, C) -> (B, 2H, 2W, C)."""
    return layers.UpSampling2D(2, interpolation="nearest", name=name)(x)


def coarse_attention_gate(skip, coarse, name):
    """Scale a skip connection by coefficients computed at half its resolution.

    The additive gate of RA-UNET (Hosen and Islam, ASYU 2022): the skip is brought down to the decoder's resolution,
    not the decoder up to the skip's, and the scaled skip passes a last 1 x 1 convolution and batch norm.

    Args:
        skip: (B, 2H, 2W, C) float, any range.
        coarse: (B, H, W, G) float, the decoder before up-sampling.
    Returns: (B, 2H, 2W, C).
    """
    filters = skip.shape[-1]
    gating = layers.ReLU(name=f"{name}_gating_act")(convolution(coarse, filters, f"{name}_gating_conv", 1))
    # The kernel is as large as the stride, so no padding is needed.
    s = layers.Conv2D(filters, 2, strides=2, name=f"{name}_skip_conv")(skip)
    g = convolution(gating, filters, f"{name}_gating_project", 1)
    g = layers.Conv2DTranspose(filters, 3, padding="same", name=f"{name}_gating_transpose")(g)
    a = layers.ReLU(name=f"{name}_act")(layers.Add(name=f"{name}_sum")([s, g]))
    psi = layers.Activation("sigmoid", name=f"{name}_psi")(convolution(a, 1, f"{name}_psi_conv", 1))
    scaled = layers.Multiply(name=f"{name}_scale")([skip, upsample(psi, f"{name}_psi_upsample")])
    return batch_norm(convolution(scaled, filters, f"{name}_conv", 1), f"{name}_bn")
