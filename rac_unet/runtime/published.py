"""Paths of the weights files in the package; `rac_unet/weights/README.md` has their model cards."""

from __future__ import annotations

from pathlib import Path

_WEIGHTS = Path(__file__).resolve().parents[1] / "weights"
PUBLISHED_NETWORK = _WEIGHTS / "rac_unet_lite.tflite"
# The network for large faces, 256 pixels; an installation may be without it.
PUBLISHED_PORTRAIT = _WEIGHTS / "rac_unet_portrait.tflite"
PUBLISHED_READER = _WEIGHTS / "visible_emotion.tflite"
