"""Emotion classifiers on disk: a run directory whose weights know the names of their classes.

The original judged emotions with a classifier whose order of classes was not its folders', and nothing noticed. Here
the names stand in config.yaml and again inside every weights file; both are compared when a classifier is opened, and
what it says is read by name.
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
from rac_unet.core.registry import check_name, resolve
from rac_unet.core.rundir import CLASSIFIER, RunDir, new_run, open_run
from rac_unet.data.frames import Frame, check_frame

CLASSIFIERS = {
    "resnet18": "rac_unet.models.classifiers.resnet18:build_resnet18",
    "small_reader": "rac_unet.models.classifiers.small_reader:build_small_reader",
}
HEADS = ("trained", "untrained")
# Attributes of the weights file itself.
_CLASSES, _HEAD = "classes", "head"


@dataclass(frozen=True)
class ClassifierConfig:
    """What a classifier is; the section `classifier` of its config.yaml.

    Args:
        classes: the seven emotions in the order of the logits.
        name: which network, from `CLASSIFIERS`.
        filters: channels of the first stage; 64 is the standard network.
        image_size: side of the square picture in pixels.
        preprocessing: what the network does to RGB in [0, 1] first; see `PREPROCESSING` of its module.
        head: `untrained` when only the layers before the logits have been trained, as in a start from ImageNet.
        frame: (side, x, y) of the square of an upright crop that its training pictures show, side and centre as shares
            of the crop's side; None for the whole crop. FER-2013's pictures are cut at (0.764, 0.5, 0.43).
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
    """The names, when they are the seven emotions once each in whatever order; UserError with every fault otherwise."""
    if not isinstance(names, Sequence) or isinstance(names, str):
        raise UserError(f"{where}: expected a list of the seven emotions. Received: {names!r}", "bad_value")
    faults = [f"unknown {name!r}" for name in dict.fromkeys(map(str, names)) if name not in EMOTIONS]
    faults += [f"{name!r} twice or more" for name in EMOTIONS if list(names).count(name) > 1]
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
        name: the run directory it came from.
        classes: emotion names in the order of the logits.
        image_size: side S of the square picture it takes, in pixels.
        frame: what part of an upright crop that picture is; see `ClassifierConfig`.
    """

    name: str
    classes: tuple[str, ...]
    image_size: int
    _run: Callable[[np.ndarray], np.ndarray]
    frame: Frame | None = None

    def call(self, image: np.ndarray) -> np.ndarray:
        """Logits in the classifier's own order.

        Args:
            image: float32 (B, S, S, 3), RGB in [0, 1].
        Returns: float32 (B, 7), in the order of `classes`.
        Raises: UserError when shape, type or range are not those.
        """
        image, size = np.asarray(image), self.image_size
        if image.ndim != 4 or image.shape[1:] != (size, size, 3) or not len(image):
            raise UserError(
                f"{self.name} judges pictures of {size} x {size} px, (B, {size}, {size}, 3); received {image.shape}; "
                f"resize them to {size} px",
                "bad_value",
            )
        if image.dtype.kind != "f" or not (image.min() >= -1e-3 and image.max() <= 1 + 1e-3):
            raise UserError(
                f"{self.name}: pictures should be float32 in [0, 1]; received {image.dtype}, or beyond it", "bad_value"
            )
        return self._run(image.astype(np.float32, copy=False))

    def probabilities(self, image: np.ndarray) -> np.ndarray:
        """Probabilities in the order of `rac_unet.core.emotions.EMOTIONS`, moved there by name.

        Args:
            image: as `call` takes it.
        Returns: float32 (B, 7), rows sum to 1.
        """
        return softmax(self.call(image)[:, [self.classes.index(name) for name in EMOTIONS]])


def build_classifier(config: ClassifierConfig, precision: str = "float32"):
    """The untrained network a config describes: keras.Model, `{"image": …}` -> `{"logits": (B, 7) float32}`.

    Args:
        precision: float32, mixed_bfloat16 or mixed_float16.
    """
    from rac_unet.models import built_under

    with built_under(precision):
        build = resolve(CLASSIFIERS, config.name)
        return build(config.image_size, len(config.classes), config.preprocessing, config.filters)


def write_classifier(path: str | os.PathLike, model, config: ClassifierConfig, provenance: dict[str, Any]) -> RunDir:
    """Make a classifier's run directory at `path`, with `model`'s weights as its best and its last.

    Raises: UserError when something is there already; then, or when a write fails, nothing is left behind.
    """
    with new_run(path, classifier_yaml(config), provenance) as run:
        for file in (run.best_weights, run.last_weights):
            write_classifier_weights(file, model, config)
    return RunDir(Path(path))


def classifier_yaml(config: ClassifierConfig) -> str:
    """Text of a classifier run's config.yaml."""
    import yaml

    section = {**asdict(config), "classes": list(config.classes), "frame": config.frame and list(config.frame)}
    if section["frame"] is None:
        del section["frame"]
    return yaml.safe_dump({"kind": CLASSIFIER, CLASSIFIER: section}, sort_keys=False, allow_unicode=True)


def write_classifier_weights(file: Path, model, config: ClassifierConfig) -> None:
    """Write or replace one weights file of a classifier, the names of its classes inside it."""

    def write(temporary: Path) -> None:
        import h5py

        model.save_weights(temporary)
        with h5py.File(temporary, "r+") as archive:
            archive.attrs[_CLASSES] = json.dumps(config.classes)
            archive.attrs[_HEAD] = config.head

    replace_file(file, write)


def read_classifier_config(run: RunDir) -> ClassifierConfig:
    """The validated config of a classifier's run directory."""
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
    """Rebuild a run's classifier with its best weights, trained head or not; what training on from it starts with.

    Returns: keras.Model as `build_classifier` makes it, and its ClassifierConfig.
    Raises: UserError when it is no classifier's run, or the weights are missing, damaged, not numbers, or of a
        classifier with other classes.
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
            # Keras warns of each container it misses, and then raises for what is really missing.
            warnings.simplefilter("ignore")
            model.load_weights(file)
    except Exception as error:  # h5py and Keras fail in many ways of their own on a damaged file
        text = " ".join(str(error).split())[:240]
        raise UserError(
            f"{file} is damaged, or not of the network in {run.config_file} ({text})", "unreadable"
        ) from error
    bad = [variable.path for variable in model.weights if not np.isfinite(variable.value.numpy()).all()]
    if bad:
        raise UserError(
            f"{file} holds values that are not numbers (first in {bad[0]}); train or import it again", "diverged"
        )
    return model, config


def refuse_untrained(run: RunDir, named: str | os.PathLike, kind: str = "wrong_type") -> None:
    """Raise UserError of this kind where a classifier's logits have not been trained: its answers would be chance.

    Args:
        named: how the message calls it.
    """
    if read_classifier_config(run).head == "untrained":
        raise UserError(
            f"{named} cannot read emotions yet: only its layers before the logits are trained (classifier.head: "
            "untrained in its config.yaml); train it on labelled faces first",
            kind,
        )


def softmax(logits: np.ndarray) -> np.ndarray:
    """Probabilities of logits, (N, C); rows sum to 1."""
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def classifier_facts(path: str | os.PathLike) -> dict[str, Any]:
    """Which classifier judged: its run's name, SHA-256 of its weights, and its classes, for provenance."""
    run = open_run(path, kind=CLASSIFIER)
    return {
        "name": run.path.resolve().name,
        "weights_sha256": file_digest(run.best_weights),
        "classes": list(read_classifier_config(run).classes),
    }


def load_classifier(path: str | os.PathLike) -> Classifier:
    """Open a classifier's run directory (its best weights) to judge pictures with it.

    Raises: UserError as `read_classifier` does, and when its head was never trained: its answers would be chance.
    """
    refuse_untrained(open_run(path, kind=CLASSIFIER), path)
    model, config = read_classifier(path)
    import tensorflow as tf

    size = config.image_size
    signature = [{"image": tf.TensorSpec((None, size, size, 3), tf.float32)}]
    # One graph for every batch size. Not in training mode: batch norm uses its stored statistics.
    run_model = tf.function(
        lambda inputs: model(inputs, training=False)["logits"], input_signature=signature, jit_compile=False
    )
    return Classifier(str(path), config.classes, size, lambda image: run_model({"image": image}).numpy(), config.frame)


def _check_weights_file(run: RunDir, file: Path, config: ClassifierConfig) -> None:
    """Raise UserError unless the weights file says the same about itself as the run's config."""
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
            f"{file} does not say which classes its logits stand for; it is no emotion classifier's weights file, "
            f"or was written by another program; restore the one that belongs to {run.path}",
            "wrong_type",
        )
    classes = check_classes(classes, str(file))
    for what, inside, outside in (("classes", classes, config.classes), ("head", attributes[_HEAD], config.head)):
        if inside != outside:
            shown = [value if isinstance(value, str) else ", ".join(value) for value in (inside, outside)]
            raise UserError(
                f"{file} belongs to another classifier than {run.config_file}: {what} {shown[0]} in the weights, "
                f"{shown[1]} in the config; restore the pair that belongs together",
                "mismatch",
            )
