"""What has no score: real masks, faces without a mask, and faces painted with labels that are not their own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from rac_unet.core.emotions import EMOTIONS
from rac_unet.data.pairs import PairSet
from rac_unet.data.pictures import Pictures
from rac_unet.data.pipeline import make_scoring_dataset
from rac_unet.runtime.classifier import Classifier
from rac_unet.runtime.interface import OCCLUSION
from rac_unet.runtime.runners import Runner
from rac_unet.scoring.emotions.accuracy import summarise_emotions
from rac_unet.scoring.emotions.reading import read_names
from rac_unet.scoring.metrics import map_claims
from rac_unet.scoring.shown_faces import faces_to_show
from rac_unet.scoring.statistics import summarise


def paint_without_truth(
    runner: Runner, pairs: PairSet, split: str, count: int = 7
) -> tuple[int, dict[str, np.ndarray], list[str]]:
    """Paint a few of the people who wore real masks, of whom there is no truth to be scored against.

    Returns: how many such pictures the split has; caption -> (N, S, S, 3) float32 pictures: masked, painted, and if
        the network takes a label, the same with each of the seven; and the N emotions. Empty when there are none.
    """
    chosen = pairs.split(split).with_truth(False)
    if not len(chosen):
        return 0, {}, []
    few = chosen.take(faces_to_show(chosen, count)[:count])
    inputs, _ = next(iter(make_scoring_dataset(few, Pictures(few, runner.image_size), count)))
    masked, label = inputs["masked_image"].numpy(), inputs["emotion"].numpy()
    columns = {"masked": masked, "painted": np.clip(runner(masked, label)["inpainted_image"], 0, 1)}
    if runner.conditioned:
        columns |= paint_all_emotions(runner, masked)
    return len(chosen), columns, few.frame["emotion"].astype(str).tolist()


def read_without_truth(
    runner: Runner, pairs: PairSet, split: str, judges: Sequence[Classifier], batch_size: int
) -> list[dict[str, Any]]:
    """What is read in the faces of people who wore real masks: painted with their label, without one, and masked.

    There is no truth to paste into, so it is the network's own picture that is read.

    Returns: for each judge who -> `summarise_emotions`; empty when the split has no such pictures.
    """
    chosen = pairs.split(split).with_truth(False)
    read: list[dict[str, list[str]]] = [{} for _ in judges]
    if not (judges and len(chosen)):
        return read
    for inputs, _ in make_scoring_dataset(chosen, Pictures(chosen, runner.image_size), batch_size):
        masked, label = inputs["masked_image"].numpy(), inputs["emotion"].numpy()
        images = {"masked_input": masked, "network": runner(masked, label)["inpainted_image"]}
        if runner.conditioned:
            images["no_label"] = runner(masked, np.zeros_like(label))["inpainted_image"]
        for judge, names in zip(judges, read, strict=True):
            for who, image in images.items():
                names.setdefault(who, []).extend(read_names(judge, image))
    emotion, identity = (chosen.frame[column].astype(str).tolist() for column in ("emotion", "identity"))
    return [{who: summarise_emotions(emotion, said, identity) for who, said in names.items()} for names in read]


def claims_on_bare_faces(runner: Runner, bare: PairSet, batch_size: int) -> dict[str, Any]:
    """How many faces without a mask there are, and the share of their pixels that the network takes for a mask.

    Returns: JSON-able: n; and of networks that find the mask `map_claims` (mean, low, high, n). Empty without any.
    """
    if not len(bare):
        return {}
    found: dict[str, Any] = {"n": len(bare)}
    if OCCLUSION in runner.outputs:
        claims = [
            map_claims(
                targets["occlusion"].numpy(),
                runner(inputs["masked_image"].numpy(), inputs["emotion"].numpy())[OCCLUSION],
            )
            for inputs, targets in make_scoring_dataset(bare, Pictures(bare, runner.image_size), batch_size)
        ]
        values = np.concatenate(claims)
        found["map_claims"] = summarise(values, bare.frame["identity"].astype(str)).as_dict()
    return found


def describe_bare_faces(found: dict[str, Any]) -> str:
    """One line of `claims_on_bare_faces`."""
    claims = found.get("map_claims")
    shares = [f"{100 * claims[key]:.2f}" for key in ("mean", "low", "high")] if claims else []
    words = "" if not claims else f"; {shares[0]} % [{shares[1]}, {shares[2]}] of their pixels are taken for a mask"
    return f"{found['n']:,} faces without a mask have nothing to score and are not in these figures{words}"


def paint_all_emotions(runner: Runner, masked: np.ndarray) -> dict[str, np.ndarray]:
    """Every picture with each of the seven labels: emotion -> (N, S, S, 3) float32 in [0, 1]."""
    labels = np.eye(len(EMOTIONS), dtype=np.float32)
    painted = {}
    for name, label in zip(EMOTIONS, labels, strict=True):
        output = runner(masked, np.tile(label, (len(masked), 1)))["inpainted_image"]
        painted[name] = np.clip(output, 0, 1)
    return painted
