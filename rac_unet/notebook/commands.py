"""Run a command from a notebook: show its output line by line, and one message when it fails."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
from collections import deque

from rac_unet.core.errors import UserError


class NotebookError(UserError):
    """An error that the user of a notebook can correct; shown as one message, without a traceback."""

    def _render_traceback_(self) -> list[str]:
        # IPython calls this method of an exception instead of rendering a traceback.
        return [f"error: {self}"]


def run(module: str, *words: object) -> None:
    """Run `python -m module words…` in a new process, and show its output line by line.

    Interrupting the cell interrupts the command once and waits until it has saved its state.

    Args:
        module: rac_unet.train, data_prep.folder, …
        words: its arguments, converted to text.
    Raises: NotebookError with the command's last line when its exit code is not 0.
    """
    words = [str(word) for word in words]
    command = shlex.join(["python", "-m", module, *words])
    print(f"$ {command}", flush=True)
    process = subprocess.Popen(
        # Jupyter interrupts the whole process group; a second interrupt would stop the command while it saves.
        [sys.executable, "-u", "-m", module, *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        start_new_session=True,
        env={"TF_CPP_MIN_LOG_LEVEL": "2", **os.environ},
    )
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
        why = last[0].removeprefix("error: ") if last else "it printed nothing"
        message = f"{command.split(' --')[0]} ended with exit code {process.returncode}: {why}"
        raise NotebookError(message, "failed_step")


def _show(process: subprocess.Popen, last: deque[str]) -> None:
    """Print the output of a process line by line; the last line that is not empty is put into `last`."""
    for line in process.stdout:
        print(line, end="", flush=True)
        if line.strip():
            last.append(line.strip())
    process.wait()
