"""What a training step costs here, as the loop takes it: fused batch norms and Adam, the original's loss."""

from __future__ import annotations

import tensorflow as tf

from rac_unet.config import ModelConfig, RunConfig
from rac_unet.models import build_configured
from rac_unet.models.cost import forward_flops
from rac_unet.models.fused import fuse_batch_norms
from rac_unet.objectives.losses import make_loss
from rac_unet.scoring.speed import matrix_multiply_rate, median_seconds, random_batch
from rac_unet.training.optimizers import make_optimizer


def training_rate(model: ModelConfig, batch_size: int, repeats: int) -> dict:
    """Pictures per second and GFLOP/s of a whole training step (`ms_ssim_l1`, Adam); 3 forward passes' worth of work.

    The machine's matrix-multiply rate is measured right before and right after, for the share.
    """
    network = fuse_batch_norms(build_configured(model))
    flops = forward_flops(network)
    optimizer = make_optimizer(RunConfig(model=model), total_steps=1)
    optimizer.build(network.trainable_variables)
    loss = make_loss({"ms_ssim_l1": 1.0})

    @tf.function
    def step(inputs, targets):
        with tf.GradientTape() as tape:
            total = tf.reduce_mean(loss(targets, network(inputs, training=True))[0])
        variables = network.trainable_variables
        optimizer.apply(tape.gradient(total, variables), variables)
        return total

    batch = random_batch(model, batch_size)
    before = matrix_multiply_rate()
    seconds = median_seconds(lambda: step(*batch).numpy(), repeats)
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
