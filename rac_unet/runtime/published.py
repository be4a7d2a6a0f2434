"""Paths of the weights files in the package; `rac_unet/weights/README.md` has their model cards."""

from __future__ import annotations

from pathlib import Path

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
