"""Discriminators in training: their loss for the network, their own loss, and their optimizer."""

from __future__ import annotations

import keras
import tensorflow as tf

from rac_unet.core.config import RunConfig
from rac_unet.models import built_under
from rac_unet.objectives import adversarial
from rac_unet.training.optimizers import Adam, make_optimizer


class Adversary:
    """The discriminators of an adversarial training.

    With guidance there may be two discriminators, whose losses are averaged, and they may be conditioned on labels; see
    `GuidanceConfig`.

    Args:
        config: config of the run; the discriminators use the network's learning-rate schedule.
        total_steps: number of steps of the run.
        precision: float32 or mixed_bfloat16, for the discriminators' convolutions; their scores are float32.
    """

    TERMS = ("adversarial", "discriminator")

    def __init__(self, config: RunConfig, total_steps: int, precision: str = "float32"):
        self.weight, guidance = config.loss.adversarial, config.guidance
        self._conditional = guidance.is_on and guidance.conditional
        builders = [adversarial.build_discriminator]
        if guidance.is_on and guidance.two_scales:
            builders.append(adversarial.build_face_discriminator)
        with built_under(precision):
            self.models = [build(config.model.image_size, conditional=self._conditional) for build in builders]
        # No momentum: with it, network and discriminator oscillate (Heusel et al. 2017 and many since use 0 or 0.5).
        self._optimizer: Adam = make_optimizer(config, total_steps, beta_1=0.0)
        self._optimizer.build(self._trainable)

    @property
    def variables(self) -> list:
        """All variables of models and optimizer, in a fixed order."""
        return [weight.value for model in self.models for weight in model.weights] + self._optimizer.variables

    @property
    def _trainable(self) -> list[keras.Variable]:
        return [weight for model in self.models for weight in model.trainable_variables]

    def generator_loss(self, targets, outputs, labels=None):
        """Return the adversarial loss of the network (B,); call it inside the network's gradient tape.

        Args:
            targets, outputs: targets of the batch and outputs of the network.
            labels: `Labels` of a guided step.
        """
        composed, occlusion = adversarial.composed(targets, outputs), targets["occlusion"]
        scores = self._scores(composed, occlusion, training=False)
        label = labels.painted if self._conditional else None
        return self._mean(adversarial.painter_hinge(adversarial.labelled_scores(s, label), occlusion) for s in scores)

    def discriminator_gradients(self, targets, outputs, replicas: int, labels=None):
        """Return the loss of the discriminators (B,), and its gradients for `apply`, divided by the replicas."""
        occlusion, truth = targets["occlusion"], targets["unmasked_image"]
        composed = tf.stop_gradient(adversarial.composed(targets, outputs))
        with tf.GradientTape() as tape:
            both = [self._scores(image, occlusion, training=True) for image in (truth, composed)]
            loss = self._mean(
                self._hinge(real, painted, occlusion, labels) for real, painted in zip(*both, strict=True)
            )
            total = tf.reduce_mean(loss) / replicas
        return loss, tape.gradient(total, self._trainable)

    def apply(self, gradients: list) -> None:
        """Take an optimizer step, summing the gradients over replicas; call it in replica context."""
        self._optimizer.apply(gradients, self._trainable)

    def _hinge(self, real, painted, occlusion, labels):
        if not self._conditional:
            return adversarial.discriminator_hinge(real, painted, occlusion)
        parts = ((real, labels.own), (painted, labels.painted), (real, labels.wrong))
        real, painted, wrong = (adversarial.labelled_scores(scores, label) for scores, label in parts)
        return adversarial.discriminator_hinge(real, painted, occlusion, wrong)

    def _scores(self, image, occlusion, training: bool) -> list:
        inputs = {"image": image, "occlusion": tf.cast(occlusion > 0, tf.float32)}
        return [model(inputs, training=training) for model in self.models]

    @staticmethod
    def _mean(losses):
        losses = list(losses)
        return tf.add_n(losses) / len(losses)
