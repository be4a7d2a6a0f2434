"""Time of a training step as the loop takes it, on one device and distributed over several."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import keras
import numpy as np
import tensorflow as tf

from rac_unet.benchmarks.speed import WARM_UP, matrix_multiply_rate, median_seconds
from rac_unet.core.config import LossConfig, ModelConfig, RunConfig
from rac_unet.models import build_configured
from rac_unet.models.cost import forward_flops
from rac_unet.models.fused import fuse_batch_norms
from rac_unet.objectives.losses import make_loss
from rac_unet.scoring.prediction_time import call_times
from rac_unet.training.hardware.distribution import Distribution, make_distribution
from rac_unet.training.optimizers import MovingAverage, make_optimizer
from rac_unet.training.step import TrainingStep


@dataclass(frozen=True)
class Step:
    """A training step to time.

    Attributes:
        take: takes a step on random pictures, waits for it, and returns its losses (1, names), the total first.
        network: what it trains.
    """

    take: Callable[[], np.ndarray]
    network: keras.Model


def training_rate(filters: int, image_size: int, batch_size: int, repeats: int) -> dict:
    """Measure pictures per second and GFLOP/s of a training step (`ms_ssim_l1`, Adam), counted as 3 forward passes.

    The machine's matrix-multiply rate is measured right before and right after, for the share.
    """
    step = _default_step(filters, image_size, batch_size, make_distribution("one"))
    flops = forward_flops(step.network)
    before = matrix_multiply_rate()
    seconds = median_seconds(step.take, repeats)
    after = matrix_multiply_rate()
    gflops = 3 * flops * batch_size / seconds / 1e9
    return {
        "filters": filters,
        "seconds_per_step": seconds,
        "pictures_per_second": batch_size / seconds,
        "gflops": gflops,
        "matrix_multiply_gflops_before": before,
        "matrix_multiply_gflops_after": after,
        "share_of_matrix_multiply_rate": gflops / ((before + after) / 2),
    }


def replica_rate(filters: int, image_size: int, batch_size: int, repeats: int, replicas: int = 2) -> dict:
    """Measure pictures per second of a step of the same batch on one device and on several, timed alternately.

    On GPUs if there are enough; otherwise on logical CPUs, which share the processor's cores, so that the distance of
    the ratio from 1 is the cost of distributing.
    """
    mirrored = make_distribution("mirrored", replicas)
    alone = _default_step(filters, image_size, batch_size, make_distribution("one")).take
    together = _default_step(filters, image_size, batch_size, mirrored).take
    pairs = [[call_times(take, 1)[0] / 1000 for take in (alone, together)] for _ in range(WARM_UP + repeats)][WARM_UP:]
    one, several = (float(np.median(column)) for column in zip(*pairs, strict=True))
    return {
        "filters": filters,
        "devices": replicas,
        "pictures_per_second_on_one": batch_size / one,
        "pictures_per_second_together": batch_size / several,
        "ratio": one / several,
        "median_ratio_of_neighbours": float(np.median([a / b for a, b in pairs])),
    }


def make_step(
    config: RunConfig,
    batch_size: int,
    distribution: Distribution,
    optimizer,
    make_average: Callable[[list], MovingAverage],
    fused: bool = True,
) -> Step:
    """Build a network and the step that trains it on the same random batch again and again.

    Args:
        optimizer: not yet built, with the methods of `rac_unet.training.optimizers.Adam` that `TrainingStep` calls.
        make_average: function of the network's weights to their moving average.
        fused: whether batch norms are replaced by the fused version, as in a training.
    """
    with distribution.strategy.scope():
        network = build_configured(config.model)
        if fused:
            network = fuse_batch_norms(network, distribution.replicas > 1)
        optimizer.build(network.trainable_variables)
        average = make_average(network.weights)
    step = TrainingStep(network, optimizer, average, make_loss(config.loss.terms), config, distribution, False)
    rng = np.random.default_rng(0)
    share, size = batch_size // distribution.replicas, config.model.image_size
    parts = [
        (
            tf.constant(rng.integers(0, 256, (1, share, size, size, 7)), tf.uint8),
            tf.constant(rng.integers(0, 7, (1, share))),
            tf.constant(rng.random((1, share, 16)), tf.float32),
        )
        for _ in range(distribution.replicas)
    ]
    block = parts[0]
    if distribution.replicas > 1:
        block = distribution.strategy.experimental_distribute_values_from_function(
            lambda context: parts[context.replica_id_in_sync_group]
        )
    return Step(lambda: step(block, 0, 1).numpy(), network)


def _default_step(filters: int, image_size: int, batch_size: int, distribution: Distribution) -> Step:
    """Make a step of the default network and optimizer with `ms_ssim_l1`, without a moving average."""
    model = ModelConfig(filters=filters, image_size=image_size)
    config = RunConfig(model=model, loss=LossConfig({"ms_ssim_l1": 1.0}))
    with distribution.strategy.scope():
        optimizer = make_optimizer(config, total_steps=1)
    return make_step(config, batch_size, distribution, optimizer, lambda weights: MovingAverage(weights, 0.0))
