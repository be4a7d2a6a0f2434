"""Which optional packages each extra of this package installs; `rac_unet.core.errors.require` checks for them."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterable

# Extra -> modules that this package imports from it; setup.cfg has the names and versions of the packages.
EXTRAS = {
    "train": ("tensorflow", "keras", "h5py", "pandas", "matplotlib"),
    "video": ("av",),
    "heif": ("pillow_heif",),
    "generated": ("openvino",),
    "tfds": ("tensorflow_datasets", "importlib_resources"),
    "brisque": ("brisque",),
    "export": ("tf2onnx", "onnx", "onnxruntime"),
    "tensorboard": ("tensorboard",),
    "torch": ("torch",),
}


def missing_modules(extras: Iterable[str]) -> list[str]:
    """Return the modules of these extras that are not installed; none is imported."""
    return [name for extra in extras for name in EXTRAS[extra] if importlib.util.find_spec(name) is None]


def extra_of(module: str) -> str | None:
    """Return the extra that installs a module, given by its full name; None for a module of no extra."""
    top = module.split(".")[0]
    return next((extra for extra, modules in EXTRAS.items() if top in modules), None)


def install_command(*extras: str) -> str:
    """Return the command that installs extras: `pip install 'rac_unet[train,tfds]'`."""
    return f"pip install 'rac_unet[{','.join(extras)}]'"
