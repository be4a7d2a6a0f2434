"""Log lines, TensorBoard scalars, stop signals and the divergence message of a training."""

from __future__ import annotations

import importlib.util
import signal
from collections.abc import Callable
from pathlib import Path

from rac_unet.core.signals import install, restore


class Log:
    """Print lines and append them to a file."""

    def __init__(self, path: Path):
        self._path = path

    def __call__(self, line: str) -> None:
        print(line, flush=True)
        with self._path.open("a", encoding="utf-8") as file:
            file.write(line + "\n")


class Scalars:
    """Write TensorBoard scalars if the `tensorboard` package is installed; history.csv has the same numbers."""

    def __init__(self, folder: Path, log: Callable[[str], None], writes: bool = True):
        self._writer = None
        if writes and importlib.util.find_spec("tensorboard"):
            import tensorflow as tf

            self._writer = tf.summary.create_file_writer(str(folder))
            log(f"curves   tensorboard --logdir {folder}")

    def write(self, step: int, row: dict[str, float]) -> None:
        if self._writer is None:
            return
        import tensorflow as tf

        with self._writer.as_default(step=step):
            for name, value in row.items():
                if name not in ("step", "images"):
                    tf.summary.scalar(name, value)
        self._writer.flush()

    def __enter__(self) -> Scalars:
        return self

    def __exit__(self, *_) -> None:
        if self._writer is not None:
            self._writer.close()


class StopSignal:
    """Set `is_set` on Ctrl-C or SIGTERM, to stop after the current step; a second Ctrl-C raises KeyboardInterrupt.

    Use it as a context manager, which restores the earlier signal handlers at its end.
    """

    def __init__(self):
        self.is_set = False

    def __enter__(self) -> StopSignal:
        self._before = install((signal.SIGINT, signal.SIGTERM), self._ask)
        return self

    def __exit__(self, *_) -> None:
        restore(self._before)

    def _ask(self, number, _frame) -> None:
        if self.is_set and number == signal.SIGINT:
            raise KeyboardInterrupt
        self.is_set = True


def divergence_message(step: int, bad: list[str], learning_rate: float, best: Path | None) -> str:
    """Return the error message for losses that are not finite.

    Args:
        step: steps taken so far.
        bad: names of the losses.
        learning_rate: the configured learning rate.
        best: file of the best weights; None if there is none.
    """
    kept = f"the best weights so far are in {best}" if best else "no weights were kept"
    return (
        f"training diverged near step {step:,}: {', '.join(bad)} is not a number. Start again with "
        f"--optimizer.learning_rate {learning_rate / 3:.1g} or --optimizer.clip_norm 1, or, with mixed precision, "
        f"--training.precision float32; {kept}"
    )
