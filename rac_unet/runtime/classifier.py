"""Read, write and run emotion classifiers: run directories whose weights files contain the class names.

The original scored emotions with a classifier whose class order differed from that of its folders, unnoticed. Here the
names are in config.yaml and in every weights file; both are compared when a classifier is opened, and its probabilities
are ordered by name.
"""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from rac_unet.core.config import read_yaml
from rac_unet.core.emotions import EMOTIONS
from rac_unet.core.errors import UserError
from rac_unet.core.files.hashing import file_digest
from rac_unet.core.files.whole import replace_file
from rac_unet.core.registry import CLASSIFIERS, check_name, resolve
from rac_unet.core.rundir import CLASSIFIER, RunDir, new_run, open_run
from rac_unet.data.frames import Frame, check_frame

HEADS = ("trained", "untrained")
# Attributes of the weights file itself.
_CLASSES, _HEAD = "classes", "head"


@dataclass(frozen=True)
class ClassifierConfig:
    """Settings of a classifier; the section `classifier` of its config.yaml.

    Args:
        classes: the seven emotions in the order of the logits.
        name: the network, from `CLASSIFIERS`.
        filters: channels of the first stage; 64 is the standard network.
        image_size: side of the square image in pixels.
        preprocessing: how the network normalises RGB in [0, 1]; see `PREPROCESSING` of its module.
        head: `untrained` if only the layers before the logits have been trained, as with ImageNet weights.
        frame: (side, x, y) of the square of an upright crop that its training images show, side and centre as shares
            of the crop's side; None for the whole crop. FER-2013's images are cut at (0.764, 0.5, 0.43).
    Raises: UserError naming the section's key and value.
    """

    classes: tuple[str, ...]
    name: str = "resnet18"
    filters: int = 64
    image_size: int = 128
    preprocessing: str = "none"
    head: str = "trained"
    frame: Frame | None = None

    def __post_init__(self):
        object.__setattr__(self, "classes", check_classes(self.classes, "classifier.classes"))
        for key in ("name", "preprocessing", "head"):
            if not isinstance(getattr(self, key), str):
                raise UserError(f"classifier.{key}: expected a name. Received: {getattr(self, key)!r}", "bad_value")
        check_name("classifier.name", self.name, CLASSIFIERS)
        check_name("classifier.head", self.head, HEADS)
        for key in ("filters", "image_size"):
            value = getattr(self, key)
            if type(value) is not int or value < 1:
                raise UserError(f"classifier.{key}: expected 1 or more. Received: {value!r}", "bad_value")
        if self.frame is not None:
            object.__setattr__(self, "frame", check_frame(self.frame, "classifier.frame"))


def check_classes(names: Any, where: str) -> tuple[str, ...]:
    """Return the names if they are the seven emotions in any order; otherwise raise UserError with all faults."""
    if not isinstance(names, Sequence) or isinstance(names, str):
        raise UserError(f"{where}: expected a list of the seven emotions. Received: {names!r}", "bad_value")
    faults = [f"unknown {name!r}" for name in dict.fromkeys(map(str, names)) if name not in EMOTIONS]
    faults += [f"{name!r} repeated" for name in EMOTIONS if list(names).count(name) > 1]
    faults += [f"{name!r} missing" for name in EMOTIONS if name not in names]
    if faults:
        raise UserError(
            f"{where}: {', '.join(faults)}; expected each of {', '.join(EMOTIONS)} once, in the order of the logits. "
            f"Received {len(names)}: {', '.join(map(str, names))}",
            "bad_value",
        )
    return tuple(names)


@dataclass(frozen=True)
class Classifier:
    """A trained emotion classifier; made by `load_classifier`.

    Attributes:
        name: its run directory.
        classes: emotion names in the order of the logits.
        image_size: side S of the square input image, in pixels.
        frame: the part of an upright crop that the image shows; see `ClassifierConfig`.
    """

    name: str
    classes: tuple[str, ...]
    image_size: int
    _run: Callable[[np.ndarray], np.ndarray]
    frame: Frame | None = None

    def call(self, image: np.ndarray) -> np.ndarray:
        """Return logits in the classifier's own order.

        Args:
            image: float32 (B, S, S, 3), RGB in [0, 1].
        Returns: float32 (B, 7), in the order of `classes`.
        Raises: UserError when shape, type or range are wrong.
        """
        image, size = np.asarray(image), self.image_size
        if image.ndim != 4 or image.shape[1:] != (size, size, 3) or not len(image):
            raise UserError(
                f"{self.name} takes pictures of {size} x {size} px, (B, {size}, {size}, 3); received {image.shape}; "
                f"resize them to {size} px",
                "bad_value",
            )
        if image.dtype.kind != "f" or not (image.min() >= -1e-3 and image.max() <= 1 + 1e-3):
            received = f"{image.dtype}" + (" with values outside" if image.dtype.kind == "f" else "")
            raise UserError(f"{self.name}: pictures should be float32 in [0, 1]; received {received}", "bad_value")
        return self._run(image.astype(np.float32, copy=False))

    def probabilities(self, image: np.ndarray) -> np.ndarray:
        """Return probabilities in the order of `rac_unet.core.emotions.EMOTIONS`.

        Args:
            image: as for `call`.
        Returns: float32 (B, 7), rows sum to 1.
        """
        return softmax(self.call(image)[:, [self.classes.index(name) for name in EMOTIONS]])


def build_classifier(config: ClassifierConfig, precision: str = "float32"):
    """Build the untrained network of a config: keras.Model, `{"image": …}` -> `{"logits": (B, 7) float32}`.

    Args:
        precision: float32, mixed_bfloat16 or mixed_float16.
    """
    from rac_unet.models import built_under

    with built_under(precision):
        build = resolve(CLASSIFIERS[config.name])
        return build(config.image_size, len(config.classes), config.preprocessing, config.filters)


def write_classifier(path: str | os.PathLike, model, config: ClassifierConfig, provenance: dict[str, Any]) -> RunDir:
    """Write a classifier's run directory at `path`, with `model`'s weights as both best and last weights.

    Raises: UserError when the path exists already; then, or when a write fails, nothing is left behind.
    """
    with new_run(path, classifier_yaml(config), provenance) as run:
        for file in (run.best_weights, run.last_weights):
            write_classifier_weights(file, model, config)
    return RunDir(Path(path))


def classifier_yaml(config: ClassifierConfig) -> str:
    """Return the text of a classifier run's config.yaml."""
    import yaml

    section = {**asdict(config), "classes": list(config.classes), "frame": config.frame and list(config.frame)}
    if section["frame"] is None:
        del section["frame"]
    return yaml.safe_dump({"kind": CLASSIFIER, CLASSIFIER: section}, sort_keys=False, allow_unicode=True)


def write_classifier_weights(file: Path, model, config: ClassifierConfig) -> None:
    """Write or replace a weights file of a classifier, with its class names inside."""

    def write(temporary: Path) -> None:
        import h5py

        model.save_weights(temporary)
        with h5py.File(temporary, "r+") as archive:
            archive.attrs[_CLASSES] = json.dumps(config.classes)
            archive.attrs[_HEAD] = config.head

    replace_file(file, write)


def read_classifier_config(run: RunDir) -> ClassifierConfig:
    """Read and check the config of a classifier's run directory."""
    where, values = run.config_file, read_yaml(run.config_file)
    keys, section = [field.name for field in fields(ClassifierConfig)], values.get(CLASSIFIER)
    if not isinstance(section, dict) or "classes" not in section:
        raise UserError(
            f"{where}: expected a section {CLASSIFIER!r} with {', '.join(keys)}. Received: {values!r}", "bad_layout"
        )
    for key in section:
        check_name(f"{where}: {CLASSIFIER}", key, keys)
    try:
        return ClassifierConfig(**section)
    except UserError as error:
        raise UserError(f"{where}: {error}", error.kind) from None


def read_classifier(path: str | os.PathLike):
    """Load a run's classifier with its best weights, also with an untrained head, for example to train it further.

    Returns: keras.Model of `build_classifier`, and its ClassifierConfig.
    Raises: UserError when the path is not a classifier's run, or the weights are missing, damaged, non-finite, or
        belong to a classifier with other classes.
    """
    run = open_run(path, kind=CLASSIFIER)
    config, file = read_classifier_config(run), run.best_weights
    _check_weights_file(run, file, config)
    try:
        model = build_classifier(config)
    except UserError as error:
        raise UserError(f"{run.config_file}: {error}", error.kind) from None
    try:
        with warnings.catch_warnings():
            # Keras warns about each missing container, then raises an error for weights that are really missing.
            warnings.simplefilter("ignore")
            model.load_weights(file)
    except Exception as error:  # h5py and Keras raise many different classes for a damaged file
        text = " ".join(str(error).split())[:240]
        raise UserError(
            f"{file} is damaged, or does not match the network in {run.config_file} ({text})", "unreadable"
        ) from error
    bad = [variable.path for variable in model.weights if not np.isfinite(variable.value.numpy()).all()]
    if bad:
        raise UserError(
            f"{file} holds values that are not numbers (first in {bad[0]}); train or import it again", "diverged"
        )
    return model, config


def refuse_untrained(run: RunDir, named: str | os.PathLike, kind: str = "wrong_type") -> None:
    """Raise UserError if the head of a classifier is untrained, since its answers would be random.

    Args:
        named: the classifier's name in the message.
        kind: kind of the error.
    """
    if read_classifier_config(run).head == "untrained":
        raise UserError(
            f"{named} cannot read emotions yet: only its layers before the logits are trained (classifier.head: "
            "untrained in its config.yaml); train it on labelled faces first",
            kind,
        )


def softmax(logits: np.ndarray) -> np.ndarray:
    """Return the probabilities of logits (N, C); rows sum to 1."""
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def classifier_facts(path: str | os.PathLike) -> dict[str, Any]:
    """Return a classifier's entry for provenance: its run's name, the SHA-256 of its weights, and its classes."""
    run = open_run(path, kind=CLASSIFIER)
    return {
        "name": run.path.resolve().name,
        "weights_sha256": file_digest(run.best_weights),
        "classes": list(read_classifier_config(run).classes),
    }


def load_classifier(path: str | os.PathLike) -> Classifier:
    """Load the best weights of a classifier's run directory for inference.

    Raises: UserError as `read_classifier`, and when its head is untrained.
    """
    refuse_untrained(open_run(path, kind=CLASSIFIER), path)
    model, config = read_classifier(path)
    import tensorflow as tf

    size = config.image_size
    signature = [{"image": tf.TensorSpec((None, size, size, 3), tf.float32)}]
    # One graph for every batch size.
    run_model = tf.function(
        lambda inputs: model(inputs, training=False)["logits"], input_signature=signature, jit_compile=False
    )
    return Classifier(str(path), config.classes, size, lambda image: run_model({"image": image}).numpy(), config.frame)


def _check_weights_file(run: RunDir, file: Path, config: ClassifierConfig) -> None:
    """Raise UserError unless classes and head in the weights file equal those of the run's config."""
    import h5py

    try:
        with h5py.File(file, "r") as archive:
            attributes = dict(archive.attrs)
        classes = json.loads(attributes[_CLASSES]) if _CLASSES in attributes else None
    except (OSError, ValueError) as error:
        raise UserError(
            f"{file} is not a weights file, or a damaged one ({' '.join(str(error).split())})", "unreadable"
        ) from None
    if classes is None or _HEAD not in attributes:
        raise UserError(
            f"{file} does not name the classes of its logits; it is not the weights file of an emotion classifier, or "
            f"was written by another program; restore the file that belongs to {run.path}",
            "wrong_type",
        )
    classes = check_classes(classes, str(file))
    for what, inside, outside in (("classes", classes, config.classes), ("head", attributes[_HEAD], config.head)):
        if inside != outside:
            shown = [value if isinstance(value, str) else ", ".join(value) for value in (inside, outside)]
            raise UserError(
                f"{file} and {run.config_file} belong to different classifiers: {what} {shown[0]} in the weights, "
                f"{shown[1]} in the config; restore the matching file",
                "mismatch",
            )
