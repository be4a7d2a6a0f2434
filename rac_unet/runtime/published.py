"""Paths of the weights files in the package; `rac_unet/weights/README.md` has their model cards."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rac_unet.core.rundir import RunDir

_WEIGHTS = Path(__file__).resolve().parents[1] / "weights"
PUBLISHED_NETWORK = _WEIGHTS / "rac_unet_lite.tflite"
# The network for large faces, 256 pixels; an installation may be without it.
PUBLISHED_PORTRAIT = _WEIGHTS / "rac_unet_portrait.tflite"
# The same network in float32, to train it on; its config.yaml is next to it. It is in the repository, not in the wheel.
PUBLISHED_WEIGHTS = _WEIGHTS / "rac_unet_lite" / "rac_unet_lite.weights.h5"
PUBLISHED_READER = _WEIGHTS / "visible_emotion.tflite"


def published_start() -> Path:
    """Return the file that a training on of the published network starts with: float32, or 8-bit if that is missing."""
    return PUBLISHED_WEIGHTS if PUBLISHED_WEIGHTS.is_file() else PUBLISHED_NETWORK


def open_network(path: str | os.PathLike, need_weights: bool = True) -> RunDir:
    """Open a run directory, a .weights.h5 file, or the published network's float weights.

    Args:
        path: of one of these, or `published`.
        need_weights: whether a run directory must have trained weights.
    Raises: UserError when there is no such network.
    """
    from rac_unet.core.config import PUBLISHED, published_or_path
    from rac_unet.core.errors import UserError
    from rac_unet.core.rundir import WEIGHTS_ENDING, open_run, open_weights

    if published_or_path(str(path)) == PUBLISHED:
        if not PUBLISHED_WEIGHTS.is_file():
            raise UserError(
                f"{PUBLISHED_WEIGHTS} does not exist: the published network's float weights are in the repository, not "
                "in the installed package; give a copy of them",
                "missing",
            )
        return open_weights(PUBLISHED_WEIGHTS)
    path = Path(path).expanduser()
    is_weights = path.name.lower().endswith(WEIGHTS_ENDING) and not path.is_dir()
    return open_weights(path) if is_weights else open_run(path, need_weights=need_weights)
