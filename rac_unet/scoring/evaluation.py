"""Score a network on a split: one row per picture beside three baselines, then means with intervals."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from rac_unet.core.emotions import EMOTIONS
from rac_unet.data.pairs import PairSet
from rac_unet.data.pictures import Pictures
from rac_unet.data.pipeline import make_scoring_dataset
from rac_unet.runtime.classifier import Classifier
from rac_unet.runtime.interface import OCCLUSION
from rac_unet.runtime.runners import Runner
from rac_unet.scoring.baselines import BASELINES, mean_training_face, telea
from rac_unet.scoring.emotions.accuracy import summarise_emotions
from rac_unet.scoring.emotions.reading import read_names
from rac_unet.scoring.metric_table import (
    BRISQUE,
    BY_NAME,
    FEATURES,
    METRICS,
    NETWORK,
    TRUTH,
    GroundTruth,
    describe_settings,
    score_images,
    score_truth,
)
from rac_unet.scoring.metrics import compose
from rac_unet.scoring.shown_faces import evenly_chosen, faces_to_show
from rac_unet.scoring.statistics import summarise

SYSTEMS = (NETWORK, *BASELINES)
COMPARED_FACES = 24
# Of the sheet of seven emotions.
SHEET_FACES = 24


@dataclass(frozen=True)
class Evaluation:
    """What was measured.

    Attributes:
        scores: a row per picture: key, emotion, identity, mask_style, source, pixels (hash of masked picture, truth and
            map), hidden (share of pixels), then every metric as `<system>_<metric>`.
        shown: pictures of a few faces by name (masked, network, telea, truth, occlusion), (N, S, S, C) float32.
        shown_rows: their row numbers in `scores`.
        spread: masked, truth and occlusion of up to 24 faces, evenly chosen over all, as `shown`.
        spread_rows: their row numbers.
        compared: masked, network (composite) and truth of the faces that systems are compared by, (N, S, S, 3) float32.
        compared_rows: their row numbers; the same for every system scored on the same pictures.
    """

    scores: pd.DataFrame
    shown: dict[str, np.ndarray]
    shown_rows: list[int]
    spread: dict[str, np.ndarray]
    spread_rows: list[int]
    compared: dict[str, np.ndarray]
    compared_rows: list[int]


def evaluate(
    runner: Runner,
    pairs: PairSet,
    scored: PairSet,
    batch_size: int,
    advance: Callable[[int], Any],
    extractor=None,
    judges: Sequence[Classifier] = (),
    with_brisque: bool = False,
) -> Evaluation:
    """Score pictures.

    Args:
        pairs: the whole data set; its training split gives the mean face.
        scored: those to score, as `scored_pairs` chooses them.
        advance: called with the number of pictures of each finished batch.
        extractor: of `rac_unet.objectives.features.load_extractor`, where feature distances are wanted.
        judges: where the emotion of each picture is to be read, in columns `judge_column(who, "reads", number)`: of the
            truth, the masked input, and the composite painted with the true label and, where the network takes one,
            without.
        with_brisque: whether BRISQUE is wanted; also of the truth, to compare with.
    Raises: UserError when the data set has no training pairs.
    """
    pictures = Pictures(scored, runner.image_size)
    mean_face = mean_training_face(pairs, runner.image_size)
    shown_rows, compared_rows = faces_to_show(scored), faces_to_compare(scored.keys.tolist())
    spread_rows = evenly_chosen(len(scored), SHEET_FACES)
    columns: dict[str, list[np.ndarray]] = {}
    shown: dict[int, dict[str, np.ndarray]] = {}
    given = [name for name, there in ((FEATURES, extractor), (BRISQUE, with_brisque)) if there]
    # TensorFlow's many small operations leave a core idle; two systems at a time do not.
    pool = ThreadPoolExecutor(2)
    seen = 0
    for inputs, targets in make_scoring_dataset(scored, pictures, batch_size):
        masked, emotion = inputs["masked_image"].numpy(), inputs["emotion"].numpy()
        truth, occlusion = targets["unmasked_image"].numpy(), targets["occlusion"].numpy()
        outputs = runner(masked, emotion)
        images = {
            NETWORK: np.clip(outputs["inpainted_image"], 0, 1),
            "masked_input": masked,
            "mean_face": np.broadcast_to(mean_face, masked.shape),
            "telea": telea(masked, occlusion),
        }
        columns.setdefault("pixels", []).append(_digests(masked, truth, occlusion))
        columns.setdefault("hidden", []).append((occlusion > 0).mean(axis=(1, 2, 3)))
        ground = GroundTruth(truth, occlusion, extractor)
        maps = [outputs.get(OCCLUSION) if name == NETWORK else None for name in SYSTEMS]
        score = functools.partial(score_images, ground, given=given)
        found = pool.map(score, [images[name] for name in SYSTEMS], maps)
        for system, scores in zip(SYSTEMS, found, strict=True):
            for name, values in scores.items():
                columns.setdefault(BY_NAME[name].column(system), []).append(values)
        for name, values in score_truth(ground, given).items():
            columns.setdefault(name, []).append(values)
        if judges:
            read = {"truth": truth, "masked_input": masked, NETWORK: compose(truth, images[NETWORK], occlusion)}
            if runner.conditioned:
                blind = np.clip(runner(masked, np.zeros_like(emotion))["inpainted_image"], 0, 1)
                read["no_label"] = compose(truth, blind, occlusion)
            for number, judge in enumerate(judges):
                for who, image in read.items():
                    column = columns.setdefault(judge_column(who, "reads", number), [])
                    column.append(np.array(read_names(judge, image), object))
        for row in {*shown_rows, *compared_rows, *spread_rows}:
            if seen <= row < seen + len(masked):
                i = row - seen
                shown[row] = {
                    "masked": masked[i],
                    "network": images[NETWORK][i],
                    "telea": images["telea"][i],
                    "truth": truth[i],
                    "occlusion": occlusion[i],
                    "emotion": emotion[i],
                }
        seen += len(masked)
        advance(len(masked))
    pool.shutdown()
    scores = scored.frame[["key", "emotion", "identity", "mask_style", "source"]].astype(str)
    scores = scores.assign(**{name: np.concatenate(parts) for name, parts in columns.items()})
    stacked = {name: np.stack([shown[row][name] for row in shown_rows]) for name in shown[shown_rows[0]]}
    spread = {name: np.stack([shown[row][name] for row in spread_rows]) for name in ("masked", "truth", "occlusion")}
    compared = {name: np.stack([shown[row][name] for row in compared_rows]) for name in ("masked", "network", "truth")}
    hidden = np.stack([shown[row]["occlusion"] for row in compared_rows])
    compared["network"] = compose(compared["truth"], compared["network"], hidden)
    return Evaluation(scores, stacked, shown_rows, spread, spread_rows, compared, compared_rows)


def _digests(*pictures: np.ndarray) -> np.ndarray:
    """(B,) object: a hash of each row's pictures together, 16 hexadecimal digits."""
    stacked = np.ascontiguousarray(np.rint(np.concatenate(pictures, axis=-1) * 255).astype(np.uint8))
    return np.array([hashlib.blake2b(row, digest_size=8).hexdigest() for row in stacked], object)


def faces_to_compare(keys: list[str]) -> list[int]:
    """Rows of the faces by which systems are shown side by side: those whose keys' hashes are smallest."""
    digests = [hashlib.blake2b(key.encode(), digest_size=8).digest() for key in keys]
    return sorted(sorted(range(len(keys)), key=digests.__getitem__)[:COMPARED_FACES])


def judge_column(who: str, what: str, number: int) -> str:
    """The column of scores.csv with what a judge says: `network_reads`, of the second judge `network_reads_2`."""
    return f"{who}_{what}" + (f"_{number + 1}" if number else "")


def summarise_reading(scores: pd.DataFrame, number: int = 0) -> dict[str, Any]:
    """metrics.json's section `emotion`: what a judge reads in the truth, its ceiling, and in what is painted.

    Args:
        number: of the judge, from 0.
    Returns: who -> `summarise_emotions`, and for all but the truth `share_of_ceiling`, of the accuracy on the same
        pictures; None where the classifier reads none of them rightly.
    """
    ending = judge_column("", "reads", number)
    whos = [column.removesuffix(ending) for column in scores if column.endswith(ending)]
    found = {who: summarise_emotions(scores["emotion"], scores[who + ending], scores["identity"]) for who in whos}
    ceiling = found["truth"]["accuracy"]["mean"]
    for who in whos:
        if who != "truth":
            found[who]["share_of_ceiling"] = found[who]["accuracy"]["mean"] / ceiling if ceiling else None
    return found


def summarise_scores(
    scores: pd.DataFrame, image_size: int, features: dict[str, Any] | None = None, trained_styles: Collection[str] = ()
) -> dict[str, Any]:
    """metrics.json's body: settings, mean hidden area, and for all pictures and each emotion every system's figures.

    Where some mask styles were kept from training, also for those and the others (`by_mask`); where the pictures come
    from several sources, for each (`by_source`).

    Args:
        trained_styles: the mask styles of the training split.
        features: `Extractor.facts()` of the one that measured feature distances; None where there are none.
    """

    def group(rows: pd.DataFrame) -> dict[str, Any]:
        def means(who: str) -> dict[str, Any]:
            found = {}
            for metric in METRICS:
                if metric.measure and metric.column(who) in rows:
                    mean = summarise(rows[metric.column(who)], rows["identity"])
                    if mean:
                        found[metric.column(who).removeprefix(f"{who}_")] = mean.as_dict()
            return found

        people = int(rows["identity"].nunique())
        result: dict[str, Any] = {"n": len(rows), "people": people, "hidden_share": float(rows["hidden"].mean())}
        result |= {system: means(system) for system in SYSTEMS}
        return result | {f"{TRUTH}_{name}": mean for name, mean in means(TRUTH).items()}

    present = [emotion for emotion in EMOTIONS if (scores["emotion"] == emotion).any()]
    seen, source = scores["mask_style"].isin(list(trained_styles)), scores["source"]
    kinds = {"seen in training": seen, "held out of training": ~seen}
    by_mask = (
        {"by_mask": {name: group(scores[rows]) for name, rows in kinds.items()}} if 0 < seen.sum() < len(seen) else {}
    )
    sources = sorted(set(source))
    by_source = {"by_source": {name: group(scores[source == name]) for name in sources}} if len(sources) > 1 else {}
    return {
        "settings": {
            "image_size": image_size,
            **describe_settings(scores, image_size),
            "interval": "95 %, percentile bootstrap over identities",
            **({"features": features} if features else {}),
        },
        "overall": group(scores),
        "by_emotion": {emotion: group(scores[scores["emotion"] == emotion]) for emotion in present},
        **by_mask,
        **by_source,
    }
