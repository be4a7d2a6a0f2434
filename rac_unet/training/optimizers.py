"""Adam and a moving average of the weights, both of which work inside one replica of a distributed step.

Keras's optimizers sum gradients over replicas themselves and, asked to clip, clip what each replica has before they do.
Here the caller has summed them, so each replica applies the same update to its own copy of the variables, by
operations on the copy's handle, and no further exchange is needed.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import keras
import tensorflow as tf

from rac_unet.core.config import RunConfig

# Averaging after each step would cost a small network more than the step; over so few, the weights hardly change.
AVERAGE_EVERY = 8
YOUNG = 64
# The scale a half-precision loss begins with, and the steps without overflow after which it is doubled (Micikevicius
# et al. 2018, arXiv:1710.03740, whose figures Keras has too).
FIRST_LOSS_SCALE, DOUBLE_AFTER = 2.0**15, 2000


def make_optimizer(config: RunConfig, total_steps: int, loss_scaling: bool = False, beta_1: float = 0.9) -> Adam:
    """Adam as the config says.

    Args:
        beta_1: its memory of gradients.
        loss_scaling: with float16, whose small gradients would vanish.
    """
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
    return Adam(rate, beta_1, settings.beta_2, clip_norm=settings.clip_norm, loss_scaling=loss_scaling)


class Adam:
    """Adam (Kingma and Ba 2015, arXiv:1412.6980), each variable in one pass of TensorFlow's own kernel.

    Args:
        learning_rate: a number or a Keras schedule.
        clip_norm: gradients with a larger global norm are scaled down to it; 0 switches that off.
        weight_decay: share of the learning rate by which kernels shrink in a step (AdamW). Variables with one axis or
            none, which are biases and the scales and shifts of batch norms, do not.
        loss_scaling: whether `scale_loss` does anything; a step whose gradients overflow is then left out.

    The scale's variables exist in any case, so that a backup fits a device with another precision.
    """

    def __init__(
        self, learning_rate, beta_1=0.9, beta_2=0.999, epsilon=1e-7, clip_norm=0.0, weight_decay=0.0, loss_scaling=False
    ):
        self._rate, self.beta_1, self.beta_2, self.epsilon = learning_rate, beta_1, beta_2, epsilon
        self.clip_norm, self.weight_decay, self.loss_scaling = clip_norm, weight_decay, loss_scaling
        self._built: list = []

    def build(self, variables: list) -> None:
        """Make the state for Keras variables, whose order `apply` keeps."""

        def make(value):
            return tf.Variable(value, trainable=False)

        self._built = list(variables)
        self._iterations, self._scale = make(tf.zeros([], tf.int64)), make(tf.constant(FIRST_LOSS_SCALE))
        self._good_steps = make(tf.zeros([], tf.int64))
        self._momentums = [make(tf.zeros(v.shape, v.dtype)) for v in variables]
        self._velocities = [make(tf.zeros(v.shape, v.dtype)) for v in variables]

    @property
    def variables(self) -> list[tf.Variable]:
        """All state, in a fixed order."""
        return [self._iterations, self._scale, self._good_steps, *self._momentums, *self._velocities]

    @property
    def iterations(self) -> int:
        """Steps taken."""
        return int(self._iterations.numpy())

    def steps_taken(self):
        """`iterations` as a tensor, within a replica."""
        return _read(self._iterations)

    @property
    def learning_rate(self) -> float:
        """Learning rate of the next step."""
        return float(self._rate(self.iterations) if callable(self._rate) else self._rate)

    def scale_loss(self, loss):
        """The loss to differentiate."""
        return loss * _read(self._scale) if self.loss_scaling else loss

    def apply(self, gradients: list, variables: list) -> None:
        """Take a step; in replica context, with gradients that are already summed over replicas.

        Args:
            gradients: of `scale_loss`'s loss.
            variables: what `build` was given.
        """
        if [id(v) for v in variables] != [id(v) for v in self._built]:
            raise ValueError("apply got other variables than build")
        gradients = [tf.convert_to_tensor(g) for g in gradients]
        if not self.loss_scaling:
            self._update(gradients)
            return
        scale = _read(self._scale)
        gradients = [g / tf.cast(scale, g.dtype) for g in gradients]
        finite = tf.reduce_all([tf.reduce_all(tf.math.is_finite(g)) for g in gradients])
        tf.cond(finite, lambda: self._update(gradients), lambda: None)
        good = tf.where(finite, _read(self._good_steps) + 1, 0)
        double = good >= DOUBLE_AFTER
        _assign(self._good_steps, tf.where(double, tf.zeros_like(good), good))
        _assign(self._scale, tf.where(finite, tf.where(double, scale * 2, scale), tf.maximum(scale / 2, 1.0)))

    def _update(self, gradients: list) -> None:
        if self.clip_norm:
            gradients, _ = tf.clip_by_global_norm(gradients, self.clip_norm)
        before = _read(self._iterations)
        rate = tf.cast(self._rate(before) if callable(self._rate) else self._rate, tf.float32)
        step = tf.cast(before + 1, tf.float32)
        powers = [tf.pow(tf.constant(beta, tf.float32), step) for beta in (self.beta_1, self.beta_2)]
        parts = zip(self._built, self._momentums, self._velocities, gradients, strict=True)
        for variable, momentum, velocity, gradient in parts:
            handle, kind = variable.value.handle, momentum.dtype
            if self.weight_decay and len(variable.shape) > 1:
                shrink = tf.cast(self.weight_decay * rate, kind) * _read(variable.value)
                tf.raw_ops.AssignSubVariableOp(resource=handle, value=shrink)
            tf.raw_ops.ResourceApplyAdam(
                var=handle,
                m=momentum.handle,
                v=velocity.handle,
                beta1_power=tf.cast(powers[0], kind),
                beta2_power=tf.cast(powers[1], kind),
                lr=tf.cast(rate, kind),
                beta1=tf.constant(self.beta_1, kind),
                beta2=tf.constant(self.beta_2, kind),
                epsilon=tf.constant(self.epsilon, kind),
                # The kernel does not look whether the types agree.
                grad=tf.cast(gradient, kind),
            )
        _assign(self._iterations, before + 1)


class MovingAverage:
    """Exponential moving average of all weights, batch-norm statistics included.

    Args:
        weights: the model's weights.
        decay: 0 keeps no average, and everything here does nothing.
    """

    def __init__(self, weights: list, decay: float):
        self._weights, self._decay = weights, decay
        self.variables = [tf.Variable(w.value, trainable=False) for w in weights] if decay else []

    def update(self, step) -> None:
        """Move towards the present weights, if it is time: after every `AVERAGE_EVERY`-th step. In replica context.

        Faster in the first steps, whose weights are soon worth nothing, and after each of them, so that a run of a few
        steps does not end with the weights it began with.

        Args:
            step: steps taken, () int.
        """
        if self._decay:
            step = tf.cast(step, tf.int64)
            due = tf.logical_or(step < YOUNG, tf.equal(step % AVERAGE_EVERY, 0))
            tf.cond(due, lambda: self._move(tf.cast(step, tf.float32)), lambda: None)

    def _move(self, step) -> None:
        decay = tf.minimum(self._decay, (1 + step) / (10 + step)) ** AVERAGE_EVERY
        for average, weight in zip(self.variables, self._weights, strict=True):
            change = (1 - decay) * (_read(weight.value) - _read(average))
            tf.raw_ops.AssignAddVariableOp(resource=average.handle, value=change)

    @contextlib.contextmanager
    def swapped_in(self) -> Iterator[None]:
        """Within the block the model has the averaged weights; after it, its own again. Outside of replicas."""
        raw = [w.value.numpy() for w in self._weights] if self._decay else []
        for weight, average in zip(self._weights, self.variables, strict=False):
            weight.assign(average.numpy())
        try:
            yield
        finally:
            for weight, value in zip(self._weights, raw, strict=False):
                weight.assign(value)


def _read(variable: tf.Variable):
    """This replica's value, whatever the variable would do on reading."""
    return tf.raw_ops.ReadVariableOp(resource=variable.handle, dtype=variable.dtype)


def _assign(variable: tf.Variable, value) -> None:
    """Set this replica's value."""
    tf.raw_ops.AssignVariableOp(resource=variable.handle, value=value)
