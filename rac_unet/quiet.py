"""Keep C++ libraries from writing hardware notes over a command's own messages."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator


@contextlib.contextmanager
def silenced_stderr() -> Iterator[None]:
    """Discard what is written to file descriptor 2 within the block; Python exceptions pass as ever.

    LiteRT and TensorFlow announce their delegates and missing drivers there before any log level is read.
    """
    saved, sink = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(sink, 2)
        yield
    finally:
        os.dup2(saved, 2)
        os.close(saved)
        os.close(sink)
