"""MS-SSIM + L1 as the original computed it: 33 x 33 windows, one depthwise convolution per statistic.

The reference for the speed of `rac_unet.objectives.losses.ms_ssim_l1`, which gets the same values from banded matrices.
"""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from rac_unet.objectives.losses import ALPHA, C1, C2, COMPENSATION, SIGMAS, TAPS


def direct_ms_ssim_l1(truth, image):
    """Return the loss of each picture.

    Args:
        truth, image: (B, S, S, 3) float32 in [0, 1].
    Returns: (B,) float32, as `ms_ssim_l1`.
    """
    windows = tf.constant(np.stack([_window(sigma) for sigma in SIGMAS], axis=-1), tf.float32)
    # (33, 33, 3, 5): each channel with each sigma; the output's channels are in the order (channel, sigma).
    every = tf.tile(windows[:, :, None, :], (1, 1, 3, 1))
    mean_x, mean_y = _blur(image, every), _blur(truth, every)
    variance_x = _blur(image * image, every) - mean_x * mean_x
    variance_y = _blur(truth * truth, every) - mean_y * mean_y
    covariance = _blur(image * truth, every) - mean_x * mean_y
    luminance = (2 * mean_x * mean_y + C1) / (mean_x * mean_x + mean_y * mean_y + C1)
    contrast = (2 * covariance + C2) / (variance_x + variance_y + C2)
    largest = luminance[..., len(SIGMAS) - 1 :: len(SIGMAS)]
    structure = tf.reduce_prod(largest, axis=-1) * tf.reduce_prod(contrast, axis=-1)
    smooth_l1 = tf.reduce_mean(_blur(tf.abs(image - truth), every[..., -1:]), axis=-1)
    return COMPENSATION * tf.reduce_mean(ALPHA * (1 - structure) + (1 - ALPHA) * smooth_l1, axis=[1, 2])


def _window(sigma: float) -> np.ndarray:
    offsets = np.arange(TAPS) - TAPS // 2
    window = np.exp(-(offsets[:, None] ** 2 + offsets[None, :] ** 2) / (2 * sigma**2))
    return window / window.sum()


def _blur(maps, windows):
    return tf.nn.depthwise_conv2d(maps, windows, strides=[1, 1, 1, 1], padding="SAME")
