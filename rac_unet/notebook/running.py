"""Run a command from a notebook: its output as it comes, and one clear message when it fails."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
from collections import deque

from rac_unet.core.errors import UserError


class NotebookError(UserError):
    """Something the user of a notebook can put right; shown there as one message, without a traceback."""

    def _render_traceback_(self) -> list[str]:
        # IPython asks an exception for this before it draws a traceback of its own.
        return [f"error: {self}"]


def run(module: str, *words: object) -> None:
    """Run `python -m module words…` in a process of its own, and show what it prints line by line.

    An interrupted cell interrupts the command, once, and waits for what it saves.

    Args:
        module: rac_unet.train, data_prep.folder, …
        words: its arguments; anything that is not text becomes text.
    Raises: NotebookError with the command's last line when its exit code is not 0.
    """
    words = [str(word) for word in words]
    told = shlex.join(["python", "-m", module, *words])
    print(f"$ {told}", flush=True)
    process = subprocess.Popen(
        # In Jupyter an interrupt goes to the whole process group; the command's second one would cut its saving short.
        [sys.executable, "-u", "-m", module, *words], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        errors="replace", start_new_session=True, env={"TF_CPP_MIN_LOG_LEVEL": "2", **os.environ},
    )  # fmt: skip
    last: deque[str] = deque(maxlen=1)
    try:
        try:
            _show(process, last)
        except KeyboardInterrupt:
            process.send_signal(signal.SIGINT)
            _show(process, last)
            raise
    finally:
        if process.poll() is None:
            process.terminate()
        process.wait()
    if process.returncode:
        why = last[0].removeprefix("error: ") if last else "it said nothing"
        said = f"{told.split(' --')[0]} ended with exit code {process.returncode}: {why}"
        raise NotebookError(said, "failed_step")


def _show(process: subprocess.Popen, last: deque[str]) -> None:
    """Print lines until the process has no more; the last that is not empty stays in `last`."""
    for line in process.stdout:
        print(line, end="", flush=True)
        if line.strip():
            last.append(line.strip())
    process.wait()
