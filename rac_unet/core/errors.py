"""Errors of all commands: one message, exit code 2, no traceback."""

from __future__ import annotations

import argparse
import math
import os
import re
import signal
import sys
import traceback
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

from rac_unet.core.extras import extra_of, install_command, missing_modules
from rac_unet.core.quiet import open_standard_streams

# Set to anything but "" or "0", it shows the traceback of an error that is otherwise one line.
TRACEBACK = "RAC_UNET_TRACEBACK"

# Kinds of errors: stable, for callers and tests; messages may change at any time.
KINDS = {
    "usage": "options or arguments missing, unknown, or contradicting each other",
    "unknown_name": "a name that is not in the list of valid ones: a preset, network, loss, format or mask style",
    "unknown_emotion": "a label that is not one of the seven emotions",
    "bad_value": "a value of the wrong type or outside its range",
    "missing": "a file, folder or run directory that does not exist",
    "exists": "something at the output path that would be overwritten",
    "wrong_type": "a path or object of another type than needed: a file for a folder, a classifier for a network",
    "unreadable": "a file that cannot be read: no permission, damaged, truncated, or not what its name says",
    "unwritable": "a place that cannot be written to",
    "unsupported": "something valid that is not supported here: a format, a layer, a version",
    "bad_layout": "a table or folder whose layout or header is not understood",
    "bad_row": "a row of a table that is wrong",
    "ambiguous": "input that can be read in two ways; nothing is guessed",
    "mismatch": "two things that do not fit together: weights and network, classes, data sets, image sizes",
    "changed": "data or settings other than those a run started with",
    "empty": "nothing to work on: no photos, no faces, a split without pairs",
    "missing_extra": "an optional library that is not installed",
    "download": "a file that cannot be downloaded",
    "device": "a device or worker that is not available or was lost",
    "diverged": "a training or network whose values are no longer finite",
    "failed_step": "another command, run as a step of this one, that ended with an error",
    "failed_check": "a written file that does not pass its check",
}


class UserError(Exception):
    """An error the user can fix. The message says what is wrong, where, and what to do.

    Args:
        message: one line.
        kind: one of `KINDS`.
    """

    def __init__(self, message: str, kind: str):
        super().__init__(message)
        if kind not in KINDS:
            raise ValueError(f"unknown kind of error: {kind!r}")
        self.kind = kind

    def __reduce__(self) -> tuple[type[UserError], tuple[str, str]]:
        return type(self), (str(self), self.kind)


def one_line(error: Exception) -> str:
    """Return an error as one line of at most 240 characters; Keras's and TensorFlow's fill whole screens."""
    # TensorFlow colours some of its messages.
    text = " ".join(re.sub(r"\x1b\[[\d;]*m", "", str(error)).split()) or type(error).__name__
    return text if len(text) <= 240 else text[:239] + "…"


def require(what: str, *extras: str) -> None:
    """Raise UserError, with the command that installs them, unless all packages of these extras are installed.

    Args:
        what: what needs them: a command, an option, a file.
        extras: names in `rac_unet.core.extras.EXTRAS`.
    """
    if missing := missing_modules(extras):
        needed = dict.fromkeys(filter(None, map(extra_of, missing)))
        raise UserError(f"{what} needs {', '.join(missing)}; install with: {install_command(*needed)}", "missing_extra")


TRACEBACK_HELP = f"{TRACEBACK}=1 in the environment shows the traceback of an error."


class CommandParser(argparse.ArgumentParser):
    """An argument parser that reports a mistake as `UserError` instead of printing its usage; no abbreviations.

    Args:
        extras: extras of this package that the command always needs. `parse_args` raises UserError when one is not
            installed, after mistakes in the options; --help works without them.
    """

    def __init__(self, extras: Sequence[str] = (), **options: Any):
        super().__init__(allow_abbrev=False, **options)
        self.extras = tuple(extras)

    def parse_args(self, args: Sequence[str] | None = None, namespace: Any = None) -> Any:  # type: ignore[override]
        found = super().parse_args(args, namespace)
        require(self.prog.removeprefix("python -m "), *self.extras)
        return found

    def error(self, message: str) -> NoReturn:
        raise UserError(f"{message}; see --help", "usage")

    def format_help(self) -> str:
        return f"{super().format_help()}\n{TRACEBACK_HELP}\n"


def number(kind: type, low: float, high: float = math.inf) -> Callable[[str], int | float]:
    """Return an argparse type: an int or float from `low` to `high`; the message for other text names the limits."""
    limits = f"{low:g} or more" if high == math.inf else f"{low:g}..{high:g}"

    def parse(text: str) -> int | float:
        try:
            value: int | float = kind(text)
        except ValueError:
            word = "a whole number" if kind is int else "a number"
            raise argparse.ArgumentTypeError(f"{text!r} is not {word}; use {limits}") from None
        if not low <= value <= high or value == math.inf:
            raise argparse.ArgumentTypeError(f"{text} is out of range; use {limits}")
        return value

    return parse


def own_version() -> str:
    """Return this package's version; reading it with importlib.metadata takes as long as importing Pillow."""
    # Imported already, as the parent of this module.
    version: str = sys.modules["rac_unet"].__version__
    return version


def run_command(main: Callable[[], int | None]) -> None:
    """Run a command's `main` and leave the process with its exit code.

    0 or what `main` returns; 2 for a `UserError`, a package of an extra that is not installed, or a full disk; 130 for
    Ctrl-C, after whatever `main` saved.
    A pipe closed by the reader (`| head`) ends quietly. Standard streams may be closed.
    """
    open_standard_streams()
    try:
        code = main() or 0
        sys.stdout.flush()
    except UserError as error:
        _report(str(error))
        code = 2
    except ModuleNotFoundError as error:
        extra = extra_of(error.name or "")
        if extra is None:
            raise
        _report(f"{error.name} is not installed; install with: {install_command(extra)}")
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
        _report(f"{error.strerror}{where}; check the path, its permissions and free space ({TRACEBACK}=1 shows where)")
        code = 2
    sys.exit(code)


def _report(message: str) -> None:
    """Print an error on standard error, after its traceback if the user requested it."""
    if os.environ.get(TRACEBACK, "0") not in ("", "0"):
        traceback.print_exc()
    print(f"error: {message}", file=sys.stderr)
