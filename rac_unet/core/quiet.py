"""Standard streams: none of them closed, and no hardware notes of C++ libraries over a command's own messages."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator


def open_standard_streams() -> None:
    """Connect each of standard input, output and error that is closed to the null device.

    A shell's `2>&-` closes one. Python then has None for it, and the next file that is opened gets its descriptor, so
    that a library's notes would be written into that file.
    """
    for descriptor, (name, mode) in enumerate((("stdin", "r"), ("stdout", "w"), ("stderr", "w"))):
        if not _is_open(descriptor):
            # The lowest free descriptor is taken, which is this one.
            os.open(os.devnull, os.O_RDONLY if mode == "r" else os.O_WRONLY)
            os.set_inheritable(descriptor, True)
        if getattr(sys, name) is None:
            # Not by its descriptor: where that is open, it is another file's by now.
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: SIM115


@contextlib.contextmanager
def silenced_stderr() -> Iterator[None]:
    """Discard what is written to file descriptor 2 within the block, which may be closed; Python exceptions pass.

    LiteRT and TensorFlow announce their delegates and missing drivers there before any log level is read.
    """
    saved = os.dup(2) if _is_open(2) else None
    sink = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(sink, 2)
        yield
    finally:
        if saved is None:
            os.close(2)
        else:
            os.dup2(saved, 2)
            os.close(saved)
        if sink != 2:
            os.close(sink)


def _is_open(descriptor: int) -> bool:
    try:
        os.fstat(descriptor)
    except OSError:
        return False
    return True
