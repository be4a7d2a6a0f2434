"""Training time on an asynchronous device: rate, seconds, and the time limit."""

import re
import time

import keras
import numpy as np
import pytest

from rac_unet.core import rundir
from rac_unet.core.config import DataConfig, LossConfig, ModelConfig, RunConfig, TrainingConfig
from rac_unet.data import pairs
from rac_unet.training import loop
from rac_unet.training.reporting import StopSignal
from rac_unet.training.step import VOTES

BATCH = 8


class Device:
    """An asynchronous device with its own clock, which replaces `TrainingStep`.

    Args:
        step: seconds of a step.
        tracing: additional seconds of the first call.
    """

    infer, names, scored_names = None, ["loss", "l1"], ["l1"]

    def __init__(self, monkeypatch, step, tracing=0.0):
        self.now, self._free, self._step, self._tracing = 0.0, 0.0, step, tracing
        monkeypatch.setattr(time, "monotonic", lambda: self.now)

    def __call__(self, block, start, count, votes=(0.0, 0.0)):
        self.now += 0.001 + self._tracing
        self._tracing = 0.0
        self._free = max(self._free, self.now) + count * self._step
        return Pending(self, self._free, count)

    def wait_until(self, moment):
        self.now = max(self.now, moment)


class Pending:
    """Losses that are available once the device has computed them."""

    def __init__(self, device, ready, count):
        self.shape, self._device, self._ready = (count, 2 + len(VOTES)), device, ready

    def numpy(self):
        self._device.wait_until(self._ready)
        return np.ones(self.shape, np.float32)


@pytest.fixture(scope="module")
def pair_set(toy_pairs):
    return pairs.read(toy_pairs)


def _train(pair_set, folder, device, monkeypatch, validation, **training):
    """Train the device for a while; return the run, its log and its outcome."""

    def validate(*_):
        device.now += validation
        return {"val_loss": 1.0, "val_l1": 1.0, "val_psnr_composite": 20.0, "val_psnr_hole": 10.0}

    image = keras.Input((32, 32, 3))
    painted = keras.layers.Conv2D(3, 1)(image)
    monkeypatch.setattr(loop, "build_configured", lambda *_: keras.Model(image, {"inpainted_image": painted}))
    monkeypatch.setattr(loop, "validate", validate)
    config = RunConfig(
        data=DataConfig(cache="off"),
        model=ModelConfig(image_size=32),
        loss=LossConfig({"l1": 1.0}),
        training=TrainingConfig(batch_size=BATCH, steps_per_call=1, **training),
    )
    run, lines = rundir.create(folder, "timed", config, {}), []
    trainer = loop.Trainer(run, pair_set, lines.append, started_at=0.0)
    trainer._step = device
    outcome = trainer.train(StopSignal())
    return run, lines, outcome


def test_waiting_for_the_device_counts_and_validation_does_not(pair_set, tmp_path, monkeypatch):
    device = Device(monkeypatch, step=0.05)
    run, lines, outcome = _train(
        pair_set, tmp_path, device, monkeypatch, validation=30.0, epochs=80 / 7, validate_steps=40
    )
    assert outcome.reason == "finished" and outcome.step == 80
    (budget,) = (line for line in lines if line.startswith("budget"))
    assert float(re.search(r"([\d.]+) images/s", budget)[1]) == pytest.approx(BATCH / 0.05, rel=0.01)
    assert [row["train_seconds"] for row in run.history()] == pytest.approx([2.0, 4.0], abs=0.11)
    # Two validations of 30 s, and the steps.
    assert device.now == pytest.approx(64, abs=0.2)


def test_the_first_validation_fits_into_the_time_limit(pair_set, tmp_path, monkeypatch):
    validation_pairs = len(pair_set.split("val"))
    device = Device(monkeypatch, step=0.5, tracing=4.0)
    # The time of tracing again, and a third of a step's time for each image.
    validation = 4.0 + validation_pairs * 0.5 / BATCH / 3
    _, _, outcome = _train(
        pair_set, tmp_path, device, monkeypatch, validation, epochs=100, validate_steps=600, max_hours=30 / 3600
    )
    assert outcome.reason == "time" and 28 < device.now <= 30
