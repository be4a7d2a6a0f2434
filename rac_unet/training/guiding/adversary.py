"""The discriminators in training: judged by in one tape, taught in another, with optimizers of their own."""

from __future__ import annotations

import keras
import tensorflow as tf

from rac_unet.core.config import RunConfig
from rac_unet.models import built_under
from rac_unet.objectives import adversarial
from rac_unet.training.optimizers import Adam, make_optimizer


class Adversary:
    """What tells painted faces from real ones while the network learns to pass for real.

    With guidance there may be two discriminators, whose losses are averaged, and they may see labels; see
    `GuidanceConfig`.

    Args:
        config: the run's; the schedule of its learning rate is the network's.
        total_steps: of the run.
        precision: of the discriminators' convolutions, float32 or mixed_bfloat16; their scores are float32.
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
        # No momentum: the two would chase each other in circles (Heusel et al. 2017 and many since use 0 or 0.5).
        self._optimizer: Adam = make_optimizer(config, total_steps, beta_1=0.0)
        self._optimizer.build(self._trainable)

    @property
    def variables(self) -> list:
        """All state, in a fixed order."""
        return [weight.value for model in self.models for weight in model.weights] + self._optimizer.variables

    @property
    def _trainable(self) -> list[keras.Variable]:
        return [weight for model in self.models for weight in model.trainable_variables]

    def judge(self, targets, outputs, labels=None):
        """(B,) what the network minimises besides its loss; within its tape.

        Args:
            labels: `Labels` of a guided step.
        """
        composed, occlusion = adversarial.composed(targets, outputs), targets["occlusion"]
        scores = self._scores(composed, occlusion, training=False)
        asked = labels.painted if self._conditional else None
        return self._mean(adversarial.painter_hinge(adversarial.labelled_scores(s, asked), occlusion) for s in scores)

    def learn(self, targets, outputs, replicas: int, labels=None):
        """(B,) the discriminators' own loss, and its gradients for `apply`, this replica's share."""
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
        """Take a step with gradients summed over replicas; in replica context."""
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
