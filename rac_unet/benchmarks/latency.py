"""Time a network for one picture on a given number of threads, in a new process.

TensorFlow's number of threads belongs to the process, and earlier computations leave caches and memory pools behind, so
each time is measured in a new process.
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
# A wide network takes seconds per picture and gets fewer repeats, but at least this number.
SECONDS, FEWEST = 10.0, 5
# If a machine's rate changes by more than this share, something else was running.
STEADY = 0.10


def picture_milliseconds(path: str | Path, threads: int) -> dict[str, float]:
    """Measure the time from a masked picture in memory to the inpainted one, one picture at a time.

    Args:
        path: a network that `load_runner` opens.
        threads: number of threads.
    Returns: `median` and `least` in milliseconds, and `repeats`.
    Raises: as `load_runner`.
    """
    return _in_new_process(str(path), _time, str(path), threads)


def machine_rate(threads: int) -> float:
    """Return the GFLOP/s of a float32 matrix product on this number of threads, to compare machines by."""
    return _in_new_process("the machine", _rate, threads)


def is_steady(before: float, after: float) -> bool:
    """Return whether the machine's rate before and after is equal enough that nothing else was running."""
    return abs(after - before) <= STEADY * max(before, after)


def _in_new_process(name: str, function, *arguments):
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        try:
            return pool.submit(function, *arguments).result()
        except BrokenProcessPool:
            raise UserError(
                f"the process that timed {name} was killed; check that there is enough memory and the file is intact",
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
