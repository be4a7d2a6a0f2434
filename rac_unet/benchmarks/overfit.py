"""Overfit every network on eight toy faces, to see whether it can learn at all.

A network that cannot reproduce a few training faces has a broken path: vanishing gradients, a skip connection that has
no effect, or batch-norm statistics in inference that are not those of the training.
"""

from __future__ import annotations

import numpy as np

from rac_unet.core.config import ModelConfig
from rac_unet.core.emotions import EMOTIONS
from rac_unet.core.errors import UserError
from rac_unet.core.registry import MODELS

# With these settings every network exceeds 30 dB. Adam makes weights before a batch norm grow, and the larger they are,
# the less a step changes the picture: without weight decay RAC-UNET ends at 29 dB. With Adam's usual memory of 1,000
# squared gradients and no warm-up, the large gradients of the first steps slow all later steps, and it ends at 25 dB.
FILTERS, IMAGE_SIZE, PAIRS, STEPS = 8, 64, 8, 500
LEARNING_RATE, BETA_2, WEIGHT_DECAY = 1e-2, 0.95, 0.3
READING_WEIGHT = 0.01


def every_network(filters: int, image_size: int) -> dict[str, ModelConfig]:
    """Return name -> network: all of `MODELS`; those that take a label also without it, as `{name}_unlabelled`.

    A network that enlarges another one is left out: it starts with trained weights.
    """
    networks = {}
    for name, network in MODELS.items():
        if network.enlarges:
            continue
        if network.takes_label:
            networks[name] = ModelConfig(name, filters, image_size, conditioned=True)
        suffix = "_unlabelled" if network.takes_label else ""
        networks[name + suffix] = ModelConfig(name, filters, image_size, conditioned=False)
    return networks


def overfit_all(seed: int = 0) -> dict[str, float | int]:
    """Return the PSNR of every network after overfitting the same few pairs, in dB; see `overfit`."""
    inputs, truth = make_toy_batch(PAIRS, IMAGE_SIZE)
    result: dict[str, float | int] = {"filters": FILTERS, "image_size": IMAGE_SIZE, "pairs": PAIRS, "steps": STEPS}
    for name, model in every_network(FILTERS, IMAGE_SIZE).items():
        decibels = overfit(model, inputs, truth, STEPS, seed)
        result[f"{name}_psnr"] = float(decibels.mean())
        result[f"{name}_psnr_of_the_worst_picture"] = float(decibels.min())
    return result


def overfit(model: ModelConfig, inputs: dict[str, np.ndarray], truth: np.ndarray, steps: int, seed: int) -> np.ndarray:
    """Train a new network on one batch and score it on the same batch in inference mode.

    The loss is L1, plus a small weight of `visible_emotion` if the network has this output. The optimizer is AdamW with
    a warm-up over the first tenth of the steps and a cosine decay to zero. Seeds Keras's random numbers for the whole
    process.

    Args:
        inputs: `masked_image` (B, S, S, 3) float32 in [0, 1], and `emotion` (B, 7) one-hot.
        truth: (B, S, S, 3) float32 in [0, 1].
        steps: training steps.
    Returns: (B,) PSNR in dB of the raw outputs, clipped to [0, 1].
    Raises: UserError when the loss is no longer finite.
    """
    import keras
    import tensorflow as tf

    from rac_unet.models import build_configured
    from rac_unet.objectives.losses import make_loss
    from rac_unet.scoring.metrics import psnr

    keras.utils.set_random_seed(seed)
    network = build_configured(model)
    variables = network.trainable_variables
    warmup = steps // 10
    rate = keras.optimizers.schedules.CosineDecay(
        LEARNING_RATE / 100, steps - warmup, warmup_target=LEARNING_RATE, warmup_steps=warmup
    )
    # The rate is set before each step: Keras would trace a schedule again for the decay of every variable.
    optimizer = keras.optimizers.AdamW(LEARNING_RATE, beta_2=BETA_2, weight_decay=WEIGHT_DECAY)
    optimizer.build(variables)
    batch = {name: tf.constant(inputs[name]) for name in network.input}
    targets = {"unmasked_image": tf.constant(truth), "emotion": tf.constant(inputs["emotion"])}
    reads = {"visible_emotion": READING_WEIGHT} if "visible_emotion" in network.output else {}
    loss_of = make_loss({"l1": 1.0, **reads})

    @tf.function(autograph=False)
    def step():
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(loss_of(targets, network(batch, training=True))[0])
        optimizer.apply(tape.gradient(loss, variables), variables)
        return loss

    for number in range(steps):
        optimizer.learning_rate = rate(number)
        loss = step()
    if not np.isfinite(loss.numpy()):
        raise UserError(f"{network.name}: the loss is {loss.numpy()} after {steps} steps of overfitting", "diverged")
    picture = network(batch, training=False)["inpainted_image"].numpy()
    return psnr(truth, np.clip(picture, 0, 1))


def make_toy_batch(count: int, size: int) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Draw masked toy faces, always the same: each of another person, the emotions in turn.

    Args:
        count: number of faces.
        size: side in pixels, 48 or more.
    Returns: inputs `masked_image` (B, S, S, 3) float32 in [0, 1] and `emotion` (B, 7) float32 one-hot, and the truth
        (B, S, S, 3).
    """
    from rac_unet.synthesis.masks.painting import STYLES, paint_mask
    from rac_unet.synthesis.toys.face import draw_face

    masked, unmasked, labels = [], [], []
    for i in range(count):
        emotion = i % len(EMOTIONS)
        face = draw_face(identity=i, emotion=EMOTIONS[emotion], seed=i, size=size)
        masked.append(paint_mask(face.image, face.points, STYLES[i % len(STYLES)], seed=i).image)
        unmasked.append(face.image)
        labels.append(np.eye(len(EMOTIONS), dtype=np.float32)[emotion])
    scaled = [np.stack(pictures).astype(np.float32) / 255 for pictures in (masked, unmasked)]
    return {"masked_image": scaled[0], "emotion": np.stack(labels)}, scaled[1]
