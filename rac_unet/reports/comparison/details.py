"""Detailed tables of a comparison: differences of every pair of systems, and scores of groups of pictures."""

from __future__ import annotations

from html import escape
from itertools import combinations

import pandas as pd

from rac_unet.reports.comparison.systems import System
from rac_unet.reports.tables import GROUPS
from rac_unet.scoring.emotions.accuracy import FEWEST_OF_A_CLASS
from rac_unet.scoring.metric_table import BY_NAME, COMPARED, MAIN, Metric
from rac_unet.scoring.statistics import paired_difference

GROUPED = (MAIN, BY_NAME["reads"])


def paired_table(systems: list[System]) -> pd.DataFrame:
    """Return first minus second on the same pictures, for every pair of systems and every metric that both have.

    Columns: first, second, figure (the metric), difference, low, high, n, and better: the name of the better system, or
    empty if the interval contains zero.
    """
    people, rows = systems[0].scores["identity"], []
    for first, second in combinations(systems, 2):
        for metric in COMPARED:
            a, b = first.values(metric), second.values(metric)
            found = None if a is None or b is None else paired_difference(a, b, people)
            if found:
                mean, differs = found
                better = first if (mean.mean > 0) == metric.higher else second
                rows.append(
                    {
                        "first": first.name,
                        "second": second.name,
                        "figure": metric.name,
                        "difference": mean.mean,
                        "low": mean.low,
                        "high": mean.high,
                        "n": mean.n,
                        "better": better.name if differs else "",
                    }
                )
    columns = ["first", "second", "figure", "difference", "low", "high", "n", "better"]
    return pd.DataFrame(rows, columns=columns)


def group_table(systems: list[System]) -> pd.DataFrame:
    """Return hole PSNR and emotion accuracy of each emotion, mask style and source with ten pictures or more.

    Columns: kind, group, n, system, psnr_hole with _low and _high in dB, and reads: the emotion accuracy in %, for
    emotions only and where a judge was given.
    """
    rows = []
    for key, kind in GROUPS.items():
        for system in systems:
            read = system.metrics.get("emotion", {}).get("network", {}).get("by_emotion", {})
            for name, group in system.metrics.get(key, {}).items():
                mean = group.get("network", {}).get("psnr_hole")
                if group["n"] < FEWEST_OF_A_CLASS or not mean:
                    continue
                accuracy = read.get(name, {}).get("accuracy") if key == "by_emotion" else None
                rows.append(
                    {
                        "kind": kind,
                        "group": name,
                        "n": group["n"],
                        "system": system.name,
                        "psnr_hole": mean["mean"],
                        "psnr_hole_low": mean["low"],
                        "psnr_hole_high": mean["high"],
                        "reads": None if accuracy is None else 100 * accuracy,
                    }
                )
    columns = ["kind", "group", "n", "system", "psnr_hole", "psnr_hole_low", "psnr_hole_high", "reads"]
    return pd.DataFrame(rows, columns=columns)


def pairs_as_html(pairs: pd.DataFrame) -> str:
    """Return HTML with a row per pair and a column per metric; empty for a single system."""
    metrics = [metric for metric in COMPARED if (pairs["figure"] == metric.name).any()]
    if not metrics:
        return ""
    head = "".join(f"<th>{escape(metric.arrow)}</th>" for metric in metrics)
    rows = []
    for (first, second), group in pairs.groupby(["first", "second"], sort=False):
        by_name = group.set_index("figure")
        cells = "".join(f"<td>{_difference(by_name, metric)}</td>" for metric in metrics)
        rows.append(f"<tr><td>{escape(first)} − {escape(second)}</td>{cells}</tr>")
    return (
        "<h2>Differences</h2><p class='soft'>First minus second on the same pictures, mean with 95 % interval; bold if "
        "the interval does not contain zero. ↑ higher is better, ↓ lower is better.</p>"
        f'<div class="scroll"><table class="wide"><tr><th>pair</th>{head}</tr>{"".join(rows)}</table></div>'
    )


def groups_as_html(groups: pd.DataFrame) -> str:
    """Return HTML with a table per kind of group, a row per group, a column per system; empty without large groups."""
    parts = []
    for kind, rows in groups.groupby("kind", sort=False):
        for metric in GROUPED:
            if rows[metric.name].notna().any():
                # Groups in the order of metrics.json, not of the alphabet.
                order = list(dict.fromkeys(zip(rows["group"], rows["n"], strict=True)))
                cells = rows.pivot(index=["group", "n"], columns="system", values=metric.name)[rows["system"].unique()]
                head = "".join(f"<th>{escape(name)}</th>" for name in cells.columns)
                body = "".join(
                    f"<tr><td>{escape(group)} ({n:,})</td>"
                    + "".join(f"<td>{metric.text(value)}</td>" for value in cells.loc[(group, n)])
                    + "</tr>"
                    for group, n in order
                )
                parts.append(
                    f"<h3>By {kind} (n): {escape(metric.arrow)}</h3>"
                    f'<div class="scroll"><table class="wide"><tr><th></th>{head}</tr>{body}</table></div>'
                )
    note = f"<p class='soft'>Groups of fewer than {FEWEST_OF_A_CLASS} pictures are not listed.</p>"
    return f"<h2>Groups</h2>{note}{''.join(parts)}" if parts else ""


def _difference(by_name: pd.DataFrame, metric: Metric) -> str:
    if metric.name not in by_name.index:
        return "–"
    row = by_name.loc[metric.name]
    text, low, high = (metric.text(row[column], "+") for column in ("difference", "low", "high"))
    return f"{f'<strong>{text}</strong>' if row['better'] else text} [{low}, {high}]"
