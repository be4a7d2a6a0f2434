"""Install a handler for several signals, and put back what was there before."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterable
from typing import Any


def install(numbers: Iterable[int], handler: Callable[[int, Any], None]) -> dict[int, Any]:
    """Handle these signals; returns what handled them before, for `restore`.

    Outside the main thread (a notebook's worker) nothing can be installed, and nothing is.
    """
    before = {}
    for number in numbers:
        try:
            before[number] = signal.signal(number, handler)
        except ValueError:
            break
    return before


def restore(before: dict[int, Any]) -> None:
    """Put back the handlers that `install` returned."""
    for number, handler in before.items():
        signal.signal(number, handler)
