"""Several devices and processes have the losses of one device, one process writes, and missing devices are refused."""

import json
import socket

import numpy as np
import pytest

from rac_unet.core.config import DataConfig, OptimizerConfig, RunConfig, TrainingConfig
from rac_unet.core.rundir import RunDir
from rac_unet.train import main
from rac_unet.training.hardware.distribution import make_distribution, refuse_uneven_batch, scale_to_replicas
from tests.forked import Training
from tests.refusals import refused

pytestmark = pytest.mark.usefixtures("tiny_networks")

STEPS, EVERY = 18, 6
OPTIONS = [
    *("--preset", "smoke", "--model.image_size", "32", "--optimizer.ema", "0.9", "--optimizer.clip_norm", "1"),
    # Adam takes steps of the same size for gradients of any size, which amplifies rounding errors from step to step; at
    # this learning rate slowly enough to distinguish them from a mistake.
    *("--optimizer.learning_rate", "1e-5", "--optimizer.schedule", "constant", "--data.label_dropout", "0.2"),
    *("--training.epochs", str(STEPS / 7), "--training.validate_steps", str(EVERY), "--training.sample_every", "1000"),
    # Losses are computed per image, so any will do; these are the fastest to trace.
    *("--loss.terms", "{l1: 1, hole_l1: 100}"),
]


def _words(toy_pairs, runs, *more):
    return [*OPTIONS, "--data.path", str(toy_pairs), "--runs", str(runs), *more]


def _losses(runs):
    (run,) = runs.glob("*")
    history = RunDir(run).history()
    assert len(history) == STEPS // EVERY
    return np.array([[row["loss"], row["val_loss"]] for row in history])


@pytest.fixture(scope="module")
def alone(toy_pairs, tmp_path_factory):
    runs = tmp_path_factory.mktemp("alone")
    assert main(_words(toy_pairs, runs)) == 0
    return _losses(runs)


@pytest.mark.slow
def test_two_devices_have_the_losses_of_one(toy_pairs, tmp_path, alone):
    # Calls of four and of two steps: every second validation interrupts a block.
    options = ["--training.strategy", "mirrored", "--training.replicas", "2", "--training.steps_per_call", "4"]
    output = Training(_words(toy_pairs, tmp_path / "runs", *options), tmp_path / "said").finish()
    assert "mirrored, 2 devices" in output
    np.testing.assert_allclose(_losses(tmp_path / "runs"), alone, rtol=1e-4)


@pytest.mark.slow
def test_two_processes_have_the_losses_of_one_and_one_of_them_writes(toy_pairs, tmp_path, alone):
    with socket.socket() as first, socket.socket() as second:
        for s in (first, second):
            s.bind(("127.0.0.1", 0))
        addresses = [f"127.0.0.1:{s.getsockname()[1]}" for s in (first, second)]

    def worker(index):
        task = {"cluster": {"worker": addresses}, "task": {"type": "worker", "index": index}}
        words = _words(toy_pairs, tmp_path / f"worker{index}")
        return Training(words, tmp_path / f"said{index}", TF_CONFIG=json.dumps(task))

    outputs = [process.finish() for process in [worker(0), worker(1)]]
    assert "multi_worker, 2 devices" in outputs[0] and "worker 0 has the run directory" in outputs[1]
    np.testing.assert_allclose(_losses(tmp_path / "worker0"), alone, rtol=1e-4)
    assert not (tmp_path / "worker1").exists()


def test_scaling_is_applied_once():
    config = RunConfig(
        optimizer=OptimizerConfig(learning_rate=1e-3), training=TrainingConfig(batch_size=8, scaling="sqrt")
    )
    scaled = scale_to_replicas(config, 4)
    assert scaled.training.batch_size == 32 and scaled.optimizer.learning_rate == 2e-3
    assert scale_to_replicas(scaled, 4) == scaled
    plain = RunConfig(training=TrainingConfig(batch_size=8))
    assert scale_to_replicas(plain, 4) == plain


def _config(batch_size, **data):
    return RunConfig(data=DataConfig(**data), training=TrainingConfig(batch_size=batch_size))


@pytest.mark.parametrize(("devices", "near"), [(3, "6 or 9"), (16, "16")])
def test_a_batch_that_cannot_be_divided_is_refused(devices, near):
    with refused("mismatch", "batch of 8", f"{devices} devices", f"--training.batch_size {near}"):
        refuse_uneven_batch(_config(8), devices)


def test_mixup_needs_even_numbers_of_pairs_per_device():
    with refused("mismatch", "batch of 6", "2 devices", "--data.mixup", "--training.batch_size 4 or 8"):
        refuse_uneven_batch(_config(6, mixup=0.5), 2)
    with refused("mismatch", "--data.mixup", "--training.batch_size 16"):
        scale_to_replicas(_config(8, mixup=0.5), 8)
    refuse_uneven_batch(_config(6), 2)
    refuse_uneven_batch(_config(6, mixup=0.5, augment=False), 2)
    refuse_uneven_batch(_config(8, mixup=0.5), 4)
    refuse_uneven_batch(_config(5, mixup=1), 1)


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("", "usage"),
        ("{", "bad_value"),
        ('{"cluster": {"worker": ["a:1"]}, "task": {"type": "worker", "index": 1}}', "bad_value"),
        ('{"cluster": {"worker": ["a:1"], "ps": ["b:1"]}, "task": {"type": "ps", "index": 0}}', "bad_value"),
    ],
)
def test_invalid_tf_config_is_refused(monkeypatch, text, kind):
    monkeypatch.setenv("TF_CONFIG", text)
    with refused(kind, "TF_CONFIG", text, "10.0.0.1:2222"):
        make_distribution("multi_worker")


def test_missing_devices_are_refused():
    with refused("usage", "--training.strategy one", "not 2"):
        make_distribution("one", 2)
    with refused("device", "TPU", "--training.strategy"):
        make_distribution("tpu")
    assert make_distribution("auto").replicas == 1
