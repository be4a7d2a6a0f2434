"""The discriminator in training: judged by in one tape, taught in another, with an optimizer of its own."""

from __future__ import annotations

import tensorflow as tf

from rac_unet.config import RunConfig
from rac_unet.objectives import adversarial
from rac_unet.training.optimizers import Adam, make_optimizer


class Adversary:
    """What tells painted faces from real ones while the network learns to pass for real.

    Args:
        config: the run's; the schedule of its learning rate is the network's.
        total_steps: of the run.
    """

    TERMS = ("adversarial", "discriminator")

    def __init__(self, config: RunConfig, total_steps: int):
        self.weight = config.loss.adversarial
        self._model = adversarial.build_discriminator(config.model.image_size)
        # No momentum: the two would chase each other in circles (Heusel et al. 2017 and many since use 0 or 0.5).
        self._optimizer: Adam = make_optimizer(config, total_steps, beta_1=0.0)
        self._optimizer.build(self._model.trainable_variables)

    @property
    def variables(self) -> list:
        """All state, in a fixed order."""
        return [weight.value for weight in self._model.weights] + self._optimizer.variables

    def judge(self, targets, outputs):
        """(B,) what the network minimises besides its loss; within its tape."""
        composed, occlusion = adversarial.composed(targets, outputs), targets["occlusion"]
        return adversarial.painter_hinge(self._score(composed, occlusion, training=False), occlusion)

    def learn(self, targets, outputs, replicas: int):
        """(B,) the discriminator's own loss, and its gradients for `apply`, this replica's share."""
        occlusion, truth = targets["occlusion"], targets["unmasked_image"]
        composed = tf.stop_gradient(adversarial.composed(targets, outputs))
        with tf.GradientTape() as tape:
            real, painted = (self._score(image, occlusion, training=True) for image in (truth, composed))
            loss = adversarial.discriminator_hinge(real, painted, occlusion)
            total = tf.reduce_mean(loss) / replicas
        return loss, tape.gradient(total, self._model.trainable_variables)

    def apply(self, gradients: list) -> None:
        """Take a step with gradients summed over replicas; in replica context."""
        self._optimizer.apply(gradients, self._model.trainable_variables)

    def _score(self, image, occlusion, training: bool):
        return self._model({"image": image, "occlusion": tf.cast(occlusion > 0, tf.float32)}, training=training)
