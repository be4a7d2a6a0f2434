"""Time of a training step with this package's Adam, moving average and fused batch norm, against Keras's.

Every variant trains the same network on the same batch. A round times each variant once, right after the others, in a
rotating order; only ratios within a round are compared, since a machine's speed changes from minute to minute.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

import keras
import numpy as np

from rac_unet.benchmarks.speed import WARM_UP
from rac_unet.benchmarks.training_speed import make_step
from rac_unet.core.config import RunConfig, from_dict, preset_path, read_yaml
from rac_unet.training.hardware.distribution import make_distribution
from rac_unet.training.optimizers import AVERAGE_EVERY, YOUNG, MovingAverage, make_optimizer

PRESET = "rac_unet_lite"
# result -> the slower and the faster variant, if the own implementation gains anything.
COMPARISONS = {
    "adam": ("keras_adam", "own"),
    "average": ("keras_adam_and_average", "keras_adam"),
    "batch_norm": ("keras_batch_norm", "own"),
    "all": ("keras", "own"),
}


class _KerasAdam(keras.optimizers.Adam):
    """Keras's Adam with the additional method that `TrainingStep` needs."""

    def steps_taken(self):
        return self.iterations.value


def keras_step_ratios(image_size: int, batch_size: int, repeats: int, filters: int | None = None) -> dict:
    """Measure the time of a step with Keras's parts relative to this package's; above 1, the own part is faster.

    The network, losses and optimizer settings are those of the preset `rac_unet_lite`, with a constant learning rate.

    Args:
        repeats: rounds.
        filters: width of the network; None for the preset's.
    Returns: `seconds_per_step` (median, everything own), and for `adam`, `average` (EMA), `batch_norm` and `all` three
        together `keras_over_own_*`: the median of the rounds' ratios, and their quartiles as `*_low` and `*_high`.
    """
    variants = make_variants(image_size, batch_size, filters)
    names = list(variants)
    _warm_up(variants)
    seconds: dict[str, list[float]] = {name: [] for name in names}
    for number in range(repeats):
        first = number % len(names)
        for name in names[first:] + names[:first]:
            # So many steps that each variant moves its average as often as in a training.
            seconds[name].append(_seconds_per_step(variants[name], AVERAGE_EVERY))
    result: dict = {"rounds": repeats, "steps_per_round": AVERAGE_EVERY, "batch_size": batch_size}
    result["seconds_per_step"] = float(np.median(seconds["own"]))
    for comparison, (slower, faster) in COMPARISONS.items():
        ratios = np.divide(seconds[slower], seconds[faster])
        low, median, high = (float(value) for value in np.percentile(ratios, (25, 50, 75)))
        name = f"keras_over_own_{comparison}"
        result |= {name: median, f"{name}_low": low, f"{name}_high": high}
    return result


def make_variants(image_size: int, batch_size: int, filters: int | None = None) -> dict[str, Callable[[], float]]:
    """Return name -> function that takes a training step and returns its loss; all start with the same weights.

    `own` has this package's parts, `keras` none of them, and the others are named after what is Keras's in them.
    """
    config = from_dict(read_yaml(preset_path(PRESET)), PRESET)
    model = replace(config.model, image_size=image_size, filters=filters or config.model.filters)
    # Each optimizer has its own schedules, which cost next to nothing.
    settings = replace(config.optimizer, schedule="constant", warmup_steps=0)
    config = replace(config, model=model, optimizer=settings)

    def make(keras_adam: bool = False, keras_average: bool = False, keras_batch_norm: bool = False):
        keras.utils.set_random_seed(0)
        optimizer = _keras_adam(config, keras_average) if keras_adam else make_optimizer(config, total_steps=1)
        decay = 0.0 if keras_average else settings.ema
        step = make_step(
            config,
            batch_size,
            make_distribution("one"),
            optimizer,
            lambda weights: MovingAverage(weights, decay),
            fused=not keras_batch_norm,
        )
        # The first steps move the average more often than all later ones.
        (optimizer.iterations if keras_adam else optimizer.variables[0]).assign(YOUNG)
        return lambda: float(step.take()[0, 0])

    return {
        "own": make(),
        "keras_adam": make(keras_adam=True),
        "keras_adam_and_average": make(keras_adam=True, keras_average=True),
        "keras_batch_norm": make(keras_batch_norm=True),
        "keras": make(keras_adam=True, keras_average=True, keras_batch_norm=True),
    }


def _keras_adam(config: RunConfig, average: bool) -> _KerasAdam:
    settings = config.optimizer
    return _KerasAdam(
        settings.learning_rate,
        beta_2=settings.beta_2,
        global_clipnorm=settings.clip_norm or None,
        use_ema=average,
        ema_momentum=settings.ema,
        # The default is the class's name, whose underscore TensorFlow refuses.
        name="keras_adam",
    )


def _warm_up(variants: dict[str, Callable[[], float]]) -> None:
    for take in variants.values():
        for _ in range(WARM_UP):
            take()


def _seconds_per_step(take: Callable[[], float], steps: int) -> float:
    start = time.perf_counter()
    for _ in range(steps):
        take()
    return (time.perf_counter() - start) / steps
