"""RAC-UNET: paint back the half of a face that a mask hides, showing a given emotion.

import rac_unet

result = rac_unet.unmask("photo.jpg", emotion="happiness")
print(result.faces)
result.save("unmasked.png")
"""

import importlib
import os

__version__ = "0.1.0"

# TensorFlow reads these when it is first imported. Without the first it keeps its slow convolutions on processors that
# lack AVX-512 (training is 1.6 times as fast with it here); without the second it fills every log with hardware notes.
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")


def unmask(photo, emotion="auto", model=None):
    """Paint over every face mask in a photo. What is painted is plausible, not true.

    Args:
        photo: a file (JPEG, PNG, WebP, AVIF, TIFF, GIF, BMP and other common kinds, HEIC with pillow-heif) or uint8 RGB
            (H, W, 3).
        emotion: `auto` (read from what can be seen of each face), `none`, or surprise, fear, disgust, happiness,
            sadness, anger or neutral, for all faces.
        model: a run directory or something exported from one, of a mask-aware network; default: the published one.
    Returns: an object with `image`, uint8 RGB (H, W, 3), the photo's own pixels outside `occlusion`, bool (H, W);
        `faces`, each with `box`, `masked`, `emotion`, `confidence` and `occlusion_area`; and `save(path)`, which marks
        the file as synthetic.
    Raises: rac_unet.core.errors.UserError when the photo, the emotion or the model cannot be used.
    """
    # By name, so that what prepares data, and has this package above it, stays clear of the networks' libraries.
    return importlib.import_module("rac_unet.unmasking.photo").unmask(photo, emotion, model)
