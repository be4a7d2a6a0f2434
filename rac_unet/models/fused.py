"""The same network for training, its batch norms computed in fewer passes over memory.

Keras composes a training batch norm from some ten elementwise operations, and so does its gradient; TensorFlow and
cuDNN have one kernel for each direction. What is trained has the kernel; what is saved, scored or exported is built of
stock layers, and since names, order and shapes are the same, weights travel both ways.
"""

from __future__ import annotations

import keras
import tensorflow as tf


class BatchNormalization(keras.layers.BatchNormalization):
    """Keras's layer in one kernel: same weights, same output, same moving statistics.

    It bears the stock layer's name because Keras files weights under the class's name.
    """

    def call(self, inputs, training=None, mask=None):
        plain = self.scale and self.center and not (self.synchronized or getattr(self, "renorm", False))
        last = len(inputs.shape) == 4 and self.axis in (-1, 3)
        if not (training and self.trainable and plain and last and mask is None):
            return super().call(inputs, training=training, mask=mask)
        # Half-precision pictures are read as they are; the kernel computes their statistics in float32.
        gamma, beta = (tf.cast(tf.convert_to_tensor(v), tf.float32) for v in (self.gamma, self.beta))
        outputs, mean, variance = tf.compat.v1.nn.fused_batch_norm(
            inputs, gamma, beta, epsilon=self.epsilon, is_training=True
        )
        # The kernel returns n / (n - 1) times the variance; Keras keeps the variance itself.
        shape = tf.shape(inputs)
        pixels = tf.cast(shape[0] * shape[1] * shape[2], tf.float32)
        variance *= (pixels - 1) / pixels
        for moving, batch in ((self.moving_mean, mean), (self.moving_variance, variance)):
            moving.assign(moving * self.momentum + batch * (1.0 - self.momentum))
        return outputs


def fuse_batch_norms(model: keras.Model) -> keras.Model:
    """A copy of a functional model with the same layers, names and weights, its batch norms in one kernel each.

    Args:
        model: of stock layers, as `rac_unet.models.build` makes it.
    Returns: a model whose `weights` follow the same order and whose weight files the stock model reads.
    """

    def copy(layer):
        fused = type(layer) is keras.layers.BatchNormalization
        return (BatchNormalization if fused else type(layer)).from_config(layer.get_config())

    fused = keras.models.clone_model(model, clone_function=copy)
    fused.set_weights(model.get_weights())
    return fused
