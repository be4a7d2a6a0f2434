"""Other commands of this package, one after another in processes of their own, until a budget of time is spent."""

from __future__ import annotations

import signal
import subprocess
import sys
import time

from rac_unet.errors import UserError

# These save their state when asked to stop; the others are short, and end.
STOPPABLE = ("rac_unet.train", "rac_unet.train_classifier")


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
        Raises: TimeIsUp; UserError when it fails; KeyboardInterrupt once it has stopped after Ctrl-C.
        """
        end = self._end if timed else None
        if end and time.monotonic() >= end:
            raise TimeIsUp
        print("$ python -m", module, *words, flush=True)
        command = [sys.executable, "-m", module, *(str(word) for word in words)]
        # In a session of its own, so that Ctrl-C reaches it once, from here.
        process = subprocess.Popen(command, start_new_session=True)
        asked: type[BaseException] | None = None
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
        if asked is KeyboardInterrupt or asked and code == 130:
            raise asked
        if code:
            raise UserError(f"python -m {module} ended with exit code {code}; its message is above", "failed_step")
