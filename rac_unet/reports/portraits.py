"""The report of `rac_unet.portraits`: figures, table and sheets of networks for small and for large faces."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from rac_unet.core.files.whole import replace_file, write_text
from rac_unet.core.text_grid import markdown
from rac_unet.runtime.runners import Runner
from rac_unet.scoring.emotions.face_reading import reading_column
from rac_unet.scoring.metric_table import TRUTH
from rac_unet.scoring.portraits.pairs import DETAIL, MEASURED, PairScores
from rac_unet.scoring.portraits.photos import Portrait, choose_evenly, write_portrait_sheet
from rac_unet.scoring.prediction_time import prediction_cost
from rac_unet.scoring.statistics import paired_difference, summarise

# Detail ratios in this range are right.
_LEAST, _MOST = 0.8, 1.2
# Measures with a row of the table: name, heading, digits.
_HEADINGS = (
    ("psnr_composite", "composite PSNR dB", 2),
    ("psnr_hole", "hole PSNR dB", 2),
    ("unit_feature_distance_composite", "composite unit feature distance", 3),
    ("map_iou", "map IoU", 3),
    (DETAIL, "detail ratio", 2),
)


def summarise_pairs(scores: PairScores, runners: dict[str, Runner], judge_count: int) -> dict[str, Any]:
    """Return metrics.json's sections about pairs.

    Args:
        scores: the scores.
        runners: name -> network, the one for small faces first.
        judge_count: number of judges that read emotions.
    Returns: `n`; `systems`, name -> means with intervals, accuracies per judge and cost; `truth`, the same of the
        ground truth; `difference`, the second network minus the first, with `significant`.
    """
    table, identities = scores.table, scores.table["identity"]
    found: dict[str, Any] = {"n": len(table), "systems": {}, "difference": {}}
    for name in (*runners, TRUTH):
        facts = found["systems"].setdefault(name, {}) if name != TRUTH else found.setdefault("truth", {})
        for measure in (*MEASURED, DETAIL):
            if f"{name}_{measure}" in table:
                mean = summarise(table[f"{name}_{measure}"], identities)
                facts[measure] = mean and mean.as_dict()
        for judge in range(judge_count):
            right = (table[reading_column(name, "reads", judge)] == table["emotion"]).to_numpy(float)
            facts.setdefault("emotion_accuracy", []).append(summarise(right, identities).as_dict())
    for name, runner in runners.items():
        facts = found["systems"][name]
        facts["control"] = scores.control.get(name, [])
        facts["cost"] = prediction_cost(runner, 1)
    small, large = runners
    for measure in (*MEASURED, DETAIL):
        if f"{large}_{measure}" in table and f"{small}_{measure}" in table:
            pair = paired_difference(table[f"{large}_{measure}"], table[f"{small}_{measure}"], identities)
            found["difference"][measure] = pair and {**pair[0].as_dict(), "significant": pair[1]}
    return found


def summarise_photos(portraits: list[Portrait], skipped: list[tuple[str, str]], systems: list[str]) -> dict[str, Any]:
    """Return metrics.json's section `photos`: for each system the mean and median of the detail ratio.

    `right` is the share from 0.8 to 1.2 of the ratios that can be measured.
    """
    photos = np.array([each.photo for each in portraits])
    found: dict[str, Any] = {"faces": len(portraits), "skipped": len(skipped), "detail_ratio": {}}
    for name in systems:
        ratios = np.array([each.ratios[name] for each in portraits], np.float64)
        known = ratios[np.isfinite(ratios)]
        mean = summarise(ratios, photos) if len(ratios) else None
        found["detail_ratio"][name] = {
            "mean": mean and mean.as_dict(),
            "median": float(np.median(known)) if len(known) else None,
            "right": float(((known >= _LEAST) & (known <= _MOST)).mean()) if len(known) else None,
        }
    return found


def portrait_table(metrics: dict[str, Any], judge_count: int) -> list[list[str]]:
    """Return the table: a heading, then a row for each measure with a cell for each network and the truth."""

    def interval(mean: dict | None, scale: float = 1, digits: int = 2) -> str:
        if not mean:
            return "–"
        values = [f"{scale * mean[key]:.{digits}f}" for key in ("mean", "low", "high")]
        return f"{values[0]} [{values[1]}, {values[2]}]"

    names = list(metrics["systems"])
    systems = [metrics["systems"][name] for name in names]
    everyone = [*systems, metrics["truth"]]
    rows = [["", *names, "ground truth"]]
    for measure, heading, digits in _HEADINGS:
        if any(measure in facts for facts in systems):
            rows.append([heading, *(interval(facts.get(measure), 1, digits) for facts in everyone)])
    for judge in range(judge_count):
        ending = f", judge {judge + 1}" if judge_count > 1 else ""
        rows.append(
            ["emotion accuracy %" + ending, *(interval(f["emotion_accuracy"][judge], 100, 1) for f in everyone)]
        )
        obeyed = [facts["control"][judge]["obeyed"] if facts["control"] else None for facts in systems]
        rows.append(["control accuracy %" + ending, *(interval(each, 100, 1) for each in obeyed), "–"])
    if photos := metrics.get("photos"):
        ratios = [photos["detail_ratio"][name] for name in names]
        rows.append(["detail ratio on photos, mean", *(interval(each["mean"]) for each in ratios), "1"])
        shares = [each["right"] for each in ratios]
        rows.append(
            ["from 0.8 to 1.2 on photos", *("–" if s is None else f"{100 * s:.0f} % of faces" for s in shares), "–"]
        )
    costs = [facts["cost"] for facts in systems]
    rows.append(["time per face ms", *(f"{c['milliseconds_per_picture']['one']['median']:.1f}" for c in costs), "–"])
    rows.append(["size MB", *(f"{cost['megabytes']:.2f}" for cost in costs), "–"])
    return rows


def write_report(
    output: Path,
    scores: PairScores,
    series: pd.DataFrame,
    portraits: list[Portrait] | None,
    metrics: dict[str, Any],
    rows: list[list[str]],
    shown: int,
) -> list[str]:
    """Write all files but provenance.json, and return their names; older sheets of photos are removed.

    Args:
        portraits: the faces of photos; None without photos.
        metrics, rows: content of metrics.json and table.md.
        shown: number of faces on the sheets of photos.
    """
    tables = {"scores.csv": scores.table, "series.csv": series}
    if portraits is not None:
        faces = [
            {"photo": each.photo, "side": each.side, "emotion": each.emotion}
            | {f"{name}_detail_ratio": ratio for name, ratio in each.ratios.items()}
            for each in portraits
        ]
        tables["faces.csv"] = pd.DataFrame(faces, columns=None if faces else ["photo", "side", "emotion"])
    for name, table in tables.items():
        replace_file(output / name, lambda file, table=table: table.to_csv(file, index=False, float_format="%.5g"))
    write_text(output / "metrics.json", json.dumps(metrics, indent=2) + "\n")
    write_text(output / "table.md", markdown(rows[0], rows[1:]))
    pictures = [np.rint(255 * np.clip(column, 0, 1)).astype(np.uint8) for column in scores.shown.values()]
    write_portrait_sheet(output / "pairs.jpg", [list(each) for each in zip(*pictures, strict=True)])
    sheets = []
    chosen = choose_evenly(portraits or [], shown)
    small, large = metrics["systems"]
    for name, groups in (
        ("portraits.jpg", [[each.before, each.after[large]] for each in chosen]),
        ("networks.jpg", [[each.after[small], each.after[large]] for each in chosen]),
    ):
        if groups:
            write_portrait_sheet(output / name, groups)
            sheets.append(name)
        else:
            (output / name).unlink(missing_ok=True)
    return ["table.md", "metrics.json", *tables, "pairs.jpg", *sheets]
