"""How a network is trained: our own step loop, one run directory, continued from any step.

Keras's `fit` cannot hand the occlusion map to a loss beside one output, resumes whole epochs only, and forgets the raw
weights when it averages them; so the loop is written out here. Reading order: `Trainer.train`.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass

import keras
import numpy as np
import tensorflow as tf

from rac_unet.data.pairs import PairSet
from rac_unet.data.pictures import Pictures
from rac_unet.data.pipeline import make_scoring_dataset, make_training_dataset, steps_per_epoch
from rac_unet.data.progress import format_seconds
from rac_unet.errors import UserError
from rac_unet.models import build_configured
from rac_unet.models.fused import fuse_batch_norms
from rac_unet.objectives.losses import make_loss
from rac_unet.rundir import RunDir, replace_file
from rac_unet.scoring.metrics import compose, psnr
from rac_unet.scoring.sheets import faces_to_show, write_sheet
from rac_unet.training.optimizers import MovingAverage, make_optimizer
from rac_unet.training.reporting import Scalars, StopSignal
from rac_unet.training.state import load_state, restore, save_state

# Losses are read back in blocks, so that an accelerator never waits for the host after each step.
READ_EVERY = 10


@dataclass(frozen=True)
class Outcome:
    """How training ended: `finished`, or stopped by `time` or a `signal`; and after how many steps of how many."""

    reason: str
    step: int
    total_steps: int


class Trainer:
    """One training of one run directory.

    Args:
        run: a run directory with a config.
        pairs: the data set.
        log: called with each line to print.
        extractor: for loss terms that look through one (`rac_unet.objectives.features.load_extractor`).
    Raises: UserError when the data cannot be trained on.
    """

    def __init__(self, run: RunDir, pairs: PairSet, log, extractor=None):
        self.run, self.config, self.log = run, run.config(), log
        train, val = pairs.split("train"), pairs.split("val")
        config = self.config
        self.steps_per_epoch = steps_per_epoch(len(train), config.training.batch_size)
        self.total_steps = max(1, round(config.training.epochs * self.steps_per_epoch))
        every = config.training.validate_steps or self.steps_per_epoch
        self.validate_steps = min(every, self.total_steps)
        size = config.model.image_size

        def cached(split: PairSet) -> Pictures:
            return Pictures(split, size, config.data.cache, lambda done, of: log(f"  decoded {done:,} of {of:,} pairs"))

        self._train, self._train_pictures = train, cached(train)
        self._val, self._val_pictures = val, cached(val)
        log(
            f"data     {pairs.root}: {len(train):,} training and {len(val):,} validation pairs, {size} px, "
            f"cache {self._train_pictures.cache} ({self._train_pictures.nbytes / 1e9:.2f} GB)"
        )
        keras.utils.set_random_seed(config.training.seed)
        self.model = fuse_batch_norms(build_configured(config.model, config.training.precision))
        self.optimizer = make_optimizer(config, self.total_steps)
        self.optimizer.build(self.model.trainable_variables)
        self.average = MovingAverage(self.model.weights, config.optimizer.ema)
        self._loss = make_loss(config.loss.terms, extractor)
        self._step = tf.function(self._train_step, jit_compile=config.training.jit_compile)
        self._infer = tf.function(self._evaluate_step, jit_compile=config.training.jit_compile)
        self.step, self.best_loss, self.train_seconds = 0, math.inf, 0.0
        # Losses summed since the last validation.
        self.round_sums, self.round_count = np.zeros(1 + len(config.loss.terms)), 0
        log(f"network  {config.model.name}, {self.model.count_params():,} parameters, {config.training.precision}")

    def train(self, stop: StopSignal) -> Outcome:
        """Train to the end, until the time is up or `stop` is set; a stop leaves a backup to continue from."""
        config = self.config
        dataset = make_training_dataset(
            self._train, self._train_pictures, config.training.batch_size, config.training.seed,
            epochs=math.ceil(config.training.epochs), first_step=self.step, augment=config.data.augment,
            label_dropout=config.data.label_dropout,
        )  # fmt: skip
        meter = _Meter(self)
        with Scalars(self.run.tensorboard, self.log) as scalars:
            for inputs, targets in dataset.take(self.total_steps - self.step):
                meter.start_step()
                values = self._step(inputs, targets)
                self.step += 1
                self.average.update(self.step)
                meter.end_step(values)
                at_end = self.step == self.total_steps
                if at_end or self.step % self.validate_steps == 0:
                    meter.read()
                    self._end_round(meter.round_means(), scalars)
                    meter.restart_clock()
                elif meter.backup_is_due():
                    meter.read()
                    self._backup()
                reason = "signal" if stop.is_set else "time" if meter.time_is_up() else None
                if reason and not at_end:
                    meter.read()
                    if reason == "time" and self.round_count:
                        # Whoever gave it this much time wants to use the result, not only to continue.
                        self._end_round(meter.round_means(), scalars)
                    else:
                        self._backup()
                    return Outcome(reason, self.step, self.total_steps)
        return Outcome("finished", self.step, self.total_steps)

    def resume(self) -> None:
        """Continue from the newest whole backup; from the start when there is none."""
        found = load_state(self.run.backup, self.log)
        if found is None:
            self.log("no backup yet: starting from the first step")
            return
        arrays, numbers = found
        restore(arrays, self._groups())
        self.step, self.best_loss = int(numbers["step"]), float(numbers["best_loss"])
        self.train_seconds = float(numbers["train_seconds"])
        self.round_sums, self.round_count = np.array(numbers["round_sums"]), int(numbers["round_count"])
        # Rows written after the backup belong to steps that are about to be taken again.
        self.run.write_history([row for row in self.run.history() if row["step"] <= self.step])
        self.log(f"resumed  at step {self.step:,} of {self.total_steps:,}, best validation loss {self.best_loss:.4f}")

    def _train_step(self, inputs, targets):
        with tf.GradientTape() as tape:
            outputs = self.model(self._named(inputs), training=True)
            total, terms = self._loss(targets, outputs)
            total = tf.reduce_mean(total)
            scaled = self.optimizer.scale_loss(total)
        variables = self.model.trainable_variables
        self.optimizer.apply(tape.gradient(scaled, variables), variables)
        return tf.stack([total] + [tf.reduce_mean(terms[name]) for name in self.config.loss.terms])

    def _named(self, inputs):
        """Only the inputs the network names: one without a label must not be handed one."""
        return {name: inputs[name] for name in self.model.input}

    def _evaluate_step(self, inputs, targets):
        outputs = self.model(self._named(inputs), training=False)
        total, terms = self._loss(targets, outputs)
        return outputs["inpainted_image"], tf.stack([total] + [terms[name] for name in self.config.loss.terms], axis=1)

    def _end_round(self, train_means: dict[str, float], scalars: Scalars) -> None:
        started = time.monotonic()
        epoch = self.step / self.steps_per_epoch
        with self.average.swapped_in():
            scores = self._validate(epoch)
            if not math.isfinite(scores["val_loss"]):
                raise UserError(breakdown_advice(self, ["the validation loss"]))
            better = scores["val_loss"] < self.best_loss
            replace_file(self.run.last_weights, self.model.save_weights)
            if better:
                self.best_loss = scores["val_loss"]
                replace_file(self.run.best_weights, self.model.save_weights)
        row = {
            "step": self.step, "epoch": round(epoch, 4), "images": self.step * self.config.training.batch_size,
            "learning_rate": float(self.optimizer.learning_rate), **train_means, **scores,
            "train_seconds": round(self.train_seconds, 1),
        }  # fmt: skip
        self.run.write_history([*self.run.history(), row])
        self.round_sums, self.round_count = np.zeros_like(self.round_sums), 0
        scalars.write(self.step, row)
        self._backup()
        mark = " (best)" if better else ""
        self.log(
            f"epoch {epoch:.4g}/{self.config.training.epochs:g}: loss {train_means['loss']:.4f}, validation loss "
            f"{scores['val_loss']:.4f}{mark}, composite {scores['val_psnr_composite']:.2f} dB, hole "
            f"{scores['val_psnr_hole']:.2f} dB [{format_seconds(time.monotonic() - started)}]"
        )

    def _validate(self, epoch: float) -> dict[str, float]:
        """Means over the validation split; draws the sample sheet on the way."""
        rows, composite, hole = [], [], []
        chosen = faces_to_show(self._val)
        shown: dict[int, tuple[np.ndarray, ...]] = {}
        seen = 0
        for inputs, targets in make_scoring_dataset(self._val, self._val_pictures, self.config.training.batch_size):
            image, values = (tensor.numpy() for tensor in self._infer(inputs, targets))
            image, truth = np.clip(image, 0, 1), targets["unmasked_image"].numpy()
            occlusion = targets["occlusion"].numpy()
            rows.append(values)
            composite.append(psnr(truth, compose(truth, image, occlusion)))
            hole.append(psnr(truth, image, occlusion > 0))
            for i in range(len(truth)):
                if seen + i in chosen:
                    shown[seen + i] = inputs["masked_image"].numpy()[i], image[i], truth[i], occlusion[i]
            seen += len(truth)
        due = round(self.step / self.validate_steps) % self.config.training.sample_every == 0
        if due or self.step == self.total_steps:
            masked, image, truth, occlusion = (np.stack(c) for c in zip(*(shown[i] for i in chosen), strict=True))
            columns = {
                "masked": masked, "painted": image, "pasted": compose(truth, image, occlusion), "truth": truth,
            }  # fmt: skip
            emotions = [self._val[i].emotion for i in chosen]
            write_sheet(self.run.sample_sheet(epoch), columns, emotions, f"validation faces after {epoch:.3g} epochs")
        means = np.concatenate(rows).mean(0)
        names = ["val_loss", *(f"val_{name}" for name in self.config.loss.terms)]
        scores = dict(zip(names, (float(m) for m in means), strict=True))
        scores["val_psnr_composite"] = float(np.nanmean(np.concatenate(composite)))
        scores["val_psnr_hole"] = float(np.nanmean(np.concatenate(hole)))
        return scores

    def _groups(self) -> dict[str, list]:
        return {"model": self.model.weights, "optimizer": self.optimizer.variables, "average": self.average.variables}

    def _backup(self) -> None:
        numbers = {
            "step": self.step,
            "best_loss": self.best_loss,
            "train_seconds": self.train_seconds,
            "round_sums": self.round_sums.tolist(),
            "round_count": self.round_count,
        }
        save_state(self.run.backup, self._groups(), numbers)


def breakdown_advice(trainer: Trainer, bad: list[str]) -> str:
    """What to tell the user when something is no longer a number."""
    best, rate = trainer.run.best_weights, trainer.config.optimizer.learning_rate
    kept = f"the best weights so far are in {best}" if best.exists() else "no weights were kept"
    return (
        f"training broke down near step {trainer.step:,}: {', '.join(bad)} is not a number. Start again with "
        f"--optimizer.learning_rate {rate / 3:.1g} or --optimizer.clip_norm 1, or, with mixed precision, "
        f"--training.precision float32; {kept}"
    )


class _Meter:
    """Reads the losses back, watches for NaN and the clock, and prints progress."""

    def __init__(self, trainer: Trainer):
        self._trainer = trainer
        self._names = ["loss", *trainer.config.loss.terms]
        self._last_line = self._last_backup = time.monotonic()
        self._began_step, self._began_seconds = trainer.step, trainer.train_seconds
        self._ended_last = None
        self._unread: list = []

    def restart_clock(self) -> None:
        # What happened since the last step was validation, which the time limit does not count.
        self._ended_last = None

    def start_step(self) -> None:
        if self._ended_last is None:
            self._ended_last = time.monotonic()

    def end_step(self, values) -> None:
        self._unread.append(values)
        if len(self._unread) >= READ_EVERY:
            self.read()
        now = time.monotonic()
        self._trainer.train_seconds += now - self._ended_last
        self._ended_last = now
        if now - self._last_line >= 10:
            self._last_line = now
            self.read()
            self._line()

    def read(self) -> None:
        """Fetch the losses computed so far; raises UserError when one is not a number."""
        for values in self._unread:
            values = values.numpy()
            if not np.isfinite(values).all():
                self._explain_nan(values)
            self._trainer.round_sums += values
            self._trainer.round_count += 1
        self._unread.clear()

    def round_means(self) -> dict[str, float]:
        means = self._trainer.round_sums / max(self._trainer.round_count, 1)
        return dict(zip(self._names, means.tolist(), strict=True))

    def backup_is_due(self) -> bool:
        due = time.monotonic() - self._last_backup > 60 * self._trainer.config.training.backup_minutes
        if due:
            self._last_backup = time.monotonic()
        return due

    def time_is_up(self) -> bool:
        limit = self._trainer.config.training.max_hours * 3600
        return bool(limit) and self._trainer.train_seconds - self._began_seconds >= limit

    def _line(self) -> None:
        trainer = self._trainer
        rate = (trainer.train_seconds - self._began_seconds) / max(trainer.step - self._began_step, 1)
        left = (trainer.total_steps - trainer.step) * rate
        loss = self.round_means()["loss"]
        trainer.log(
            f"  step {trainer.step:,}/{trainer.total_steps:,} ({100 * trainer.step / trainer.total_steps:.0f} %), loss "
            f"{loss:.4f}, {trainer.config.training.batch_size / rate:.1f} images/s, {format_seconds(left)} left"
        )

    def _explain_nan(self, values: np.ndarray) -> None:
        bad = [name for name, value in zip(self._names, values, strict=True) if not np.isfinite(value)]
        raise UserError(breakdown_advice(self._trainer, bad))
