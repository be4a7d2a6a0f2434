"""Train an emotion classifier with Keras's `fit`, on faces without masks, or on masked faces.

It judges the output of other networks, so it never serves as their loss, and it is selected on validation alone. Rare
emotions count more (class weights), pictures are flipped, relit, moved, turned and zoomed a little, and the epoch with
the best mean-class accuracy on the validation split is kept.

Training resumes after whole epochs. The order of the pictures follows from (seed, epoch), and what is random about each
from (seed, its position in the whole training), so a resumed run sees what an uninterrupted one would.
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
from rac_unet.training.reporting import StopSignal
from rac_unet.training.state import load_state, restore_variables, save_state

VIEWS = ("unmasked", "masked")
# How far two crops of one face may be apart: share of the side, degrees, share of the size.
SHIFT, TURN, ZOOM = 0.04, 6.0, 0.06
WEIGHT_DECAY = 1e-2
LABEL_SMOOTHING = 0.1
SECONDS_BETWEEN_LINES = 10


@dataclass(frozen=True)
class ClassifierTraining:
    """How to train; the section `training` of a classifier's config.yaml.

    Attributes:
        view: the picture of a pair to read, unmasked or masked.
        class_weights: 0: every picture counts alike; 1: every emotion counts alike; 0.5: half-way.
        jitter: how strongly pictures are moved, turned and zoomed; 1 is mild, 0 not at all.
        precision: number format of the computation, as `training.precision` of other networks.
        max_hours: stop at the end of the epoch that reaches this much training; 0 for no limit.
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
        # Copied dropout layers draw new seeds.
        keras.utils.set_random_seed(training.seed)
        self.model = fuse_batch_norms(model)
        self._train, self._val = (readable_pairs(pairs.split(name), training.view) for name in ("train", "val"))
        self._steps = steps_per_epoch(len(self._train), training.batch_size)
        self._pictures = {
            name: Pictures(part, config.image_size, "auto")
            for name, part in (("train", self._train), ("val", self._val))
        }
        # The same layers with another model around them: weights files of `model` contain no optimizer.
        self._fitted = keras.Model(self.model.inputs, self.model.outputs[0])
        self._fitted.compile(
            make_classifier_optimizer(self.model, training, self._steps * training.epochs),
            loss=keras.losses.CategoricalCrossentropy(from_logits=True),
            jit_compile=False,
        )
        # Positions in EMOTIONS, in the order of the logits.
        self._order = [EMOTIONS.index(name) for name in config.classes]
        self.epoch, self.best, self.seconds = 0, -math.inf, 0.0

    def train(self, stop: StopSignal) -> str:
        """Train to the end, the time limit, or until `stop` is set; returns finished, time or signal."""
        try:
            self._fitted.fit(
                self._training_data(),
                epochs=self.training.epochs,
                initial_epoch=self.epoch,
                steps_per_epoch=self._steps,
                shuffle=False,
                callbacks=[_Session(self, stop)],
                verbose=0,
            )
        except _Stopped as stopped:
            return str(stopped)
        return "finished"

    def resume(self) -> None:
        """Continue after the last whole epoch."""
        found = load_state(self.run.backup, self.log)
        if found is None:
            self.log("no backup yet: starting from the first step")
            return
        arrays, numbers = found
        restore_variables(arrays, self._backed_up_variables())
        self.epoch, self.best, self.seconds = int(numbers["step"]), float(numbers["best"]), float(numbers["seconds"])
        # Rows written after the backup are of epochs that will be trained again.
        rows, ended = [row for row in self.run.history() if row["epoch"] <= self.epoch], numbers.get("round")
        self.run.write_history(rows)
        if ended and (not rows or rows[-1]["epoch"] < self.epoch):
            # Killed after this backup, before the files that follow it were written.
            self._keep_epoch(**ended)
        self.log(f"resumed  after epoch {self.epoch} of {self.training.epochs}")

    def validate(self) -> tuple[float, np.ndarray]:
        """Mean loss and the confusion matrix on the validation split."""
        # Not `validation_data` of `fit`: the loss is of soft labels, the accuracy of the emotion in pairs.csv.
        dataset = make_scoring_dataset(self._val, self._pictures["val"], self.training.batch_size)
        logits = self._fitted.predict(dataset.map(self._image), verbose=0)
        losses = tf.nn.softmax_cross_entropy_with_logits(self._val.emotion_shares[:, self._order], logits)
        names = [self.config.classes[place] for place in logits.argmax(axis=1)]
        return float(tf.reduce_mean(losses)), confusion_matrix(self._val.frame["emotion"].astype(str).tolist(), names)

    def end_epoch(self, loss: float) -> None:
        """Validate, then write all files of a finished epoch, whose mean training loss is given.

        Raises: UserError when a loss is not finite.
        """
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
        save_state(self.run.backup, self._backed_up_variables(), {**numbers, "round": {"row": row, "better": better}})
        self._keep_epoch(row, better)
        self.log(
            f"epoch {self.epoch}/{self.training.epochs}: loss {loss:.4f}, validation loss {val_loss:.4f}, accuracy "
            f"{100 * accuracy:.1f} %, mean of classes {100 * score:.1f} %{' (best)' * better}"
        )

    def log_progress(self, epoch: int, step: int, rate: float) -> None:
        """Log one line: `step` steps of `epoch`, counted from 0, are finished, each in `rate` seconds."""
        training, steps = self.training, self._steps
        left = ((training.epochs - epoch) * steps - step) * rate
        self.log(
            f"  epoch {epoch + 1}, step {step:,}/{steps:,}, {training.batch_size / rate:.0f} images/s, "
            f"{format_seconds(left)} left"
        )

    def _training_data(self) -> tf.data.Dataset:
        """All batches from the current epoch on: pictures, labels in the order of the logits, weights."""
        training, first = self.training, self.epoch * self._steps
        dataset = make_training_dataset(
            self._train,
            self._pictures["train"],
            training.batch_size,
            training.seed,
            training.epochs,
            first_step=first,
            soft=True,
        )
        by_class = tf.constant(class_weights(self._train, training.class_weights), tf.float32)

        def prepare(step, batch):
            image, emotion = self._image(*batch), batch[0]["emotion"]
            if training.jitter:
                image = move_pictures(image, tf.stack([training.seed, tf.cast(step, tf.int32)]), training.jitter)
            # Labels that are distributions are soft already.
            hard = tf.reduce_max(emotion, axis=1, keepdims=True) > 0.99
            smoothed = emotion * (1 - LABEL_SMOOTHING) + LABEL_SMOOTHING / len(EMOTIONS)
            labels = tf.gather(tf.where(hard, smoothed, emotion), self._order, axis=1)
            return image, labels, tf.reduce_sum(emotion * by_class, axis=1)

        return dataset.enumerate(first).map(prepare, num_parallel_calls=2).prefetch(2)

    def _image(self, inputs, targets):
        return targets["unmasked_image"] if self.training.view == "unmasked" else inputs["masked_image"]

    def _keep_epoch(self, row: dict[str, float], better: bool) -> None:
        """Write the files of an epoch other than its backup: weights, then its row of the history."""
        write_classifier_weights(self.run.last_weights, self.model, self.config)
        if better:
            write_classifier_weights(self.run.best_weights, self.model, self.config)
        self.run.write_history([*self.run.history(), row])

    def _backed_up_variables(self) -> dict[str, list]:
        groups = {"model": self.model.weights, "optimizer": self._fitted.optimizer.variables}
        # Of dropout; not among a model's weights.
        groups["seeds"] = [
            layer.seed_generator.state for layer in self.model.layers if hasattr(layer, "seed_generator")
        ]
        return {name: [variable.value for variable in group] for name, group in groups.items()}


class _Stopped(Exception):
    """Leaves `fit` at once; the message is `signal` or `time`."""


class _Session(keras.callbacks.Callback):
    """End each epoch of `fit`, measure its time, log progress, and stop at a signal or the time limit.

    In place of Keras's own callbacks, which would lose what a run promises. BackupAndRestore and ModelCheckpoint
    overwrite their files in place, so that a kill can leave weights of one epoch with the number of another; neither
    keeps the best score or the class names. CSVLogger counts epochs from 0 and would repeat rows of epochs trained
    again. `stop_training` would validate and record an incomplete epoch.
    """

    def __init__(self, trainer: ClassifierTrainer, stop: StopSignal):
        super().__init__()
        self._trainer, self._stop = trainer, stop

    def on_train_begin(self, logs=None):
        self._start = self._last_line = time.monotonic()
        self._before, self._steps = self._trainer.seconds, 0

    def on_train_batch_begin(self, batch, logs=None):
        # Not at a batch's end: for that, Keras would wait for every loss.
        if self._stop.is_set:
            raise _Stopped("signal")
        if batch and time.monotonic() - self._last_line > SECONDS_BETWEEN_LINES:
            # Waits for the device, which works on after a call has returned.
            self.model.optimizer.iterations.numpy()
            self._last_line = time.monotonic()
            self._trainer.log_progress(self._trainer.epoch, batch, (self._last_line - self._start) / self._steps)
        self._steps += 1

    def on_epoch_end(self, epoch, logs=None):
        session = time.monotonic() - self._start
        self._trainer.seconds = self._before + session
        self._trainer.end_epoch(float(logs["loss"]))
        limit = self._trainer.training.max_hours
        if self._stop.is_set:
            raise _Stopped("signal")
        if limit and session >= 3600 * limit:
            raise _Stopped("time")


def make_classifier_optimizer(model, training: ClassifierTraining, total_steps: int) -> keras.optimizers.Optimizer:
    """AdamW with a cosine schedule, built; only kernels decay, not biases and batch norms."""
    rate = keras.optimizers.schedules.CosineDecay(
        training.learning_rate * 0.01,
        total_steps,
        warmup_target=training.learning_rate,
        warmup_steps=total_steps // 20,
    )
    optimizer = keras.optimizers.AdamW(rate, weight_decay=WEIGHT_DECAY, global_clipnorm=1.0)
    optimizer.exclude_from_weight_decay([v for v in model.trainable_variables if len(v.shape) < 2])
    if training.precision == "mixed_float16":
        # Small gradients would vanish.
        optimizer = keras.optimizers.LossScaleOptimizer(optimizer)
    optimizer.build(model.trainable_variables)
    return optimizer


def readable_pairs(pairs: PairSet, view: str) -> PairSet:
    """Return the pairs to read in a view: all, or for `masked` only the faces with a mask."""
    if view == "unmasked":
        return pairs
    return pairs.take(np.flatnonzero((pairs.frame["mask_style"] != NO_MASK).to_numpy()))


def class_weights(train: PairSet, power: float) -> np.ndarray:
    """(7,) weights in the order of `EMOTIONS`, proportional to count ** -power; their mean over the pictures is 1."""
    counts = np.array(list(train.emotion_counts().values()), np.float64)
    wanted = np.where(counts > 0, np.maximum(counts, 1) ** -power, 0.0)
    return wanted * counts.sum() / (wanted * counts).sum()


def move_pictures(image, seed, strength: float = 1.0):
    """Move, turn and zoom each picture a little, at random by `seed`; areas from outside repeat the edge.

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
