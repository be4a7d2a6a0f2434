"""Evaluate a network: scores of each image, and the summary of them that metrics.json has."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from rac_unet.core.emotions import EMOTIONS
from rac_unet.core.progress import Progress
from rac_unet.data.pairs import PairSet
from rac_unet.runtime.classifier import Classifier
from rac_unet.runtime.runners import Runner
from rac_unet.scoring.emotions.control import ControlScores
from rac_unet.scoring.emotions.face_reading import reading_column, summarise_reading
from rac_unet.scoring.emotions.plausibility import LowerFaces, lower_face_features
from rac_unet.scoring.emotions.requests import paint_requests
from rac_unet.scoring.image_scores import SYSTEMS, ImageScores, score_pairs
from rac_unet.scoring.metric_table import CONTROL_ACCURACY, METRICS, NETWORK, TRUTH, describe_settings
from rac_unet.scoring.prediction_time import prediction_cost
from rac_unet.scoring.selection import Selection
from rac_unet.scoring.statistics import summarise
from rac_unet.scoring.unscored import claims_on_bare_faces, read_real_masks


@dataclass(frozen=True)
class Judge:
    """An emotion classifier that judges a network.

    Attributes:
        classifier: the loaded classifier.
        facts: its entries in metrics.json (`rac_unet.scoring.emotions.judges.check_judges`).
    """

    classifier: Classifier
    facts: dict[str, Any]


@dataclass(frozen=True)
class Measures:
    """The optional measures of an evaluation; PSNR, SSIM and map metrics are always computed.

    Attributes:
        extractor: measures feature distances (`rac_unet.objectives.features.load_extractor`); None for none.
        judges: read emotions; systems are compared by the first.
        brisque: whether to compute BRISQUE.
        control: whether to compute control accuracy, for which there must be a judge.
        plausibility: whether to compute distances of lower faces, for which there must be an extractor.
    """

    extractor: Any = None
    judges: Sequence[Judge] = ()
    brisque: bool = False
    control: bool = False
    plausibility: bool = False

    @property
    def classifiers(self) -> list[Classifier]:
        return [judge.classifier for judge in self.judges]


@dataclass(frozen=True)
class Evaluation:
    """Result of an evaluation.

    Attributes:
        metrics: content of metrics.json.
        images: scores of each image; their table is the content of scores.csv.
    """

    metrics: dict[str, Any]
    images: ImageScores

    @property
    def judgements(self) -> list[dict[str, Any]]:
        """Sections `emotion` and, if measured, `control` of each judge."""
        return [self.metrics, *self.metrics.get("other_judges", [])] if "emotion" in self.metrics else []


def evaluate(runner: Runner, selection: Selection, measures: Measures, batch_size: int) -> Evaluation:
    """Score a network and the baselines, and measure the network's speed; shows progress.

    Args:
        batch_size: number of images per call of the network.
    Raises: UserError when the data set has no training pairs, whose mean face is a baseline.
    """
    images = _score_pairs(runner, selection, measures, batch_size)
    judgements = _judge(runner, selection, measures, images.table, batch_size)
    control, plausibility = _score_requests(runner, selection.scored, measures, batch_size)
    for number, (judgement, (report, shares)) in enumerate(zip(judgements, control, strict=False)):
        judgement["control"] = report
        images.table[reading_column(NETWORK, CONTROL_ACCURACY, number)] = shares
    extractor = measures.extractor
    trained_styles = set(selection.pairs.split("train").frame["mask_style"].astype(str))
    metrics = summarise_scores(images.table, runner.image_size, extractor and extractor.facts(), trained_styles)
    metrics |= judgements[0] if judgements else {}
    optional = {
        "other_judges": judgements[1:],
        "plausibility": plausibility,
        "bare_faces": claims_on_bare_faces(runner, selection.bare, batch_size),
    }
    metrics |= {key: value for key, value in optional.items() if value}
    metrics["faces"] = images.table["key"].iloc[images.compared.rows].tolist()
    metrics["cost"] = prediction_cost(runner, batch_size)
    return Evaluation(metrics, images)


def _score_pairs(runner: Runner, selection: Selection, measures: Measures, batch_size: int) -> ImageScores:
    progress = Progress(len(selection.scored), noun="pictures")
    images = score_pairs(
        runner,
        selection,
        batch_size,
        measures.extractor,
        measures.classifiers,
        measures.brisque,
        progress.advance,
    )
    progress.close()
    return images


def _judge(
    runner: Runner, selection: Selection, measures: Measures, table: pd.DataFrame, batch_size: int
) -> list[dict[str, Any]]:
    """Return for each judge the section `emotion` of metrics.json."""
    real_masks = read_real_masks(runner, selection.real_masks, measures.classifiers, batch_size)
    judgements = []
    for number, (judge, found) in enumerate(zip(measures.judges, real_masks, strict=True)):
        emotion = {"classifier": judge.facts, **summarise_reading(table, number)}
        judgements.append({"emotion": emotion | ({"real_masks": found} if found else {})})
    return judgements


def _score_requests(
    runner: Runner, scored: PairSet, measures: Measures, batch_size: int
) -> tuple[list[tuple[dict[str, Any], np.ndarray]], dict[str, Any] | None]:
    """Inpaint every face with each of the seven labels, for control accuracy and plausibility if they are measured.

    Returns: `ControlScores.results` and `LowerFaces.result`; empty and None if they are not measured.
    """
    identities = scored.frame["identity"].astype(str).to_numpy()
    control = ControlScores(measures.classifiers, identities) if measures.control else None
    lower_faces = None
    if measures.plausibility:
        lower_faces = LowerFaces(lower_face_features(measures.extractor), identities)
    if used := [each for each in (control, lower_faces) if each]:
        progress = Progress(len(scored), noun="pictures" + ", each with seven labels" * runner.conditioned)
        for request in paint_requests(runner, scored, batch_size, progress.advance):
            for each in used:
                each.add(request)
        progress.close()
    return control.results() if control else [], lower_faces.result() if lower_faces else None


def summarise_scores(
    scores: pd.DataFrame, image_size: int, features: dict[str, Any] | None = None, trained_styles: Collection[str] = ()
) -> dict[str, Any]:
    """Summarise the table of scores.csv: settings, and means of all pairs and of each emotion.

    If some mask styles are not in the training split, also of those and of the others (`by_mask`); if there are several
    sources, also of each (`by_source`).

    Args:
        scores: the table.
        features: facts of the extractor that measured feature distances; None without them.
        trained_styles: the mask styles of the training split.
    Returns: sections settings, overall, by_emotion, by_mask and by_source of metrics.json.
    """
    groups = {name: scores[scores["emotion"] == name] for name in EMOTIONS if (scores["emotion"] == name).any()}
    trained, sources = scores["mask_style"].isin(list(trained_styles)), sorted(set(scores["source"]))
    summary = {
        "settings": {
            "image_size": image_size,
            **describe_settings(scores, image_size),
            "interval": "95 %, percentile bootstrap over identities",
            **({"features": features} if features else {}),
        },
        "overall": _summarise_group(scores),
        "by_emotion": {name: _summarise_group(rows) for name, rows in groups.items()},
    }
    if 0 < trained.sum() < len(trained):
        kinds = {"seen in training": trained, "held out of training": ~trained}
        summary["by_mask"] = {name: _summarise_group(scores[rows]) for name, rows in kinds.items()}
    if len(sources) > 1:
        summary["by_source"] = {name: _summarise_group(scores[scores["source"] == name]) for name in sources}
    return summary


def _summarise_group(rows: pd.DataFrame) -> dict[str, Any]:
    """Return n, people, hidden_share, the means of each system (metric -> mean, low, high, n), and of the truth."""

    def means(who: str) -> dict[str, Any]:
        found = {}
        for metric in METRICS:
            if metric.measure and metric.column(who) in rows:
                mean = summarise(rows[metric.column(who)], rows["identity"])
                if mean:
                    found[metric.column(who).removeprefix(f"{who}_")] = mean.as_dict()
        return found

    people = int(rows["identity"].nunique())
    group: dict[str, Any] = {"n": len(rows), "people": people, "hidden_share": float(rows["hidden"].mean())}
    group |= {system: means(system) for system in SYSTEMS}
    return group | {f"{TRUTH}_{name}": mean for name, mean in means(TRUTH).items()}
