"""Below the comparison's table: every pair of systems, and every group of pictures."""

from __future__ import annotations

from html import escape
from itertools import combinations

import pandas as pd

from rac_unet.reports.comparison.systems import System
from rac_unet.scoring.emotions.accuracy import FEWEST_OF_A_CLASS
from rac_unet.scoring.figures import FIGURES, Figure
from rac_unet.scoring.statistics import paired_difference

GROUPS = {"by_emotion": "emotion", "by_mask": "mask style", "by_source": "source"}


def paired_table(systems: list[System]) -> pd.DataFrame:
    """First minus second for every pair of systems and figure that both have, on the same pictures.

    Columns first, second, figure, difference, low, high, n, and better: the name of the better one, or nothing where
    the interval holds zero.
    """
    people, rows = systems[0].scores["identity"], []
    for first, second in combinations(systems, 2):
        for figure in FIGURES:
            a, b = first.values(figure), second.values(figure)
            found = None if a is None or b is None else paired_difference(a, b, people)
            if found:
                mean, differs = found
                better = first if (mean.mean > 0) == figure.higher else second
                rows.append({
                    "first": first.name, "second": second.name, "figure": figure.column, "difference": mean.mean,
                    "low": mean.low, "high": mean.high, "n": mean.n, "better": better.name if differs else "",
                })  # fmt: skip
    columns = ["first", "second", "figure", "difference", "low", "high", "n", "better"]
    return pd.DataFrame(rows, columns=columns)


def group_table(systems: list[System]) -> pd.DataFrame:
    """Hole PSNR and emotion accuracy of each emotion, mask group and source with ten pictures or more.

    Columns kind, group, n, system, psnr_hole with _low and _high, and of emotions reads (%), where a classifier read.
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
                rows.append({
                    "kind": kind, "group": name, "n": group["n"], "system": system.name, "psnr_hole": mean["mean"],
                    "psnr_hole_low": mean["low"], "psnr_hole_high": mean["high"],
                    "reads": None if accuracy is None else 100 * accuracy,
                })  # fmt: skip
    columns = ["kind", "group", "n", "system", "psnr_hole", "psnr_hole_low", "psnr_hole_high", "reads"]
    return pd.DataFrame(rows, columns=columns)


def pairs_as_html(pairs: pd.DataFrame) -> str:
    """A row per pair, a column per figure; empty where there is but one system."""
    figures = [figure for figure in FIGURES if (pairs["figure"] == figure.column).any()]
    if not figures:
        return ""
    head = "".join(f"<th>{escape(figure.arrow)}</th>" for figure in figures)
    rows = []
    for (first, second), group in pairs.groupby(["first", "second"], sort=False):
        by_figure = group.set_index("figure")
        cells = "".join(f"<td>{_difference(by_figure, figure)}</td>" for figure in figures)
        rows.append(f"<tr><td>{escape(first)} − {escape(second)}</td>{cells}</tr>")
    return (
        "<h2>Differences</h2><p class='soft'>First minus second on the same pictures, mean with 95 % interval; bold "
        "where the interval leaves out zero. ↑ higher is better, ↓ lower is better.</p>"
        f'<div class="scroll"><table class="wide"><tr><th>pair</th>{head}</tr>{"".join(rows)}</table></div>'
    )


def groups_as_html(groups: pd.DataFrame) -> str:
    """A table per kind of group, a row per group, a column per system; empty where no group is large enough."""
    parts = []
    for kind, rows in groups.groupby("kind", sort=False):
        for column, words, digits in (("psnr_hole", "hole PSNR, dB ↑", 2), ("reads", "emotion accuracy, % ↑", 1)):
            if rows[column].notna().any():
                # Groups in the order the metrics have them, not the alphabet's.
                order = list(dict.fromkeys(zip(rows["group"], rows["n"], strict=True)))
                cells = rows.pivot(index=["group", "n"], columns="system", values=column)[rows["system"].unique()]
                head = "".join(f"<th>{escape(name)}</th>" for name in cells.columns)
                body = "".join(
                    f"<tr><td>{escape(group)} ({n:,})</td>"
                    + "".join(f"<td>{value:.{digits}f}</td>" for value in cells.loc[(group, n)])
                    + "</tr>"
                    for group, n in order
                )
                parts.append(
                    f"<h3>By {kind} (n): {words}</h3>"
                    f'<div class="scroll"><table class="wide"><tr><th></th>{head}</tr>{body}</table></div>'
                )
    note = f"<p class='soft'>Groups of fewer than {FEWEST_OF_A_CLASS} pictures have no figures of their own.</p>"
    return f"<h2>Groups</h2>{note}{''.join(parts)}" if parts else ""


def _difference(by_figure: pd.DataFrame, figure: Figure) -> str:
    if figure.column not in by_figure.index:
        return "–"
    row = by_figure.loc[figure.column]
    text, low, high = (figure.text(row[column], "+") for column in ("difference", "low", "high"))
    return f"{f'<strong>{text}</strong>' if row['better'] else text} [{low}, {high}]"
