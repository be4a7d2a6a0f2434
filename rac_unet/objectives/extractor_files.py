"""Find or download the weights file of a feature extractor, without TensorFlow."""

from __future__ import annotations

import os
from pathlib import Path

from rac_unet.core.errors import UserError
from rac_unet.core.files.hashing import file_digest
from rac_unet.core.registry import EXTRACTORS
from rac_unet.objectives.download import DownloadError, fetch

PUBLISHER = "https://storage.googleapis.com/tensorflow/keras-applications"
# Keras's file names and the MD5 digests it publishes with them.
KERAS_FILES = {
    "vgg16": ("vgg16_weights_tf_dim_ordering_tf_kernels_notop.h5", "6d6bbae143d832006294945121d1f1fc"),
    "vgg19": ("vgg19_weights_tf_dim_ordering_tf_kernels_notop.h5", "253f8cb515780f3b799900260a226db6"),
}


def find_extractor_file(features: str, weights: str, prefix: str = "") -> Path | None:
    """Return the file that `load_extractor(features, weights)` will read; never imports TensorFlow.

    ImageNet weights are taken from Keras's cache (`models` in KERAS_HOME, by default ~/.keras) or downloaded into it.

    Args:
        features: vgg16, vgg19, or a path to a `.keras` file.
        weights: for vgg16 and vgg19: imagenet, none, or a path to a weights file.
        prefix: prefix of the two options in messages: `loss.` if the user writes `--loss.features`.
    Returns: an existing file; None for random weights.
    Raises: UserError when the file is missing, or, within seconds, when it cannot be downloaded.
    """
    option, weights_option = f"--{prefix}features", f"--{prefix}feature_weights"
    if features not in EXTRACTORS:
        if weights != "imagenet":
            raise UserError(
                f"{weights_option} {weights} applies to {' and '.join(EXTRACTORS)} only; {features} contains its own "
                f"weights: omit {weights_option}",
                "usage",
            )
        return _existing(features, option, "a Keras model file whose outputs are feature maps")
    if weights == "none":
        return None
    if weights != "imagenet":
        return _existing(weights, weights_option, f"a weights file such as {KERAS_FILES[features][0]}")
    name, md5 = KERAS_FILES[features]
    file = Path(os.environ.get("KERAS_HOME") or "~/.keras").expanduser() / "models" / name
    cached = file.is_file()
    if cached and file_digest(file, "md5") == md5:
        return file
    try:
        fetch(f"{PUBLISHER}/{features}/{name}", file, md5)
    except DownloadError as error:
        found = f"{file} is damaged, and a new one" if cached else f"{name} (ImageNet weights of {features})"
        raise UserError(
            f"{found} cannot be downloaded from {PUBLISHER.split('/')[2]}: {error}. Copy that file into {file.parent}, "
            f"or give its path (on Kaggle, attach a data set that contains it): {weights_option} FILE. Or use another "
            f"extractor, {option} FILE.keras, or an untrained one, {weights_option} none",
            "download",
        ) from error
    return file


def _existing(path: str, option: str, wanted: str) -> Path:
    file = Path(path).expanduser()
    if not file.is_file():
        problem, kind = ("is a folder", "wrong_type") if file.is_dir() else ("does not exist", "missing")
        raise UserError(f"{option}: {file} {problem}; give {wanted}", kind)
    return file
