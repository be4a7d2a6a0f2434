"""What a notebook runs on: versions, accelerators, and whether the packages there are those rac_unet asks for."""

from __future__ import annotations

import importlib.metadata
import os
import re
import shutil
import subprocess
import sys

from rac_unet.notebook.running import NotebookError

_SHOWN = ("rac_unet", "tensorflow", "keras", "numpy", "protobuf")


def describe_machine() -> None:
    """Print versions, processors and GPUs, and a warning for every package of another version than was tested.

    Raises: NotebookError naming the packages that are missing.
    """
    versions = ", ".join(f"{name} {_version(name) or '(missing)'}" for name in _SHOWN)
    print(f"Python {sys.version.split()[0]}, {versions}")
    print(f"{os.cpu_count()} processors; {_gpus()}")
    missing, odd = _unmet()
    if missing:
        raise NotebookError(
            f"these packages are neither in this image nor among the attached wheels: {', '.join(missing)}; gather the "
            "wheels anew with kaggle_kernels.gather_wheels and upload them",
            "missing_extra",
        )
    for line in odd:
        print(f"warning: {line}; it was not tested so")


def _unmet() -> tuple[list[str], list[str]]:
    """Packages that rac_unet needs: names of those missing, and remarks about those of another version."""
    from packaging.requirements import Requirement

    missing, odd = [], []
    for text in importlib.metadata.requires("rac_unet") or []:
        need = Requirement(text)
        if need.marker and not need.marker.evaluate({"extra": ""}):
            continue
        found = _version(need.name)
        if found is None and need.name.startswith("opencv"):
            # The same library under four names.
            found = next((v for v in map(_version, ("opencv-python", "opencv-contrib-python")) if v), None)
        if found is None:
            missing.append(need.name)
        elif not need.specifier.contains(found, prereleases=True):
            odd.append(f"{need.name} {found} is here, and rac_unet asks for {need.specifier}")
    return missing, odd


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def _gpus() -> str:
    """By the driver's own tool, so that TensorFlow is not imported here."""
    if not shutil.which("nvidia-smi"):
        return "no GPU"
    done = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True)
    names = re.findall(r"^GPU \d+: (.*?)(?: \(UUID.*)?$", done.stdout, re.M)
    return "GPUs: " + ", ".join(names) if names else "no GPU"
