"""One training step on every replica, and several of them in one call.

What a replica does stands in `_replica_step`: its part of the batch becomes floats and is augmented on the device, the
network paints it, gradients and losses are summed over all replicas in one exchange, and each replica applies the sum.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import tensorflow as tf

from rac_unet.core.config import RunConfig
from rac_unet.data.pipeline import finish_batch
from rac_unet.training.guiding.adversary import Adversary
from rac_unet.training.guiding.counterfactuals import Guidance
from rac_unet.training.hardware.distribution import Distribution

# What every step is told and tells all workers, so that they stop after the same one.
VOTES = ("signal", "time")


class TrainingStep:
    """Callable that takes steps.

    Args:
        model: from the inputs of the pipeline to `{"inpainted_image": …}`.
        optimizer, average: `Adam` and `MovingAverage`, built.
        loss: `(targets, outputs) -> ((B,) total, {term: (B,)})`.
        config: the run's.
        distribution: where it runs.
        jit_compile: compile forward and backward pass with XLA; on one replica.
        adversary: what tells painted from real, trained in the same step; None for none.
        guidance: what asks for other emotions than the pictures'; None for none.

    Attributes:
        names: of a step's losses, the total first.
        scored_names: of what `infer` yields, without the total.
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
        self.scored_names = [*config.loss.terms, *(guidance.TERMS if guidance else ())]
        self.names = ["loss", *self.scored_names, *(("asked",) if guidance else ())]
        self.names += adversary.TERMS if adversary else ()
        self._strategy, self._replicas = distribution.strategy, distribution.replicas
        self._local = distribution.local_replicas
        # Nothing here needs Python's control flow translated, which takes seconds of the first step.
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
            block: an element of `make_training_blocks`, per replica where there are several.
            start: the block's first step to take.
            count: how many.
            votes: of this worker to stop, in the order of `VOTES`; above 0 is yes.
        Returns: (count, names + votes) float32: means as `names` says, and the sum of all votes.
        """
        votes = tf.constant(votes, tf.float32) / self._local
        start = tf.constant(start)
        if count == 1:
            return self._one(block, start, votes)
        return self._many(block, start, tf.constant(count), votes)

    def infer(self, batches: Iterable) -> Iterator[tuple]:
        """Paint and score whole batches in inference mode, as many at once as this process has replicas.

        Args:
            batches: `(inputs, targets)` as for scoring.
        Yields: `(inputs, targets, image, values)` per batch, in order: image (B, S, S, 3), values (B, 1 + names), the
            total and what `scored_names` says.
        """
        for group in _groups(batches, self._local):
            # A replica with nothing to do repeats the last one's work.
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
        """This replica's share of the gradients, the adversary's last, and mean losses."""
        labels = None
        inputs, targets = finish_batch(stacked, emotion, draws, self._data)
        wanted = targets
        if self._guidance:
            inputs, wanted, labels = self._guidance.ask(inputs, targets, draws)
        with tf.GradientTape() as tape:
            outputs = self._model(self._named(inputs), training=self._normalises_by_batch)
            total, terms = self._loss(wanted, outputs)
            if self._guidance:
                total, terms = self._guidance.loss(wanted, outputs, terms, labels, draws)
                terms["asked"] = labels.asked
            if self._adversary:
                terms["adversarial"] = self._adversary.judge(targets, outputs, labels)
                total += self._adversary.weight * terms["adversarial"]
            total = tf.reduce_mean(total) / self._replicas
            scaled = self._optimizer.scale_loss(total)
        variables = self._model.trainable_variables
        found = zip(tape.gradient(scaled, variables), variables, strict=True)
        # What serves only an output without a loss stays as it is.
        gradients = [tf.zeros(variable.shape) if gradient is None else gradient for gradient, variable in found]
        if self._adversary:
            terms["discriminator"], its_gradients = self._adversary.learn(targets, outputs, self._replicas, labels)
            gradients += its_gradients
        shares = [tf.reduce_mean(terms[name]) / self._replicas for name in self.names[1:]]
        return gradients, tf.stack([total, *shares])

    def _paint(self, inputs, targets):
        def on_replica(inputs, targets):
            outputs = self._model(self._named(inputs), training=False)
            total, terms = self._loss(targets, outputs)
            if self._guidance:
                request = self._guidance.validation_request(targets)
                asked = self._model(self._named({**inputs, "emotion": request}), training=False)
                total, guided = self._guidance.validation_loss(targets, terms, asked, request)
                terms |= guided
            return outputs["inpainted_image"], tf.stack([total] + [terms[name] for name in self.scored_names], axis=1)

        return self._strategy.run(on_replica, args=(inputs, targets))

    def _named(self, inputs):
        """Only the inputs the network names: one without a label must not be handed one."""
        return {name: inputs[name] for name in self._model.input}


def _groups(batches: Iterable, count: int) -> Iterator[list]:
    """Lists of up to `count` batches of one size."""
    group: list = []
    for batch in batches:
        size = batch[1]["unmasked_image"].shape[0]
        if group and (len(group) == count or group[0][1]["unmasked_image"].shape[0] != size):
            yield group
            group = []
        group.append(batch)
    if group:
        yield group
