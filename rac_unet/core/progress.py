"""A progress line with rate and time left: redrawn in place on a terminal, plain lines in a log.

Not tqdm, which writes carriage returns instead of lines where there is no terminal: in log files and in notebooks that
run commands.
"""

from __future__ import annotations

import sys
import time
from typing import TextIO


class Progress:
    """Count finished items, and show their number, rate and time left.

    Args:
        total: number of items.
        done: how many were finished before this process started; they do not count for the rate.
        noun: what is counted, in the plural.
        stream: where to write; default stderr, so that stdout has only results.
        enabled: False writes nothing and still measures the rate.
    """

    def __init__(
        self,
        total: int,
        done: int = 0,
        noun: str = "photos",
        stream: TextIO | None = None,
        enabled: bool = True,
    ):
        self._total, self._done, self._before, self._noun = total, done, done, noun
        self._stream = stream or sys.stderr
        self._enabled = enabled
        self._terminal = self._stream.isatty()
        self._every = 0.2 if self._terminal else 10.0
        self._start = time.monotonic()
        self._last = self._start

    def advance(self, count: int = 1) -> None:
        self._done += count
        now = time.monotonic()
        if self._enabled and now - self._last >= self._every:
            self._last = now
            self._draw()

    def close(self) -> None:
        """Write the final state."""
        if self._enabled and self._done > self._before:
            self._draw()
            if self._terminal:
                self._stream.write("\n")
                self._stream.flush()

    @property
    def seconds(self) -> float:
        return time.monotonic() - self._start

    @property
    def rate(self) -> float:
        """Items per second in this process so far."""
        return (self._done - self._before) / max(self.seconds, 1e-9)

    def _draw(self) -> None:
        left = (self._total - self._done) / self.rate if self.rate else 0.0
        share = 100 * self._done / max(self._total, 1)
        line = (
            f"{self._done:,}/{self._total:,} {self._noun} ({share:.0f} %), {self.rate:.1f} a second, "
            f"{format_seconds(left)} left"
        )
        self._stream.write(f"\r{line:<78}" if self._terminal else f"{line}\n")
        self._stream.flush()


def format_seconds(seconds: float) -> str:
    """`75` -> `1:15`, `3700` -> `1:01:40`."""
    minutes, second = divmod(round(seconds), 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours}:{minute:02d}:{second:02d}" if hours else f"{minute}:{second:02d}"
