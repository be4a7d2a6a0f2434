"""What a training step costs here, as the loop takes it; and what sharing it out among devices costs."""

from __future__ import annotations

import time

import numpy as np
import tensorflow as tf

from rac_unet.benchmarks.speed import matrix_multiply_rate
from rac_unet.core.config import LossConfig, ModelConfig, RunConfig
from rac_unet.models import build_configured
from rac_unet.models.cost import forward_flops
from rac_unet.models.fused import fuse_batch_norms
from rac_unet.objectives.losses import make_loss
from rac_unet.training.hardware.distribution import Distribution, make_distribution
from rac_unet.training.optimizers import MovingAverage, make_optimizer
from rac_unet.training.step import TrainingStep

WARM_UP = 3


def training_rate(model: ModelConfig, batch_size: int, repeats: int) -> dict:
    """Pictures per second and GFLOP/s of a whole training step (`ms_ssim_l1`, Adam); 3 forward passes' worth of work.

    The machine's matrix-multiply rate is measured right before and right after, for the share.
    """
    take, network = _make_step(model, batch_size, make_distribution("one"))
    flops = forward_flops(network)
    before = matrix_multiply_rate()
    seconds = float(np.median(_times(take, repeats)))
    after = matrix_multiply_rate()
    gflops = 3 * flops * batch_size / seconds / 1e9
    return {
        "filters": model.filters,
        "seconds_per_step": seconds,
        "pictures_per_second": batch_size / seconds,
        "gflops": gflops,
        "matrix_multiply_gflops_before": before,
        "matrix_multiply_gflops_after": after,
        "share_of_matrix_multiply_rate": gflops / ((before + after) / 2),
    }


def replica_rate(model: ModelConfig, batch_size: int, repeats: int, replicas: int = 2) -> dict:
    """Rate of a step of the same batch on one device and shared out among several, taken in turn.

    On GPUs where there are so many; otherwise on logical CPUs, which share the processor's cores, so that what is
    missing to a ratio of 1 is the cost of sharing.
    """
    shared = make_distribution("mirrored", replicas)
    alone, _ = _make_step(model, batch_size, make_distribution("one"))
    together, _ = _make_step(model, batch_size, shared)
    for take in (alone, together):
        _times(take, 0)
    pairs = [(_times(alone, 1, 0)[0], _times(together, 1, 0)[0]) for _ in range(repeats)]
    one, several = (float(np.median(column)) for column in zip(*pairs, strict=True))
    return {
        "filters": model.filters,
        "devices": replicas,
        "pictures_per_second_on_one": batch_size / one,
        "pictures_per_second_together": batch_size / several,
        "ratio": one / several,
        "median_ratio_of_neighbours": float(np.median([a / b for a, b in pairs])),
    }


def _make_step(model: ModelConfig, batch_size: int, distribution: Distribution):
    """A function that takes a step on random pictures, and the network."""
    config = RunConfig(model=model, loss=LossConfig({"ms_ssim_l1": 1.0}))
    with distribution.strategy.scope():
        network = fuse_batch_norms(build_configured(model), distribution.replicas > 1)
        optimizer = make_optimizer(config, total_steps=1)
        optimizer.build(network.trainable_variables)
        average = MovingAverage(network.weights, 0.0)
    step = TrainingStep(network, optimizer, average, make_loss(config.loss.terms), config, distribution, False)
    rng = np.random.default_rng(0)
    share, size = batch_size // distribution.replicas, model.image_size
    parts = [
        (
            tf.constant(rng.integers(0, 256, (1, share, size, size, 7)), tf.uint8),
            tf.constant(rng.integers(0, 7, (1, share))),
            tf.constant(rng.random((1, share, 7)), tf.float32),
        )
        for _ in range(distribution.replicas)
    ]
    block = parts[0]
    if distribution.replicas > 1:
        block = distribution.strategy.experimental_distribute_values_from_function(
            lambda context: parts[context.replica_id_in_sync_group]
        )
    return (lambda: step(block, 0, 1).numpy()), network


def _times(take, repeats: int, warm_up: int = WARM_UP) -> list[float]:
    seconds = []
    for i in range(warm_up + repeats):
        began = time.perf_counter()
        take()
        if i >= warm_up:
            seconds.append(time.perf_counter() - began)
    return seconds
