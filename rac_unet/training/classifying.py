"""Train an emotion classifier on faces without masks, or with them to see what is left to read.

It judges what other networks paint, so it never serves as a loss, and it is chosen by validation alone. Rare emotions
count for more (class weights), pictures are flipped, relit, moved, turned and zoomed a little, and of all epochs the
one with the best mean-class accuracy on the validation split is kept.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass

import keras
import numpy as np
import tensorflow as tf

from rac_unet.core.emotions import EMOTIONS
from rac_unet.core.errors import UserError
from rac_unet.core.progress import format_seconds
from rac_unet.core.rundir import RunDir
from rac_unet.data.pairs import PairSet
from rac_unet.data.pictures import Pictures
from rac_unet.data.pipeline import make_scoring_dataset, make_training_dataset, steps_per_epoch
from rac_unet.models.fused import fuse_batch_norms
from rac_unet.pairing.mask_policy import NO_MASK
from rac_unet.runtime.classifier import ClassifierConfig, write_classifier_weights
from rac_unet.scoring.emotions.accuracy import confusion_matrix, mean_class_accuracy
from rac_unet.training.optimizers import Adam
from rac_unet.training.reporting import StopSignal
from rac_unet.training.state import load_state, restore, save_state

VIEWS = ("unmasked", "masked")
# As far as two crops of one face may lie apart: share of the side, degrees, share of the size.
SHIFT, TURN, ZOOM = 0.04, 6.0, 0.06
WEIGHT_DECAY = 1e-2
LABEL_SMOOTHING = 0.1


@dataclass(frozen=True)
class ClassifierTraining:
    """How to train; the section `training` of a classifier's config.yaml.

    Attributes:
        view: which picture of a pair is read, unmasked or masked.
        class_weights: 0: every picture counts alike; 1: every emotion counts alike; 0.5: half-way.
        jitter: how strongly pictures are moved, turned and zoomed; 1 is mild, 0 not at all.
        precision: number format of the computation, as `training.precision` of other networks.
        max_hours: stop after this much training; 0 for no limit.
    """

    view: str = "unmasked"
    epochs: int = 20
    batch_size: int = 32
    learning_rate: float = 1e-3
    class_weights: float = 0.5
    jitter: float = 1.0
    precision: str = "float32"
    max_hours: float = 0.0
    seed: int = 0


class ClassifierTrainer:
    """One training of one classifier.

    Args:
        model: as `build_classifier` makes it, from `{"image": …}` to `{"logits": …}`.
        config: its config; the order of the logits is `config.classes`.
        pairs: the data set, with a train and a val split.
        log: called with each line to print.
    """

    def __init__(self, run: RunDir, model, config: ClassifierConfig, training: ClassifierTraining, pairs: PairSet, log):
        self.run, self.config, self.training, self.log = run, config, training, log
        self.model = fuse_batch_norms(model)
        self._train, self._val = (readable_pairs(pairs.split(name), training.view) for name in ("train", "val"))
        self._steps = steps_per_epoch(len(self._train), training.batch_size)
        self._pictures = {
            name: Pictures(part, config.image_size, "auto")
            for name, part in (("train", self._train), ("val", self._val))
        }
        total = self._steps * training.epochs
        rate = keras.optimizers.schedules.CosineDecay(
            training.learning_rate * 0.01, total, warmup_target=training.learning_rate, warmup_steps=total // 20
        )
        self.optimizer = Adam(rate, weight_decay=WEIGHT_DECAY, clip_norm=1.0)
        self.optimizer.build(self.model.trainable_variables)
        # Position in EMOTIONS -> place of its logit.
        self._place = tf.constant([config.classes.index(name) for name in EMOTIONS], tf.int32)
        self._weights = tf.constant(class_weights(self._train, training.class_weights), tf.float32)
        self._step = tf.function(self._train_step, autograph=False, jit_compile=False)
        self._read = tf.function(lambda image: self.model({"image": image}, training=False)["logits"])
        self.epoch, self.best, self.seconds = 0, -math.inf, 0.0

    def train(self, stop: StopSignal) -> str:
        """Train to the end, the time limit, or until `stop` is set; returns finished, time or signal."""
        training = self.training
        dataset = make_training_dataset(
            self._train,
            self._pictures["train"],
            training.batch_size,
            training.seed,
            training.epochs,
            first_step=self.epoch * self._steps,
            soft=True,
        )
        began, sums, done = time.monotonic(), [], 0
        told = before = self.seconds
        for inputs, targets in dataset:
            step = self.epoch * self._steps + done
            sums.append(self._step(self._image(inputs, targets), inputs["emotion"], tf.constant([training.seed, step])))
            done += 1
            if done == self._steps or before + time.monotonic() - began - told > 10:
                # Waits for the device, which works on after a call has returned.
                sums[-1].numpy()
            self.seconds = before + time.monotonic() - began
            if self.seconds - told > 10:
                told = self.seconds
                rate = (time.monotonic() - began) / len(sums)
                left = (training.epochs * self._steps - step - 1) * rate
                self.log(
                    f"  epoch {self.epoch + 1}, step {done:,}/{self._steps:,}, {training.batch_size / rate:.0f} "
                    f"images/s, {format_seconds(left)} left"
                )
            if done == self._steps:
                self._end_epoch(float(np.mean([value.numpy() for value in sums[-self._steps :]])))
                done = 0
            if stop.is_set:
                return "signal"
            if training.max_hours and self.seconds - before >= 3600 * training.max_hours and not done:
                return "time"
        return "finished"

    def resume(self) -> None:
        """Continue after the last whole epoch."""
        found = load_state(self.run.backup, self.log)
        if found is None:
            self.log("no backup yet: starting from the first step")
            return
        arrays, numbers = found
        restore(arrays, self._groups())
        self.epoch, self.best, self.seconds = int(numbers["step"]), float(numbers["best"]), float(numbers["seconds"])
        # Rows written after the backup belong to epochs that are about to be trained again.
        rows, ended = [row for row in self.run.history() if row["epoch"] <= self.epoch], numbers.get("round")
        self.run.write_history(rows)
        if ended and (not rows or rows[-1]["epoch"] < self.epoch):
            # Killed after this backup, before all that follows it was written.
            self._keep_round(**ended)
        self.log(f"resumed  after epoch {self.epoch} of {self.training.epochs}")

    def validate(self) -> tuple[float, np.ndarray]:
        """Mean loss and the confusion matrix on the validation split."""
        losses, read = [], []
        for inputs, targets in make_scoring_dataset(
            self._val, self._pictures["val"], self.training.batch_size, soft=True
        ):
            logits = self._read(self._image(inputs, targets))
            losses.append(self._losses(logits, inputs["emotion"], 0.0).numpy())
            read.append(logits.numpy().argmax(axis=1))
        names = [self.config.classes[place] for place in np.concatenate(read)]
        true = self._val.frame["emotion"].astype(str).tolist()
        return float(np.concatenate(losses).mean()), confusion_matrix(true, names)

    def _image(self, inputs, targets):
        return targets["unmasked_image"] if self.training.view == "unmasked" else inputs["masked_image"]

    def _train_step(self, image, emotion, seed):
        if self.training.jitter:
            image = move_pictures(image, seed, self.training.jitter)
        with tf.GradientTape() as tape:
            logits = self.model({"image": image}, training=True)["logits"]
            weights = tf.reduce_sum(emotion * self._weights, axis=1)
            loss = tf.reduce_mean(weights * self._losses(logits, emotion, LABEL_SMOOTHING))
        variables = self.model.trainable_variables
        self.optimizer.apply(tape.gradient(loss, variables), variables)
        return loss

    def _losses(self, logits, emotion, smoothing):
        mine = tf.gather(logits, self._place, axis=1)
        # Labels that are distributions are soft already.
        smoothing = tf.where(tf.reduce_max(emotion, axis=1, keepdims=True) > 0.99, smoothing, 0.0)
        wanted = emotion * (1 - smoothing) + smoothing / len(EMOTIONS)
        return tf.nn.softmax_cross_entropy_with_logits(wanted, mine)

    def _end_epoch(self, loss: float) -> None:
        self.epoch += 1
        val_loss, counts = self.validate()
        if not (math.isfinite(loss) and math.isfinite(val_loss)):
            raise UserError(
                f"the loss is no longer a number; start again with --learning_rate "
                f"{self.training.learning_rate / 3:.1g}",
                "diverged",
            )
        score, accuracy = mean_class_accuracy(counts), float(np.trace(counts) / counts.sum())
        better = score > self.best
        self.best = score if better else self.best
        row = {
            "epoch": self.epoch,
            "loss": loss,
            "val_loss": val_loss,
            "val_accuracy": accuracy,
            "val_mean_class_accuracy": score,
            "train_seconds": round(self.seconds, 1),
        }
        numbers = {"step": self.epoch, "best": self.best, "seconds": self.seconds}
        # First, so that a kill at any moment leaves a run that can be resumed, which then writes the rest.
        save_state(self.run.backup, self._groups(), {**numbers, "round": {"row": row, "better": better}})
        self._keep_round(row, better)
        self.log(
            f"epoch {self.epoch}/{self.training.epochs}: loss {loss:.4f}, validation loss {val_loss:.4f}, accuracy "
            f"{100 * accuracy:.1f} %, mean of classes {100 * score:.1f} %{' (best)' * better}"
        )

    def _keep_round(self, row: dict[str, float], better: bool) -> None:
        """Write what an epoch leaves besides its backup: weights, then its row of the history."""
        write_classifier_weights(self.run.last_weights, self.model, self.config)
        if better:
            write_classifier_weights(self.run.best_weights, self.model, self.config)
        self.run.write_history([*self.run.history(), row])

    def _groups(self) -> dict[str, list]:
        return {"model": [weight.value for weight in self.model.weights], "optimizer": self.optimizer.variables}


def readable_pairs(pairs: PairSet, view: str) -> PairSet:
    """The pairs that show what is to be read: behind masks, no bare faces, whose mouths are seen."""
    if view == "unmasked":
        return pairs
    return pairs.take(np.flatnonzero((pairs.frame["mask_style"] != NO_MASK).to_numpy()))


def class_weights(train: PairSet, power: float) -> np.ndarray:
    """(7,) weights in the order of `EMOTIONS`, proportional to count ** -power; their mean over the pictures is 1."""
    counts = np.array(list(train.emotion_counts().values()), np.float64)
    wanted = np.where(counts > 0, np.maximum(counts, 1) ** -power, 0.0)
    return wanted * counts.sum() / (wanted * counts).sum()


def move_pictures(image, seed, strength: float = 1.0):
    """Move, turn and zoom each picture a little, at random by `seed`; what comes in from outside repeats the edge.

    Args:
        image: (B, S, S, 3) float32.
        seed: (2,) int.
        strength: 1 moves by up to `SHIFT`, `TURN` and `ZOOM`.
    """
    size = tf.cast(tf.shape(image)[1], tf.float32)
    draws = tf.random.stateless_uniform([tf.shape(image)[0], 4], seed=seed, minval=-strength, maxval=strength)
    angle, scale = draws[:, 0] * (TURN * math.pi / 180), 1 + draws[:, 1] * ZOOM
    shift = draws[:, 2:] * SHIFT * size
    cos, sin, middle = tf.cos(angle) * scale, tf.sin(angle) * scale, (size - 1) / 2
    zero = tf.zeros_like(cos)
    matrix = tf.stack(
        [
            cos,
            -sin,
            middle - middle * cos + middle * sin + shift[:, 0],
            sin,
            cos,
            middle - middle * sin - middle * cos + shift[:, 1],
            zero,
            zero,
        ],
        axis=1,
    )
    return tf.raw_ops.ImageProjectiveTransformV3(
        images=image,
        transforms=matrix,
        output_shape=tf.shape(image)[1:3],
        fill_value=0.0,
        interpolation="BILINEAR",
        fill_mode="NEAREST",
    )
