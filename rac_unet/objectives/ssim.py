"""SSIM and MS-SSIM for training: the values of TensorFlow's functions, with gradients that never become NaN.

`tf.image.ssim_multiscale` clips each scale's contrast at 0 and raises it to a small power, whose slope at 0 is
infinite; the contrast of an untrained network is nearly always clipped. Here the value is the same and the slope is
bounded.
"""

from __future__ import annotations

import functools

import numpy as np
import tensorflow as tf

from rac_unet.objectives.exact_products import matrix_times, times_matrix

# Wang, Simoncelli, Bovik 2003.
POWER_FACTORS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
# TensorFlow's default window of 11 does not fit a 128-pixel picture at 5 scales; 7 does.
MS_SSIM_WINDOW = 7
SSIM_WINDOW = 11
_SIGMA, _C1, _C2 = 1.5, 0.01**2, 0.03**2
# Below this contrast the power is continued by a curve with bounded slope.
_FLOOR = 1e-3


def scales_that_fit(side: int, window: int = MS_SSIM_WINDOW) -> int:
    """Return how many of the 5 scales fit a picture with this side: side / 2**(scales - 1) >= window."""
    return max(s for s in range(1, len(POWER_FACTORS) + 1) if s == 1 or side // 2 ** (s - 1) >= window)


def mean_ssim(truth, image, window: int = SSIM_WINDOW):
    """Return the SSIM of each picture, the mean over pixels and channels.

    Args:
        truth, image: (B, H, W, C) float32 in [0, 1] (values outside are allowed), H and W at least `window`.
        window: side of the Gaussian window in pixels.
    Returns: (B,) float32, the value of `tf.image.ssim` with the same window and `filter_sigma=1.5`.
    """
    return tf.reduce_mean(ssim_map(truth, image, window), axis=[1, 2, 3])


def ssim_map(truth, image, window: int = SSIM_WINDOW):
    """Return the SSIM of all windows in the image, (B, H - window + 1, W - window + 1, C); see `mean_ssim`."""
    luminance, contrast = _ssim_parts(truth, image, window)
    return luminance * contrast


def ms_ssim_map(truth, image, scales: int, window: int = MS_SSIM_WINDOW):
    """Return the MS-SSIM of each picture.

    Args:
        truth, image: (B, H, W, C) float32 in [0, 1] (values outside are allowed).
        scales: number of scales, from the finest; see `scales_that_fit`.
        window: side of the Gaussian window in pixels.
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
    # The value of `true` with the slope of `smooth`; they are equal if every contrast is above the floor.
    return tf.reduce_mean(smooth + tf.stop_gradient(true - smooth), axis=-1)


def _bounded(x):
    """Return x where x >= floor; below, a positive increasing curve that continues x in value and slope."""
    low = tf.minimum(x, _FLOOR)
    return tf.where(x >= _FLOOR, x, _FLOOR**2 / (2 * _FLOOR - low))


@functools.cache
def _window_matrix(side: int, window: int) -> np.ndarray:
    """Return a (side, side - window + 1) float32 matrix M: X @ M is X with rows blurred where the whole window fits."""
    offsets = np.arange(window) - (window - 1) / 2
    kernel = np.exp(-(offsets**2) / (2 * _SIGMA**2))
    kernel /= kernel.sum()
    matrix = np.zeros((side, side - window + 1), np.float32)
    for column in range(matrix.shape[1]):
        matrix[column : column + window, column] = kernel
    return matrix


def _ssim_parts(x, y, window):
    """Return the luminance and contrast-structure maps, (B, H', W', C) each."""
    # Two products with a banded matrix: depthwise convolutions are several times slower on a CPU, mainly backward.
    # A variance is a difference of means. Two things keep its rounding error small: each picture's own mean is
    # subtracted, which changes no variance, and with d = x - y contrast is 1 - var(d) / (var(x) + var(y) + C2).
    centre_x, centre_y = (tf.stop_gradient(tf.reduce_mean(a, axis=[1, 2], keepdims=True)) for a in (x, y))
    x, y = x - centre_x, y - centre_y
    maps = tf.transpose(tf.stack([x, y, tf.square(x - y), x**2 + y**2]), [0, 1, 4, 2, 3])
    rows, columns = (_window_matrix(side, window) for side in (x.shape[1], x.shape[2]))
    blurred = matrix_times(rows.T, times_matrix(maps, columns))
    mean_x, mean_y, mean_difference, mean_squares = tf.unstack(tf.transpose(blurred, [0, 1, 3, 4, 2]))
    # Rounding must not make a variance negative, which would make the quotient explode.
    variances = tf.maximum(mean_squares - mean_x**2 - mean_y**2, 0.0)
    contrast = 1 - (mean_difference - tf.square(mean_x - mean_y)) / (variances + _C2)
    mean_x, mean_y = mean_x + centre_x, mean_y + centre_y
    return 1 - tf.square(mean_x - mean_y) / (mean_x**2 + mean_y**2 + _C1), contrast


def _halve(image):
    """Return the means of 2x2 pixels; an odd last row or column is repeated first."""
    odd_h, odd_w = image.shape[1] % 2, image.shape[2] % 2
    if odd_h or odd_w:
        image = tf.pad(image, [[0, 0], [0, odd_h], [0, odd_w], [0, 0]], "SYMMETRIC")
    return tf.nn.avg_pool2d(image, 2, 2, "VALID")
