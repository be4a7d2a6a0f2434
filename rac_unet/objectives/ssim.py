"""MS-SSIM that can be trained: TensorFlow's value, with a gradient that never becomes NaN.

`tf.image.ssim_multiscale` raises each scale's contrast to a small power after clipping it at 0, where the power's slope
is infinite; untrained networks land there almost always. Here the value is the same and the slope is bounded.
"""

from __future__ import annotations

import functools

import numpy as np
import tensorflow as tf

# Wang, Simoncelli, Bovik 2003.
POWER_FACTORS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
# TensorFlow's default window of 11 does not fit a 128-pixel picture at 5 scales; 7 does.
MS_SSIM_WINDOW = 7
_SIGMA, _C1, _C2 = 1.5, 0.01**2, 0.03**2
# Below this contrast the power is continued by a curve with bounded slope.
_FLOOR = 1e-3


def scales_that_fit(side: int, window: int = MS_SSIM_WINDOW) -> int:
    """How many of the 5 scales a picture of this side allows: side / 2**(scales - 1) >= window."""
    return max(s for s in range(1, len(POWER_FACTORS) + 1) if s == 1 or side // 2 ** (s - 1) >= window)


def ms_ssim_map(truth, image, scales: int, window: int = MS_SSIM_WINDOW):
    """MS-SSIM per picture.

    Args:
        truth, image: (B, H, W, C) float32 in [0, 1] (values beyond are allowed), C the same.
        scales: how many of Wang's power factors to use, from the finest.
        window: side of the Gaussian window.
    Returns: (B,) float32, the value of `tf.image.ssim_multiscale` with the same settings and `filter_sigma=1.5`.
    """
    true_factors, smooth_factors = [], []
    for scale, power in enumerate(POWER_FACTORS[:scales]):
        if scale:
            truth, image = _halve(truth), _halve(image)
        luminance, contrast = _ssim_parts(truth, image, window)
        value = contrast * luminance if scale == scales - 1 else contrast
        # tf.image takes the mean over pixels of l*cs at the last scale and of cs at the others.
        mean = tf.reduce_mean(value, axis=[1, 2])
        smooth_factors.append(_bounded(mean) ** power)
        true_factors.append(tf.maximum(tf.stop_gradient(mean), 0.0) ** power)
    smooth = tf.reduce_prod(tf.stack(smooth_factors), axis=0)
    true = tf.reduce_prod(tf.stack(true_factors), axis=0)
    # Value of the second, slope of the first; where every contrast is above the floor they are the same number.
    return tf.reduce_mean(smooth + tf.stop_gradient(true - smooth), axis=-1)


def _bounded(x):
    """x where x >= floor; below it a curve that meets x in value and slope, stays positive and never flattens out."""
    low = tf.minimum(x, _FLOOR)
    return tf.where(x >= _FLOOR, x, _FLOOR**2 / (2 * _FLOOR - low))


@functools.cache
def _window(size: int) -> np.ndarray:
    offsets = np.arange(size) - (size - 1) / 2
    kernel = np.exp(-(offsets**2) / (2 * _SIGMA**2))
    kernel = np.outer(kernel, kernel)
    return (kernel / kernel.sum()).astype(np.float32)


def _ssim_parts(x, y, window):
    """Luminance and contrast-structure maps, (B, H', W', C) each."""
    channels = x.shape[-1]
    kernel = tf.constant(np.tile(_window(window)[:, :, None, None], (1, 1, channels, 1)))

    def blur(maps):
        return tf.nn.depthwise_conv2d(maps, kernel, [1, 1, 1, 1], "VALID")

    mean_x, mean_y = blur(x), blur(y)
    product, squares = mean_x * mean_y, mean_x**2 + mean_y**2
    contrast = (2 * (blur(x * y) - product) + _C2) / (blur(x**2 + y**2) - squares + _C2)
    return (2 * product + _C1) / (squares + _C1), contrast


def _halve(image):
    """2x2 means; an odd last row or column is repeated first."""
    odd_h, odd_w = image.shape[1] % 2, image.shape[2] % 2
    if odd_h or odd_w:
        image = tf.pad(image, [[0, 0], [0, odd_h], [0, odd_w], [0, 0]], "SYMMETRIC")
    return tf.nn.avg_pool2d(image, 2, 2, "VALID")
