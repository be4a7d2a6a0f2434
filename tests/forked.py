"""Commands in processes of their own that need not import TensorFlow again: each is forked from one that has.

Importing it takes most of the time of a command that trains a few steps. Where forking is not safe each imports it.
"""

import multiprocessing
import os
import sys
from pathlib import Path

_CONTEXT = multiprocessing.get_context("forkserver" if sys.platform == "linux" else "spawn")
if sys.platform == "linux":
    # What `rac_unet.train` imports once it is at work; none of it makes TensorFlow look for devices.
    _CONTEXT.set_forkserver_preload(["rac_unet.train", "rac_unet.training.loop", "rac_unet.training.provenance"])


class Training:
    """`python -m rac_unet.train words…`, begun.

    Args:
        said: file for what it prints; made.
        environment: variables besides those of this process.
    """

    def __init__(self, words, said: Path, **environment: str):
        self.said = Path(said)
        self.said.touch()
        # With the entry point's exit codes and messages.
        self.process = _CONTEXT.Process(target=_train, args=(list(map(str, words)), self.said, environment))
        self.process.start()

    def finish(self) -> str:
        """What it printed, once it has ended well."""
        self.process.join(300)
        running, said = self.is_running(), self.said.read_text()
        if running:
            self.kill()
        assert not running and self.process.exitcode == 0, f"exit code {self.process.exitcode}\n{said}"
        return said

    def is_running(self) -> bool:
        return self.process.exitcode is None

    def kill(self) -> None:
        """As the kernel does: without a word."""
        self.process.kill()
        self.process.join()


def _train(words: list[str], said: Path, environment: dict[str, str]) -> None:
    from rac_unet.errors import run_command
    from rac_unet.train import main

    os.environ.update(environment)
    with said.open("wb", buffering=0) as file:
        for descriptor in (1, 2):
            os.dup2(file.fileno(), descriptor)
    run_command(lambda: main(words))
