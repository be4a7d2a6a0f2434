"""Run other commands of this package one after the other, each in a new process, within a time limit."""

from __future__ import annotations

import signal
import subprocess
import sys
import time

from rac_unet.core.errors import UserError
from rac_unet.core.signals import install, restore

# These save their state on SIGTERM; all others are short and run to their end.
STOPPABLE = ("rac_unet.train", "rac_unet.train_classifier")
# Signals by which an operating system or a closed terminal ends a process.
ENDING = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]


class Terminated(Exception):
    """Raised after a signal to end this process, when the running step has saved its state or ended.

    Args:
        number: of the signal.
    """

    def __init__(self, number: int):
        super().__init__(signal.Signals(number).name)


class TimeIsUp(Exception):
    """Raised at the time limit, when the running step has saved its state."""


class Steps:
    """Runs commands within a time limit.

    Args:
        minutes: time limit, counted from now; 0 for none.
    """

    def __init__(self, minutes: float = 0):
        self._end = time.monotonic() + 60 * minutes if minutes else None

    def run(self, module: str, *words, timed: bool = True) -> None:
        """Print and run `python -m module words`; at the time limit, signal it to save and stop.

        Args:
            timed: whether the time limit applies to it.
        Raises: TimeIsUp; UserError when it fails; KeyboardInterrupt after it has stopped because of Ctrl-C; Terminated
            after it has stopped because of SIGTERM or SIGHUP.
        """
        end = self._end if timed else None
        if end and time.monotonic() >= end:
            raise TimeIsUp
        print("$ python -m", module, *words, flush=True)
        command = [sys.executable, "-m", module, *(str(word) for word in words)]
        reason: type[BaseException] | None = None
        with _Forwarded() as forwarded:
            # In a new session, so that it gets Ctrl-C only once, from here.
            process = subprocess.Popen(command, start_new_session=True)
            forwarded.to(process)
            while True:
                try:
                    code = process.wait(None if reason or not end else max(end - time.monotonic(), 0))
                    break
                except subprocess.TimeoutExpired:
                    reason = TimeIsUp
                    if module in STOPPABLE:
                        process.send_signal(signal.SIGTERM)
                except KeyboardInterrupt:
                    if reason is KeyboardInterrupt:
                        process.kill()
                    reason = KeyboardInterrupt
                    process.send_signal(signal.SIGINT)
        if forwarded.received:
            raise Terminated(forwarded.received)
        if reason is KeyboardInterrupt or reason and code == 130:
            raise reason
        if code:
            raise UserError(f"python -m {module} failed with exit code {code}; see its message above", "failed_step")


class _Forwarded:
    """Within the block, a signal to end that only this process gets is passed on to a step.

    The previous signal handlers are restored afterwards.
    """

    def __init__(self):
        self.received: int | None = None
        self._process: subprocess.Popen | None = None
        self._before: dict = {}

    def to(self, process: subprocess.Popen) -> None:
        """Pass signals on to this process, including one already received."""
        self._process = process
        if self.received:
            process.send_signal(signal.SIGTERM)

    def __enter__(self) -> _Forwarded:
        # A signal that is ignored, as under nohup, stays ignored.
        self._before = install((n for n in ENDING if signal.getsignal(n) != signal.SIG_IGN), self._pass_on)
        return self

    def __exit__(self, *_) -> None:
        restore(self._before)

    def _pass_on(self, number, _frame) -> None:
        self.received = number
        if self._process:
            self._process.send_signal(signal.SIGTERM)
