"""Discriminators, one that looks at patches and one at the lower face: the last stage of a training, against blur.

Any loss that compares with the one truth paints the mean of all mouths that might be there. A network that is shown
painted and real faces, with the map of what was painted, learns to tell them apart by what the mean lacks, and its
gradient asks for just that. PatchGAN (Isola et al. 2017, arXiv:1611.07004), held to slope 1 by spectral normalisation
(Miyato et al. 2018, arXiv:1802.05957), with the hinge loss (Lim and Ye 2017, arXiv:1705.02894).

A conditional one has a score for each label and one for all; the score of a picture with a label is the sum of the two
(a projection discriminator, Miyato and Koyama 2018, arXiv:1802.05637). It is shown real faces with their label, painted
ones with what was asked for, and real ones with a wrong label (Reed et al. 2016, arXiv:1605.05396), so that what it
asks for is a real face of that emotion.
"""

from __future__ import annotations

import keras
import tensorflow as tf
from keras import layers

from rac_unet.core.emotions import EMOTIONS

LEAKY_SLOPE = 0.2
# The second discriminator sees what is below this share of the side. It must not see the eyes: they contradict what is
# asked for, and nothing that is painted could change that.
LOWER_FACE = 0.4


class SpectralConv2D(layers.Conv2D):
    """A convolution whose kernel is divided by its largest singular value, estimated by one power iteration a step.

    Keras's wrapper writes the normalised kernel back into the variable, which no replica of a distributed step may do;
    here the variable stays, the gradient passes through the quotient, and each replica follows the same estimate.
    """

    def build(self, input_shape):
        super().build(input_shape)
        start = keras.initializers.RandomNormal(seed=0)
        self.direction = self.add_weight(
            shape=(1, self.filters), initializer=start, trainable=False, autocast=False, name="direction"
        )

    def call(self, inputs, training=False):
        # In the layer's own precision; its largest singular value is float32's.
        kernel = tf.convert_to_tensor(self.kernel)
        matrix = tf.reshape(tf.cast(kernel, tf.float32), [-1, self.filters])
        # The handle's value, since in a replica a distributed variable would be assigned by all.
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
    """Build the discriminator; it is trained beside the network and never leaves the run's backups.

    Args:
        image_size: side of the pictures.
        filters: of its first convolution; doubled twice.
        conditional: with a score for each emotion; see `labelled_scores`.
    Returns: model from `{"image": (B, S, S, 3) in [0, 1], "occlusion": (B, S, S, 1)}` to (B, S / 8, S / 8, 1 or 8):
        above 0 for a patch that looks real, of some 60 px around each place.
    """
    inputs = _inputs(image_size)
    x = layers.Concatenate(name="image_and_occlusion")([inputs["image"], inputs["occlusion"]])
    for i, width in enumerate((filters, 2 * filters, 4 * filters), 1):
        x = _halved(x, width, f"patch{i}")
    x = SpectralConv2D(_scores(conditional), 4, padding="same", dtype="float32", name="patch_score")(x)
    return keras.Model(inputs, x, name="discriminator")


def build_face_discriminator(image_size: int = 128, filters: int = 32, conditional: bool = False) -> keras.Model:
    """Build the discriminator of the whole lower face, seen at half size: what patches cannot see, a second mouth.

    Args:
        image_size, filters, conditional: as for `build_discriminator`; the first convolution's filters are doubled
            twice, and there is a fourth.
    Returns: model from `{"image": (B, S, S, 3) in [0, 1], "occlusion": (B, S, S, 1)}` to (B, 1, 1, 1 or 8): above 0 for
        a lower face that looks real.
    """
    inputs = _inputs(image_size)
    x = layers.Concatenate(name="image_and_occlusion")([inputs["image"], inputs["occlusion"]])
    x = layers.AveragePooling2D(2, name="half_size")(x)
    x = layers.Cropping2D(((round(LOWER_FACE * image_size / 2), 0), (0, 0)), name="lower_face")(x)
    for i, width in enumerate((filters, 2 * filters, 4 * filters, 4 * filters), 1):
        x = _halved(x, width, f"face{i}")
    # As large as what is left: a weight for each place, since where a mouth is matters.
    whole = tuple(x.shape[1:3])
    x = SpectralConv2D(_scores(conditional), whole, padding="valid", dtype="float32", name="face_score")(x)
    return keras.Model(inputs, x, name="face_discriminator")


def labelled_scores(scores, emotion):
    """The scores of pictures with a label; a plain discriminator's as they are.

    Args:
        scores: (B, s, s, 1 or 8) of a discriminator.
        emotion: (B, 7) one-hot or a distribution; zeros for no label. None is for a plain discriminator.
    Returns: (B, s, s, 1).
    """
    if emotion is None:
        return scores
    return scores[..., :1] + tf.reduce_sum(scores[..., 1:] * emotion[:, None, None, :], axis=-1, keepdims=True)


def composed(targets, outputs):
    """The painted face as it is judged: known pixels from the truth, hidden ones from the network."""
    hidden = tf.cast(targets["occlusion"] > 0, tf.float32)
    return hidden * outputs["inpainted_image"] + (1 - hidden) * targets["unmasked_image"]


def painter_hinge(scores, occlusion):
    """What the network minimises: minus the mean score of the patches that hold something painted.

    Args:
        scores: (B, s, s, 1) of composed faces.
        occlusion: (B, S, S, 1), 1 = hidden.
    Returns: (B,) float32; 0 where nothing is hidden.
    """
    return _over_painted(-scores, occlusion)


def discriminator_hinge(real_scores, painted_scores, occlusion, wrong_scores=None):
    """What the discriminator minimises: real patches below 1 and false ones above -1; (B,) float32, 0 or more.

    Args:
        real_scores, painted_scores: (B, s, s, 1).
        occlusion: (B, S, S, 1), 1 = hidden.
        wrong_scores: of real faces with a wrong label; then they and the painted ones count by half.
    """
    false = tf.nn.relu(1 + painted_scores)
    if wrong_scores is not None:
        false = (false + tf.nn.relu(1 + wrong_scores)) / 2
    return _over_painted(tf.nn.relu(1 - real_scores) + false, occlusion)


def _inputs(image_size: int) -> dict:
    return {"image": keras.Input((image_size, image_size, 3), name="image"),
            "occlusion": keras.Input((image_size, image_size, 1), name="occlusion")}  # fmt: skip


def _halved(x, width, name):
    x = SpectralConv2D(width, 4, strides=2, padding="same", name=f"{name}_conv")(x)
    return layers.LeakyReLU(negative_slope=LEAKY_SLOPE, name=f"{name}_act")(x)


def _scores(conditional: bool) -> int:
    return 1 + len(EMOTIONS) * conditional


def _over_painted(values, occlusion):
    """Mean over places, each weighed by the share of its cell that is hidden."""
    if values.shape[1] == 1:
        # One judgement of the whole picture.
        return values[:, 0, 0, 0] * tf.cast(tf.reduce_any(occlusion > 0, axis=[1, 2, 3]), tf.float32)
    step = occlusion.shape[1] // values.shape[1]
    share = tf.nn.avg_pool2d(tf.cast(occlusion > 0, tf.float32), step, step, "VALID")
    return tf.reduce_sum(values * share, axis=[1, 2, 3]) / tf.maximum(tf.reduce_sum(share, axis=[1, 2, 3]), 1.0)
