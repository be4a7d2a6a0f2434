"""Discriminators and hinge losses for adversarial training: one scores patches, one the whole lower face.

A loss that compares with the ground truth alone makes the network paint the mean of all plausible mouths, which is
blurred. A discriminator sees real and painted faces with the occlusion map and learns what the mean lacks; its gradient
pushes the network there. The patch discriminator is a PatchGAN (Isola et al. 2017, arXiv:1611.07004) with spectral
normalisation (Miyato et al. 2018, arXiv:1802.05957) and the hinge loss (Lim and Ye 2017, arXiv:1705.02894).

A conditional discriminator has one score without a label and one for each label; the score of an image with a label is
the sum of the two (a projection discriminator, Miyato and Koyama 2018, arXiv:1802.05637). It is trained on real faces
with their label, painted faces with the requested label, and real faces with a wrong label (Reed et al. 2016,
arXiv:1605.05396), so that it scores both realism and emotion.
"""

from __future__ import annotations

import keras
import tensorflow as tf
from keras import layers

from rac_unet.core.emotions import EMOTIONS

LEAKY_SLOPE = 0.2
# The face discriminator sees the part below this share of the side. It must not see the eyes: they may contradict the
# requested emotion, and the network cannot repaint them.
LOWER_FACE = 0.4


class SpectralConv2D(layers.Conv2D):
    """Convolution with spectral normalisation: the kernel is divided by an estimate of its largest singular value.

    The estimate takes one power iteration a step. Keras's `SpectralNormalization` writes the normalised kernel back to
    the variable, which a replica of a distributed step must not do. Here the variable is unchanged, the gradient passes
    through the quotient, and all replicas use the same estimate.
    """

    def build(self, input_shape):
        super().build(input_shape)
        start = keras.initializers.RandomNormal(seed=0)
        self.direction = self.add_weight(
            shape=(1, self.filters), initializer=start, trainable=False, autocast=False, name="direction"
        )

    def call(self, inputs, training=False):
        # The kernel may have half precision; its singular value is computed in float32.
        kernel = tf.convert_to_tensor(self.kernel)
        matrix = tf.reshape(tf.cast(kernel, tf.float32), [-1, self.filters])
        # Read and assign through the handle: assigning a distributed variable would synchronise all replicas.
        handle = self.direction.value.handle
        u = tf.raw_ops.ReadVariableOp(resource=handle, dtype=tf.float32)
        fixed = tf.stop_gradient(matrix)
        v = tf.math.l2_normalize(tf.matmul(u, fixed, transpose_b=True))
        u = tf.math.l2_normalize(tf.matmul(v, fixed))
        if training:
            tf.raw_ops.AssignVariableOp(resource=handle, value=u)
        sigma = tf.reduce_sum(tf.matmul(v, matrix) * u)
        outputs = tf.nn.conv2d(inputs, kernel / tf.cast(sigma, kernel.dtype), self.strides, self.padding.upper())
        return tf.nn.bias_add(outputs, tf.convert_to_tensor(self.bias))


def build_discriminator(image_size: int = 128, filters: int = 32, conditional: bool = False) -> keras.Model:
    """Build the patch discriminator; it is trained together with the network and saved in the run's backups only.

    Args:
        image_size: side of the images in pixels.
        filters: channels of its first convolution; doubled twice.
        conditional: whether it has a score for each emotion; see `labelled_scores`.
    Returns: model from `{"image": (B, S, S, 3) in [0, 1], "occlusion": (B, S, S, 1)}` to (B, S / 8, S / 8, 1 or 8):
        above 0 where the patch of some 60 px around a place looks real.
    """
    inputs = _inputs(image_size)
    x = layers.Concatenate(name="image_and_occlusion")([inputs["image"], inputs["occlusion"]])
    for i, width in enumerate((filters, 2 * filters, 4 * filters), 1):
        x = _halved(x, width, f"patch{i}")
    x = SpectralConv2D(_scores(conditional), 4, padding="same", dtype="float32", name="patch_score")(x)
    return keras.Model(inputs, x, name="discriminator")


def build_face_discriminator(image_size: int = 128, filters: int = 32, conditional: bool = False) -> keras.Model:
    """Build the discriminator of the whole lower face at half size; it finds faults larger than a patch.

    Args:
        image_size, filters, conditional: as for `build_discriminator`; there is a fourth convolution with as many
            filters as the third.
    Returns: model from `{"image": (B, S, S, 3) in [0, 1], "occlusion": (B, S, S, 1)}` to (B, 1, 1, 1 or 8): above 0 if
        the lower face looks real.
    """
    inputs = _inputs(image_size)
    x = layers.Concatenate(name="image_and_occlusion")([inputs["image"], inputs["occlusion"]])
    x = layers.AveragePooling2D(2, name="half_size")(x)
    x = layers.Cropping2D(((round(LOWER_FACE * image_size / 2), 0), (0, 0)), name="lower_face")(x)
    for i, width in enumerate((filters, 2 * filters, 4 * filters, 4 * filters), 1):
        x = _halved(x, width, f"face{i}")
    # The kernel covers the whole map, so that each place has its own weights: the position of a mouth matters.
    whole = tuple(x.shape[1:3])
    x = SpectralConv2D(_scores(conditional), whole, padding="valid", dtype="float32", name="face_score")(x)
    return keras.Model(inputs, x, name="face_discriminator")


def labelled_scores(scores, emotion):
    """Return the scores of images with a label; scores of an unconditional discriminator are returned unchanged.

    Args:
        scores: (B, s, s, 1 or 8), output of a discriminator.
        emotion: (B, 7) one-hot or a distribution, zeros for no label; None for an unconditional discriminator.
    Returns: (B, s, s, 1).
    """
    if emotion is None:
        return scores
    return scores[..., :1] + tf.reduce_sum(scores[..., 1:] * emotion[:, None, None, :], axis=-1, keepdims=True)


def composed(targets, outputs):
    """Return the composite: known pixels from the ground truth, hidden pixels from the network."""
    hidden = tf.cast(targets["occlusion"] > 0, tf.float32)
    return hidden * outputs["inpainted_image"] + (1 - hidden) * targets["unmasked_image"]


def painter_hinge(scores, occlusion):
    """Generator hinge loss: minus the mean score of the patches with hidden pixels, weighted by their hidden share.

    Args:
        scores: (B, s, s, 1), scores of composites.
        occlusion: (B, S, S, 1), 1 = hidden.
    Returns: (B,) float32; 0 where nothing is hidden.
    """
    return _over_painted(-scores, occlusion)


def discriminator_hinge(real_scores, painted_scores, occlusion, wrong_scores=None):
    """Discriminator hinge loss: penalises real patches with scores below 1 and false patches with scores above -1.

    Args:
        real_scores, painted_scores: (B, s, s, 1).
        occlusion: (B, S, S, 1), 1 = hidden.
        wrong_scores: scores of real faces with a wrong label; they and the painted faces then count half each.
    Returns: (B,) float32, 0 or more.
    """
    false = tf.nn.relu(1 + painted_scores)
    if wrong_scores is not None:
        false = (false + tf.nn.relu(1 + wrong_scores)) / 2
    return _over_painted(tf.nn.relu(1 - real_scores) + false, occlusion)


def _inputs(image_size: int) -> dict:
    return {
        "image": keras.Input((image_size, image_size, 3), name="image"),
        "occlusion": keras.Input((image_size, image_size, 1), name="occlusion"),
    }


def _halved(x, width, name):
    x = SpectralConv2D(width, 4, strides=2, padding="same", name=f"{name}_conv")(x)
    return layers.LeakyReLU(negative_slope=LEAKY_SLOPE, name=f"{name}_act")(x)


def _scores(conditional: bool) -> int:
    return 1 + len(EMOTIONS) * conditional


def _over_painted(values, occlusion):
    """Return the mean over places, each weighted by the hidden share of its cell."""
    if values.shape[1] == 1:
        # A single score for the whole image counts fully if anything is hidden.
        return values[:, 0, 0, 0] * tf.cast(tf.reduce_any(occlusion > 0, axis=[1, 2, 3]), tf.float32)
    step = occlusion.shape[1] // values.shape[1]
    share = tf.nn.avg_pool2d(tf.cast(occlusion > 0, tf.float32), step, step, "VALID")
    return tf.reduce_sum(values * share, axis=[1, 2, 3]) / tf.maximum(tf.reduce_sum(share, axis=[1, 2, 3]), 1.0)
