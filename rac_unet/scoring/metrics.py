"""PSNR, SSIM, MS-SSIM and map metrics: one number per image, never per batch.

Three views of every output. *raw*: the network's output. *composite*: known pixels from the ground truth, hidden ones
from the network, so that pixels outside the mask do not count. *hole*: only the hidden pixels; the main metric, since
known pixels raise the other two. *Hidden* is occlusion > 0, a hard map.
"""

from __future__ import annotations

import functools

import numpy as np

# The PSNR of equal images is infinite and would make every mean infinite; no different 8-bit images reach this.
MAX_PSNR = 100.0


def is_masked(occlusion: np.ndarray) -> np.ndarray:
    """Return (B,) bool: whether a map has hidden pixels (> 0), for (B, H, W, 1) maps."""
    return (occlusion > 0).any(axis=(1, 2, 3))


def psnr(truth: np.ndarray, image: np.ndarray, where: np.ndarray | None = None) -> np.ndarray:
    """Return the peak signal-to-noise ratio in dB for a peak of 1; higher is better.

    Args:
        truth, image: (B, H, W, C) float in [0, 1].
        where: (B, H, W, 1) bool, the pixels that count; by default all.
    Returns: (B,) float64, at most 100; NaN where no pixel counts.
    """
    error = np.square(image.astype(np.float64) - truth).mean(-1, keepdims=True)
    if where is None:
        mean = error.mean(axis=(1, 2, 3))
    else:
        pixels = where.sum(axis=(1, 2, 3)).astype(np.float64)
        mean = np.full(len(truth), np.nan)
        np.divide((error * where).sum(axis=(1, 2, 3)), pixels, out=mean, where=pixels > 0)
    return np.minimum(-10 * np.log10(np.maximum(mean, 1e-30)), MAX_PSNR)


def ms_ssim(truth: np.ndarray, image: np.ndarray) -> np.ndarray:
    """Return `tf.image.ssim_multiscale` with window 7 and as many scales as fit (5 at 128 px); higher is better.

    Args: (B, S, S, 3) float in [0, 1], S at least 32.
    Returns: (B,) float32. Values of different image sizes use different scales and must not be compared.
    """
    return _graph("ms_ssim", truth.shape[1:])(truth.astype(np.float32), image.astype(np.float32)).numpy()


def ssim(truth: np.ndarray, image: np.ndarray) -> np.ndarray:
    """Return `tf.image.ssim` with default settings, a Gaussian window of 11 taps and sigma 1.5; higher is better.

    Args: (B, H, W, 3) float in [0, 1], 11 px or more.
    Returns: (B,) float32.
    """
    return _graph("ssim", truth.shape[1:])(truth.astype(np.float32), image.astype(np.float32)).numpy()


@functools.cache
def _graph(name: str, shape: tuple[int, ...]):
    """Return one graph for all batch sizes; eager calls of either metric are several times as slow."""
    import tensorflow as tf

    from rac_unet.objectives.ssim import MS_SSIM_WINDOW, POWER_FACTORS, scales_that_fit

    def compute(truth, image):
        if name == "ssim":
            return tf.image.ssim(truth, image, 1.0)
        powers = POWER_FACTORS[: scales_that_fit(shape[0])]
        return tf.image.ssim_multiscale(truth, image, 1.0, power_factors=powers, filter_size=MS_SSIM_WINDOW)

    spec = tf.TensorSpec((None, *shape), tf.float32)
    return tf.function(compute, input_signature=[spec, spec], jit_compile=False)


def map_iou(hidden: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    """Return the intersection over union of true and predicted mask.

    Args:
        hidden: (B, S, S, 1), above 0 where hidden.
        predicted: the same shape, in [0, 1]; masked from 0.5.
    Returns: (B,) float64; NaN where both are empty.
    """
    hidden, found = hidden > 0, predicted >= 0.5
    both, either = (hidden & found).sum((1, 2, 3)), (hidden | found).sum((1, 2, 3))
    iou = np.full(len(hidden), np.nan)
    np.divide(both, either, out=iou, where=either > 0)
    return iou


def map_claims(hidden: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    """Return the map's false-positive rate: the share of visible pixels predicted as masked; arguments as `map_iou`.

    Returns: (B,) float64 in [0, 1].
    """
    hidden, found = hidden > 0, predicted >= 0.5
    visible = np.maximum((~hidden).sum((1, 2, 3)), 1)
    return (found & ~hidden).sum((1, 2, 3)) / visible


def compose(truth: np.ndarray, image: np.ndarray, occlusion: np.ndarray) -> np.ndarray:
    """Return the composite: known pixels of `truth`, hidden ones (occlusion > 0) of `image`; (B, H, W, C)."""
    return np.where(occlusion > 0, image, truth)
