"""Score a network and the baselines image by image: one row for each pair, and the images that sheets show."""

from __future__ import annotations

import functools
import hashlib
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from rac_unet.data.pairs import PairSet
from rac_unet.data.pictures import Pictures
from rac_unet.data.pipeline import make_scoring_dataset
from rac_unet.runtime.classifier import Classifier
from rac_unet.runtime.interface import OCCLUSION
from rac_unet.runtime.runners import Runner
from rac_unet.scoring.baselines import BASELINES, mean_training_face, telea
from rac_unet.scoring.emotions.face_reading import read_names, reading_column
from rac_unet.scoring.metric_table import (
    BRISQUE,
    BY_NAME,
    FEATURES,
    NETWORK,
    TRUTH,
    GroundTruth,
    score_images,
    score_truth,
)
from rac_unet.scoring.metrics import compose
from rac_unet.scoring.selection import Selection
from rac_unet.scoring.shown_faces import evenly_chosen, faces_to_compare, faces_to_show

SYSTEMS = (NETWORK, *BASELINES)
# Number of faces on the sheet of seven emotions, and of those by which systems are compared.
EMOTION_SHEET_FACES = COMPARED_FACES = 24


@dataclass(frozen=True)
class Faces:
    """Images of some of the scored faces.

    Attributes:
        rows: their row numbers in `ImageScores.table`.
        images: masked, painted (by the network), composite, telea, truth: (N, S, S, 3) float32 in [0, 1]; occlusion:
            (N, S, S, 1) float32, > 0 where hidden.
    """

    rows: list[int]
    images: dict[str, np.ndarray]


@dataclass(frozen=True)
class ImageScores:
    """Scores of each pair.

    Attributes:
        table: a row per pair, the content of scores.csv: key, emotion, identity, mask_style, source, pixels (hash of
            masked image, ground truth and occlusion), hidden (share of pixels), each metric as `<system>_<metric>`,
            and what judges read (`reading_column`).
        samples: a few faces, of each emotion if possible.
        spread: up to 24 faces, evenly spaced over all.
        compared: up to 24 faces, the same for every system that is scored on the same pairs.
    """

    table: pd.DataFrame
    samples: Faces
    spread: Faces
    compared: Faces


def score_pairs(
    runner: Runner,
    selection: Selection,
    batch_size: int,
    extractor=None,
    judges: Sequence[Classifier] = (),
    with_brisque: bool = False,
    advance: Callable[[int], Any] = lambda count: None,
) -> ImageScores:
    """Score the network and the baselines on each pair of `selection.scored`.

    Args:
        extractor: from `rac_unet.objectives.features.load_extractor`, for feature distances; None for none.
        judges: read the emotion of the ground truth, of the masked image, and of the composites painted with the true
            label and, by a conditioned network, without a label.
        with_brisque: whether to compute BRISQUE, also of the ground truth.
        advance: called with the number of images after each batch.
    Raises: UserError when the data set has no training pairs, whose mean face is a baseline.
    """
    scored = selection.scored
    mean_face = mean_training_face(selection.pairs, runner.image_size)
    available = [name for name, given in ((FEATURES, extractor), (BRISQUE, with_brisque)) if given]
    rows = {
        "samples": faces_to_show(scored),
        "spread": evenly_chosen(len(scored), EMOTION_SHEET_FACES),
        "compared": faces_to_compare(scored.keys.tolist(), COMPARED_FACES),
    }
    shown = _ShownImages({row for some in rows.values() for row in some})
    columns: dict[str, list[np.ndarray]] = defaultdict(list)
    # TensorFlow's many small operations leave a core idle, so two systems are measured at a time.
    with ThreadPoolExecutor(2) as pool:
        for batch in _painted_batches(runner, scored, batch_size):
            systems = {
                NETWORK: batch.painted,
                "masked_input": batch.masked,
                "mean_face": np.broadcast_to(mean_face, batch.masked.shape),
                "telea": telea(batch.masked, batch.occlusion),
            }
            values = {
                "pixels": _digests(batch.masked, batch.truth, batch.occlusion),
                "hidden": (batch.occlusion > 0).mean(axis=(1, 2, 3)),
                **_measure(pool, batch, systems, extractor, available),
                **_read_emotions(runner, batch, judges),
            }
            for name, column in values.items():
                columns[name].append(column)
            shown.add(batch, systems["telea"])
            advance(len(batch.masked))
    table = scored.frame[["key", "emotion", "identity", "mask_style", "source"]].astype(str)
    table = table.assign(**{name: np.concatenate(parts) for name, parts in columns.items()})
    return ImageScores(table, **{sheet: shown.faces(some) for sheet, some in rows.items()})


@dataclass(frozen=True)
class _Batch:
    """A batch of pairs, and the network's output for it.

    Attributes:
        masked, truth, painted, composite: (B, S, S, 3) float32 in [0, 1].
        occlusion: (B, S, S, 1) float32, > 0 where hidden.
        predicted_map: (B, S, S, 1) in [0, 1]; None if the network is not mask-aware.
        label: (B, 7) float32, one-hot.
    """

    masked: np.ndarray
    truth: np.ndarray
    painted: np.ndarray
    composite: np.ndarray
    occlusion: np.ndarray
    predicted_map: np.ndarray | None
    label: np.ndarray


def _painted_batches(runner: Runner, pairs: PairSet, batch_size: int) -> Iterator[_Batch]:
    """Yield the pairs in batches, each inpainted with its own label."""
    for inputs, targets in make_scoring_dataset(pairs, Pictures(pairs, runner.image_size), batch_size):
        masked, label = inputs["masked_image"].numpy(), inputs["emotion"].numpy()
        truth, occlusion = targets["unmasked_image"].numpy(), targets["occlusion"].numpy()
        outputs = runner(masked, label)
        painted = np.clip(outputs["inpainted_image"], 0, 1)
        composite = compose(truth, painted, occlusion)
        yield _Batch(masked, truth, painted, composite, occlusion, outputs.get(OCCLUSION), label)


def _measure(
    pool: Executor, batch: _Batch, systems: dict[str, np.ndarray], extractor, available: Collection[str]
) -> dict[str, np.ndarray]:
    """Return the metrics of each system, and of the ground truth itself: column of scores.csv -> (B,)."""
    ground = GroundTruth(batch.truth, batch.occlusion, extractor)
    score = functools.partial(score_images, ground, given=available)
    maps = [batch.predicted_map if system == NETWORK else None for system in SYSTEMS]
    results = pool.map(score, [systems[system] for system in SYSTEMS], maps)
    columns = {
        BY_NAME[name].column(system): values
        for system, scores in zip(SYSTEMS, results, strict=True)
        for name, values in scores.items()
    }
    return columns | score_truth(ground, available)


def _read_emotions(runner: Runner, batch: _Batch, judges: Sequence[Classifier]) -> dict[str, np.ndarray]:
    """Return the emotions that judges read: column of scores.csv -> (B,) names."""
    if not judges:
        return {}
    images = {TRUTH: batch.truth, "masked_input": batch.masked, NETWORK: batch.composite}
    if runner.conditioned:
        painted = np.clip(runner(batch.masked, np.zeros_like(batch.label))["inpainted_image"], 0, 1)
        images["no_label"] = compose(batch.truth, painted, batch.occlusion)
    return {
        reading_column(who, "reads", number): np.array(read_names(judge, image), object)
        for number, judge in enumerate(judges)
        for who, image in images.items()
    }


class _ShownImages:
    """The images of the rows that sheets show, collected from batches in their order."""

    def __init__(self, rows: Collection[int]):
        self._rows, self._images = rows, {}
        self._start = 0

    def add(self, batch: _Batch, telea_images: np.ndarray) -> None:
        images = {name: getattr(batch, name) for name in ("masked", "painted", "composite", "truth", "occlusion")}
        images["telea"] = telea_images
        end = self._start + len(batch.masked)
        for row in self._rows:
            if self._start <= row < end:
                self._images[row] = {name: array[row - self._start].copy() for name, array in images.items()}
        self._start = end

    def faces(self, rows: list[int]) -> Faces:
        names = self._images[rows[0]]
        return Faces(rows, {name: np.stack([self._images[row][name] for row in rows]) for name in names})


def _digests(*images: np.ndarray) -> np.ndarray:
    """Return (B,) object: a hash of each row's images together, 16 hexadecimal digits."""
    stacked = np.ascontiguousarray(np.rint(np.concatenate(images, axis=-1) * 255).astype(np.uint8))
    return np.array([hashlib.blake2b(row, digest_size=8).hexdigest() for row in stacked], object)
