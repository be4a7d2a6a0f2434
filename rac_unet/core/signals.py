"""Install a handler for several signals, and restore the previous ones."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterable
from typing import Any


def install(numbers: Iterable[int], handler: Callable[[int, Any], None]) -> dict[int, Any]:
    """Install a handler for these signals; return the previous handlers for `restore`.

    Outside the main thread (a notebook's worker) handlers cannot be installed, and the result is empty.
    """
    before = {}
    for number in numbers:
        try:
            before[number] = signal.signal(number, handler)
        except ValueError:
            break
    return before


def restore(before: dict[int, Any]) -> None:
    """Restore the handlers that `install` returned."""
    for number, handler in before.items():
        signal.signal(number, handler)
