"""Other commands of this package, one after another in processes of their own, until a budget of time is spent."""

from __future__ import annotations

import signal
import subprocess
import sys
import time

from rac_unet.core.errors import UserError
from rac_unet.core.signals import install, restore

# These save their state when asked to stop; the others are short, and end.
STOPPABLE = ("rac_unet.train", "rac_unet.train_classifier")


# How a system or a closed terminal asks a process to end.
ENDING = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]


class Terminated(Exception):
    """This process was asked to end; whatever was running has saved its state, or has ended.

    Args:
        number: of the signal.
    """

    def __init__(self, number: int):
        super().__init__(signal.Signals(number).name)


class TimeIsUp(Exception):
    """The budget is spent; whatever was running has saved its state."""


class Steps:
    """Runs commands.

    Args:
        minutes: the budget, from now on; 0 for none.
    """

    def __init__(self, minutes: float = 0):
        self._end = time.monotonic() + 60 * minutes if minutes else None

    def run(self, module: str, *words, timed: bool = True) -> None:
        """Print and run `python -m module words`; at the end of the budget ask it to save and stop.

        Args:
            timed: whether the budget counts for it.
        Raises: TimeIsUp; UserError when it fails; KeyboardInterrupt once it has stopped after Ctrl-C; Terminated once
            it has stopped after SIGTERM or SIGHUP.
        """
        end = self._end if timed else None
        if end and time.monotonic() >= end:
            raise TimeIsUp
        print("$ python -m", module, *words, flush=True)
        command = [sys.executable, "-m", module, *(str(word) for word in words)]
        asked: type[BaseException] | None = None
        with _Forwarded() as forwarded:
            # In a session of its own, so that Ctrl-C reaches it once, from here.
            process = subprocess.Popen(command, start_new_session=True)
            forwarded.to(process)
            while True:
                try:
                    code = process.wait(None if asked or not end else max(end - time.monotonic(), 0))
                    break
                except subprocess.TimeoutExpired:
                    asked = TimeIsUp
                    if module in STOPPABLE:
                        process.send_signal(signal.SIGTERM)
                except KeyboardInterrupt:
                    if asked is KeyboardInterrupt:
                        process.kill()
                    asked = KeyboardInterrupt
                    process.send_signal(signal.SIGINT)
        if forwarded.received:
            raise Terminated(forwarded.received)
        if asked is KeyboardInterrupt or asked and code == 130:
            raise asked
        if code:
            raise UserError(f"python -m {module} ended with exit code {code}; its message is above", "failed_step")


class _Forwarded:
    """Within the block a request to end, which this process alone gets, is passed on to a step instead.

    What was installed before comes back after it.
    """

    def __init__(self):
        self.received: int | None = None
        self._process: subprocess.Popen | None = None
        self._before: dict = {}

    def to(self, process: subprocess.Popen) -> None:
        """Pass on to this process, also what has come already."""
        self._process = process
        if self.received:
            process.send_signal(signal.SIGTERM)

    def __enter__(self) -> _Forwarded:
        # What nohup has ignored stays ignored.
        self._before = install((n for n in ENDING if signal.getsignal(n) != signal.SIG_IGN), self._pass_on)
        return self

    def __exit__(self, *_) -> None:
        restore(self._before)

    def _pass_on(self, number, _frame) -> None:
        self.received = number
        if self._process:
            self._process.send_signal(signal.SIGTERM)
