"""Losses that compare the inpainted image with the ground truth: functions `(targets, outputs) -> (B,) float32`.

Every loss takes the targets of the pipeline (`unmasked_image`, `occlusion`) and the outputs of the network
(`inpainted_image`), images in [0, 1], and returns one number per image, 0 if the two are equal. Gradients are finite
for any finite input. The names that a config can choose are in `rac_unet.core.registry.LOSSES`.
"""

from __future__ import annotations

import functools
import math
import operator

import numpy as np
import tensorflow as tf

from rac_unet.core.registry import LOSSES, resolve
from rac_unet.objectives.exact_products import matrix_times, times_matrix
from rac_unet.objectives.ssim import MS_SSIM_WINDOW, SSIM_WINDOW, mean_ssim, ms_ssim_map, scales_that_fit, ssim_map

# MS-SSIM + L1 of Zhao et al. 2017 (doi:10.1109/TCI.2016.2644865), with the original's values.
SIGMAS = (0.5, 1.0, 2.0, 4.0, 8.0)
TAPS = 33
ALPHA = 0.025
COMPENSATION = 200.0
C1, C2 = 0.01**2, 0.03**2
# Rows give Cb and Cr of BT.601 from RGB, each from -0.5 to 0.5: colour without brightness.
CHROMA = np.array([[-0.168736, -0.331264, 0.5], [0.5, -0.418688, -0.081312]], np.float32)
# Standard deviation of its low-pass filter, as a share of the image's side: it blurs lips but not a tinted rim.
CHROMA_SIGMA = 1 / 32


def l1(targets, outputs):
    """Return the mean absolute error over all pixels and channels."""
    return tf.reduce_mean(tf.abs(outputs["inpainted_image"] - targets["unmasked_image"]), axis=[1, 2, 3])


def hole_l1(targets, outputs):
    """Return the mean absolute error over the hidden pixels (occlusion > 0); 0 if nothing is hidden."""
    return over_hole(tf.abs(outputs["inpainted_image"] - targets["unmasked_image"]), targets["occlusion"])


def hole_l2(targets, outputs):
    """Return the mean squared error over the hidden pixels (occlusion > 0), from which hole PSNR is computed."""
    return over_hole(tf.square(outputs["inpainted_image"] - targets["unmasked_image"]), targets["occlusion"])


def chroma(targets, outputs):
    """Return the mean absolute difference of low-passed chroma (Cb, Cr) over the hidden pixels; 0 if nothing is hidden.

    It keeps the mask's colour out of the inpainted pixels. Brightness does not count, so a large weight costs no
    detail: an error of 0.1 everywhere in red, green or blue gives 0.033, 0.037 or 0.029. The filter is a Gaussian over
    hidden pixels only, with a standard deviation of 1/32 of the side.
    """
    difference = outputs["inpainted_image"] - targets["unmasked_image"]
    difference = tf.einsum("bhwc,dc->bhwd", difference, tf.constant(CHROMA))
    mean, hidden = low_pass_over_hole(difference, targets["occlusion"], CHROMA_SIGMA)
    return over_hole(tf.abs(mean), hidden)


def composite_psnr(targets, outputs):
    """Return how far composite PSNR is below 40 dB, in tens of dB: `log10(1 + 1e4 MSE)`; 0 if nothing is hidden.

    The logarithm gives every face the same weight, as the mean of PSNR does; a mean of squared errors is dominated by
    the worst faces (see Chen et al. 2021, HINet, arXiv:2105.06086). Near the ground truth it is linear, so its gradient
    is bounded.
    """
    hidden = tf.cast(targets["occlusion"] > 0, tf.float32)
    error = (outputs["inpainted_image"] - targets["unmasked_image"]) * hidden
    return tf.math.log(1 + 1e4 * tf.reduce_mean(tf.square(error), axis=[1, 2, 3])) / math.log(10)


def ssim(targets, outputs):
    """Return 1 - SSIM (Wang et al. 2004): Gaussian window of 11 pixels, sigma 1.5, K 0.01 and 0.03; 0 to 2.

    Equals `1 - tf.image.ssim(…, max_val=1)`. The original trained A-UNET with it.
    """
    return 1.0 - mean_ssim(targets["unmasked_image"], outputs["inpainted_image"])


def hole_ssim(targets, outputs):
    """Return 1 - SSIM over windows whose centre is hidden; 0 to 2, and 0 if nothing is hidden.

    Windows fit into the image, so hidden pixels within 5 pixels of its border are no centres.
    """
    inside = slice(SSIM_WINDOW // 2, -(SSIM_WINDOW // 2))
    similarity = ssim_map(targets["unmasked_image"], outputs["inpainted_image"])
    return over_hole(1.0 - similarity, targets["occlusion"][:, inside, inside])


def ms_ssim(targets, outputs):
    """Return 1 - MS-SSIM (Wang et al. 2003), with a window of 7 pixels and as many scales as fit.

    Equals `1 - tf.image.ssim_multiscale` where that is a number; the gradient is finite everywhere.
    """
    truth = targets["unmasked_image"]
    scales = scales_that_fit(truth.shape[1], MS_SSIM_WINDOW)
    return 1.0 - ms_ssim_map(truth, outputs["inpainted_image"], scales)


def ms_ssim_l1(targets, outputs):
    """Return MS-SSIM + L1 (Zhao et al. 2017), single-resolution form with five Gaussian windows; about 0 to 200.

    `mean(200 (0.025 (1 - l_M prod cs) + 0.975 G_M * |x - y|))` over pixels, as in the original; `prod cs` is over all
    15 (sigma, channel) maps, `l_M` over the channels of the largest sigma. A blur is two products with a banded matrix,
    with zeros beyond the border: the same values as 33 x 33 convolutions at a fraction of the cost.
    """
    x = _channels_first(outputs["inpainted_image"])
    y = _channels_first(targets["unmasked_image"])
    side = x.shape[-1]
    difference = x - y
    # Computed once for all windows, so that the backward pass goes through it once, too.
    moments = tf.stack([x, x * x + y * y, difference * difference])
    maps = [_luminance_and_contrast(moments, y, sigma) for sigma in SIGMAS]
    luminance, contrast = zip(*maps, strict=True)
    # Plain products: the gradient of reduce_prod costs more than all the blurs.
    structure = functools.reduce(operator.mul, contrast) * luminance[-1]
    red, green, blue = tf.unstack(structure, axis=1)
    # Blurring is linear, so the mean over channels may come first: one map instead of three.
    smooth_l1 = _blur(tf.reduce_mean(tf.abs(difference), axis=1), side, SIGMAS[-1])
    return COMPENSATION * tf.reduce_mean(ALPHA * (1 - red * green * blue) + (1 - ALPHA) * smooth_l1, axis=[1, 2])


def perceptual(targets, outputs, extractor):
    """Return the L1 distance of the extractor's feature maps, summed over depths (Johnson et al. 2016, with L1).

    Args:
        extractor: of `rac_unet.objectives.features.load_extractor`.
    """
    from rac_unet.objectives.features import feature_distance

    return feature_distance(targets["unmasked_image"], outputs["inpainted_image"], extractor)


def unit_features(targets, outputs, extractor):
    """Return the squared difference of the extractor's unit-length features.

    The features at every place of a map are scaled to length 1 (as in LPIPS, Zhang et al. 2018, arXiv:1801.03924, but
    without learned weights), so that strong channels do not dominate; then summed over channels, averaged over places
    and summed over maps. It compares `inpainted_image`, which a mask-aware network has already composited.

    Args:
        extractor: of `rac_unet.objectives.features.load_extractor`.
    """
    from rac_unet.objectives.features import unit_feature_distance

    return unit_feature_distance(targets["unmasked_image"], outputs["inpainted_image"], extractor)


def weighted_sum(terms: dict[str, float], functions):
    """Return the weighted sum of named losses as a function.

    Args:
        terms: name -> weight.
        functions: name -> loss function.
    Returns: function `(targets, outputs) -> (total (B,), {name: unweighted (B,)})`.
    """

    def total(targets, outputs):
        values = {name: functions[name](targets, outputs) for name in terms}
        return tf.add_n([weight * values[name] for name, weight in terms.items()]), values

    return total


def make_loss(terms: dict[str, float], extractor=None):
    """Return the weighted sum of the config's named terms; see `weighted_sum`.

    Args:
        terms: name in `rac_unet.core.registry.LOSSES` -> weight.
        extractor: for terms that need features; None if there are none.
    Raises: ValueError when a term needs an extractor and there is none.
    """
    functions = {name: resolve(LOSSES[name].function) for name in terms}
    for name in functions:
        if LOSSES[name].needs_features:
            if extractor is None:
                raise ValueError(f"the loss {name} needs an extractor")
            functions[name] = functools.partial(functions[name], extractor=extractor)
    return weighted_sum(terms, functions)


def over_hole(error, occlusion):
    """Return the mean (B,) of an error (B, S, S, C) over hidden pixels and channels; 0 if nothing is hidden."""
    hidden = tf.cast(occlusion > 0, error.dtype)
    pixels = tf.reduce_sum(hidden, axis=[1, 2, 3])
    return tf.reduce_sum(error * hidden, axis=[1, 2, 3]) / (error.shape[-1] * tf.maximum(pixels, 1.0))


def low_pass_over_hole(difference, occlusion, sigma: float):
    """Blur a difference over the hidden pixels only, so that a constant difference is unchanged in a hole of any shape.

    Args:
        difference: (B, S, S, C).
        occlusion: (B, S, S, 1), hidden where above 0.
        sigma: standard deviation of the Gaussian, as a share of S.
    Returns: the blurred difference, valid at hidden pixels, and (B, S, S, 1) float32, 1 at hidden pixels, else 0.
    """
    hidden = tf.cast(occlusion > 0, tf.float32)
    side = difference.shape[1]
    deviation = side * sigma
    blur = tf.constant(gaussian_matrix(side, deviation, 2 * math.ceil(2 * deviation) + 1))
    both = tf.concat([difference * hidden, hidden], axis=-1)
    both = tf.einsum("rh,bhwc,sw->brsc", blur, both, blur)
    return both[..., :-1] / tf.maximum(both[..., -1:], 1e-6), hidden


@functools.cache
def gaussian_matrix(side: int, sigma: float, taps: int = TAPS) -> np.ndarray:
    """Return a (side, side) float32 banded matrix M; M @ column is blurred with `taps` taps, zero-padded."""
    offsets = np.arange(taps) - taps // 2
    kernel = np.exp(-(offsets**2) / (2 * sigma**2))
    kernel /= kernel.sum()
    distance = np.arange(side)[None, :] - np.arange(side)[:, None] + taps // 2
    inside = (distance >= 0) & (distance < taps)
    return np.where(inside, kernel[np.clip(distance, 0, taps - 1)], 0).astype(np.float32)


def _luminance_and_contrast(moments, y, sigma):
    """Return SSIM's `l` and `cs` of x and y with one Gaussian window, (B, 3, S, S) each.

    With d = x - y, `cs` is `1 - var(d) / (var(x) + var(y) + C2)` and `l` is
    `1 - mean(d)^2 / (mean(x)^2 + mean(y)^2 + C1)`: one blur less than with the covariance, and in float32 much closer
    to the exact value for similar x and y.

    Args:
        moments: (3, B, 3, S, S): x, x^2 + y^2 and d^2.
        y: (B, 3, S, S).
        sigma: standard deviation of the window in pixels.
    """
    side = y.shape[-1]
    mean_x, mean_squares, mean_difference = tf.unstack(_blur(moments, side, sigma))
    mean_y = _blur(y, side, sigma)
    squares, distance = mean_x * mean_x + mean_y * mean_y, tf.square(mean_x - mean_y)
    # A variance is a difference of means; rounding must not make it negative, which would make the quotient explode.
    variances = tf.maximum(mean_squares - squares, 0.0)
    return 1 - distance / (squares + C1), 1 - (mean_difference - distance) / (variances + C2)


def _blur(maps, side, sigma):
    """Blur (..., S, S) along both axes; the matrix is symmetric, so it is the same for rows and columns."""
    matrix = gaussian_matrix(side, sigma)
    shape = tf.shape(maps)
    rows = times_matrix(tf.reshape(maps, [-1, side]), matrix)
    return tf.reshape(matrix_times(matrix, tf.reshape(rows, [-1, side, side])), shape)


def _channels_first(image):
    return tf.transpose(image, [0, 3, 1, 2])
