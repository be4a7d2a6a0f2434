"""The optimizer against Keras's own, step by step."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from rac_unet.core.config import OptimizerConfig, RunConfig
from rac_unet.training import optimizers
from rac_unet.training.optimizers import AVERAGE_EVERY, Adam, MovingAverage, make_optimizer


def _walk(optimizer, steps=5, without_decay=None):
    rng = np.random.default_rng(0)
    variables = [keras.Variable(rng.normal(size=shape)) for shape in ((3, 4), (5,))]
    if without_decay:
        optimizer.exclude_from_weight_decay([v for v in variables if v.shape == without_decay])
    optimizer.build(variables)

    @tf.function
    def step(gradients):
        optimizer.apply(gradients, variables)

    for _ in range(steps):
        step([tf.constant(rng.normal(size=v.shape), tf.float32) for v in variables])
    return [v.numpy() for v in variables]


@pytest.mark.parametrize("clip, decay", [(0.0, 0.0), (1.0, 0.0), (0.0, 0.1)])
def test_adam_is_kerass(clip, decay):
    settings = {"learning_rate": 0.01, "beta_2": 0.99, "weight_decay": decay}
    ours = _walk(Adam(**settings, clip_norm=clip))
    keras_settings = settings | {"weight_decay": decay or None, "global_clipnorm": clip or None}
    reference = keras.optimizers.Adam(**keras_settings)
    for a, b in zip(ours, _walk(reference, without_decay=(5,)), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)


def test_weight_decay_leaves_biases_and_batch_norms_alone():
    model = keras.Sequential([keras.Input((4, 4, 1)), keras.layers.Conv2D(2, 3), keras.layers.BatchNormalization()])
    variables = model.trainable_variables
    for variable in variables:
        variable.assign(tf.ones(variable.shape))
    optimizer = Adam(1.0, weight_decay=0.1)
    optimizer.build(variables)
    optimizer.apply([tf.zeros(variable.shape) for variable in variables], variables)
    left = {variable.name: variable.numpy().mean() for variable in variables}
    assert left == {"kernel": pytest.approx(0.9), "bias": 1, "gamma": 1, "beta": 1}


def test_a_step_that_overflows_is_left_out_and_halves_the_scale():
    variable = keras.Variable([1.0])
    optimizer = Adam(0.5, loss_scaling=True)
    optimizer.build([variable])
    scale = float(optimizer.scale_loss(tf.constant(1.0)))
    optimizer.apply([tf.constant([np.inf])], [variable])
    assert variable.numpy() == 1 and optimizer.iterations == 0
    assert float(optimizer.scale_loss(tf.constant(1.0))) == scale / 2
    optimizer.apply([tf.constant([3.0 * scale])], [variable])
    np.testing.assert_allclose(variable.numpy(), [0.5], rtol=1e-4)


def test_scale_doubles_after_many_good_steps(monkeypatch):
    monkeypatch.setattr(optimizers, "DOUBLE_AFTER", 3)
    variable = keras.Variable([1.0])
    optimizer = Adam(1e-3, loss_scaling=True)
    optimizer.build([variable])
    scales = []
    for _ in range(4):
        scales.append(float(optimizer.scale_loss(tf.constant(1.0))))
        optimizer.apply([tf.constant([1.0])], [variable])
    assert scales == [optimizers.FIRST_LOSS_SCALE] * 3 + [2 * optimizers.FIRST_LOSS_SCALE]


def test_first_step_goes_the_learning_rate_against_the_gradients_sign():
    variable = keras.Variable([1.0, -2.0])
    optimizer = Adam(0.5)
    optimizer.build([variable])
    optimizer.apply([tf.constant([3.0, -0.1])], [variable])
    np.testing.assert_allclose(variable.numpy(), [0.5, -1.5], rtol=1e-4)


def test_warm_up_then_cosine():
    config = RunConfig(optimizer=OptimizerConfig(learning_rate=1.0, schedule="cosine", warmup_steps=1000))
    optimizer = make_optimizer(config, total_steps=100)
    rates = []
    variable = keras.Variable([0.0])
    optimizer.build([variable])
    for _ in range(101):
        rates.append(float(optimizer.learning_rate))
        optimizer.apply([tf.ones(1)], [variable])
    # At most a tenth of the run is warm-up.
    assert rates[0] < 0.01 and rates[10] == max(rates) > 0.99 and 0.4 < rates[55] < 0.6 and rates[100] < 1e-3


def test_moving_average_after_each_step_and_in_blocks():
    """Ramp up to the decay, then a block of eight moves as far as eight single steps towards the same weights."""
    weight = keras.Variable([0.0])
    average = MovingAverage([weight], decay=0.9)
    weight.assign([1.0])
    average.update(1000 * AVERAGE_EVERY - 1)
    assert average.variables[0].numpy() == 0
    average.update(1000 * AVERAGE_EVERY)
    np.testing.assert_allclose(average.variables[0].numpy(), 1 - 0.9**AVERAGE_EVERY, rtol=1e-5)
    with average.swapped_in():
        assert weight.numpy() < 1
    assert weight.numpy() == 1


def test_young_average_forgets_its_first_weights():
    weight = keras.Variable([0.0])
    average = MovingAverage([weight], decay=0.999)
    weight.assign([1.0])
    average.update(AVERAGE_EVERY)
    assert average.variables[0].numpy() > 0.99


def test_without_decay_there_is_no_average():
    weight = keras.Variable([2.0])
    average = MovingAverage([weight], decay=0.0)
    average.update(AVERAGE_EVERY)
    with average.swapped_in():
        assert weight.numpy() == 2 and average.variables == []


def test_one_step_is_enough_to_leave_the_first_weights():
    weight = keras.Variable([0.0])
    average = MovingAverage([weight], decay=0.999)
    weight.assign([1.0])
    average.update(1)
    assert average.variables[0].numpy() > 0.99
