"""Measure the size of a network and the time it takes, until its results are in main memory."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from rac_unet.core.emotions import EMOTIONS
from rac_unet.core.provenance import device_name, processor_name
from rac_unet.runtime.runners import Runner

WARM_UP, REPEATS = 3, 30
# On a slow machine a batch can take seconds, so fewer repeats are made, but at least FEWEST.
SECONDS, FEWEST = 8.0, 5


def prediction_cost(runner: Runner, batch_size: int) -> dict[str, Any]:
    """Return metrics.json's section `cost`.

    Returns: parameters and gflop_per_picture (None if unknown), megabytes, device, and milliseconds_per_picture: `one`
        and `batch`, each with batch_size, median, p95 (ms per image) and repeats.
    """
    flops = runner.flops()
    sizes = {"one": 1, "batch": batch_size}
    return {
        "parameters": runner.parameters,
        "megabytes": runner.megabytes,
        "gflop_per_picture": None if flops is None else flops / 1e9,
        "milliseconds_per_picture": {name: {"batch_size": n, **_measure(runner, n)} for name, n in sizes.items()},
        # Networks of other formats than TensorFlow's run on the processor, even if there is a GPU.
        "device": processor_name() if flops is None else device_name(),
    }


def call_times(call: Callable[[], Any], repeats: int, fewest: int = 0, seconds: float = math.inf) -> list[float]:
    """Return the milliseconds of each call: of `repeats` calls, or of those within `seconds`, but at least `fewest`."""
    taken: list[float] = []
    began = time.perf_counter()
    while len(taken) < repeats and (len(taken) < fewest or time.perf_counter() - began < seconds):
        start = time.perf_counter()
        call()
        taken.append(1000 * (time.perf_counter() - start))
    return taken


def describe_cost(cost: dict[str, Any]) -> str:
    """Describe size, time and device in one line; `cost` is that of `prediction_cost`."""
    one, batch = cost["milliseconds_per_picture"]["one"], cost["milliseconds_per_picture"]["batch"]
    flops = f", {cost['gflop_per_picture']:.2f} GFLOP per image" if cost.get("gflop_per_picture") else ""
    parameters = f"{cost['parameters']:,} parameters, " if cost["parameters"] is not None else ""
    return (
        f"{parameters}{cost['megabytes']:.1f} MB{flops}; {one['median']:.1f} ms per image (95th percentile "
        f"{one['p95']:.1f}), {batch['median']:.1f} ms in batches of {batch['batch_size']}, on {cost['device']}"
    )


def _measure(runner: Runner, size: int) -> dict[str, float]:
    image = np.random.default_rng(0).random((size, runner.image_size, runner.image_size, 3), np.float32)
    label = np.eye(len(EMOTIONS), dtype=np.float32)[np.arange(size) % len(EMOTIONS)]
    for _ in range(WARM_UP):
        runner(image, label)
    taken = [each / size for each in call_times(lambda: runner(image, label), REPEATS, FEWEST, SECONDS)]
    return {"median": float(np.median(taken)), "p95": float(np.percentile(taken, 95)), "repeats": len(taken)}
