"""Read a PyTorch checkpoint, or a Keras weights file, into NumPy arrays without running any code of the file.

A `.pth` file is a pickle, which can contain any program. It is read only with `torch.load(weights_only=True)`, which
creates nothing but tensors. An `.npz` file of the same tensors is read with NumPy and does not need PyTorch. Nor
does an `.h5` file of Keras, whose kernels and biases get PyTorch's names and order of axes.
"""

from __future__ import annotations

import re
import zipfile
import zlib
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from rac_unet.core.errors import UserError
from rac_unet.core.extras import install_command
from rac_unet.core.files.hashing import file_digest
from rac_unet.models.importing.torch_names import shortened, unwrap_names

# Keys under which training programs save a state dict, next to the epoch and the optimizer. Averaged weights come last:
# they are taken only if there are no others.
WRAPPERS = (
    "state_dict",
    "model_state_dict",
    "model",
    "net",
    "network",
    "generator",
    "params",
    "weights",
    "module",
    "state_dict_ema",
    "model_ema",
    "params_ema",
    "ema_state_dict",
    "ema",
    "ema_model",
)
# Before 2.6, a crafted file could run code even with weights_only=True (CVE-2025-32434).
SAFE_TORCH = (2, 6)
STATE_DICT_ADVICE = (
    "in the program that made the model, save only its tensors: torch.save(model.state_dict(), 'weights.pth')"
)
NPZ_ADVICE = (
    "or, where PyTorch is installed, convert the file: numpy.savez('weights.npz', **{k: v.float().cpu().numpy() "
    "for k, v in state_dict.items()})"
)


@dataclass(frozen=True)
class Checkpoint:
    """The tensors of a checkpoint file.

    Attributes:
        arrays: entry name without the prefixes of wrappers -> array; floating-point arrays are float32.
        notes: what was removed or converted, in readable sentences.
        sha256: hexadecimal digest of the file.
    """

    arrays: dict[str, np.ndarray]
    notes: tuple[str, ...]
    sha256: str


def read_checkpoint(path: Path) -> Checkpoint:
    """Read the state dict of a `.pt`, `.pth`, `.npz` or `.h5` file; any other suffix is read with PyTorch.

    The state dict may be nested under keys of `WRAPPERS`, its names may have the prefixes that
    `torch_names.unwrap_names` removes, and its tensors may have any floating-point type.
    Raises: UserError when the file is missing, damaged or holds anything but tensors, or when PyTorch is needed and
        missing or too old.
    """
    path = Path(path)
    if not path.is_file():
        raise UserError(f"no checkpoint at {path}; give a .pth, .pt, .npz or .h5 file", "missing")
    notes: list[str] = []
    formats: Counter[str] = Counter()
    if path.suffix.lower() == ".npz":
        arrays = _read_npz(path, formats)
    elif path.suffix.lower() in (".h5", ".hdf5"):
        arrays = _read_keras(path)
    else:
        arrays = _read_torch(path, formats, notes)
    notes += [f"converted {count:,} {name} entries to float32" for name, count in formats.items() if name != "float32"]
    arrays, unwrapped = unwrap_names(arrays)
    notes += unwrapped
    return Checkpoint(arrays, tuple(notes), file_digest(path))


def _read_npz(path: Path, formats: Counter[str]) -> dict[str, np.ndarray]:
    try:
        with np.load(path, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
    except (ValueError, OSError, EOFError, TypeError, AttributeError, zipfile.BadZipFile, zlib.error) as error:
        # TypeError and AttributeError: np.load returns a bare array for an .npy file.
        raise UserError(
            f"{path} is damaged, or not an .npz file of plain arrays ({_one_line(error)}); write it again, "
            f"{NPZ_ADVICE}",
            "unreadable",
        ) from None
    _refuse_odd(path, [f"{name} ({array.dtype})" for name, array in arrays.items() if array.dtype.kind not in "fiub"])
    if not arrays:
        raise UserError(f"{path} holds no arrays; write it again, {NPZ_ADVICE}", "empty")
    for name, array in arrays.items():
        if array.dtype.kind == "f":
            formats[array.dtype.name] += 1
            # A float64 beyond float32's range becomes infinite, which `fill` reports with the entry's name.
            with np.errstate(over="ignore"):
                arrays[name] = array.astype(np.float32, copy=False)
    return arrays


def _read_keras(path: Path) -> dict[str, np.ndarray]:
    """Return kernels and biases of a weights file or model in Keras's old layout, a group for each layer."""
    import h5py

    arrays: dict[str, np.ndarray] = {}
    try:
        with h5py.File(path) as stored:
            # A whole model has its weights one group deeper.
            root = stored.get("model_weights", stored)
            for layer in map(_text, root.attrs["layer_names"]):
                for name in map(_text, root[layer].attrs["weight_names"]):
                    value = np.asarray(root[layer][name][()], np.float32)
                    kernel = value.ndim == 4
                    arrays[f"{layer}.{'weight' if kernel else 'bias'}"] = (
                        value.transpose(3, 2, 0, 1) if kernel else value
                    )
    except (OSError, RuntimeError, KeyError, AttributeError, ValueError, TypeError) as error:
        raise UserError(
            f"{path} is damaged, or not an HDF5 file of Keras's layers ({_one_line(error)}); download it again",
            "unreadable",
        ) from None
    return arrays


def _text(name: str | bytes) -> str:
    return name.decode() if isinstance(name, bytes) else str(name)


def _read_torch(path: Path, formats: Counter[str], notes: list[str]) -> dict[str, np.ndarray]:
    torch = _import_torch(path)
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # UnpicklingError, RuntimeError, EOFError, KeyError, tarfile errors, …
        if any(sign in str(error) for sign in ("GLOBAL", "TorchScript", "Unsupported class")):
            raise UserError(
                f"{path} holds more than tensors{_forbidden(error)}, such as a pickled model, other objects or code, "
                f"which this program never runs; {STATE_DICT_ADVICE}",
                "unsupported",
            ) from None
        raise UserError(
            f"{path} is damaged, or not a PyTorch checkpoint ({_one_line(error)}); download it again, or "
            f"{STATE_DICT_ADVICE}",
            "unreadable",
        ) from None
    return _tensors(path, unwrap(path, content, notes), formats, torch)


def _import_torch(path: Path):
    try:
        import torch
    except ImportError:
        raise UserError(
            f"reading {path} needs PyTorch, which is not installed: {install_command('torch')}; {NPZ_ADVICE}",
            "missing_extra",
        ) from None
    version = tuple(int(part) for part in torch.__version__.split("+")[0].split(".")[:2])
    if version < SAFE_TORCH:
        wanted = ".".join(map(str, SAFE_TORCH))
        raise UserError(
            f"reading {path} is not safe: a file can make PyTorch {torch.__version__} run code (CVE-2025-32434); "
            f"pip install 'torch>={wanted}'; {NPZ_ADVICE}",
            "unsupported",
        )
    return torch


def unwrap(path: Path, content: Any, notes: list[str]) -> Mapping[str, Any]:
    """Return the state dict inside the content of a checkpoint; append what was dropped to `notes`.

    Raises: UserError when there is no state dict.
    """
    while isinstance(content, Mapping) and (
        wrapper := next((name for name in WRAPPERS if isinstance(content.get(name), Mapping)), "")
    ):
        others = sorted(str(key) for key in content if key != wrapper)
        dropped = f"; dropped: {', '.join(others)}" if others else ""
        notes.append(f"took the entries under {wrapper!r}{dropped}")
        content = content[wrapper]
    if not isinstance(content, Mapping) or not content:
        what = "an empty dictionary" if isinstance(content, Mapping) else f"a {type(content).__name__}"
        raise UserError(f"{path} holds {what}, not a state dict of named tensors; {STATE_DICT_ADVICE}", "wrong_type")
    return content


def _tensors(path: Path, content: Mapping[str, Any], formats: Counter[str], torch) -> dict[str, np.ndarray]:
    arrays, odd = {}, []
    for name, value in content.items():
        if not isinstance(value, torch.Tensor):
            odd.append(f"{name} ({type(value).__name__})")
        elif value.layout is not torch.strided or value.is_quantized or value.is_complex():
            odd.append(f"{name} ({value.dtype}, {value.layout})")
        else:
            if value.is_floating_point():
                formats[str(value.dtype).removeprefix("torch.")] += 1
                value = value.float()
            arrays[str(name)] = value.detach().numpy()
    _refuse_odd(path, odd)
    return arrays


def _refuse_odd(path: Path, odd: list[str]) -> None:
    if odd:
        raise UserError(
            f"{path} is not a state dict: these entries are not plain tensors of numbers: {shortened(odd)}; "
            f"{STATE_DICT_ADVICE}",
            "wrong_type",
        )


def _forbidden(error: Exception) -> str:
    """Return the refused name in PyTorch's long message, such as ` (posix.system)`; empty if it names none."""
    found = re.search(r"(?:GLOBAL|Unsupported class) (\w[\w.]*)", str(error))
    return f" ({found.group(1)})" if found else ""


def _one_line(error: Exception) -> str:
    text = " ".join(str(error).split()) or type(error).__name__
    if "weights_only" in text:
        # Keep the reason only: the rest of PyTorch's message explains how to read the file unsafely.
        reason = re.search(r"WeightsUnpickler error: (.*?)(?: Check the documentation|$)", text)
        text = reason.group(1) if reason else type(error).__name__
    return text if len(text) <= 160 else text[:159] + "…"
