"""Every network overfits a few faces.

The PSNR after so few steps differs by decibels between processors, because rounding errors grow from step to step.
`python -m rac_unet.benchmark --parts overfit` finds a network with a broken path, and tests/models checks every path.
RAC-UNET without its label is only in that command: its paths are the same.
"""

import numpy as np
import pytest

from rac_unet.benchmarks.overfit import every_network, make_toy_batch, overfit
from rac_unet.scoring.metrics import psnr

NETWORKS = every_network(filters=8, image_size=48)
STEPS = 100
# Mean dB above each face's mean colour, and above the masked input. Measured: 4.7 to 11.
LEARNED = 2.0


@pytest.fixture(scope="module")
def batch():
    return make_toy_batch(2, 48)


def test_a_toy_batch_has_masked_faces_with_their_labels(batch):
    inputs, truth = batch
    assert inputs["masked_image"].shape == truth.shape == (2, 48, 48, 3) and truth.max() <= 1
    np.testing.assert_array_equal(inputs["emotion"], np.eye(7)[:2])
    differ = (inputs["masked_image"] != truth).any(-1).mean(axis=(1, 2))
    assert (differ > 0.1).all() and (differ < 0.7).all()
    np.testing.assert_array_equal(make_toy_batch(2, 48)[1], truth)


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in NETWORKS if not name.endswith("_unlabelled")])
def test_overfits(name, batch):
    inputs, truth = batch
    decibels = overfit(NETWORKS[name], inputs, truth, STEPS, seed=0)
    assert decibels.shape == (2,)
    flat = psnr(truth, np.broadcast_to(truth.mean(axis=(1, 2), keepdims=True), truth.shape)).mean()
    unchanged = psnr(truth, inputs["masked_image"]).mean()
    assert decibels.mean() > max(flat, unchanged) + LEARNED
