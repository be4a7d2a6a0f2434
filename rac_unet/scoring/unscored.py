"""Inpaint and judge what has no score: real masks, faces without a mask, and faces with labels that are not theirs."""

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
from rac_unet.scoring.emotions.face_reading import read_names
from rac_unet.scoring.metric_table import NETWORK
from rac_unet.scoring.metrics import map_claims
from rac_unet.scoring.shown_faces import faces_to_show
from rac_unet.scoring.statistics import summarise


def paint_real_masks(
    runner: Runner, real_masks: PairSet, count: int = 7
) -> tuple[dict[str, np.ndarray], list[str]] | None:
    """Inpaint up to `count` faces with real masks.

    Returns: caption -> (N, S, S, 3) float32 images: masked, painted and, if the network is conditioned, painted with
        each of the seven labels; and the N labelled emotions. None if there are no real masks.
    """
    if not len(real_masks):
        return None
    few = real_masks.take(faces_to_show(real_masks, count)[:count])
    inputs, _ = next(iter(make_scoring_dataset(few, Pictures(few, runner.image_size), count)))
    masked, label = inputs["masked_image"].numpy(), inputs["emotion"].numpy()
    columns = {"masked": masked, "painted": np.clip(runner(masked, label)["inpainted_image"], 0, 1)}
    if runner.conditioned:
        columns |= paint_all_emotions(runner, masked)
    return columns, few.frame["emotion"].astype(str).tolist()


def read_real_masks(
    runner: Runner, real_masks: PairSet, judges: Sequence[Classifier], batch_size: int
) -> list[dict[str, Any]]:
    """Read the emotions of faces with real masks: masked, inpainted with their label, and inpainted without a label.

    The judges read the network's own image, since without ground truth there is no composite with it.

    Returns: for each judge masked_input, network and (if the network is conditioned) no_label -> `summarise_emotions`;
        empty if there are no real masks.
    """
    read: list[dict[str, list[str]]] = [{} for _ in judges]
    if not (judges and len(real_masks)):
        return read
    for inputs, _ in make_scoring_dataset(real_masks, Pictures(real_masks, runner.image_size), batch_size):
        masked, label = inputs["masked_image"].numpy(), inputs["emotion"].numpy()
        images = {"masked_input": masked, NETWORK: runner(masked, label)["inpainted_image"]}
        if runner.conditioned:
            images["no_label"] = runner(masked, np.zeros_like(label))["inpainted_image"]
        for judge, names in zip(judges, read, strict=True):
            for who, image in images.items():
                names.setdefault(who, []).extend(read_names(judge, image))
    emotions, people = (real_masks.frame[column].astype(str).tolist() for column in ("emotion", "identity"))
    return [{who: summarise_emotions(emotions, found, people) for who, found in names.items()} for names in read]


def claims_on_bare_faces(runner: Runner, bare: PairSet, batch_size: int) -> dict[str, Any]:
    """Return the number of faces without a mask, and the share of their pixels that the network marks as masked.

    Returns: JSON-able: n; for mask-aware networks also `map_claims` (mean, low, high, n). Empty if there are none.
    """
    if not len(bare):
        return {}
    found: dict[str, Any] = {"n": len(bare)}
    if OCCLUSION in runner.outputs:
        shares = [
            map_claims(
                targets["occlusion"].numpy(),
                runner(inputs["masked_image"].numpy(), inputs["emotion"].numpy())[OCCLUSION],
            )
            for inputs, targets in make_scoring_dataset(bare, Pictures(bare, runner.image_size), batch_size)
        ]
        found["map_claims"] = summarise(np.concatenate(shares), bare.frame["identity"].astype(str)).as_dict()
    return found


def describe_bare_faces(found: dict[str, Any]) -> str:
    """Describe the result of `claims_on_bare_faces` in one line."""
    line = f"{found['n']:,} faces without a mask have no hidden pixels and are not in these metrics"
    if shares := found.get("map_claims"):
        mean, low, high = (f"{100 * shares[key]:.2f}" for key in ("mean", "low", "high"))
        line += f"; the network marks {mean} % [{low}, {high}] of their pixels as masked"
    return line


def paint_all_emotions(runner: Runner, masked: np.ndarray) -> dict[str, np.ndarray]:
    """Inpaint masked images, (N, S, S, 3), with each of the seven labels: emotion -> (N, S, S, 3) float32 in [0, 1]."""
    labels = np.eye(len(EMOTIONS), dtype=np.float32)
    painted = {}
    for name, label in zip(EMOTIONS, labels, strict=True):
        output = runner(masked, np.tile(label, (len(masked), 1)))["inpainted_image"]
        painted[name] = np.clip(output, 0, 1)
    return painted
