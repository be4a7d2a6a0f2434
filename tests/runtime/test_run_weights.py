"""Networks of runs: without an emotion input, and with weights that are damaged, of another network or not numbers."""

import numpy as np
import pytest

from rac_unet.core.config import ModelConfig, RunConfig
from rac_unet.models import build
from rac_unet.runtime.runners import load_network, load_runner
from tests.refusals import refused
from tests.runs import untrained_run

pytestmark = pytest.mark.usefixtures("tiny_networks")


def make_run(folder, conditioned=True):
    return untrained_run(folder, RunConfig(model=ModelConfig(filters=2, image_size=32, conditioned=conditioned)))


def test_a_network_without_emotion_runs_with_or_without_one(tmp_path):
    runner = load_runner(make_run(tmp_path, conditioned=False).path)
    image, emotion = np.random.default_rng(5).random((3, 32, 32, 3), np.float32), np.eye(7, dtype=np.float32)[:3]
    assert not runner.conditioned
    outputs = runner(image)["inpainted_image"], runner(image, emotion)["inpainted_image"]
    np.testing.assert_array_equal(*outputs)


def test_damaged_or_foreign_weights_are_refused(tmp_path):
    run = make_run(tmp_path)
    whole = run.best_weights.read_bytes()
    run.best_weights.write_bytes(whole[: len(whole) // 2])
    with refused("unreadable", run.best_weights):
        load_runner(run.path)
    model = build("rac_unet", filters=4, image_size=32)
    model.save_weights(run.best_weights)
    with refused("unreadable", run.best_weights, run.config_file):
        load_network(run)
    with refused("missing", run.path, "last"):
        load_network(run, "last")


def test_weights_that_are_not_numbers_are_refused(tmp_path):
    run = make_run(tmp_path)
    model = load_network(run)
    kernel = model.get_layer("second_conv").kernel.numpy()
    kernel[0, 0, 0, 0] = np.nan
    model.get_layer("second_conv").kernel.assign(kernel)
    model.save_weights(run.best_weights)
    with refused("diverged", run.best_weights, "second_conv"):
        load_network(run)
