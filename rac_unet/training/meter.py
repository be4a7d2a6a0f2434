"""What a training costs while it runs: losses read back, rate, the wait for pictures, and the budget line."""

from __future__ import annotations

import math
import time
from collections.abc import Callable

import numpy as np

from rac_unet.core.progress import format_seconds

# Losses are read back in blocks, so that an accelerator never waits for the host after each step.
READ_EVERY = 10
LINE_SECONDS = 10
# Calls that trace, compile and fill queues, and how long is measured after them.
WARM_UP_CALLS, MEASURED_STEPS = 2, 20
# Above this share of a step the input is what holds training up.
INPUT_SHARE = 0.05


class Meter:
    """Sums losses between validations, counts time, prints progress.

    A device works on after the call that gave it its steps has returned, so time counts from one reading of the losses,
    which waits for the device, to the next.

    Args:
        names: of the losses, the total first.
        batch_size: pairs a step.
        total_steps: of the whole training.
        step, train_seconds: where it goes on from.
        log: called with each line.
        on_nan: called with the names of losses that are no numbers; raises.
        on_rate: called once, with images/s after warm-up.

    Attributes:
        calls: of steps, made in this process.
        train_seconds: up to the last reading, validations and backups excluded.
    """

    def __init__(self, names: list[str], batch_size: int, total_steps: int, step: int, train_seconds: float, log,
                 on_nan: Callable[[list[str]], None], on_rate: Callable[[float], None]):  # fmt: skip
        self._names, self._batch_size, self._total = names, batch_size, total_steps
        self._log, self._on_nan, self._on_rate = log, on_nan, on_rate
        self.step, self.train_seconds = step, train_seconds
        # Losses summed since the last validation.
        self.round_sums, self.round_count = np.zeros(len(names)), 0
        self._unread: list = []
        self._last_line = time.monotonic()
        self.calls = 0
        # Since the warm-up ended: steps, seconds, and seconds of them spent waiting for pictures.
        self._steps, self._seconds, self._waited = 0, 0.0, 0.0
        # Since the last reading: when that was, whether the warm-up was over by then, seconds waited for pictures.
        self._read_at, self._is_warm, self._waited_since = time.monotonic(), False, 0.0
        self._told_rate = self._told_input = False

    def start_clock(self) -> None:
        """Count time from now on: what came since the last reading was no training. All losses must have been read."""
        self._read_at = time.monotonic()

    def end_call(self, values, count: int, waited: float) -> None:
        """Note a call of `count` steps, which the device may not have finished.

        Args:
            values: (count, losses) tensor, not read yet.
            waited: seconds until its pictures were there.
        """
        self._unread.append(values)
        self.step += count
        self.calls += 1
        self._waited_since += waited

    def is_due(self) -> bool:
        """Whether it is time to read the losses back."""
        waiting = sum(values.shape[0] for values in self._unread)
        # The end of the warm-up is where measuring starts.
        late = waiting >= READ_EVERY or time.monotonic() - self._last_line >= LINE_SECONDS
        return late or self.calls == WARM_UP_CALLS

    def read(self) -> np.ndarray | None:
        """Wait for the losses of all calls, print what is due; the last step's values, None where there are none."""
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
        if not self._told_rate and self._steps >= MEASURED_STEPS:
            self.tell_rate()
        if time.monotonic() - self._last_line >= LINE_SECONDS and self._steps:
            self._last_line = time.monotonic()
            self._line()
        return last

    def _count_time(self, steps: int) -> None:
        """Add the time since the last reading, in which `steps` were finished."""
        now = time.monotonic()
        seconds, self._read_at = now - self._read_at, now
        self.train_seconds += seconds
        if self._is_warm:
            self._steps, self._seconds = self._steps + steps, self._seconds + seconds
            self._waited += self._waited_since
        self._is_warm, self._waited_since = self.calls >= WARM_UP_CALLS, 0.0

    def tell_rate(self) -> None:
        """Report the rate after warm-up, once, however little has been measured."""
        if not self._told_rate and self._steps:
            self._told_rate = True
            self._on_rate(self.rate)

    @property
    def rate(self) -> float:
        """Images per second since the warm-up; 0 before the first reading after it."""
        return self._steps * self._batch_size / max(self._seconds, 1e-9)

    @property
    def seconds_behind(self) -> float:
        """Seconds the device is expected to need for the calls that have not been read; 0 while the rate is unknown."""
        if not self._unread or not self._steps:
            return 0.0
        steps = sum(values.shape[0] for values in self._unread)
        return max(0.0, self._read_at + steps * self._seconds / self._steps - time.monotonic())

    @property
    def input_share(self) -> float:
        """Share of the time since the warm-up in which the loop waited for pictures.

        The device idles for no more than this: while it is behind the loop, it computes.
        """
        return self._waited / max(self._seconds, 1e-9)

    def round_means(self) -> dict[str, float]:
        """Mean losses since the last validation."""
        means = self.round_sums / max(self.round_count, 1)
        return dict(zip(self._names, means.tolist(), strict=True))

    def start_round(self) -> None:
        """Begin new means."""
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
        if self.input_share > INPUT_SHARE and self._seconds > 2 * LINE_SECONDS and not self._told_input:
            self._told_input = True
            self._log(
                f"warning  {100 * self.input_share:.0f} % of the time is spent waiting for pictures: --data.cache "
                "memory, or disk, decodes them once; pairs of the size trained at are read faster than larger ones"
            )
