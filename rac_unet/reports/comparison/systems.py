"""Several systems scored on the same pictures, as one table: who is better, and whether the difference is one.

Reads what `evaluate` wrote and nothing else (scores.csv, metrics.json, provenance.json, history.csv, faces.jpg), so the
evaluation folders can be kept and the weights need not be.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd

from rac_unet.core.errors import UserError
from rac_unet.core.files.whole import replace_file
from rac_unet.scoring.metric_table import COMPARED, NETWORK, TRUTH, Metric
from rac_unet.scoring.statistics import Mean, paired_difference, summarise

FACES_FILE = "faces.jpg"
FACE_ROWS = ("masked", "network", "truth")
BASELINES = {
    "masked_input": "masked input",
    "mean_face": "mean training face",
    "telea": "Telea inpainting",
    TRUTH: "the truth",
}


@dataclass(frozen=True)
class System:
    """One evaluation folder.

    Attributes:
        name: unique in the comparison.
        scores: scores.csv, a row per picture.
        metrics, provenance: the JSON files.
        history: rows of history.csv; empty when there is none.
        faces: masked, network, truth -> (N, S, S, 3) uint8 RGB of the compared faces; empty when there are none.
    """

    name: str
    folder: Path
    scores: pd.DataFrame
    metrics: dict[str, Any]
    provenance: dict[str, Any]
    history: pd.DataFrame
    faces: dict[str, np.ndarray] = field(default_factory=dict)

    @property
    def training_pictures(self) -> int | None:
        """How many pictures it had seen, each time it saw one, when training ended; None where that is not known.

        Those of a run that it was begun from are `pictures_before`.
        """
        seen = self.history.get("images")
        return None if seen is None or not len(seen) else int(seen.iloc[-1])

    @property
    def pictures_before(self) -> int | None:
        """How many the runs had seen that it was begun from, 0 where there is none; None where that is not known."""
        if not self.provenance.get("config", {}).get("training", {}).get("init_from"):
            return 0
        # Evaluations of before this was recorded say only that there was one.
        return self.provenance.get("training", {}).get("begun_from", {}).get("pictures_seen")

    def values(self, metric: Metric, who: str = NETWORK) -> np.ndarray | None:
        """(N,) float64 in the metric's unit, NaN where undefined; None where this folder does not have it."""
        return metric.values(self.scores, who)

    def set_value(self, metric: Metric, who: str = NETWORK) -> float | None:
        """A metric of all pictures together, of the network or of the truth; None where this folder has none."""
        return metric.set_value(self.metrics, who)


def read_system(path: Path, name: str | None = None, split: str = "test") -> System:
    """Read an evaluation folder, or the one in a run directory.

    Raises: UserError when it is none, or not whole.
    """
    folder = path if (path / "scores.csv").is_file() else path / "eval" / split
    if not (folder / "scores.csv").is_file():
        what = "has not been scored yet" if (path / "config.yaml").is_file() else "is no evaluation folder"
        others = ", ".join(str(file.parent) for file in sorted(path.glob("eval/*/scores.csv")))
        raise UserError(
            f"{path} {what} (no scores.csv{f' of split {split}; there are {others}' if others else ''}); first: "
            f"python -m rac_unet.evaluate {path} --split {split}",
            "missing",
        )
    try:
        scores = pd.read_csv(folder / "scores.csv", dtype={"key": str, "identity": str, "source": str, "pixels": str})
        metrics, provenance = (
            json.loads((folder / file).read_text(encoding="utf-8")) for file in ("metrics.json", "provenance.json")
        )
        history = folder / "history.csv"
        rows = pd.read_csv(history) if history.is_file() else pd.DataFrame()
        missing = {"key", "emotion", "identity", "network_psnr_hole"} - set(scores)
        settings = metrics["settings"]
    except (OSError, ValueError, KeyError) as error:
        reason = " ".join(str(error).split())
        raise UserError(f"{folder} cannot be read ({reason}); score it again", "unreadable") from None
    if missing or not isinstance(settings, dict):
        lacks = ", ".join(sorted(missing)) or "settings"
        raise UserError(f"{folder} was written by another version (no {lacks}); score it again", "unsupported")
    if bare := int((scores["hidden"] == 0).sum()) if "hidden" in scores else 0:
        raise UserError(
            f"{folder} counts {bare:,} faces without a mask, as older versions did; nothing is hidden in them, so "
            "their figures are perfect. Score it again",
            "unsupported",
        )
    return System(
        name or str(provenance.get("run", path.name)),
        folder,
        scores,
        metrics,
        provenance,
        rows,
        read_faces(folder / FACES_FILE),
    )


def check_comparable(systems: list[System]) -> list[str]:
    """Raise UserError unless all were scored on the same pictures, in one size, by the same measures; says which.

    Returns: a note for each evaluation whose pictures cannot be verified, since it is older than their hashes.
    """
    first, notes = systems[0], []
    for other in systems[1:]:
        where = f"{first.folder} and {other.folder} cannot be compared"
        if first.scores["key"].tolist() != other.scores["key"].tolist():
            one, two = set(first.scores["key"]), set(other.scores["key"])
            example = next(iter(sorted(one ^ two)), None)
            what = (
                f"{len(one - two):,} and {len(two - one):,} pictures are in one alone" if example else "another order"
            )
            shown = f", {example!r} for one" if example else ""
            raise UserError(f"{where}: scored on other pictures ({what}{shown})", "mismatch")
        for key, words in (
            ("image_size", "sizes"),
            ("ms_ssim", "settings of MS-SSIM"),
            ("features", "feature extractors"),
        ):
            a, b = first.metrics["settings"].get(key), other.metrics["settings"].get(key)
            if key == "features":
                a, b = (value and (value.get("name"), value.get("sha256"), value.get("weights")) for value in (a, b))
            if a != b and (key != "features" or (a and b)):
                raise UserError(f"{where}: other {words} ({a} and {b}); score both the same way", "mismatch")
        if not _same_pictures(first, other, where):
            notes.append(
                f"{first.name} and {other.name}: that the same pictures were scored cannot be verified, since they are "
                "older than the hashes in scores.csv; score both again to be sure"
            )
        judges = [
            system.metrics.get("emotion", {}).get("classifier", {}).get("weights_sha256") for system in (first, other)
        ]
        if all(judges) and judges[0] != judges[1]:
            raise UserError(
                f"{where}: other classifiers read the emotions; score both with the same --classifier", "mismatch"
            )
    return notes


def _same_pictures(first: System, other: System, where: str) -> bool:
    """Whether the pictures of the same keys are the same ones; False where that cannot be verified.

    Raises: UserError when they are not: other people, labels, masks or pixels.
    """
    a, b = first.scores, other.scores
    differ = np.zeros(len(a), bool)
    for column in ("emotion", "identity", "mask_style"):
        if column in a and column in b:
            differ |= (a[column].fillna("") != b[column].fillna("")).to_numpy()
    if "hidden" in a and "hidden" in b:
        # Written with six digits.
        differ |= ~np.isclose(a["hidden"], b["hidden"], rtol=1e-5, atol=1e-5)
    hashed = "pixels" in a and "pixels" in b
    if hashed:
        differ |= (a["pixels"] != b["pixels"]).to_numpy()
    if differ.any():
        raise UserError(
            f"{where}: under the same keys {differ.sum():,} of {len(a):,} pictures are others "
            f"({a['key'][differ].iloc[0]!r} for one): other photos, labels, masks or seeds; score both on one data set",
            "mismatch",
        )
    prints = [system.provenance.get("data_fingerprint") for system in (first, other)]
    return hashed or prints[0] is not None and prints[0] == prints[1]


def make_table(systems: list[System]) -> pd.DataFrame:
    """A row per system and baseline, for each metric mean, low, high and n; and which is best.

    Columns `<metric>`, `<metric>_low`, `<metric>_high`, `<metric>_n`, and `<metric>_best`: True for the best system and
    for those whose paired difference from it has an interval that holds zero. Baselines come from the first folder,
    as do the values that the truth itself has, and are never marked; nor are metrics of all pictures together, which
    have neither interval nor paired difference.
    """
    people = systems[0].scores["identity"]
    rows: list[dict[str, Any]] = []
    for system in systems:
        settings = system.provenance.get("config", {})
        rows.append(
            {
                "system": system.name,
                "kind": "network",
                **_settings(settings),
                "training_pictures": system.training_pictures,
                "pictures_before": system.pictures_before,
                **_cost(system.metrics.get("cost", {})),
                **_summaries(system, "network", people),
            }
        )
    for name, title in BASELINES.items():
        if found := _summaries(systems[0], name, people):
            rows.append({"system": title, "kind": "baseline", **found})
    table = pd.DataFrame(rows)
    for metric in COMPARED:
        if metric.name in table:
            best = _best(systems, metric, people)
            table[f"{metric.name}_best"] = best + [False] * (len(table) - len(best))
    return table


def write_faces(path: Path, compared: dict[str, np.ndarray]) -> None:
    """Write the compared faces as one JPEG: a column per face, rows as in `FACE_ROWS`."""
    rows = [np.concatenate(list(np.rint(np.clip(compared[name], 0, 1) * 255)), axis=1) for name in FACE_ROWS]
    sheet = np.concatenate(rows).astype(np.uint8)
    content = cv2.imencode(".jpg", sheet[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 92])[1].tobytes()
    replace_file(path, lambda temporary: temporary.write_bytes(content))


def read_faces(path: Path) -> dict[str, np.ndarray]:
    """What `write_faces` wrote, as uint8; empty when it is not there."""
    image = cv2.imread(str(path), cv2.IMREAD_COLOR) if path.is_file() else None
    if image is None or image.shape[0] % len(FACE_ROWS):
        return {}
    size = image.shape[0] // len(FACE_ROWS)
    grid = image[..., ::-1].reshape(len(FACE_ROWS), size, -1, size, 3).swapaxes(1, 2)
    return dict(zip(FACE_ROWS, grid, strict=True))


def _settings(config: dict[str, Any]) -> dict[str, Any]:
    model, loss, training = (config.get(key, {}) for key in ("model", "loss", "training"))
    return {
        "model": model.get("name"),
        "filters": model.get("filters"),
        "label": model.get("conditioned"),
        "image_size": model.get("image_size"),
        "loss": " + ".join(loss.get("terms", {})) or None,
        "batch_size": training.get("batch_size"),
    }


def _cost(cost: dict[str, Any]) -> dict[str, Any]:
    one = cost.get("milliseconds_per_picture", {}).get("one", {})
    return {
        "parameters": cost.get("parameters"),
        "megabytes": cost.get("megabytes"),
        "gflop_per_picture": cost.get("gflop_per_picture"),
        "ms_per_picture": one.get("median"),
        "ms_per_picture_p95": one.get("p95"),
        "device": cost.get("device"),
    }


def _summaries(system: System, who: str, people: pd.Series) -> dict[str, Any]:
    cells: dict[str, Any] = {}
    for metric in COMPARED:
        if (value := system.set_value(metric, who)) is not None:
            cells |= {metric.name: value, f"{metric.name}_n": len(system.scores)}
            continue
        values = system.values(metric, who)
        mean: Mean | None = None if values is None else summarise(values, people)
        if mean:
            cells |= {
                metric.name: mean.mean,
                f"{metric.name}_low": mean.low,
                f"{metric.name}_high": mean.high,
                f"{metric.name}_n": mean.n,
            }
    return cells


def _best(systems: list[System], metric: Metric, people: pd.Series) -> list[bool]:
    values = [system.values(metric) for system in systems]
    sign = 1 if metric.higher else -1
    means = [-math.inf if v is None or np.isnan(v).all() else sign * float(np.nanmean(v)) for v in values]
    leader = int(np.argmax(means))
    if sum(mean > -math.inf for mean in means) < 2:
        # The only one is not the best of anything.
        return [False] * len(systems)
    marks = []
    for number, each in enumerate(values):
        if means[number] == -math.inf:
            marks.append(False)
        elif number == leader:
            marks.append(True)
        else:
            found = paired_difference(values[leader], each, people)
            marks.append(found is not None and not found[1])
    return marks
