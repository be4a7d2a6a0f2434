"""How long a network takes for one picture on so many threads, in a process of its own.

TensorFlow's number of threads belongs to the process, and what was computed before leaves caches and pools behind; so
each figure comes from a new one.
"""

from __future__ import annotations

import multiprocessing
import statistics
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

from rac_unet.benchmarks.speed import matrix_multiply_rate
from rac_unet.core.emotions import EMOTIONS
from rac_unet.core.errors import UserError
from rac_unet.core.quiet import silenced_stderr
from rac_unet.runtime.keras_forms import limit_threads
from rac_unet.runtime.runners import load_runner
from rac_unet.scoring.prediction_time import call_times

WARM_UP, REPEATS = 10, 200
# A wide network takes seconds a picture; then fewer repeats must do, but never fewer than this.
SECONDS, FEWEST = 10.0, 5
# Two measurements of one machine's rate that differ by more than this say that something else was computing.
STEADY = 0.10


def picture_milliseconds(path: str | Path, threads: int) -> dict[str, float]:
    """Time from a masked picture in memory to what was painted, one picture at a time.

    Args:
        path: what `load_runner` opens.
    Returns: `median` and `least` in milliseconds, and `repeats`.
    Raises: as `load_runner`.
    """
    return _in_new_process(str(path), _time, str(path), threads)


def machine_rate(threads: int) -> float:
    """GFLOP/s of a float32 matrix product on so many threads: what times on two machines can be compared by."""
    return _in_new_process("the machine", _rate, threads)


def is_steady(before: float, after: float) -> bool:
    """Whether the machine's rate before and after says that nothing else was computing."""
    return abs(after - before) <= STEADY * max(before, after)


def _in_new_process(name: str, function, *arguments):
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        try:
            return pool.submit(function, *arguments).result()
        except BrokenProcessPool:
            raise UserError(
                f"the process that was to time {name} was killed; is there enough memory, and is it whole?",
                "device",
            ) from None


def _time(path: str, threads: int) -> dict[str, float]:
    import numpy as np

    with silenced_stderr():
        runner = load_runner(path, threads)
        image = np.random.default_rng(0).random((1, runner.image_size, runner.image_size, 3), np.float32)
        label = np.eye(1, len(EMOTIONS), dtype=np.float32)
        for _ in range(WARM_UP):
            runner(image, label)
    taken = call_times(lambda: runner(image, label), REPEATS, FEWEST, SECONDS)
    return {"median": statistics.median(taken), "least": min(taken), "repeats": len(taken)}


def _rate(threads: int) -> float:
    with silenced_stderr():
        limit_threads(threads)
        return matrix_multiply_rate()
