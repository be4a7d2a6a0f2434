"""How long a network takes to paint, as a user would wait for it: results fetched before the clock stops."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np

from rac_unet.core.emotions import EMOTIONS
from rac_unet.runtime.runners import Runner

WARM_UP, REPEATS = 3, 30
# A wide network on a small machine takes seconds a batch; then fewer repeats must do, but never fewer than this.
SECONDS, FEWEST = 8.0, 5


def prediction_time(runner: Runner, batch_size: int) -> dict[str, Any]:
    """Milliseconds per picture, one at a time and in batches.

    Returns: JSON-able: `one` and `batch`, each with batch_size, median, p95 (ms per picture) and repeats.
    """
    sizes = {"one": 1, "batch": batch_size}
    return {name: {"batch_size": size, **_measure(runner, size)} for name, size in sizes.items()}


def call_times(call: Callable[[], Any], repeats: int, fewest: int, seconds: float) -> list[float]:
    """Milliseconds of each of `repeats` calls, or of fewer where those take longer than `seconds`, but `fewest`."""
    taken: list[float] = []
    began = time.perf_counter()
    while len(taken) < repeats and (len(taken) < fewest or time.perf_counter() - began < seconds):
        start = time.perf_counter()
        call()
        taken.append(1000 * (time.perf_counter() - start))
    return taken


def _measure(runner: Runner, size: int) -> dict[str, float]:
    image = np.random.default_rng(0).random((size, runner.image_size, runner.image_size, 3), np.float32)
    label = np.eye(len(EMOTIONS), dtype=np.float32)[np.arange(size) % len(EMOTIONS)]
    for _ in range(WARM_UP):
        runner(image, label)
    taken = [each / size for each in call_times(lambda: runner(image, label), REPEATS, FEWEST, SECONDS)]
    return {"median": float(np.median(taken)), "p95": float(np.percentile(taken, 95)), "repeats": len(taken)}


def describe_cost(cost: dict[str, Any]) -> str:
    """One line: size and time, the device named."""
    one, batch = cost["milliseconds_per_picture"]["one"], cost["milliseconds_per_picture"]["batch"]
    flops = f", {cost['gflop_per_picture']:.2f} GFLOP a picture" if cost.get("gflop_per_picture") else ""
    parameters = f"{cost['parameters']:,} parameters, " if cost["parameters"] is not None else ""
    return (
        f"{parameters}{cost['megabytes']:.1f} MB{flops}; a picture takes {one['median']:.1f} ms "
        f"(95 % under {one['p95']:.1f}), {batch['median']:.1f} ms in batches of {batch['batch_size']}, on "
        f"{cost['device']}"
    )
