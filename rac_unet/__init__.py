"""RAC-UNET: inpaint the half of a face hidden by a face mask, conditioned on an emotion.

import rac_unet

result = rac_unet.unmask("photo.jpg", emotion="happiness")
print(result.faces)
result.save("unmasked.png")
"""

from __future__ import annotations

import importlib
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np

    from rac_unet.unmasking.result import PhotoResult

__all__ = ["__version__", "unmask"]
__version__ = "0.1.0"

# TensorFlow reads these at its first import. The first enables oneDNN's fast convolutions on CPUs without AVX-512
# (training was 1.6 times as fast in a test); the second hides the notes about hardware in every log.
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")


def unmask(
    photo: str | os.PathLike[str] | np.ndarray,
    emotion: str = "auto",
    model: str | os.PathLike[str] | None = None,
    *,
    map: str | os.PathLike[str] | np.ndarray | None = None,
    map_mode: str | None = None,
    faces: str | int = "all",
    box: str | Sequence[float] | None = None,
) -> PhotoResult:
    """Inpaint every face mask in a photo. The painted faces are plausible, not true.

    Args:
        photo: a file (JPEG, PNG, WebP, AVIF, TIFF, GIF, BMP and other common formats, HEIC with pillow-heif) or a uint8
            RGB array (H, W, 3).
        emotion: `auto` (read from the visible part of each face), `none`, or surprise, fear, disgust, happiness,
            sadness, anger or neutral, for all faces.
        model: a run directory, or an export of one, of a mask-aware network; by default `auto`, the published networks,
            chosen by the size of each face (`lite` or `portrait`: one of them).
        map: pixels to inpaint, a file or an array (H, W) of bool, uint8 or float in [0, 1]; inside the face crops they
            are painted whether or not a mask is found there. By default what the network finds.
        map_mode: `replace` (default), `add` or `remove`: what `map` does to the map that the network finds.
        faces: `all`, `largest`, or how many of the largest faces.
        box: x0, y0, x1, y1 in photo pixels, for the faces at this place only.
    Returns: an object with `image`, uint8 RGB (H, W, 3), equal to the photo outside `occlusion`, bool (H, W); `faces`,
        each with `box`, `masked`, `emotion`, `confidence`, `occlusion_area`, `network`, `chosen` and `painted`; `map`,
        uint8 (H, W); `repaste(map)`, which returns the result with an edited map, without running the network again;
        and `save(path)`, which marks the file as synthetic.
    Raises: rac_unet.core.errors.UserError when the photo or an argument cannot be used.
    """
    # Imported by name, so that data_prep, which imports this package, does not import the networks' libraries.
    result: PhotoResult = importlib.import_module("rac_unet.unmasking.photo").unmask(
        photo, emotion, model, map=map, map_mode=map_mode, faces=faces, box=box
    )
    return result
