"""One training step on every replica, or several steps in one call.

`_replica_step` is the step of one replica: it converts and augments its part of the batch on the device, computes the
gradients (`_gradients`), sums gradients and losses over all replicas in one exchange, and applies the sum.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import tensorflow as tf

from rac_unet.core.config import RunConfig
from rac_unet.data.pipeline import finish_batch
from rac_unet.training.guiding.adversary import Adversary
from rac_unet.training.guiding.counterfactuals import Guidance
from rac_unet.training.hardware.distribution import Distribution

# Reasons to stop. Each worker votes in every step and gets the sum of all votes, so that all stop after the same step.
VOTES = ("signal", "time")


class TrainingStep:
    """Callable that takes training steps.

    Args:
        model: the network, from inputs of the pipeline to `{"inpainted_image": …}` and other outputs.
        optimizer, average: `Adam` and `MovingAverage`, built.
        loss: `(targets, outputs) -> ((B,) total, {term: (B,)})`.
        config: config of the run.
        distribution: the devices.
        jit_compile: whether to compile forward and backward pass with XLA; on one replica only.
        adversary: the discriminators, trained in the same step; None without adversarial loss.
        guidance: requests other emotions than the images' own; None without guidance.

    Attributes:
        names: names of a step's losses, the total first.
        scored_names: names of the values of `infer`, without the total.
    """

    def __init__(
        self,
        model,
        optimizer,
        average,
        loss,
        config: RunConfig,
        distribution: Distribution,
        jit_compile,
        adversary: Adversary | None = None,
        guidance: Guidance | None = None,
    ):
        self._model, self._optimizer, self._average, self._loss = model, optimizer, average, loss
        self._data, self._adversary, self._guidance = config.data, adversary, guidance
        self._normalises_by_batch = not config.training.freeze_batch_norm
        self.scored_names = [*config.loss.terms, *(guidance.names if guidance else ())]
        self.names = ["loss", *self.scored_names, *(("asked",) if guidance else ())]
        self.names += adversary.TERMS if adversary else ()
        self._strategy, self._replicas = distribution.strategy, distribution.replicas
        self._local = distribution.local_replicas
        # No Python control flow needs translation, which would make the first step seconds slower.
        plain = {"autograph": False, "jit_compile": False}
        self._differentiate = self._gradients
        if jit_compile:
            self._differentiate = tf.function(self._gradients, autograph=False, jit_compile=True)
        self._one = tf.function(self._take_one, **plain)
        self._many = tf.function(self._take_many, **plain)
        self._infer = tf.function(self._paint, **plain)

    def __call__(self, block, start: int, count: int, votes=(0.0, 0.0)):
        """Take `count` steps on a block.

        Args:
            block: a block of `make_training_blocks`, or one for each replica.
            start: index of the first step in the block.
            count: number of steps.
            votes: this worker's votes to stop, in the order of `VOTES`; above 0 is yes.
        Returns: (count, names + votes) float32: mean losses in the order of `names`, and the sums of all votes.
        """
        votes = tf.constant(votes, tf.float32) / self._local
        start = tf.constant(start)
        if count == 1:
            return self._one(block, start, votes)
        return self._many(block, start, tf.constant(count), votes)

    def infer(self, batches: Iterable) -> Iterator[tuple]:
        """Inpaint and score whole batches in inference mode, as many at once as this process has replicas.

        Args:
            batches: `(inputs, targets)` of `make_scoring_dataset`.
        Yields: `(inputs, targets, image, values)` for each batch, in order: image (B, S, S, 3), values
            (B, 1 + scored_names), the total first.
        """
        for group in _groups(batches, self._local):
            # A replica without a batch repeats the last one.
            filled = group + [group[-1]] * (self._local - len(group))
            if self._local == 1:
                parts = filled[0]
            else:
                parts = self._strategy.experimental_distribute_values_from_function(
                    lambda context, filled=filled: filled[context.replica_id_in_sync_group]
                )
            painted, values = self._infer(*parts)
            results = zip(
                group,
                self._strategy.experimental_local_results(painted),
                self._strategy.experimental_local_results(values),
                strict=False,
            )
            for (inputs, targets), image, value in results:
                yield inputs, targets, image, value

    def _take_one(self, block, start, votes):
        return self._distributed(block, start, votes)[None]

    def _take_many(self, block, start, count, votes):
        def step(i, values):
            return i + 1, values.write(i, self._distributed(block, start + i, votes))

        values = tf.TensorArray(tf.float32, size=count)
        return tf.while_loop(lambda i, _: i < count, step, (tf.constant(0), values))[1].stack()

    def _distributed(self, block, index, votes):
        values = self._strategy.run(self._replica_step, args=(block, index, votes))
        return self._strategy.experimental_local_results(values)[0]

    def _replica_step(self, block, index, votes):
        stacked, emotion, draws = (part[index] for part in block)
        gradients, values = self._differentiate(stacked, emotion, draws)
        values = tf.concat([values, votes], axis=0)
        if self._replicas > 1:
            context = tf.distribute.get_replica_context()
            *gradients, values = context.all_reduce(tf.distribute.ReduceOp.SUM, [*gradients, values])
        own = len(self._model.trainable_variables)
        self._optimizer.apply(gradients[:own], self._model.trainable_variables)
        if self._adversary:
            self._adversary.apply(gradients[own:])
        self._average.update(self._optimizer.steps_taken())
        return values

    def _gradients(self, stacked, emotion, draws):
        """Return gradients (the network's, then the discriminators') and mean losses, divided by the replicas."""
        inputs, targets = finish_batch(stacked, emotion, draws, self._data)
        to_paint, labels = targets, None
        if self._guidance:
            inputs, to_paint, labels = self._guidance.request_emotions(inputs, targets, draws)
        with tf.GradientTape() as tape:
            outputs = self._model(self._inputs_of_model(inputs), training=self._normalises_by_batch)
            total, terms = self._loss(to_paint, outputs)
            if self._guidance:
                total, terms = self._guidance.loss(to_paint, outputs, terms, labels, draws)
                terms["asked"] = labels.counterfactual
            if self._adversary:
                terms["adversarial"] = self._adversary.generator_loss(targets, outputs, labels)
                total += self._adversary.weight * terms["adversarial"]
            total = tf.reduce_mean(total) / self._replicas
            scaled = self._optimizer.scale_loss(total)
        variables = self._model.trainable_variables
        found = zip(tape.gradient(scaled, variables), variables, strict=True)
        # Variables that serve only an output without a loss have no gradient.
        gradients = [tf.zeros(variable.shape) if gradient is None else gradient for gradient, variable in found]
        if self._adversary:
            terms["discriminator"], more = self._adversary.discriminator_gradients(
                targets, outputs, self._replicas, labels
            )
            gradients += more
        means = [tf.reduce_mean(terms[name]) / self._replicas for name in self.names[1:]]
        return gradients, tf.stack([total, *means])

    def _paint(self, inputs, targets):
        def on_replica(inputs, targets):
            outputs = self._model(self._inputs_of_model(inputs), training=False)
            total, terms = self._loss(targets, outputs)
            if self._guidance:
                request = self._guidance.validation_request(targets)
                inputs = {**inputs, "emotion": request}
                requested = self._model(self._inputs_of_model(inputs), training=False)
                taught = self._guidance.with_teacher(inputs, targets)
                total, guided = self._guidance.validation_loss(taught, terms, requested, request)
                terms |= guided
            return outputs["inpainted_image"], tf.stack([total] + [terms[name] for name in self.scored_names], axis=1)

        return self._strategy.run(on_replica, args=(inputs, targets))

    def _inputs_of_model(self, inputs):
        """Return only the inputs that the network has; some networks take no emotion."""
        return {name: inputs[name] for name in self._model.input}


def _groups(batches: Iterable, count: int) -> Iterator[list]:
    """Yield lists of up to `count` batches of equal size."""
    group: list = []
    for batch in batches:
        size = batch[1]["unmasked_image"].shape[0]
        if group and (len(group) == count or group[0][1]["unmasked_image"].shape[0] != size):
            yield group
            group = []
        group.append(batch)
    if group:
        yield group
