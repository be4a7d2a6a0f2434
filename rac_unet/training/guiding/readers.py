"""The emotion readers of guided training: check them without TensorFlow, then load them."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from rac_unet.core.emotions import EMOTIONS
from rac_unet.core.errors import UserError
from rac_unet.core.rundir import CLASSIFIER, open_run
from rac_unet.data.frames import WHOLE_CROP, Frame
from rac_unet.runtime.classifier import classifier_facts, read_classifier, refuse_untrained

if TYPE_CHECKING:
    from rac_unet.data.pairs import PairSet


@dataclass(frozen=True)
class Reader:
    """A frozen emotion classifier; made by `load_readers`.

    Attributes:
        name: name of its run directory.
        model: keras.Model, `{"image": (B, S, S, 3) RGB in [0, 1]}` to `{"logits": (B, 7)}`; it computes in float32.
        classes: emotion names in the order of the logits.
        image_size: side S in pixels.
        frame: (side, x, y) of the square of a crop that it sees, as shares of the crop's side.
    """

    name: str
    model: Any
    classes: tuple[str, ...]
    image_size: int
    frame: Frame = WHOLE_CROP


def emotion_frequencies(train: PairSet) -> np.ndarray:
    """Return the weighted shares (7,) of the emotions among the training pairs, in the order of `EMOTIONS`.

    Raises: UserError when there is only one emotion, since then no label can be wrong.
    """
    shares = train.weights @ train.emotion_shares
    shares = (shares / shares.sum()).astype(np.float32)
    if np.count_nonzero(shares) < 2:
        raise UserError(
            "guidance.readers, guidance.teacher: guidance needs training pairs of several emotions, but all "
            f"{len(train):,} of {train.root} are {EMOTIONS[int(shares.argmax())]!r}; add other pairs, or train without "
            "guidance",
            "mismatch",
        )
    return shares


def check_readers(paths: Sequence[str | os.PathLike]) -> list[dict[str, Any]]:
    """Check the readers without TensorFlow, and return their entries for provenance.json.

    Returns: for each reader its name, SHA-256 of the weights, classes and fingerprint of its data.
    Raises: UserError naming the run directory that is missing, not a classifier's, untrained, or given twice.
    """
    facts: list[dict[str, Any]] = []
    for path in paths:
        try:
            run = open_run(path, kind=CLASSIFIER)
            refuse_untrained(run, path, "mismatch")
        except UserError as error:
            raise UserError(f"guidance.readers: {error}", error.kind) from None
        facts.append(classifier_facts(path) | {"data_fingerprint": run.provenance().get("data_fingerprint")})
        if any(facts[-1]["weights_sha256"] == before["weights_sha256"] for before in facts[:-1]):
            raise UserError(f"guidance.readers: the weights of {path} are given twice; give each reader once", "usage")
    return facts


def load_readers(paths: Sequence[str | os.PathLike], strategy) -> list[Reader]:
    """Load run directories of `train_classifier` as readers, with a copy of their weights on every device.

    Args:
        paths: the run directories.
        strategy: the run's `tf.distribute.Strategy`.
    Raises: UserError as `read_classifier`.
    """
    readers = []
    for path in paths:
        with strategy.scope():
            model, config = read_classifier(path)
        model.trainable = False
        frame = getattr(config, "frame", None) or WHOLE_CROP
        readers.append(Reader(Path(path).resolve().name, model, config.classes, config.image_size, frame))
    return readers
