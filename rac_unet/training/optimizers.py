"""Adam with the config's schedule, and a moving average of the weights."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import keras
import tensorflow as tf

from rac_unet.config import RunConfig

# Averaging after each step would cost a small network more than the step; over so few, the weights hardly change.
AVERAGE_EVERY = 8
YOUNG = 64


def make_optimizer(config: RunConfig, total_steps: int) -> keras.optimizers.Optimizer:
    """Adam as the config says; with float16 it also scales the loss, so that small gradients do not vanish."""
    settings = config.optimizer
    # A short run must not spend itself on warming up.
    warmup = min(settings.warmup_steps, total_steps // 10)
    if settings.schedule == "cosine":
        rate = keras.optimizers.schedules.CosineDecay(
            settings.learning_rate * (1e-3 if warmup else 1.0),
            decay_steps=total_steps - warmup,
            warmup_target=settings.learning_rate if warmup else None,
            warmup_steps=warmup,
        )
    elif warmup:
        rate = keras.optimizers.schedules.PolynomialDecay(settings.learning_rate * 1e-3, warmup, settings.learning_rate)
    else:
        rate = settings.learning_rate
    optimizer = FusedAdam(rate, beta_2=settings.beta_2, global_clipnorm=settings.clip_norm or None)
    if config.training.precision == "mixed_float16":
        optimizer = keras.optimizers.LossScaleOptimizer(optimizer)
    return optimizer


class FusedAdam(keras.optimizers.Adam):
    """Keras's Adam, each variable in one pass of TensorFlow's own kernel instead of a dozen operations.

    Same arithmetic, variables and names. Worth a hundredth of a step at 64 filters, far more of a small network's.
    """

    def update_step(self, gradient, variable, learning_rate):
        index = self._get_variable_index(variable)
        kind = variable.dtype
        step = tf.cast(tf.convert_to_tensor(self.iterations) + 1, kind)
        tf.raw_ops.ResourceApplyAdam(
            var=variable.handle,
            m=self._momentums[index].handle,
            v=self._velocities[index].handle,
            beta1_power=tf.pow(tf.cast(self.beta_1, kind), step),
            beta2_power=tf.pow(tf.cast(self.beta_2, kind), step),
            lr=tf.cast(learning_rate, kind),
            beta1=tf.cast(self.beta_1, kind),
            beta2=tf.cast(self.beta_2, kind),
            epsilon=tf.cast(self.epsilon, kind),
            grad=tf.cast(gradient, kind),
        )


class MovingAverage:
    """Exponential moving average of all weights, batch-norm statistics included.

    Args:
        weights: the model's weights.
        decay: 0 keeps no average, and everything here does nothing.
    """

    def __init__(self, weights: list, decay: float):
        self._weights, self._decay = weights, decay
        self.variables = [tf.Variable(w.value, trainable=False) for w in weights] if decay else []

    def update(self, step: int) -> None:
        """Move towards the present weights, if it is time: after every `AVERAGE_EVERY`-th step.

        Faster in the first steps, whose weights are soon worth nothing, and after each of them, so that a run of a few
        steps does not end with the weights it began with.
        """
        if self._decay and (step < YOUNG or step % AVERAGE_EVERY == 0):
            decay = min(self._decay, (1 + step) / (10 + step)) ** AVERAGE_EVERY
            self._move(tf.constant(1 - decay, tf.float32))

    @tf.function
    def _move(self, share):
        for average, weight in zip(self.variables, self._weights, strict=True):
            average.assign_add(share * (tf.convert_to_tensor(weight.value) - average))

    @contextlib.contextmanager
    def swapped_in(self) -> Iterator[None]:
        """Within the block the model has the averaged weights; after it, its own again."""
        raw = [tf.identity(w.value) for w in self._weights] if self._decay else []
        for weight, average in zip(self._weights, self.variables, strict=False):
            weight.assign(average)
        try:
            yield
        finally:
            for weight, value in zip(self._weights, raw, strict=False):
                weight.assign(value)
