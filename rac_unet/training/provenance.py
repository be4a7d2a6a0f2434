"""Where a result came from: command, commit, versions, machine, data."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

PACKAGES = ("rac_unet", "tensorflow", "keras", "numpy", "opencv-python-headless")


def make_provenance(**facts: Any) -> dict[str, Any]:
    """Facts of this process and moment, then the caller's own (`data_fingerprint`, `device`, …), JSON-able."""
    module = getattr(sys.modules.get("__main__"), "__spec__", None)
    command = ["python", "-m", module.name] if module else ["python", *sys.argv[:1]]
    return {
        "command": " ".join([*command, *sys.argv[1:]]),
        "started": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        "commit": _commit(),
        "python": platform.python_version(),
        "versions": {name: _version(name) for name in PACKAGES},
        "system": platform.system(),
        "cpus": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        **facts,
    }


def device_name() -> str:
    """The accelerators TensorFlow sees, or the processor's name."""
    import tensorflow as tf

    names = [
        tf.config.experimental.get_device_details(d).get("device_name", d.name)
        for d in tf.config.list_physical_devices("GPU")
    ]
    return " + ".join(names) or processor_name()


def processor_name() -> str:
    """The processor's name, as far as the system tells it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or "CPU"


def _commit() -> str | None:
    """The commit of the checkout this package lies in, with `+changes` when it has been edited; None for a wheel."""
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
