"""Guidance: request emotions that a picture does not show, and let frozen emotion readers judge the result.

A likeness loss on photographs that are nearly all neutral or happy teaches a network to read the eyes and to ignore the
label. For another emotion there is no ground truth, but frozen classifiers can read whether it shows. They also accept
patterns that no face has. So their loss is a hinge on the cross-entropy, 0 once they read the emotion, and they see
crops that are randomly moved, zoomed, blurred and relit. A donor can replace the ground truth: the lower face of a
person who shows the emotion, in this picture's light. A result depends on a picture and its neighbour only, so that a
batch split over several devices gives the same result.
"""

from __future__ import annotations

import math

import tensorflow as tf

from rac_unet.core.emotions import EMOTIONS
from rac_unet.data.draws import READER
from rac_unet.objectives.losses import gaussian_matrix, low_pass_over_hole, over_hole

# Largest changes of a reader's crop: shift as a share of its side, log of its size, added pixel width, log of gain.
SHIFT, ZOOM_LOG, BLUR, GAIN_LOG = 0.05, 0.1, 1.0, 0.2
# Standard deviation of the low-pass filter, as a share of the side: wider than lips, narrower than a cheek.
COLOUR_SIGMA = 1 / 16
# A donor gets this picture's low-passed brightness and tint. Brightness: wider than an open mouth, which is replaced.
# Tint: lips and skin differ less in it than two photographs do.
LIGHT_SIGMA, TINT_SIGMA = 1 / 8, 1 / 16
# Standard deviation of the low-pass filter for a teacher's painting, as a share of the side: narrower than a lip, wider
# than what a network of half the size cannot paint.
TEACHER_SIGMA = 1 / 100
# Standard deviation of the soft edge of a donor's face, as a share of the side.
EDGE_SIGMA = 1 / 40


def other_emotion(emotion, draw, weights):
    """Draw an emotion other than a picture's own.

    Args:
        emotion: (B, 7) one-hot or a distribution, whose largest share is the picture's own.
        draw: (B,) in [0, 1).
        weights: (7,) how often each is drawn, 0 or more, in the order of `EMOTIONS`.
    Returns: (B, 7) one-hot float32; all zeros where no other emotion has a weight.
    """
    own = tf.one_hot(tf.argmax(emotion, axis=1), len(EMOTIONS))
    ends = tf.cumsum(tf.constant(weights, tf.float32) * (1 - own), axis=1)
    # Slightly below the end, so that rounding cannot exceed it.
    mark = draw[:, None] * ends[:, -1:] * (1 - 1e-6)
    return tf.one_hot(tf.argmax(tf.cast(ends > mark, tf.int32), axis=1), len(EMOTIONS)) * tf.cast(
        ends[:, -1:] > 0, tf.float32
    )


def neighbours(values):
    """Return (B, …), the values of each picture's neighbour: 0 and 1, 2 and 3 are exchanged; a single last one stays.

    A batch split evenly over devices has the same neighbours.
    """
    places = tf.range(tf.shape(values)[0])
    other = tf.minimum(tf.bitwise.bitwise_xor(places, 1), tf.shape(values)[0] - 1)
    return tf.gather(values, other)


def transplanted(targets, donor):
    """Return each picture with a donor's face in place of the hidden pixels, in the picture's own light and tint.

    Crops are aligned, so that the mouths are at the same place. The low-passed difference of the two faces is added to
    the hidden pixels, separately for brightness and tint. Near the mask's edge the picture's own face is blended in, so
    that there is no seam.

    Args:
        targets: with `unmasked_image` and `occlusion`.
        donor: (B, S, S, 3) float32 in [0, 1], aligned faces.
    Returns: (B, S, S, 3) float32 in [0, 1]; equal to `unmasked_image` where nothing is hidden.
    """
    truth, occlusion = targets["unmasked_image"], targets["occlusion"]
    difference = truth - donor
    brightness = tf.reduce_mean(difference, axis=-1, keepdims=True)
    light, hidden = low_pass_over_hole(brightness, occlusion, LIGHT_SIGMA)
    tint, _ = low_pass_over_hole(difference - brightness, occlusion, TINT_SIGMA)
    side = truth.shape[1]
    blur = tf.constant(gaussian_matrix(side, side * EDGE_SIGMA, 2 * math.ceil(3 * side * EDGE_SIGMA) + 1))
    # A mask continues beyond the picture's border: opacity is 1 there, and 0 at the mask's edge.
    around = tf.einsum("rh,bhwc,sw->brsc", blur, 1 - hidden, blur)
    opacity = hidden * tf.clip_by_value(1 - 2 * around, 0.0, 1.0)
    return truth + opacity * (tf.clip_by_value(donor + light + tint, 0.0, 1.0) - truth)


def is_masked(occlusion):
    """Return (B,) bool: whether anything is hidden. Without a mask there is nothing to judge."""
    return tf.reduce_any(occlusion > 0, axis=[1, 2, 3])


def reader_crops(image, size: int, frame: tuple[float, float, float], draws=None):
    """Return the part of each picture that a reader sees, at the reader's size.

    Rows and columns are resampled with triangles at least one output pixel wide: shrinking causes no aliasing, and a
    crop that already has the right size is unchanged. The edge is repeated outside the picture.

    Args:
        image: (B, S, S, 3) float32.
        size: side s of a crop in pixels.
        frame: (side, x, y) of the square, side and centre as shares of S.
        draws: (B, 5) in [0, 1), layout `READER`; None for the exact crop.
    Returns: (B, s, s, 3) float32 in [0, 1].
    """
    side, x, y = frame
    count, pixels = tf.shape(image)[0], image.shape[1]
    if draws is None:
        spread = tf.zeros((count, READER.count))
        blur = tf.ones(count)
    else:
        spread, blur = 2 * draws - 1, 1 + BLUR * READER.part(draws, "blur")
    length = side * tf.exp(ZOOM_LOG * READER.part(spread, "zoom"))
    shift = READER.part(spread, "shift")
    rows, columns = (
        _resampling(centre + SHIFT * side * shift[:, axis], length, blur, pixels, size)
        for axis, centre in ((1, y), (0, x))
    )
    crops = tf.einsum("brh,bhwc,bsw->brsc", rows, image, columns)
    gain = tf.exp(GAIN_LOG * READER.part(spread, "gain"))[:, None, None, None]
    return tf.clip_by_value(crops * gain, 0.0, 1.0)


def reader_loss(logits, request, margin: float):
    """Return a hinge on a reader's cross-entropy with the requested emotion: 0 if it is within the margin.

    Args:
        logits: (B, 7) in the order of `EMOTIONS`.
        request: (B, 7) one-hot or a distribution, whose entropy is subtracted from the cross-entropy.
        margin: in nats.
    Returns: (B,) float32, 0 or more.
    """
    least = -tf.reduce_sum(tf.math.xlogy(request, request), axis=1)
    return tf.nn.relu(tf.nn.softmax_cross_entropy_with_logits(request, logits) - least - margin)


def low_pass_colour(targets, outputs):
    """Return the mean absolute difference of the blurred images over the hidden pixels; 0 if nothing is hidden.

    The Gaussian (1/16 of the side) blurs over hidden pixels only: a constant difference counts fully in a hole of any
    shape, details smaller than the filter hardly at all.
    """
    return _low_pass_difference(targets, outputs, targets["unmasked_image"], COLOUR_SIGMA)


def teacher_distance(targets, outputs, taught):
    """Return the mean absolute difference from a teacher's painting, both blurred, over the hidden pixels.

    The Gaussian (1/100 of the side) keeps lips, teeth and shading, and removes the detail that the teacher lacks.

    Args:
        targets: with `occlusion`; nothing hidden gives 0.
        outputs: outputs of the network.
        taught: (B, S, S, 3) float32 in [0, 1], the teacher's painting.
    Returns: (B,) float32, 0 to 1.
    """
    return _low_pass_difference(targets, outputs, taught, TEACHER_SIGMA)


def _low_pass_difference(targets, outputs, image, sigma: float):
    mean, hidden = low_pass_over_hole(outputs["inpainted_image"] - image, targets["occlusion"], sigma)
    return over_hole(tf.abs(mean), hidden)


def _resampling(centre, length, blur, pixels: int, size: int):
    """Return the (B, size, pixels) weights of a picture's pixels in a crop's along one axis; rows sum to 1.

    Args:
        centre, length: (B,) of the crop, as shares of the picture's side.
        blur: (B,) factor of the pixels' width, 1 or more.
        pixels, size: of the picture and the crop along the axis.
    """
    step = length * (pixels / size)
    places = centre[:, None] * pixels + (tf.range(size, dtype=tf.float32) + 0.5 - size / 2) * step[:, None] - 0.5
    places = tf.clip_by_value(places, 0.0, pixels - 1.0)
    width = (tf.maximum(step, 1.0) * blur)[:, None, None]
    distance = tf.abs(places[..., None] - tf.range(pixels, dtype=tf.float32))
    weights = tf.nn.relu(1 - distance / width)
    return weights / tf.reduce_sum(weights, axis=-1, keepdims=True)
