"""Run commands in processes forked from one that has already imported TensorFlow.

The import takes most of the time of a command that trains a few steps. If forking is not safe, each process imports it.
"""

import functools
import importlib
import multiprocessing
import os
import signal
import sys
from pathlib import Path

from rac_unet.core import registry

_CONTEXT = multiprocessing.get_context("forkserver" if sys.platform == "linux" else "spawn")
if sys.platform == "linux":
    # Modules that `rac_unet.train` imports during training; none of them makes TensorFlow look for devices.
    _CONTEXT.set_forkserver_preload(["rac_unet.train", "rac_unet.training.loop", "rac_unet.core.provenance"])


class Training:
    """A running `python -m rac_unet.train words…`.

    Args:
        said: file for its output; created.
        dies: `(module:Class.method, n)`: the process is killed when that method is called for the n-th time, before it
            does anything; until then it makes a backup whenever possible, however long that takes.
        environment: environment variables in addition to those of this process.

    Networks and classifiers are those of this process's registry, see the fixture `tiny_networks`.
    """

    def __init__(self, words, said: Path, dies: tuple[str, int] | None = None, **environment: str):
        self.said = Path(said)
        self.said.touch()
        # With the entry point's exit codes and messages.
        tables = dict(registry.MODELS), dict(registry.CLASSIFIERS)
        known = (list(map(str, words)), self.said, dies, environment, *tables)
        self.process = _CONTEXT.Process(target=_train, args=known)
        self.process.start()

    def finish(self) -> str:
        """Wait for its end without an error, and return its output."""
        self.process.join(300)
        running, said = self.is_running(), self.said.read_text()
        if running:
            self.kill()
        assert not running and self.process.exitcode == 0, f"exit code {self.process.exitcode}\n{said}"
        return said

    def await_death(self) -> None:
        """Wait until it has been killed at the method of `dies`."""
        self.process.join(300)
        assert self.process.exitcode == -signal.SIGKILL, f"exit code {self.process.exitcode}\n{self.said.read_text()}"

    def is_running(self) -> bool:
        return self.process.exitcode is None

    def kill(self) -> None:
        """Kill the process without a message, like the kernel."""
        self.process.kill()
        self.process.join()


def _die_at(method: str, calls: int) -> None:
    """Have this process killed at the n-th call of a method."""
    module, names = method.split(":")
    *owners, name = names.split(".")
    owner = functools.reduce(getattr, owners, importlib.import_module(module))
    original, left = getattr(owner, name), [calls]

    def call(*values, **named):
        left[0] -= 1
        if not left[0]:
            os.kill(os.getpid(), signal.SIGKILL)
        return original(*values, **named)

    setattr(owner, name, call)


def _train(
    words: list[str], said: Path, dies: tuple[str, int] | None, environment: dict, networks: dict, classifiers: dict
) -> None:
    from rac_unet.core.errors import run_command
    from rac_unet.train import main

    os.environ.update(environment)
    registry.MODELS.update(networks)
    registry.CLASSIFIERS.update(classifiers)
    with said.open("wb", buffering=0) as file:
        for descriptor in (1, 2):
            os.dup2(file.fileno(), descriptor)
    if dies:
        from rac_unet.training import state

        state.COST_SHARE = float("inf")
        _die_at(*dies)
    run_command(lambda: main(words))
