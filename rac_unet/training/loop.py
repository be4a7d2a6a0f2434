"""The training loop: one run directory, resumable from any step, on any number of devices.

Keras's `fit` cannot pass the occlusion map to a loss of one output, resumes whole epochs only, and overwrites the raw
weights when it averages them; hence this loop. From the command to a gradient step, read these five files:

1. `rac_unet/train.py`: `start` checks the settings, opens the pairs and makes the run directory; `_train` trains in it.
2. This file: `Trainer._build_network` builds network and optimizer; `Trainer.train` takes steps and validates.
3. `rac_unet/data/pipeline.py`: `make_training_blocks` reads batches, and `finish_batch` augments them on the device.
4. `rac_unet/training/step.py`: `TrainingStep._gradients` runs the network and its losses, `_replica_step` applies them.
5. `rac_unet/objectives/losses.py`: `make_loss` adds up the weighted terms, each one number per image.

Guidance (`guiding/`) and several devices (`hardware/`) can be skipped on a first reading.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass

import keras
import numpy as np

from rac_unet.core.config import to_dict
from rac_unet.core.errors import UserError
from rac_unet.core.files.whole import replace_file
from rac_unet.core.progress import format_seconds
from rac_unet.core.rundir import RunDir
from rac_unet.data.pairs import PairSet
from rac_unet.data.pictures import Pictures
from rac_unet.data.pipeline import make_training_blocks, steps_per_epoch
from rac_unet.models import build_configured
from rac_unet.models.backend import uses_tf32
from rac_unet.models.freezing import freeze_other_layers
from rac_unet.models.fused import fuse_batch_norms
from rac_unet.objectives.losses import make_loss
from rac_unet.training.budget import budget_line, memory_estimate, values_estimate
from rac_unet.training.guiding.adversary import Adversary
from rac_unet.training.guiding.counterfactuals import Guidance, guidance_lines
from rac_unet.training.guiding.donors import load_donors
from rac_unet.training.guiding.readers import Reader
from rac_unet.training.guiding.teacher import Teacher
from rac_unet.training.hardware.devices import device_facts, resolve_auto
from rac_unet.training.hardware.distribution import Distribution, make_distribution, refuse_uneven_batch
from rac_unet.training.meter import Meter
from rac_unet.training.optimizers import MovingAverage, make_optimizer
from rac_unet.training.reporting import Scalars, StopSignal, divergence_message
from rac_unet.training.state import BackupClock, load_state, restore_variables, save_state
from rac_unet.training.step import VOTES, TrainingStep
from rac_unet.training.validation import decibels, validate


@dataclass(frozen=True)
class Outcome:
    """How training ended: `reason` is `finished`, `time` or `signal`; `step` of `total_steps` were taken."""

    reason: str
    step: int
    total_steps: int


class Trainer:
    """Trainer of one run directory.

    Args:
        run: a run directory with a config; only the chief worker writes files into it.
        pairs: the data set.
        log: called with each line to print.
        extractor: feature extractor of the loss (`rac_unet.objectives.features.load_extractor`), if it needs one.
        distribution: the devices; by default one.
        started_at: `time.monotonic()` at the start of the command, from which `max_hours` counts; by default now.
        weights: initial weights in the order of a network's `get_weights`; None for random weights.
        readers: emotion readers of the config's guidance (`rac_unet.training.guiding.readers.load_readers`).
        donors: donor faces of the config's guidance (`rac_unet.training.guiding.donors.read_donors`).
        teacher: the teacher of the config's guidance (`rac_unet.training.guiding.teacher.load_teacher`).
    Raises: UserError when the data cannot be used for training, or the devices do not support the config.
    """

    def __init__(
        self,
        run: RunDir,
        pairs: PairSet,
        log,
        extractor=None,
        distribution: Distribution | None = None,
        started_at: float | None = None,
        weights: list[np.ndarray] | None = None,
        readers: Sequence[Reader] = (),
        donors: PairSet | None = None,
        teacher: Teacher | None = None,
    ):
        self.run, self.config, self.log = run, run.config(), log
        self.distribution = distribution or make_distribution("one")
        self._started_at = time.monotonic() if started_at is None else started_at
        config, replicas = self.config, self.distribution.replicas
        refuse_uneven_batch(config, replicas)
        self._resolved = resolve_auto(config.training, device_facts(self.distribution.kind == "tpu"), replicas)
        self._open_splits(pairs)
        self._build_network(weights)
        self._readers, self._teacher = readers, teacher
        faces = load_donors(donors, config.model.image_size) if donors else None
        self._guidance = Guidance(config, readers, self._train, faces, teacher) if config.guidance.is_on else None
        self._step = TrainingStep(
            self.model,
            self.optimizer,
            self.average,
            make_loss(config.loss.terms, extractor),
            config,
            self.distribution,
            self._resolved.jit_compile,
            self._adversary,
            self._guidance,
        )
        self.best_loss = math.inf
        self._meter = self._make_meter(0, 0.0)
        self._clock = BackupClock(config.training.backup_seconds)
        # Duration of the last validation, with sheet and backup, and of the first call, with compilation; 0 if unknown.
        self._validation_seconds = self._first_call_seconds = 0.0
        self._log_network(faces)

    def _open_splits(self, pairs: PairSet) -> None:
        """Cache the pictures of both splits, and count the steps of an epoch, of the run and between validations."""
        training, size, cache = self.config.training, self.config.model.image_size, self.config.data.cache
        train, val = pairs.split("train"), pairs.split("val")
        self.steps_per_epoch = steps_per_epoch(len(train), training.batch_size)
        self.total_steps = max(1, round(training.epochs * self.steps_per_epoch))
        self.validate_steps = min(training.validate_steps or self.steps_per_epoch, self.total_steps)

        def cached(split: PairSet) -> Pictures:
            return Pictures(split, size, cache, lambda done, of: self.log(f"  decoded {done:,} of {of:,} pairs"))

        self._train, self._train_pictures = train, cached(train)
        self._val, self._val_pictures = val, cached(val) if self.distribution.is_chief else None
        self.log(
            f"data     {pairs.root}: {len(train):,} training and {len(val):,} validation pairs, {size} px, "
            f"cache {self._train_pictures.cache} ({self._train_pictures.nbytes / 1e9:.2f} GB)"
        )

    def _build_network(self, weights: list[np.ndarray] | None) -> None:
        """Make what has variables, on the devices: network, optimizer, moving average and discriminators."""
        config, precision = self.config, self._resolved.precision
        keras.utils.set_random_seed(config.training.seed)
        with self.distribution.strategy.scope():
            built = build_configured(config.model, precision)
            self.model = fuse_batch_norms(built, synchronized=self.distribution.replicas > 1)
            freeze_other_layers(self.model, config.training.only_layers)
            self.optimizer = make_optimizer(config, self.total_steps, loss_scaling=precision == "mixed_float16")
            self.optimizer.build(self.model.trainable_variables)
            if weights is not None:
                # Must come before the average, which starts with these weights.
                for variable, value in zip(self.model.weights, weights, strict=True):
                    variable.assign(value)
            self.average = MovingAverage(self.model.weights, config.optimizer.ema)
            # In float16, the discriminators would need their own loss scaling.
            fast = precision if precision == "mixed_bfloat16" else "float32"
            self._adversary = Adversary(config, self.total_steps, fast) if config.loss.adversarial else None

    def _log_network(self, faces) -> None:
        config, resolved = self.config, self._resolved
        self.log(
            f"network  {config.model.name}, {self.model.count_params():,} parameters, {resolved.precision}"
            f"{', products in TF32' * uses_tf32()}{', XLA' * resolved.jit_compile}, "
            f"{self.distribution.description}, batch of {config.training.batch_size}"
        )
        for line in guidance_lines(config, self._readers, faces, self._teacher) if self._guidance else ():
            self.log(line)

    @property
    def step(self) -> int:
        """Number of steps taken."""
        return self._meter.step

    def train(self, stop: StopSignal) -> Outcome:
        """Train to the end, until the time is up or `stop` is set; a stopped run has a backup to resume from."""
        many = self.distribution.workers > 1
        with Scalars(self.run.tensorboard, self.log, self.distribution.is_chief) as scalars:
            blocks, block, position = iter(self._blocks()), None, 0
            per_block = self._resolved.steps_per_call
            self._meter.start_clock()
            while self.step < self.total_steps:
                call_start, waited = time.monotonic(), 0.0
                if block is None:
                    block, position = next(blocks), 0
                    waited = time.monotonic() - call_start
                to_validation = self.validate_steps - self.step % self.validate_steps
                count = min(per_block - position, to_validation, self.total_steps - self.step)
                values = self._step(block, position, count, (float(stop.is_set), float(self._time_is_up())))
                if not self._meter.calls:
                    # Wait for the result, so that the time includes compilation.
                    values.numpy()
                    self._first_call_seconds = time.monotonic() - call_start
                    self.log(f"started  first step {time.monotonic() - self._started_at:.1f} s after the command")
                position += count
                if position == per_block:
                    block = None
                self._meter.end_call(values, count, waited)
                # All workers must stop after the same step, so the sum of their votes in that step decides.
                votes = self._meter.read()[-len(VOTES) :] if many else (stop.is_set, self._time_is_up())
                reason = next((name for name, vote in zip(VOTES, votes, strict=True) if vote > 0), None)
                if self._after_call(reason, scalars):
                    return Outcome(reason, self.step, self.total_steps)
        return Outcome("finished", self.step, self.total_steps)

    def _after_call(self, reason: str | None, scalars: Scalars) -> bool:
        """Validate or back up if it is due; return whether to stop."""
        at_end = self.step == self.total_steps
        # A run that reaches its time limit is validated too, so that its result can be used.
        if at_end or self.step % self.validate_steps == 0 or reason == "time":
            self._meter.read()
            self._validate_and_back_up(scalars)
            self._meter.start_clock()
        elif reason or self._clock.is_due():
            self._meter.read()
            self._backup()
            self._meter.start_clock()
        elif self._meter.is_due():
            self._meter.read()
        return bool(reason) and not at_end

    def resume(self) -> None:
        """Restore the newest intact backup; start from the first step if there is none.

        Raises: UserError when the backup does not match the network or optimizer.
        """
        found = load_state(self.run.backup, self.log)
        if found is None:
            self.log("no backup yet: starting from the first step")
            return
        arrays, numbers = found
        restore_variables(arrays, self._backed_up_variables())
        self.best_loss = float(numbers["best_loss"])
        self._meter = self._make_meter(int(numbers["step"]), float(numbers["train_seconds"]))
        self._meter.round_sums, self._meter.round_count = np.array(numbers["round_sums"]), int(numbers["round_count"])
        self._validation_seconds = float(numbers["round_seconds"])
        if self.distribution.is_chief:
            # Rows written after the backup belong to steps that will be repeated.
            rows = [row for row in self.run.history() if row["step"] <= self.step]
            self.run.write_history(rows)
            validated = numbers.get("round")
            if validated and (not rows or rows[-1]["step"] < self.step):
                # The run was killed after this backup, before the files that follow were written.
                self._write_validation_files(**validated)
        self.log(f"resumed  at step {self.step:,} of {self.total_steps:,}, best validation loss {self.best_loss:.4f}")

    def _blocks(self):
        """Return the blocks of batches from the current step on, distributed to the devices."""
        config, place = self.config, self.distribution
        # One more epoch than needed, since an incomplete block is dropped.
        epochs = math.ceil(config.training.epochs) + 1 + self._resolved.steps_per_call // self.steps_per_epoch

        def make(_context=None):
            return make_training_blocks(
                self._train,
                self._train_pictures,
                config.training.batch_size,
                config.training.seed,
                epochs,
                self.step,
                (place.worker, place.workers),
                self._resolved.steps_per_call,
                place.local_replicas,
                self._guidance.draws if self._guidance else 0,
                soft=self._train.has_shares,
            )

        return make() if place.replicas == 1 else place.strategy.distribute_datasets_from_function(make)

    def _time_is_up(self) -> bool:
        """Return whether the remaining time only suffices to finish the current steps, validate and save."""
        limit = self.config.training.max_hours * 3600
        needed = self._meter.seconds_behind + self._reserved_seconds()
        return bool(limit) and time.monotonic() - self._started_at + needed >= limit

    def _reserved_seconds(self) -> float:
        """Return the expected seconds of the next validation with its backup; 0 unless this is the chief."""
        if not self.distribution.is_chief:
            return 0.0
        # The first validation traces the network again, like the first step.
        return self._validation_seconds or self._first_call_seconds + self._expected_validation_seconds(
            self._meter.rate
        )

    def _expected_validation_seconds(self, rate: float) -> float:
        """Estimate the seconds of the first validation from the images/s of training."""
        # A forward pass takes a third of a step.
        return self._clock.cost + (len(self._val) / (3 * rate) if rate else 0.0)

    def _validate_and_back_up(self, scalars: Scalars) -> None:
        """Score the validation split, write the backup, then weights, history and curves."""
        self._meter.report_rate()
        means = self._meter.round_means()
        if self._guidance:
            means = self._guidance.means_where_applied(means, means["asked"], self.config.loss.terms)
        self._meter.start_round()
        if not self.distribution.is_chief:
            return
        started = time.monotonic()
        epoch = self.step / self.steps_per_epoch
        with self.average.swapped_in():
            scores = self._scores(epoch)
        if not math.isfinite(scores["val_loss"]):
            self._refuse_divergence(["the validation loss"])
        better = scores["val_loss"] < self.best_loss
        self.best_loss = min(scores["val_loss"], self.best_loss)
        row = {
            "step": self.step,
            "epoch": round(epoch, 4),
            "images": self.step * self.config.training.batch_size,
            "learning_rate": self.optimizer.learning_rate,
            **means,
            **scores,
            "train_seconds": round(self._meter.train_seconds, 1),
        }
        # The backup comes first, so that a run killed at any time can be resumed, and then writes the other files.
        self._backup({"row": row, "better": better})
        self._write_validation_files(row, better)
        scalars.write(self.step, row)
        self._validation_seconds = time.monotonic() - started
        mark = " (best)" if better else ""
        self.log(
            f"epoch {epoch:.4g}/{self.config.training.epochs:g}: loss {means['loss']:.4f}, validation loss "
            f"{scores['val_loss']:.4f}{mark}, composite {decibels(scores['val_psnr_composite'])}, hole "
            f"{decibels(scores['val_psnr_hole'])} [{format_seconds(self._validation_seconds)}]"
        )

    def _write_validation_files(self, row: dict[str, float], better: bool) -> None:
        """Write the other files of a validation: weights, then the row of the history."""
        with self.average.swapped_in():
            replace_file(self.run.last_weights, self.model.save_weights)
            if better:
                replace_file(self.run.best_weights, self.model.save_weights)
        self.run.write_history([*self.run.history(), row])

    def _scores(self, epoch: float) -> dict[str, float]:
        training = self.config.training
        due = round(self.step / self.validate_steps) % training.sample_every == 0 or self.step == self.total_steps
        batch_size = training.batch_size // self.distribution.replicas
        return validate(
            self._step.infer,
            self._val,
            self._val_pictures,
            batch_size,
            self._step.scored_names,
            self.run.sample_sheet(epoch) if due else None,
            f"validation faces after {epoch:.3g} epochs",
        )

    def _make_meter(self, step: int, train_seconds: float) -> Meter:
        return Meter(
            self._step.names,
            self.config.training.batch_size,
            self.total_steps,
            step,
            train_seconds,
            self.log,
            self._refuse_divergence,
            self._log_budget,
        )

    def _refuse_divergence(self, bad: list[str]) -> None:
        """Raise UserError for losses that are not finite; `bad` has their names."""
        best = self.run.best_weights if self.run.best_weights.exists() else None
        message = divergence_message(self.step, bad, self.config.optimizer.learning_rate, best)
        raise UserError(message, "diverged")

    def _log_budget(self, rate: float) -> None:
        training = self.config.training
        batch_size, half = training.batch_size // self.distribution.replicas, self._resolved.precision != "float32"
        memory = memory_estimate(self.model, batch_size, half, self.config.optimizer.ema > 0)
        others = [reader.model for reader in self._readers] + (self._adversary.models if self._adversary else [])
        memory += sum(values_estimate(model, batch_size, half=False) for model in others)
        left = (self.total_steps - self.step) * training.batch_size / rate
        rounds = (self.total_steps - self.step) / self.validate_steps
        left += rounds * (self._validation_seconds or self._expected_validation_seconds(rate))
        self.log(budget_line(self.model.count_params(), memory, rate, left / 3600, training.max_hours))

    def _backed_up_variables(self) -> dict[str, list]:
        weights = [weight.value for weight in self.model.weights]
        groups = {"model": weights, "optimizer": self.optimizer.variables, "average": self.average.variables}
        return groups | ({"adversary": self._adversary.variables} if self._adversary else {})

    def _backup(self, validated: dict | None = None) -> None:
        """Save a backup; after a validation, `validated` has the arguments of `_write_validation_files`."""
        if not self.distribution.is_chief:
            return
        started, meter = time.monotonic(), self._meter
        numbers = {
            "step": self.step,
            "best_loss": self.best_loss,
            "train_seconds": meter.train_seconds,
            "round_seconds": self._validation_seconds,
            "round_sums": meter.round_sums.tolist(),
            "round_count": meter.round_count,
            "config": to_dict(self.config),
            **({"round": validated} if validated else {}),
        }
        save_state(self.run.backup, self._backed_up_variables(), numbers)
        if self._clock.made(time.monotonic() - started):
            self.log(f"backup   takes {self._clock.cost:.1f} s, so one is made every {self._clock.interval:.0f} s")
