"""Replace a network's batch norms by faster ones for training, each a fused kernel.

Keras composes a training batch norm from some ten elementwise operations, and so does its gradient; TensorFlow and
cuDNN have one kernel for each direction. Networks are trained with the kernel, and saved, scored and exported with
stock layers; names, order and shapes are the same, so each loads the other's weights. With Keras's layer a training
step of `rac_unet_lite` takes 1.30 times as long (`python -m rac_unet.benchmark --parts keras --batch_size 16 --repeats
2`, two CPU cores).
"""

from __future__ import annotations

import keras
import tensorflow as tf


class BatchNormalization(keras.layers.BatchNormalization):
    """Keras's batch normalisation as one fused kernel: same weights, same output, same moving statistics.

    With `synchronized`, the statistics are those of all replicas' pictures together, and so is the gradient: one
    exchange of two numbers a channel in each direction. The class has the stock layer's name, since Keras stores
    weights under the name of the class.
    """

    def call(self, inputs, training=None, mask=None):
        plain = self.scale and self.center and not getattr(self, "renorm", False)
        last = len(inputs.shape) == 4 and self.axis in (-1, 3)
        if not (training and self.trainable and plain and last and mask is None):
            return super().call(inputs, training=training, mask=mask)
        # Half-precision pictures are read as they are; the kernel computes their statistics in float32.
        gamma, beta = (tf.cast(tf.convert_to_tensor(v), tf.float32) for v in (self.gamma, self.beta))
        compute = _over_replicas if self.synchronized else _alone
        outputs, mean, variance = compute(inputs, gamma, beta, self.epsilon)
        for moving, batch in ((self.moving_mean, mean), (self.moving_variance, variance)):
            moving.assign(moving * self.momentum + batch * (1.0 - self.momentum))
        return outputs


def fuse_batch_norms(model: keras.Model, synchronized: bool = False) -> keras.Model:
    """Return a copy of a functional model with the same layers, names and weights, and fused batch norms.

    Args:
        model: of stock layers, as `rac_unet.models.build` makes it.
        synchronized: statistics over the whole batch of all replicas instead of each one's own part.
    Returns: a model whose `weights` follow the same order and whose weight files the stock model reads.
    """

    def copy(layer):
        fused = type(layer) is keras.layers.BatchNormalization
        config = layer.get_config() | ({"synchronized": True} if fused and synchronized else {})
        return (BatchNormalization if fused else type(layer)).from_config(config)

    fused = keras.models.clone_model(model, clone_function=copy)
    fused.set_weights(model.get_weights())
    return fused


def _alone(inputs, gamma, beta, epsilon: float):
    """Return normalised inputs, mean and variance, computed over this replica's images."""
    outputs, mean, variance = tf.compat.v1.nn.fused_batch_norm(inputs, gamma, beta, epsilon=epsilon, is_training=True)
    # The kernel returns n / (n - 1) times the variance; Keras keeps the variance itself.
    pixels = _pixels(inputs)
    return outputs, mean, variance * ((pixels - 1) / pixels)


def _over_replicas(inputs, gamma, beta, epsilon: float):
    """Return normalised inputs, mean and variance, computed over the images of all replicas, equally many on each.

    The kernel in its inference form takes the statistics as given; its gradient then lacks only what flows through
    them: with n pixels and x^ the normalised input, dx = kernel's dx - gamma / sigma (sum dy + x^ sum(dy x^)) / n.
    """

    @tf.custom_gradient
    def normalise(inputs, gamma, beta):
        replicas = tf.distribute.get_replica_context().num_replicas_in_sync
        count = _pixels(inputs) * replicas
        own = tf.cast(inputs, tf.float32)
        sums = tf.stack([tf.reduce_sum(own, [0, 1, 2]), tf.reduce_sum(own * own, [0, 1, 2])])
        mean, square = tf.unstack(_sum_over_replicas(sums) / count)
        variance = tf.maximum(square - mean * mean, 0.0)
        outputs = tf.raw_ops.FusedBatchNormV3(
            x=inputs, scale=gamma, offset=beta, mean=mean, variance=variance, epsilon=epsilon, is_training=False
        )

        def gradient(d_outputs, d_mean, d_variance):
            # Nothing is learned through the moving statistics, so d_mean and d_variance are zero.
            parts = tf.raw_ops.FusedBatchNormGradV3(
                y_backprop=tf.cast(d_outputs, inputs.dtype),
                x=inputs,
                scale=gamma,
                reserve_space_1=mean,
                reserve_space_2=variance,
                reserve_space_3=outputs.reserve_space_3,
                epsilon=epsilon,
                is_training=False,
            )
            own_gamma, own_beta = parts.scale_backprop, parts.offset_backprop
            all_gamma, all_beta = tf.unstack(_sum_over_replicas(tf.stack([own_gamma, own_beta])) / count)
            inverse = tf.math.rsqrt(variance + epsilon)
            slope = gamma * inverse * inverse * all_gamma
            shift = gamma * inverse * all_beta - slope * mean
            # The kernel again, since it is one pass where a product and a sum are two.
            zeros = tf.zeros_like(mean)
            through = tf.raw_ops.FusedBatchNormV3(
                x=inputs,
                scale=slope,
                offset=shift,
                mean=zeros,
                variance=zeros + (1 - epsilon),
                epsilon=epsilon,
                is_training=False,
            )
            d_inputs = parts.x_backprop - through.y
            return d_inputs, own_gamma, own_beta

        return (outputs.y, tf.stop_gradient(mean), tf.stop_gradient(variance)), gradient

    return normalise(inputs, gamma, beta)


def _sum_over_replicas(value):
    return tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.SUM, value)


def _pixels(inputs):
    shape = tf.shape(inputs)
    return tf.cast(shape[0] * shape[1] * shape[2], tf.float32)
