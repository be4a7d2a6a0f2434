"""Provenance of a result: command, commit, versions, machine, data."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import re
import shlex
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

PACKAGES = ("rac_unet", "tensorflow", "keras", "numpy", "opencv-python-headless")
# Key in provenance.json for the source of a warm start, as the first published runs spell it.
WARM_START_KEY = "begun_from"


def make_provenance(module: str, argv: Sequence[str] | None, **facts: Any) -> dict[str, Any]:
    """Return the provenance of this process and the caller's `facts` (`data_fingerprint`, `device`, …), for JSON.

    Args:
        module: the command, such as `rac_unet.evaluate`.
        argv: its arguments; None for the arguments of this process.
    """
    return {
        "command": command_line(module, sys.argv[1:] if argv is None else argv),
        "started": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        "commit": _commit(),
        "python": platform.python_version(),
        "versions": {name: _version(name) for name in PACKAGES},
        "system": platform.system(),
        "cpus": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        **facts,
    }


def command_line(module: str, argv: Sequence[str]) -> str:
    """Return a command line that can be published: its paths do not reveal the user's folders.

    A path inside the working directory becomes relative to it; any other path is reduced to its last name.
    """
    return shlex.join(["python", "-m", module, *(_portable(str(word)) for word in argv)])


def _portable(word: str) -> str:
    if word[:1] in ("{", "["):
        # A section given as JSON or YAML.
        return "".join(_portable_path(part) for part in re.split(r"(\s*[{}\[\],\"']\s*|:\s+)", word))
    # --output=DIR, or FOLDER=NAME.
    return "=".join(_portable_path(part) for part in word.split("="))


def _portable_path(text: str) -> str:
    if not text.startswith("~") and "/" not in text and os.sep not in text:
        return text
    here, home = os.getcwd(), os.path.expanduser("~")
    path = os.path.abspath(os.path.expanduser(text))
    # Relative to a folder above the home folder, a path would still name its owner.
    if not _is_inside(path, here) or (home != here and _is_inside(home, here)):
        return os.path.basename(path) or "."
    if os.path.isabs(os.path.expanduser(text)):
        return os.path.relpath(path, here)
    # Unchanged, except for paths in the middle of a sentence.
    return re.sub(r"(?<=\s)[/~]\S*", lambda found: os.path.basename(found[0].rstrip("/")), text)


def _is_inside(path: str, folder: str) -> bool:
    try:
        return os.path.commonpath([path, folder]) == folder
    except ValueError:
        return False


def device_name() -> str:
    """Return the names of TensorFlow's GPUs, or of the processor."""
    import tensorflow as tf

    names = [
        tf.config.experimental.get_device_details(d).get("device_name", d.name)
        for d in tf.config.list_physical_devices("GPU")
    ]
    return " + ".join(names) or processor_name()


def processor_name() -> str:
    """Return the processor's name, as far as the system reports it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or "CPU"


def _commit() -> str | None:
    """Return the commit of this package's checkout, with `+changes` when it has been edited; None for a wheel."""
    folder = Path(__file__).resolve().parents[2]
    if not (folder / ".git").exists():
        return None

    def git(*words: str) -> str:
        return subprocess.run(
            ["git", *words], cwd=folder, capture_output=True, text=True, timeout=10, check=True
        ).stdout

    try:
        edited = git("status", "--porcelain", "--untracked-files=no").strip()
        return git("rev-parse", "HEAD").strip() + ("+changes" if edited else "")
    except (OSError, subprocess.SubprocessError):
        return None


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None
