"""The comparison as a Markdown table, and as one HTML page with plots, confusion matrices and faces."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

import numpy as np
import pandas as pd

from rac_unet.core.emotions import EMOTIONS
from rac_unet.core.html_page import figure_url, jpeg_url, make_page, new_figure, picture, plot
from rac_unet.reports.comparison.details import group_table, groups_as_html, paired_table, pairs_as_html
from rac_unet.reports.comparison.request_tables import requests_as_html
from rac_unet.reports.comparison.systems import FACTS, Fact, System
from rac_unet.reports.tables import pictures_words
from rac_unet.scoring.emotions.accuracy import FEWEST_OF_A_CLASS
from rac_unet.scoring.metric_table import COMPARED, MAIN, Metric

# Okabe and Ito's colours, which colour-blind people can distinguish; line styles distinguish them in grey.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
LINE_STYLES = ("-", "--", "-.", ":")
NOTE = (
    "Means over the same pictures with 95 % intervals (bootstrap over people). Bold: the best value, and every value "
    "whose paired difference from the best has an interval that contains zero."
)


def markdown_table(table: pd.DataFrame) -> str:
    """Return the metrics that any system has as a Markdown table, the best in bold, n in the last column."""
    metrics = [metric for metric in COMPARED if metric.name in table]
    head = ["system", *(metric.arrow for metric in metrics), "n"]
    lines = ["| " + " | ".join(head) + " |", "| --- " * len(head) + "|"]
    for _, row in table.iterrows():
        cells = [_cell(row, metric, "**{}**") for metric in metrics]
        n = max(int(row[f"{metric.name}_n"]) for metric in metrics if row[f"{metric.name}_n"] > 0)
        lines.append(f"| {row['system']} | " + " | ".join(cells) + f" | {n:,} |")
    return "\n".join([*lines, "", NOTE, describe_training(table)]) + "\n"


def describe_training(table: pd.DataFrame) -> str:
    """Return how wide the networks are and how long they were trained, with a warning if the lengths differ."""
    networks = table[table["kind"] == "network"]

    def each(words: list[str]) -> str:
        if len(set(words)) == 1:
            return words[0]
        return "; ".join(f"{name} {word}" for name, word in zip(networks["system"], words, strict=True))

    filters = ["unknown" if pd.isna(count) else f"{count:.0f}" for count in networks["filters"]]
    counts = list(zip(networks["training_pictures"], networks["pictures_before"], strict=True))
    seen = [pictures_words(*each_count) for each_count in counts]
    # If a sum is not known, only the known part can be compared.
    sums = [word if "unknown" in word else own + before for word, (own, before) in zip(seen, counts, strict=True)]
    split = " (before + after a warm start)" if any("+" in word for word in seen) else ""
    return f"Filters at full resolution: {each(filters)}. Training pictures, repeats counted{split}: {each(seen)}." + (
        " The amounts of training differ, so the comparison is not fair." if len(set(sums)) > 1 else ""
    )


def comparison_page(title: str, systems: list[System], table: pd.DataFrame, notes: Sequence[str] = ()) -> str:
    """Return the whole page as HTML, with the `notes` of `check_comparable` below its heading."""
    first = systems[0]
    hidden, size = first.scores["hidden"].mean(), first.metrics["settings"]["image_size"]
    parts = [
        f"<h1>{escape(title)}</h1>",
        f"<p>{len(systems)} systems on the same {len(first.scores):,} pictures of {size} x {size} pixels, "
        f"{100 * hidden:.1f} % hidden on average.</p>",
        *(f"<p>Note: {escape(note)}.</p>" for note in notes),
        f"<p class='soft'>{escape(NOTE)} {escape(describe_training(table))}</p>",
        _html_table(table),
        pairs_as_html(paired_table(systems)),
        requests_as_html(systems),
        groups_as_html(group_table(systems)),
        "<h2>Distribution over the pictures</h2>",
        plot(_boxes(systems), "Box plots of the hole PSNR of every system; means and intervals are in the table"),
        "<h2>Training</h2>",
        plot(_curves(systems), "Validation hole PSNR against training pictures, one line per system"),
        "<h2>Cost</h2>",
        *(
            plot(_cost_plot(table, fact), f"Hole PSNR against {fact.axis}; the values are in the table below")
            for fact in FACTS
            if fact.axis
        ),
        _cost_table(table),
        *_matrices(systems),
        *_faces(systems),
        '<p class="soft">Inpainted faces are plausible, not true: never use them to identify a person, and never as '
        "evidence. Faces are personal data, shown under the licences of their sources.</p>",
    ]
    return make_page(title, parts)


def _cell(row: pd.Series, metric: Metric, mark: str) -> str:
    if pd.isna(row.get(metric.name, np.nan)):
        return "–"
    text = metric.text(row[metric.name])
    if metric.of_set:
        return text
    if row[f"{metric.name}_best"]:
        text = mark.format(text)
    low, high = (metric.text(row[f"{metric.name}_{end}"]) for end in ("low", "high"))
    return f"{text} [{low}, {high}]"


def _html_table(table: pd.DataFrame) -> str:
    metrics = [metric for metric in COMPARED if metric.name in table]
    better = {
        True: "<br><span class='soft'>higher is better</span>",
        False: "<br><span class='soft'>lower is better</span>",
    }
    heads = "".join(f"<th>{escape(metric.title)}{better[metric.higher]}</th>" for metric in metrics)
    rows = "".join(
        f"<tr><td>{escape(row['system'])}</td>"
        + "".join(f"<td>{_cell(row, metric, '<strong>{}</strong>')}</td>" for metric in metrics)
        + "</tr>"
        for _, row in table.iterrows()
    )
    return f'<div class="scroll"><table class="wide"><tr><th>system</th>{heads}</tr>{rows}</table></div>'


def _cost_table(table: pd.DataFrame) -> str:
    shown = [fact for fact in FACTS if fact.form]
    networks = table[table["kind"] == "network"].copy()
    counts = zip(networks["training_pictures"], networks["pictures_before"], strict=True)
    networks["training_pictures"] = [pictures_words(*each) for each in counts]
    head = "".join(f"<th>{fact.name.replace('_', ' ')}</th>" for fact in shown)
    rows = "".join(
        f"<tr><td>{escape(row['system'])}</td>"
        + "".join(
            f"<td>{'–' if pd.isna(row[fact.name]) else escape(fact.form.format(row[fact.name]))}</td>" for fact in shown
        )
        + "</tr>"
        for _, row in networks.iterrows()
    )
    return f'<div class="scroll"><table class="wide"><tr><th>system</th>{head}</tr>{rows}</table></div>'


def _boxes(systems: list[System]) -> str:
    figure, axes = new_figure(6.5, 0.5 * len(systems) + 1.2)
    values = [system.values(MAIN) for system in systems]
    axes.boxplot(
        [v[np.isfinite(v)] for v in values],
        orientation="horizontal",
        showfliers=False,
        showmeans=True,
        whis=(5, 95),
        tick_labels=[system.name for system in systems],
    )
    axes.invert_yaxis()
    axes.set_xlabel(f"{MAIN.heading}, {MAIN.unit}\nbox: half of the pictures; whiskers: 5 to 95 %; triangle: mean")
    return figure_url(figure)


def _curves(systems: list[System]) -> str | None:
    drawn = [s for s in systems if {"images", "val_psnr_hole"} <= set(s.history)]
    if not drawn:
        return None
    figure, axes = new_figure(6.5, 3.4)
    for number, system in enumerate(drawn):
        seen = system.history["images"] + (system.pictures_before or 0)
        axes.plot(
            seen,
            system.history["val_psnr_hole"],
            LINE_STYLES[number % len(LINE_STYLES)],
            color=COLOURS[number % len(COLOURS)],
            marker="o",
            markersize=3,
            label=system.name,
        )
    axes.set_xlabel("training pictures, repeats counted")
    axes.set_ylabel(f"validation {MAIN.heading}, {MAIN.unit}")
    axes.legend(frameon=False, fontsize=8)
    return figure_url(figure)


def _cost_plot(table: pd.DataFrame, cost: Fact) -> str | None:
    """Plot hole PSNR against a cost; the best systems are at the upper left."""
    known = table[(table["kind"] == "network") & table[cost.name].notna()]
    if not len(known):
        return None
    figure, axes = new_figure(6.5, 3.2)
    for number, (_, row) in enumerate(known.iterrows()):
        axes.errorbar(
            row[cost.name],
            row["psnr_hole"],
            color=COLOURS[number % len(COLOURS)],
            fmt="osD^v"[number % 5],
            yerr=[[row["psnr_hole"] - row["psnr_hole_low"]], [row["psnr_hole_high"] - row["psnr_hole"]]],
            capsize=3,
            label=row["system"],
        )
    # Outside the plot: systems of equal size overlap, and so would their names.
    axes.legend(frameon=False, fontsize=8, loc="center left", bbox_to_anchor=(1, 0.5))
    axes.set_xlabel(cost.axis)
    axes.set_ylabel(f"{MAIN.heading}, {MAIN.unit}")
    return figure_url(figure)


def _matrices(systems: list[System]) -> list[str]:
    """Return the confusion matrices of emotion accuracy and of control accuracy, where a judge was given."""
    parts = []
    for title, key, rows in (
        ("Emotion accuracy: confusion matrices", "emotion", "label"),
        ("Control accuracy: confusion matrices", "control", "requested"),
    ):
        figures = []
        for system in systems:
            section = system.metrics.get(key, {})
            found = section.get("network", {}).get("confusion") if key == "emotion" else section.get("asked_read")
            if found:
                matrix = np.array([[found[a][b] for b in EMOTIONS] for a in EMOTIONS], float)
                share = np.trace(matrix) / max(matrix.sum(), 1)
                words = f"{system.name}: {100 * share:.1f} % of {int(matrix.sum()):,} on the diagonal"
                figures.append(picture(_matrix(matrix, rows), f"{title}: {words}", escape(words)))
        if figures:
            parts.append(f'<h2>{title}</h2><div class="sheet" style="--wide:18rem">{"".join(figures)}</div>')
    return parts


def _matrix(counts: np.ndarray, rows: str) -> str:
    figure, axes = new_figure(4.2, 3.9)
    n = counts.sum(axis=1, keepdims=True)
    rare = n[:, 0] < FEWEST_OF_A_CLASS
    shares = np.where(rare[:, None], np.nan, 100 * counts / np.maximum(n, 1))
    axes.grid(False)
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=100)
    axes.set_xticks(range(len(EMOTIONS)), EMOTIONS, rotation=40, ha="right", fontsize=8)
    axes.set_yticks(
        range(len(EMOTIONS)), [f"{e} ({int(n)})" for e, n in zip(EMOTIONS, counts.sum(1), strict=True)], fontsize=8
    )
    for y, row in enumerate(shares):
        for x, share in enumerate(row):
            # A percentage of a few pictures would suggest more precision than there is.
            text, colour = (f"({int(counts[y, x])})", "0.5") if rare[y] else (f"{share:.0f}", "0.2")
            axes.text(x, y, text, ha="center", va="center", fontsize=8, color="white" if share > 55 else colour)
    note = f"; (counts) where n < {FEWEST_OF_A_CLASS}" if rare.any() else ""
    axes.set_xlabel(f"read, % of each row ({rows}, n){note}", fontsize=8)
    return figure_url(figure)


def _faces(systems: list[System]) -> list[str]:
    """Show the best, the median and the worst of the compared faces: masked, each system, ground truth."""
    drawn = [system for system in systems if system.faces]
    keys = drawn[0].metrics.get("faces", []) if drawn else []
    if not keys or any(system.metrics.get("faces") != keys for system in drawn):
        return []
    place = {key: number for number, key in enumerate(drawn[0].scores["key"])}
    rows = [place[key] for key in keys]
    mean = np.nanmean([system.values(MAIN)[rows] for system in drawn], axis=0)
    order = np.argsort(-mean)
    third = len(order) // 2
    groups = {"Best": order[:2], "Median": order[third : third + 2], "Worst": order[-2:]}
    parts = [
        f"<h2>Faces</h2><p class='soft'>Of {len(keys)} test faces, chosen by the hash of their names and the same for "
        "every system: those with the highest, the median and the lowest hole PSNR, averaged over the systems. Known "
        "pixels are kept.</p>"
    ]
    for title, chosen in groups.items():
        for number in dict.fromkeys(chosen.tolist()):
            emotion = drawn[0].scores["emotion"].iloc[rows[number]]
            tiles = [("masked", drawn[0].faces["masked"][number])]
            tiles += [(system.name, system.faces["network"][number]) for system in drawn]
            tiles.append(("truth", drawn[0].faces["truth"][number]))
            figures = "".join(
                picture(jpeg_url(image[..., ::-1], 90), f"{name}, {emotion}", escape(name)) for name, image in tiles
            )
            parts.append(
                f'<p class="soft">{title}, {emotion}</p><div class="sheet" style="--wide:7rem">{figures}</div>'
            )
    return parts
