"""Which file a feature extractor's weights come from: known, and fetched if need be, before TensorFlow is imported."""

from __future__ import annotations

import os
from pathlib import Path

from rac_unet.core.errors import UserError
from rac_unet.core.files.hashing import file_digest
from rac_unet.core.registry import EXTRACTORS
from rac_unet.objectives.download import DownloadError, fetch

PUBLISHER = "https://storage.googleapis.com/tensorflow/keras-applications"
# Keras's file names and the MD5 digests it publishes with them.
PUBLISHED = {
    "vgg16": ("vgg16_weights_tf_dim_ordering_tf_kernels_notop.h5", "6d6bbae143d832006294945121d1f1fc"),
    "vgg19": ("vgg19_weights_tf_dim_ordering_tf_kernels_notop.h5", "253f8cb515780f3b799900260a226db6"),
}


def find_extractor_file(features: str, weights: str, prefix: str = "") -> Path | None:
    """The file that `load_extractor(features, weights)` will read; never imports TensorFlow.

    ImageNet weights are taken from Keras's cache (`models` in KERAS_HOME, by default ~/.keras) or downloaded into it.

    Args:
        features: vgg16, vgg19, or a path to a `.keras` file.
        weights: for the first two, imagenet, none, or a path to a weights file.
        prefix: of the options that name the two, for advice: `loss.` if the user writes `--loss.features`.
    Returns: an existing file, or None where the weights are to be random.
    Raises: UserError when there is no such file, or, within seconds, when it cannot be downloaded.
    """
    option, weights_option = f"--{prefix}features", f"--{prefix}feature_weights"
    if features not in EXTRACTORS:
        if weights != "imagenet":
            raise UserError(
                f"{weights_option} {weights} goes with {' or '.join(EXTRACTORS)}; {features} brings its own weights: "
                f"leave {weights_option} out",
                "usage",
            )
        return _existing(features, option, "a Keras model file whose outputs are feature maps")
    if weights == "none":
        return None
    if weights != "imagenet":
        return _existing(weights, weights_option, f"a weights file such as {PUBLISHED[features][0]}")
    name, md5 = PUBLISHED[features]
    file = Path(os.environ.get("KERAS_HOME") or "~/.keras").expanduser() / "models" / name
    cached = file.is_file()
    if cached and file_digest(file, "md5") == md5:
        return file
    try:
        fetch(f"{PUBLISHER}/{features}/{name}", file, md5)
    except DownloadError as error:
        found = f"{file} is damaged, and a new one" if cached else f"{name} (ImageNet weights of {features})"
        raise UserError(
            f"{found} cannot be downloaded from {PUBLISHER.split('/')[2]}: {error}. Put that file into {file.parent}, "
            f"or name it where it lies (on Kaggle, attach a data set that has it): {weights_option} FILE. Or take "
            f"another extractor, {option} FILE.keras, or an untrained one, {weights_option} none",
            "download",
        ) from error
    return file


def _existing(path: str, option: str, wanted: str) -> Path:
    file = Path(path).expanduser()
    if not file.is_file():
        problem, kind = ("is a folder", "wrong_type") if file.is_dir() else ("does not exist", "missing")
        raise UserError(f"{option}: {file} {problem}; give {wanted}, or put it back there", kind)
    return file
