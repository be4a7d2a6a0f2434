"""One way for every command to fail: one message, exit code 2, no traceback."""

from __future__ import annotations

import argparse
import importlib.metadata
import math
import os
import re
import signal
import sys
from collections.abc import Callable
from typing import NoReturn


class UserError(Exception):
    """Something the user can put right. The message says what is wrong, where, and what to do."""


def one_line(error: Exception) -> str:
    """An error in one line of at most 240 characters; Keras's and TensorFlow's run over whole screens."""
    # TensorFlow colours some of its messages.
    text = " ".join(re.sub(r"\x1b\[[\d;]*m", "", str(error)).split()) or type(error).__name__
    return text if len(text) <= 240 else text[:239] + "…"


class CommandParser(argparse.ArgumentParser):
    """An argument parser that reports a mistake as `UserError` instead of printing its usage; no abbreviations."""

    def __init__(self, **options):
        super().__init__(allow_abbrev=False, **options)

    def error(self, message: str) -> NoReturn:
        raise UserError(message if self.add_help is False else f"{message}; see --help")


def number(kind: type, low: float, high: float = math.inf) -> Callable[[str], int | float]:
    """An argument's type: an int or float from `low` to `high`; what is not, is told the limits."""
    limits = f"{low:g} or more" if high == math.inf else f"{low:g}..{high:g}"

    def parse(text: str) -> int | float:
        try:
            value = kind(text)
        except ValueError:
            word = "a whole number" if kind is int else "a number"
            raise argparse.ArgumentTypeError(f"{text!r} is not {word}; use {limits}") from None
        if not low <= value <= high or value == math.inf:
            raise argparse.ArgumentTypeError(f"{text} is out of range; use {limits}")
        return value

    return parse


def own_version() -> str | None:
    """Version of this package; None where it is not installed."""
    try:
        return importlib.metadata.version("rac_unet")
    except importlib.metadata.PackageNotFoundError:
        return None


def run_command(main: Callable[[], int | None]) -> None:
    """Run a command's `main` and leave the process with its exit code.

    0 or what `main` returns; 2 for a `UserError` or a full disk; 130 for Ctrl-C, after whatever `main` saved.
    A pipe closed by the reader (`| head`) ends quietly.
    """
    try:
        code = main() or 0
        sys.stdout.flush()
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        code = 2
    except KeyboardInterrupt:
        print("stopped by Ctrl-C", file=sys.stderr)
        code = 128 + signal.SIGINT
    except BrokenPipeError:
        # Python would complain again while flushing at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 1
    except OSError as error:
        if error.errno is None:
            raise
        where = f" {error.filename!r}" if error.filename else ""
        print(f"error: {error.strerror}{where}; check the path, its permissions and free space", file=sys.stderr)
        code = 2
    sys.exit(code)
