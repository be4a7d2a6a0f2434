"""How near a picture is to the truth: one number per picture, never per batch.

Three views of every output. *raw*: the picture as it is. *composite*: known pixels from the truth, hidden ones
from the network, so nothing is gained or lost outside the mask. *hole*: the hidden pixels alone; the figure that binds,
since known pixels flatter the other two. *Hidden* is occlusion > 0, a hard map.
"""

from __future__ import annotations

import functools

import numpy as np

# A perfect picture would be infinitely good and ruin every mean; no 8-bit picture that differs reaches this.
MAX_PSNR = 100.0


def is_masked(occlusion: np.ndarray) -> np.ndarray:
    """(B,) bool: whether anything is hidden, in (B, H, W, 1) maps; where nothing is, there is nothing to score."""
    return (occlusion > 0).any(axis=(1, 2, 3))


def psnr(truth: np.ndarray, image: np.ndarray, where: np.ndarray | None = None) -> np.ndarray:
    """Peak signal-to-noise ratio in dB for a peak of 1; higher is better.

    Args:
        truth, image: (B, H, W, C) float in [0, 1].
        where: (B, H, W, 1) bool, the pixels that count; all when left out.
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
    """`tf.image.ssim_multiscale` with window 7 and as many scales as fit (5 at 128 px); higher is better.

    Args: (B, S, S, 3) float in [0, 1], S at least 32.
    Returns: (B,) float32. Figures of different sizes use different scales and must not be compared.
    """
    return _graph("ms_ssim", truth.shape[1:])(truth.astype(np.float32), image.astype(np.float32)).numpy()


def ssim(truth: np.ndarray, image: np.ndarray) -> np.ndarray:
    """`tf.image.ssim` with its own settings, a Gaussian window of 11 taps and sigma 1.5; higher is better.

    Args: (B, H, W, 3) float in [0, 1], 11 px or more.
    Returns: (B,) float32.
    """
    return _graph("ssim", truth.shape[1:])(truth.astype(np.float32), image.astype(np.float32)).numpy()


@functools.cache
def _graph(name: str, shape: tuple[int, ...]):
    """One graph for every batch size; called eagerly, either figure takes several times as long as it need."""
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
    """How well a network has found the mask: intersection over union of the two maps.

    Args:
        hidden: (B, S, S, 1), above 0 where hidden.
        predicted: the same shape, in [0, 1]; from 0.5 on it claims the pixel.
    Returns: (B,) float64, NaN where neither has a pixel.
    """
    hidden, claimed = hidden > 0, predicted >= 0.5
    both, either = (hidden & claimed).sum((1, 2, 3)), (hidden | claimed).sum((1, 2, 3))
    iou = np.full(len(hidden), np.nan)
    np.divide(both, either, out=iou, where=either > 0)
    return iou


def map_claims(hidden: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    """The share of the seen pixels that a network claims for the mask; (B,) float64. Arguments as for `map_iou`."""
    hidden, claimed = hidden > 0, predicted >= 0.5
    seen = np.maximum((~hidden).sum((1, 2, 3)), 1)
    return (claimed & ~hidden).sum((1, 2, 3)) / seen


def compose(truth: np.ndarray, image: np.ndarray, occlusion: np.ndarray) -> np.ndarray:
    """Known pixels of `truth`, hidden ones (occlusion > 0) of `image`; (B, H, W, C)."""
    return np.where(occlusion > 0, image, truth)
