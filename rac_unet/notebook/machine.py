"""Describe the machine of a notebook: versions, accelerators, and missing or untested packages."""

from __future__ import annotations

import importlib.metadata
import os
import re
import shutil
import subprocess
import sys

from rac_unet.notebook.commands import NotebookError

# What the notebooks use of this package, besides its core.
_EXTRAS = ("", "train", "tfds")
_SHOWN = ("rac_unet", "tensorflow", "keras", "numpy", "protobuf")


def describe_machine() -> None:
    """Print versions, processors and GPUs, and a warning for every package whose version was not tested.

    Raises: NotebookError naming the packages that are missing.
    """
    versions = ", ".join(f"{name} {_version(name) or '(missing)'}" for name in _SHOWN)
    print(f"Python {sys.version.split()[0]}, {versions}")
    print(f"{os.cpu_count()} processors; {_gpus()}")
    missing, odd = _unmet()
    if missing:
        raise NotebookError(
            f"these packages are neither in this image nor among the attached wheels: {', '.join(missing)}; gather the "
            "wheels again with kaggle_kernels.gather_wheels and upload them",
            "missing_extra",
        )
    for line in odd:
        print(f"warning: {line}; this version was not tested")


def _unmet() -> tuple[list[str], list[str]]:
    """Return the missing requirements of rac_unet, and remarks on those with a version outside the tested range."""
    from packaging.requirements import Requirement

    missing, odd = [], []
    for text in importlib.metadata.requires("rac_unet") or []:
        need = Requirement(text)
        if need.marker and not any(need.marker.evaluate({"extra": extra}) for extra in _EXTRAS):
            continue
        found = _version(need.name)
        if found is None and need.name.startswith("opencv"):
            # The same library under other names.
            found = next((v for v in map(_version, ("opencv-python", "opencv-contrib-python")) if v), None)
        if found is None:
            missing.append(need.name)
        elif not need.specifier.contains(found, prereleases=True):
            odd.append(f"{need.name} {found} is installed, but rac_unet needs {need.specifier}")
    return missing, odd


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def _gpus() -> str:
    """Return the names of the GPUs from nvidia-smi, without importing TensorFlow."""
    if not shutil.which("nvidia-smi"):
        return "no GPU"
    done = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True)
    names = re.findall(r"^GPU \d+: (.*?)(?: \(UUID.*)?$", done.stdout, re.M)
    return "GPUs: " + ", ".join(names) if names else "no GPU"
