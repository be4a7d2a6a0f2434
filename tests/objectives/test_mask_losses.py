"""Losses of a mask-aware network's own outputs, against values by hand."""

import numpy as np
import tensorflow as tf

from rac_unet.core.config import LossConfig, ModelConfig, RunConfig
from rac_unet.objectives.losses import make_loss
from rac_unet.objectives.mask_losses import occlusion, painted_l1, visible_emotion
from tests.refusals import refused


def test_the_map_by_hand():
    hidden = np.zeros((2, 2, 2, 1), np.float32)
    hidden[:, 0] = [[0.1], [1.0]]  # a soft edge is hidden as well
    predicted = np.array([[[0.5, 0.8], [0.5, 0.1]], [[1, 1], [0, 0]]], np.float32)[..., None]
    values = occlusion({"occlusion": tf.constant(hidden)}, {"occlusion": tf.constant(predicted)}).numpy()
    np.testing.assert_allclose(values[0], -np.log([0.5, 0.8, 0.5, 0.9]).mean(), rtol=1e-5)
    assert 0 <= values[1] < 1e-5


def test_a_map_that_is_certain_and_wrong_has_a_finite_gradient():
    predicted = tf.zeros((1, 4, 4, 1))
    with tf.GradientTape() as tape:
        tape.watch(predicted)
        loss = occlusion({"occlusion": tf.ones((1, 4, 4, 1))}, {"occlusion": predicted})
    assert loss.numpy()[0] > 10 and np.isfinite(tape.gradient(loss, predicted)).all()


def test_visible_emotion_by_hand():
    targets = {"emotion": tf.one_hot([1, 3], 7)}
    read = np.full((2, 7), 0.1, np.float32)
    read[0, 1] = 0.4
    values = visible_emotion(targets, {"visible_emotion": tf.constant(read)}).numpy()
    np.testing.assert_allclose(values, -np.log([0.4, 0.1]), rtol=1e-5)


def test_painted_l1_counts_all_pixels():
    truth, painted = tf.zeros((1, 4, 4, 3)), tf.fill((1, 4, 4, 3), 0.25)
    assert painted_l1({"unmasked_image": truth}, {"painted_image": painted}).numpy() == [0.25]


def test_a_network_without_a_map_is_refused_before_training():
    terms = {"hole_l1": 1.0, "occlusion": 1.0}
    with refused("mismatch", "occlusion", "rac_unet_lite", "ms_ssim_l1"):
        RunConfig(model=ModelConfig("rac_unet"), loss=LossConfig(terms))
    assert RunConfig(model=ModelConfig("rac_unet_lite"), loss=LossConfig(terms)).loss.terms == terms
    assert make_loss(terms)
