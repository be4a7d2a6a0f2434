"""Score networks of different image sizes on the same pairs, at the size of the largest.

A smaller network gets the averaged picture, and its painting is enlarged, as `predict` does with a large face.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import pandas as pd

from rac_unet.core.emotions import EMOTIONS
from rac_unet.data.pairs import PairSet
from rac_unet.data.pictures import Pictures
from rac_unet.data.pipeline import make_scoring_dataset
from rac_unet.runtime.classifier import Classifier
from rac_unet.runtime.interface import OCCLUSION, OUTPUT, PAINTED
from rac_unet.runtime.runners import Runner
from rac_unet.scoring.emotions.control import ControlScores
from rac_unet.scoring.emotions.face_reading import read_names, reading_column
from rac_unet.scoring.emotions.requests import Request
from rac_unet.scoring.metric_table import BY_NAME, COMPOSITE, FEATURES, TRUTH, GroundTruth, View
from rac_unet.scoring.metrics import compose
from rac_unet.scoring.portraits.detail import detail_ratio

MEASURED = ("psnr_composite", "psnr_hole", "unit_feature_distance_composite", "map_iou")
DETAIL = "detail_ratio"


@dataclass(frozen=True)
class PairScores:
    """Scores of several networks on the same pairs.

    Attributes:
        table: a row per pair: key, identity, emotion, and for each network and the truth a column per measure, such as
            `256 px_psnr_hole`.
        control: name of the network -> for each judge a report of `ControlScores`; empty without judges.
        shown: column of the sheet -> (N, S, S, 3) float32 in [0, 1].
    """

    table: pd.DataFrame
    control: dict[str, list[dict[str, Any]]]
    shown: dict[str, np.ndarray]


def paint_at(runner: Runner, masked: np.ndarray, labels: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray | None]:
    """Return a network's painting and its map of the mask at another size.

    Args:
        runner: a network whose image size divides `size`.
        masked: (B, size, size, 3) float32 in [0, 1].
        labels: (B, 7) float32, one-hot; ignored by a network that is not conditioned.
        size: side of the results in pixels.
    Returns: (B, size, size, 3) float32 in [0, 1]; (B, size, size, 1) in [0, 1], None if it does not find the mask.
    """
    outputs = runner(averaged(masked, runner.image_size), labels if runner.conditioned else None)
    painted = enlarged(np.clip(outputs.get(PAINTED, outputs[OUTPUT]), 0, 1), size)
    found = outputs.get(OCCLUSION)
    return painted, None if found is None else enlarged(found, size)


def averaged(images: np.ndarray, size: int) -> np.ndarray:
    """Return (B, size, size, C) means of (B, S, S, C), S a multiple of `size`."""
    count, side, _, channels = images.shape
    factor = side // size
    return images.reshape(count, size, factor, size, factor, channels).mean(axis=(2, 4), dtype=np.float32)


def enlarged(images: np.ndarray, size: int) -> np.ndarray:
    """Return (B, size, size, C) of (B, S, S, C) in [0, 1], with cubic interpolation."""
    if images.shape[1] == size:
        return images
    resized = [cv2.resize(image, (size, size), interpolation=cv2.INTER_CUBIC) for image in images]
    return np.clip(np.stack(resized).reshape(len(images), size, size, -1), 0, 1)


def score_pairs(
    runners: dict[str, Runner],
    pairs: PairSet,
    size: int,
    batch_size: int,
    extractor=None,
    judges: Sequence[Classifier] = (),
    shown: Sequence[int] = (),
    advance: Callable[[int], Any] = lambda count: None,
) -> PairScores:
    """Score the composites of networks on pairs with ground truth and hidden pixels.

    Args:
        runners: name -> network, whose image size divides `size`.
        pairs: the pairs.
        size: side at which they are scored, in pixels.
        batch_size: pairs at a time.
        extractor: from `rac_unet.objectives.features.load_extractor` for `size`; None for no feature distance.
        judges: classifiers for emotion and control accuracy; none for neither.
        shown: row numbers of the pairs on the sheet.
        advance: called with the number of pairs after each batch.
    """
    identities = pairs.frame["identity"].astype(str).to_numpy(object)
    control = {name: ControlScores(judges, identities) for name, each in runners.items() if judges and each.conditioned}
    columns: dict[str, list[np.ndarray]] = {}
    sheet: dict[str, list[np.ndarray]] = {}

    def note(column: str, values) -> None:
        columns.setdefault(column, []).append(np.asarray(values))

    def read(who: str, images: np.ndarray) -> None:
        for number, judge in enumerate(judges):
            note(reading_column(who, "reads", number), read_names(judge, images))

    start = 0
    for inputs, targets in make_scoring_dataset(pairs, Pictures(pairs, size), batch_size):
        masked, own = inputs["masked_image"].numpy(), inputs["emotion"].numpy()
        image, occlusion = targets["unmasked_image"].numpy(), targets["occlusion"].numpy()
        truth = GroundTruth(image, occlusion, extractor)
        rows = [row - start for row in shown if start <= row < start + len(masked)]
        note(f"{TRUTH}_{DETAIL}", _details(image, image, occlusion))
        read(TRUTH, image)
        sheet.setdefault("masked", []).append(masked[rows])
        for name, runner in runners.items():
            painted, found = paint_at(runner, masked, own, size)
            composite = compose(image, painted, occlusion)
            for metric in (BY_NAME[each] for each in MEASURED):
                if (metric.needs != FEATURES or extractor) and (metric.name != "map_iou" or found is not None):
                    view = View(truth, composite if metric.view == COMPOSITE else painted, found)
                    note(f"{name}_{metric.name}", metric.measure(view))
            note(f"{name}_{DETAIL}", _details(image, composite, occlusion))
            read(name, composite)
            sheet.setdefault(name, []).append(composite[rows])
            if name in control:
                for request in _requests(runner, masked, image, occlusion, own.argmax(1), size, start):
                    control[name].add(request)
        sheet.setdefault("ground truth", []).append(image[rows])
        start += len(masked)
        advance(len(masked))
    facts = {"key": pairs.keys, "identity": identities, "emotion": pairs.frame["emotion"].astype(str).to_numpy(object)}
    table = pd.DataFrame(facts | {column: np.concatenate(values) for column, values in columns.items()})
    reports = {name: [report for report, _ in scores.results()] for name, scores in control.items()}
    return PairScores(table, reports, {name: np.concatenate(images) for name, images in sheet.items()})


def _requests(runner: Runner, masked, truth, occlusion, own, size: int, start: int):
    labels = np.eye(len(EMOTIONS), dtype=np.float32)
    for number, emotion in enumerate(EMOTIONS):
        painted, _ = paint_at(runner, masked, np.tile(labels[number], (len(masked), 1)), size)
        composite = compose(masked, painted, occlusion)
        yield Request(start, emotion, number == 0, own == number, masked, truth, occlusion, painted, composite)


def _details(truth: np.ndarray, composite: np.ndarray, occlusion: np.ndarray) -> list[float]:
    before, after = (np.rint(255 * each).astype(np.uint8) for each in (truth, composite))
    return [detail_ratio(*each) for each in zip(before, after, occlusion[..., 0] > 0, strict=True)]
