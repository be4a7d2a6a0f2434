"""Measure a running training: losses, rate, input-pipeline wait, and the progress lines."""

from __future__ import annotations

import math
import time
from collections.abc import Callable

import numpy as np

from rac_unet.core.progress import format_seconds

# Losses are read in blocks, so that an accelerator does not wait for the host after each step.
READ_EVERY = 10
LINE_SECONDS = 10
# Number of calls that trace, compile and fill queues, and of steps measured after them.
WARM_UP_CALLS, MEASURED_STEPS = 2, 20
# Above this share of the time, a warning says that the input pipeline slows training down.
INPUT_SHARE = 0.05


class Meter:
    """Sum the losses between validations, measure time and print progress.

    A device may still compute after a call has returned. Reading the losses waits for it, so time is measured from one
    reading to the next.

    Args:
        names: names of the losses, the total first.
        batch_size: pairs per step.
        total_steps: number of steps of the whole training.
        step, train_seconds: start values of a resumed training.
        log: called with each line.
        on_nan: called with the names of losses that are not finite; raises an error.
        on_rate: called once with images/s after warm-up.

    Attributes:
        calls: number of calls in this process.
        train_seconds: training time up to the last reading, without validations and backups.
    """

    def __init__(
        self,
        names: list[str],
        batch_size: int,
        total_steps: int,
        step: int,
        train_seconds: float,
        log,
        on_nan: Callable[[list[str]], None],
        on_rate: Callable[[float], None],
    ):
        self._names, self._batch_size, self._total = names, batch_size, total_steps
        self._log, self._on_nan, self._on_rate = log, on_nan, on_rate
        self.step, self.train_seconds = step, train_seconds
        # Losses summed since the last validation.
        self.round_sums, self.round_count = np.zeros(len(names)), 0
        self._unread: list = []
        self._last_line = time.monotonic()
        self.calls = 0
        # Since the end of the warm-up: steps, seconds, and seconds of input-pipeline wait.
        self._steps, self._seconds, self._waited = 0, 0.0, 0.0
        # The last reading: its time, whether the warm-up was over by then, seconds of input-pipeline wait since then.
        self._read_at, self._is_warm, self._waited_since = time.monotonic(), False, 0.0
        self._rate_reported = self._input_reported = False

    def start_clock(self) -> None:
        """Restart the clock after time not spent on training; all losses must have been read before."""
        self._read_at = time.monotonic()

    def end_call(self, values, count: int, waited: float) -> None:
        """Record a call of `count` steps, which the device may not have finished.

        Args:
            values: (count, losses) tensor, not read yet.
            count: number of steps.
            waited: seconds that the call waited for its batch.
        """
        self._unread.append(values)
        self.step += count
        self.calls += 1
        self._waited_since += waited

    def is_due(self) -> bool:
        """Return whether it is time to read the losses."""
        waiting = sum(values.shape[0] for values in self._unread)
        # Measuring starts at the end of the warm-up.
        late = waiting >= READ_EVERY or time.monotonic() - self._last_line >= LINE_SECONDS
        return late or self.calls == WARM_UP_CALLS

    def read(self) -> np.ndarray | None:
        """Wait for the losses of all calls and print due lines; return the last step's values, or None."""
        last, steps = None, sum(values.shape[0] for values in self._unread)
        for values in self._unread:
            last = values.numpy()
            losses = last[:, : len(self._names)]
            if not np.isfinite(losses).all():
                bad = ~np.isfinite(losses).all(axis=0)
                self._on_nan([name for name, is_bad in zip(self._names, bad, strict=True) if is_bad])
            self.round_sums += losses.sum(axis=0, dtype=np.float64)
            self.round_count += len(losses)
            last = last[-1]
        self._unread.clear()
        self._count_time(steps)
        if not self._rate_reported and self._steps >= MEASURED_STEPS:
            self.report_rate()
        if time.monotonic() - self._last_line >= LINE_SECONDS and self._steps:
            self._last_line = time.monotonic()
            self._line()
        return last

    def _count_time(self, steps: int) -> None:
        """Add the time since the last reading, in which the device finished `steps`."""
        now = time.monotonic()
        seconds, self._read_at = now - self._read_at, now
        self.train_seconds += seconds
        if self._is_warm:
            self._steps, self._seconds = self._steps + steps, self._seconds + seconds
            self._waited += self._waited_since
        self._is_warm, self._waited_since = self.calls >= WARM_UP_CALLS, 0.0

    def report_rate(self) -> None:
        """Report the rate after warm-up once, even after few steps."""
        if not self._rate_reported and self._steps:
            self._rate_reported = True
            self._on_rate(self.rate)

    @property
    def rate(self) -> float:
        """Images per second after warm-up; 0 before the first reading."""
        return self._steps * self._batch_size / max(self._seconds, 1e-9)

    @property
    def seconds_behind(self) -> float:
        """Expected seconds until the device has finished all unread calls; 0 if the rate is unknown."""
        if not self._unread or not self._steps:
            return 0.0
        steps = sum(values.shape[0] for values in self._unread)
        return max(0.0, self._read_at + steps * self._seconds / self._steps - time.monotonic())

    @property
    def input_share(self) -> float:
        """Share of the time after warm-up that the loop waited for the input pipeline.

        This is an upper bound of the device's idle time, since the device may still compute during the wait.
        """
        return self._waited / max(self._seconds, 1e-9)

    def round_means(self) -> dict[str, float]:
        """Return the mean losses since the last validation."""
        means = self.round_sums / max(self.round_count, 1)
        return dict(zip(self._names, means.tolist(), strict=True))

    def start_round(self) -> None:
        """Start new means."""
        self.round_sums, self.round_count = np.zeros_like(self.round_sums), 0

    def _line(self) -> None:
        left = (self._total - self.step) * self._batch_size / self.rate
        step_ms = 1000 * self._seconds / self._steps
        loss = self.round_means()["loss"] if self.round_count else math.nan
        self._log(
            f"  step {self.step:,}/{self._total:,} ({100 * self.step / self._total:.0f} %), loss {loss:.4f}, "
            f"{self.rate:.1f} images/s, step {step_ms:.0f} ms of which input {100 * self.input_share:.1f} %, "
            f"{format_seconds(left)} left"
        )
        if self.input_share > INPUT_SHARE and self._seconds > 2 * LINE_SECONDS and not self._input_reported:
            self._input_reported = True
            self._log(
                f"warning  {100 * self.input_share:.0f} % of the time is input-pipeline wait: --data.cache memory or "
                "disk decodes each picture once; pairs stored at the training size are read faster than larger ones"
            )
