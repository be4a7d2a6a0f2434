"""What training minimises: one table name, one function `(targets, outputs) -> (B,) float32`.

Every loss sees the same two dictionaries the pipeline and the network speak (`unmasked_image` and `occlusion`,
`inpainted_image`), pictures in [0, 1], and returns one number per picture, 0 when they agree. Gradients are finite for
any finite input.
"""

from __future__ import annotations

import functools
import math

import numpy as np
import tensorflow as tf

from rac_unet.core.registry import LOSSES, resolve
from rac_unet.objectives.exact_products import matrix_times, times_matrix
from rac_unet.objectives.ssim import MS_SSIM_WINDOW, SSIM_WINDOW, mean_ssim, ms_ssim_map, scales_that_fit, ssim_map

# Zhao et al. 2017 (doi:10.1109/TCI.2016.2644865) as the original used it.
SIGMAS = (0.5, 1.0, 2.0, 4.0, 8.0)
TAPS = 33
ALPHA = 0.025
COMPENSATION = 200.0
C1, C2 = 0.01**2, 0.03**2
# Blue and red difference of BT.601, each -0.5 to 0.5: what is left of a colour without its brightness.
CHROMA = np.array([[-0.168736, -0.331264, 0.5], [0.5, -0.418688, -0.081312]], np.float32)
# The deviation of its filter, as a share of the picture's side: lips blur, a tinted rim does not.
CHROMA_SIGMA = 1 / 32


def l1(targets, outputs):
    """Mean absolute error over all pixels and channels."""
    return tf.reduce_mean(tf.abs(outputs["inpainted_image"] - targets["unmasked_image"]), axis=[1, 2, 3])


def hole_l1(targets, outputs):
    """Mean absolute error over the hidden pixels (occlusion > 0); 0 where nothing is hidden."""
    return over_hole(tf.abs(outputs["inpainted_image"] - targets["unmasked_image"]), targets["occlusion"])


def hole_l2(targets, outputs):
    """Mean squared error over the hidden pixels (occlusion > 0): what hole PSNR is made of."""
    return over_hole(tf.square(outputs["inpainted_image"] - targets["unmasked_image"]), targets["occlusion"])


def chroma(targets, outputs):
    """Mean absolute difference of low-passed chroma (Cb, Cr) over the hidden pixels; 0 where nothing is hidden.

    Keeps the mask's colour out of what is painted. Brightness does not count, so that a large weight costs no detail:
    a red, green or blue channel that is off by 0.1 everywhere gives 0.033, 0.037 or 0.029. Blurred over hidden pixels
    alone, by a Gaussian of 1/32 of the side.
    """
    difference = outputs["inpainted_image"] - targets["unmasked_image"]
    difference = tf.einsum("bhwc,dc->bhwd", difference, tf.constant(CHROMA))
    mean, hidden = low_pass_over_hole(difference, targets["occlusion"], CHROMA_SIGMA)
    return over_hole(tf.abs(mean), hidden)


def composite_psnr(targets, outputs):
    """How far composite PSNR lies below 40 dB, in tens of dB: `log10(1 + 1e4 MSE)`, 0 where nothing is hidden.

    The logarithm counts every face alike, as the mean of PSNR does; the squared error alone is ruled by the worst
    (as in Chen et al. 2021, HINet, arXiv:2105.06086). Near the truth it is linear, so its gradient is bounded.
    """
    hidden = tf.cast(targets["occlusion"] > 0, tf.float32)
    error = (outputs["inpainted_image"] - targets["unmasked_image"]) * hidden
    return tf.math.log(1 + 1e4 * tf.reduce_mean(tf.square(error), axis=[1, 2, 3])) / math.log(10)


def ssim(targets, outputs):
    """1 - SSIM (Wang et al. 2004): Gaussian window of 11 pixels, sigma 1.5, K 0.01 and 0.03; 0 to 2.

    Equals `1 - tf.image.ssim(…, max_val=1)`. What the original trained A-UNET with.
    """
    return 1.0 - mean_ssim(targets["unmasked_image"], outputs["inpainted_image"])


def hole_ssim(targets, outputs):
    """1 - SSIM over the hidden pixels alone: the mean of the map where its window's centre is hidden; 0 to 2.

    0 where nothing is hidden. The map ends 5 pixels before the picture's border, and so does what counts.
    """
    inside = slice(SSIM_WINDOW // 2, -(SSIM_WINDOW // 2))
    similarity = ssim_map(targets["unmasked_image"], outputs["inpainted_image"])
    return over_hole(1.0 - similarity, targets["occlusion"][:, inside, inside])


def ms_ssim(targets, outputs):
    """1 - MS-SSIM (Wang et al. 2003), window 7 and as many scales as fit.

    Equals `1 - tf.image.ssim_multiscale` wherever that is a number, with a gradient that is finite everywhere.
    """
    truth = targets["unmasked_image"]
    scales = scales_that_fit(truth.shape[1], MS_SSIM_WINDOW)
    return 1.0 - ms_ssim_map(truth, outputs["inpainted_image"], scales)


def ms_ssim_l1(targets, outputs):
    """MS-SSIM + L1 (Zhao et al. 2017), single-resolution form with five Gaussian windows; about 0 to 200.

    `mean(200 (0.025 (1 - l_M prod cs) + 0.975 G_M * |x - y|))` over pixels, as in the original; `prod cs` runs over all
    15 (sigma, channel) maps, `l_M` over the channels of the largest sigma. Blurs are two products with banded matrices,
    zero beyond the border: the same numbers as 33 x 33 convolutions for a fraction of the cost.

    With d = x - y, `cs` is `1 - var(d) / (var(x) + var(y) + C2)` and `l` is
    `1 - mean(d)^2 / (mean(x)^2 + mean(y)^2 + C1)`: one blur less than by the covariance, and in float32 many times
    nearer to the exact value where x and y are alike.
    """
    x = _channels_first(outputs["inpainted_image"])
    y = _channels_first(targets["unmasked_image"])
    side = x.shape[-1]
    difference = x - y
    moments = tf.stack([x, x * x + y * y, difference * difference])
    structure = 1.0
    for sigma in SIGMAS:
        mean_x, mean_squares, mean_difference = tf.unstack(_blur(moments, side, sigma))
        mean_y = _blur(y, side, sigma)
        squares, distance = mean_x * mean_x + mean_y * mean_y, tf.square(mean_x - mean_y)
        # A variance is a difference of means; rounding must not take it below 0, where the quotient would explode.
        variances = tf.maximum(mean_squares - squares, 0.0)
        structure *= 1 - (mean_difference - distance) / (variances + C2)
    structure *= 1 - distance / (squares + C1)
    # Plain products: the gradient of reduce_prod costs more than all the blurs.
    red, green, blue = tf.unstack(structure, axis=1)
    # Blurring is linear, so the mean over channels may come first: one map instead of three.
    smooth_l1 = _blur(tf.reduce_mean(tf.abs(difference), axis=1), side, SIGMAS[-1])
    return COMPENSATION * tf.reduce_mean(ALPHA * (1 - red * green * blue) + (1 - ALPHA) * smooth_l1, axis=[1, 2])


def perceptual(targets, outputs, extractor):
    """L1 between the extractor's feature maps at each depth, summed over depths (Johnson et al. 2016, with L1).

    Args:
        extractor: of `rac_unet.objectives.features.load_extractor`.
    """
    from rac_unet.objectives.features import feature_distance

    return feature_distance(targets["unmasked_image"], outputs["inpainted_image"], extractor)


def unit_features(targets, outputs, extractor):
    """How far the extractor sees the two pictures apart: squared difference of features of unit length.

    Each map's features are scaled to length 1 at every place (as LPIPS does, Zhang et al. 2018, arXiv:1801.03924,
    without its learned weights), so that strong channels do not drown the rest; summed over channels, averaged over
    places, summed over maps. Pictures are compared as they come out of the graph, for a mask-aware network composed.

    Args:
        extractor: of `rac_unet.objectives.features.load_extractor`.
    """
    from rac_unet.objectives.features import unit_feature_distance

    return unit_feature_distance(targets["unmasked_image"], outputs["inpainted_image"], extractor)


def weighted_sum(terms: dict[str, float], functions):
    """Combine named losses.

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
    """The weighted sum of the config's named terms; see `weighted_sum`.

    Args:
        extractor: for the terms that need features; others do without.
    """
    functions = {name: resolve(LOSSES[name].function) for name in terms}
    for name in functions:
        if LOSSES[name].needs_features:
            if extractor is None:
                raise ValueError(f"the loss {name} needs an extractor")
            functions[name] = functools.partial(functions[name], extractor=extractor)
    return weighted_sum(terms, functions)


def over_hole(error, occlusion):
    """Mean (B,) of an error (B, S, S, C) over the hidden pixels and all channels; 0 where nothing is hidden."""
    hidden = tf.cast(occlusion > 0, error.dtype)
    pixels = tf.reduce_sum(hidden, axis=[1, 2, 3])
    return tf.reduce_sum(error * hidden, axis=[1, 2, 3]) / (error.shape[-1] * tf.maximum(pixels, 1.0))


def low_pass_over_hole(difference, occlusion, sigma: float):
    """Blur a difference over the hidden pixels alone, so that a constant one stays whole whatever the hole's shape.

    Args:
        difference: (B, S, S, C).
        occlusion: (B, S, S, 1), hidden where above 0.
        sigma: deviation of the Gaussian, a share of S.
    Returns: the blurred difference, valid over hidden pixels, and (B, S, S, 1) float32, 1 where hidden and 0 elsewhere.
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
    """(side, side) float32 banded matrix M: M @ column blurs with `taps` taps of a Gaussian, zero beyond the border."""
    offsets = np.arange(taps) - taps // 2
    kernel = np.exp(-(offsets**2) / (2 * sigma**2))
    kernel /= kernel.sum()
    distance = np.arange(side)[None, :] - np.arange(side)[:, None] + taps // 2
    inside = (distance >= 0) & (distance < taps)
    return np.where(inside, kernel[np.clip(distance, 0, taps - 1)], 0).astype(np.float32)


def _blur(maps, side, sigma):
    """(..., S, S) blurred along both axes; the matrix is symmetric, so it serves rows and columns alike."""
    matrix = gaussian_matrix(side, sigma)
    shape = tf.shape(maps)
    rows = times_matrix(tf.reshape(maps, [-1, side]), matrix)
    return tf.reshape(matrix_times(matrix, tf.reshape(rows, [-1, side, side])), shape)


def _channels_first(image):
    return tf.transpose(image, [0, 3, 1, 2])
