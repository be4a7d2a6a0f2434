"""Keep standard streams open, and silence messages of C++ libraries about hardware."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator


def open_standard_streams() -> None:
    """Connect each of standard input, output and error that is closed to the null device.

    In a shell `2>&-` closes a stream. Python then has None for it, and the next opened file gets its descriptor, so
    that messages of libraries would be written into that file.
    """
    for descriptor, (name, mode) in enumerate((("stdin", "r"), ("stdout", "w"), ("stderr", "w"))):
        if not _is_open(descriptor):
            # The system uses the lowest free descriptor, which is this one.
            os.open(os.devnull, os.O_RDONLY if mode == "r" else os.O_WRONLY)
            os.set_inheritable(descriptor, True)
        if getattr(sys, name) is None:
            # Not by its descriptor: if that is open, it belongs to another file now.
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: SIM115


@contextlib.contextmanager
def silenced_stderr() -> Iterator[None]:
    """Discard output to file descriptor 2 (which may be closed) within the block; Python exceptions are raised.

    LiteRT and TensorFlow report their delegates and missing drivers there before any log level is read.
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
