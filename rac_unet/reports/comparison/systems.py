"""Read systems that were scored on the same pictures, check that they can be compared, and make a table of them.

Only the files of `evaluate` are read (scores.csv, metrics.json, provenance.json, history.csv, faces.jpg), so the
weights need not be kept.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd

from rac_unet.core.errors import UserError
from rac_unet.core.files.whole import replace_file
from rac_unet.core.provenance import WARM_START_KEY
from rac_unet.scoring.metric_table import COMPARED, NETWORK, TRUTH, Metric
from rac_unet.scoring.statistics import Mean, paired_difference, summarise

FACES_FILE = "faces.jpg"
FACE_ROWS = ("masked", "network", "truth")
# Rows of the table that are no networks: whose columns of scores.csv -> title.
REFERENCE_TITLES = {
    "masked_input": "masked input",
    "mean_face": "mean training face",
    "telea": "Telea inpainting",
    TRUTH: "the truth",
}


@dataclass(frozen=True)
class System:
    """A scored system: the content of one evaluation folder.

    Attributes:
        name: unique in the comparison.
        folder: the evaluation folder.
        scores: scores.csv, a row per picture.
        metrics, provenance: the JSON files.
        history: history.csv; empty without one.
        faces: masked, network, truth -> (N, S, S, 3) uint8 RGB of the compared faces; empty without faces.jpg.
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
        """Number of training pictures after a warm start, repeats counted; None if it is not known.

        Those before the warm start are `pictures_before`.
        """
        seen = self.history.get("images")
        return None if seen is None or not len(seen) else int(seen.iloc[-1])

    @property
    def pictures_before(self) -> int | None:
        """Number of training pictures before the warm start, 0 without one; None if it is not known."""
        if not self.provenance.get("config", {}).get("training", {}).get("init_from"):
            return 0
        # Older evaluations say only that there was a warm start.
        return self.provenance.get("training", {}).get(WARM_START_KEY, {}).get("pictures_seen")

    def values(self, metric: Metric, who: str = NETWORK) -> np.ndarray | None:
        """Return (N,) float64 in the metric's unit, NaN where undefined; None if the metric was not scored."""
        return metric.values(self.scores, who)

    def set_value(self, metric: Metric, who: str = NETWORK) -> float | None:
        """Return a metric of all pictures together, of the network or the ground truth; None if it was not scored."""
        return metric.set_value(self.metrics, who)


@dataclass(frozen=True)
class Fact:
    """A fact about a system that is not a metric: a column of table.csv, and of the page's table of costs.

    Attributes:
        name: the column.
        read: its value for a system; None if it is not known.
        form: how the page shows it; empty if it does not.
        axis: label of the axis in the page's plot of hole PSNR against it; empty without a plot.
    """

    name: str
    read: Callable[[System], Any]
    form: str = ""
    axis: str = ""


def _setting(section: str, key: str) -> Callable[[System], Any]:
    return lambda system: system.provenance.get("config", {}).get(section, {}).get(key)


def _cost(*keys: str) -> Callable[[System], Any]:
    def read(system: System) -> Any:
        value = system.metrics.get("cost", {})
        for key in keys:
            value = (value or {}).get(key)
        return value

    return read


def _loss(system: System) -> str | None:
    return " + ".join(system.provenance.get("config", {}).get("loss", {}).get("terms", {})) or None


FACTS = (
    Fact("model", _setting("model", "name"), "{}"),
    Fact("filters", _setting("model", "filters"), "{:.0f}"),
    Fact("label", _setting("model", "conditioned"), "{}"),
    Fact("image_size", _setting("model", "image_size")),
    Fact("loss", _loss, "{}"),
    Fact("batch_size", _setting("training", "batch_size")),
    Fact("training_pictures", lambda system: system.training_pictures, "{}"),
    Fact("pictures_before", lambda system: system.pictures_before),
    Fact("parameters", _cost("parameters"), "{:,.0f}"),
    Fact("megabytes", _cost("megabytes"), "{:.1f} MB", axis="megabytes on disk"),
    Fact("gflop_per_picture", _cost("gflop_per_picture"), "{:.2f} GFLOP"),
    Fact(
        "ms_per_picture",
        _cost("milliseconds_per_picture", "one", "median"),
        "{:.1f} ms",
        axis="milliseconds per picture, one at a time (median)",
    ),
    Fact("ms_per_picture_p95", _cost("milliseconds_per_picture", "one", "p95"), "{:.1f} ms (p95)"),
    Fact("device", _cost("device"), "{}"),
)


def read_system(path: Path, name: str | None = None, split: str = "test") -> System:
    """Read an evaluation folder, or that of a split in a run directory.

    Args:
        name: in the comparison; None for the run's.
    Raises: UserError when there is no evaluation, or its files are missing, damaged or of an older version.
    """
    folder = path if (path / "scores.csv").is_file() else path / "eval" / split
    if not (folder / "scores.csv").is_file():
        what = "has not been scored yet" if (path / "config.yaml").is_file() else "is not an evaluation folder"
        others = ", ".join(str(file.parent) for file in sorted(path.glob("eval/*/scores.csv")))
        raise UserError(
            f"{path} {what} (no scores.csv{f' of split {split}; there are {others}' if others else ''}); first run: "
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
            f"{folder} contains scores of {bare:,} faces without a mask, as written by older versions; nothing is "
            "hidden in them, so their scores are perfect. Score it again",
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
    """Raise UserError unless all systems were scored on the same pictures in the same way.

    Returns: a note for each evaluation whose pictures cannot be verified because it is older than their hashes.
    """
    first, notes = systems[0], []
    for other in systems[1:]:
        where = f"{first.folder} and {other.folder} cannot be compared"
        if first.scores["key"].tolist() != other.scores["key"].tolist():
            one, two = set(first.scores["key"]), set(other.scores["key"])
            example = next(iter(sorted(one ^ two)), None)
            what = (
                f"{len(one - two):,} and {len(two - one):,} pictures are only in one of them"
                if example
                else "in a different order"
            )
            shown = f", for example {example!r}" if example else ""
            raise UserError(f"{where}: they were scored on different pictures ({what}{shown})", "mismatch")
        for key, words in (
            ("image_size", "sizes"),
            ("ms_ssim", "settings of MS-SSIM"),
            ("features", "feature extractors"),
        ):
            a, b = first.metrics["settings"].get(key), other.metrics["settings"].get(key)
            if key == "features":
                a, b = (value and (value.get("name"), value.get("sha256"), value.get("weights")) for value in (a, b))
            if a != b and (key != "features" or (a and b)):
                raise UserError(f"{where}: different {words} ({a} and {b}); score both in the same way", "mismatch")
        if not _same_pictures(first, other, where):
            notes.append(
                f"{first.name} and {other.name}: it cannot be verified that the same pictures were scored, because at "
                "least one evaluation is older than the hashes in scores.csv; score both again to be sure"
            )
        judges = [
            system.metrics.get("emotion", {}).get("classifier", {}).get("weights_sha256") for system in (first, other)
        ]
        if all(judges) and judges[0] != judges[1]:
            raise UserError(
                f"{where}: different classifiers were the judges; score both with the same --classifier", "mismatch"
            )
    return notes


def _same_pictures(first: System, other: System, where: str) -> bool:
    """Return whether pictures with the same keys are the same; False if this cannot be verified.

    Raises: UserError when they have different people, labels, masks or pixels.
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
            f"{where}: {differ.sum():,} of {len(a):,} pictures with the same keys differ (for example "
            f"{a['key'][differ].iloc[0]!r}): different photos, labels, masks or seeds; score both on one data set",
            "mismatch",
        )
    prints = [system.provenance.get("data_fingerprint") for system in (first, other)]
    return hashed or prints[0] is not None and prints[0] == prints[1]


def make_table(systems: list[System]) -> pd.DataFrame:
    """Return a row per system and baseline: mean, low, high and n of each metric, and which is best.

    Columns: `system`, `kind`, those of `FACTS`, and for each metric `<metric>`, `<metric>_low`, `<metric>_high`,
    `<metric>_n` and `<metric>_best`. The last is True for the best system and for those whose paired difference from it
    has an interval that contains zero. Baselines and the ground truth are taken from the first folder and never marked;
    nor are metrics of all pictures together, which have neither interval nor paired difference.
    """
    people = systems[0].scores["identity"]
    rows: list[dict[str, Any]] = []
    for system in systems:
        facts = {fact.name: fact.read(system) for fact in FACTS}
        rows.append({"system": system.name, "kind": "network", **facts, **_summaries(system, NETWORK, people)})
    for name, title in REFERENCE_TITLES.items():
        if found := _summaries(systems[0], name, people):
            rows.append({"system": title, "kind": "baseline", **found})
    table = pd.DataFrame(rows)
    for metric in COMPARED:
        if metric.name in table:
            best = _best(systems, metric, people)
            table[f"{metric.name}_best"] = best + [False] * (len(table) - len(best))
    return table


def write_faces(path: Path, compared: dict[str, np.ndarray]) -> None:
    """Write the compared faces as one JPEG: a column per face, rows as in `FACE_ROWS`; images in [0, 1]."""
    rows = [np.concatenate(list(np.rint(np.clip(compared[name], 0, 1) * 255)), axis=1) for name in FACE_ROWS]
    sheet = np.concatenate(rows).astype(np.uint8)
    content = cv2.imencode(".jpg", sheet[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 92])[1].tobytes()
    replace_file(path, lambda temporary: temporary.write_bytes(content))


def read_faces(path: Path) -> dict[str, np.ndarray]:
    """Read the faces that `write_faces` wrote, as uint8; empty if there is no such file."""
    image = cv2.imread(str(path), cv2.IMREAD_COLOR) if path.is_file() else None
    if image is None or image.shape[0] % len(FACE_ROWS):
        return {}
    size = image.shape[0] // len(FACE_ROWS)
    grid = image[..., ::-1].reshape(len(FACE_ROWS), size, -1, size, 3).swapaxes(1, 2)
    return dict(zip(FACE_ROWS, grid, strict=True))


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
        # A single system is not marked.
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
