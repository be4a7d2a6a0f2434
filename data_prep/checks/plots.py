"""Plots and contact sheets of a data set as data URLs for the report page."""

from __future__ import annotations

import cv2
import numpy as np

from data_prep.checks.report import Report
from rac_unet.core.emotions import EMOTIONS
from rac_unet.core.html_page import figure_url, jpeg_url, new_figure
from rac_unet.data.pair_checks import SPLITS

# Colours of Okabe and Ito, distinguishable for colour-blind readers, and by lightness in grey.
COLOURS = {"train": "#0072B2", "val": "#E69F00", "test": "#009E73"}


def emotion_plot(report: Report) -> str:
    """Return a bar plot of the pairs of each emotion in each split."""
    counts = report.counts("emotion", "split")
    figure, axes = new_figure(6, 3.2, grid="y")
    _bars(axes, counts, EMOTIONS)
    axes.set_ylabel("pairs")
    return figure_url(figure)


def style_plot(report: Report) -> str:
    """Return a bar plot of the share of each mask style in each split."""
    counts = report.counts("mask_style", "split")
    shares = 100 * counts / counts.sum().clip(lower=1)
    figure, axes = new_figure(6, 3.6, grid="y")
    _bars(axes, shares, list(shares.index))
    axes.set_ylabel("% of the split")
    axes.tick_params(axis="x", labelrotation=30)
    return figure_url(figure)


def hidden_plot(report: Report) -> str | None:
    """Return a histogram of the hidden share of a picture by split; None when no occlusion map is known."""
    split = report.pairs.frame["split"].to_numpy(object)
    figure, axes = new_figure(6, 2.8, grid="y")
    drawn = 0
    for name in SPLITS:
        shares = 100 * report.hidden[(split == name) & np.isfinite(report.hidden)]
        if len(shares):
            weights = np.full(len(shares), 100 / len(shares))
            axes.hist(
                shares,
                bins=np.arange(0, 101, 2.5),
                weights=weights,
                histtype="step",
                linewidth=2,
                label=name,
                color=COLOURS[name],
            )
            drawn += 1
    axes.set_xlabel("hidden pixels, % of the picture")
    axes.set_ylabel("% of the split's pairs")
    axes.legend(frameon=False)
    return figure_url(figure) if drawn else None


def picture_url(*paths: str, side: int = 128) -> str | None:
    """Return pictures side by side as a JPEG data URL; None when one cannot be read."""
    images = []
    for path in paths:
        image = cv2.imread(path, cv2.IMREAD_COLOR)
        if image is None:
            return None
        images.append(cv2.resize(image, (side, side), interpolation=cv2.INTER_AREA))
    return jpeg_url(np.hstack(images), 85)


def rows_to_show(report: Report, emotion: str, count: int = 9) -> list[int]:
    """Return the rows of a contact sheet, spread over splits and people; deterministic."""
    frame = report.pairs.frame
    faulty = {fault.row for fault in report.faults}
    chosen: list[int] = []
    people: set[str] = set()
    waiting = []
    for split in SPLITS:
        rows = np.flatnonzero(((frame["emotion"] == emotion) & (frame["split"] == split)).to_numpy())
        rows = [row for row in rows.tolist() if row not in faulty]
        # With a stride, so that a sheet shows the whole split and not only its start.
        waiting.append(iter(rows[:: max(1, len(rows) // (2 * count))]))
    while waiting and len(chosen) < count:
        for rows in list(waiting):
            row = next((row for row in rows if frame["identity"].iloc[row] not in people), None)
            if row is None:
                waiting.remove(rows)
            elif len(chosen) < count:
                chosen.append(row)
                people.add(frame["identity"].iloc[row])
    return sorted(chosen, key=lambda row: (SPLITS.index(frame["split"].iloc[row]), row))


def _bars(axes, table, names) -> None:
    places = np.arange(len(names))
    for number, split in enumerate(SPLITS):
        bars = axes.bar(
            places + 0.27 * (number - 1),
            table[split].reindex(names).to_numpy(),
            0.25,
            label=split,
            color=COLOURS[split],
        )
        if len(names) <= 8:
            axes.bar_label(bars, fmt="{:,.0f}", fontsize=7, color="0.3", padding=1)
    axes.set_xticks(places, names)
    axes.legend(frameon=False, ncols=3, loc="lower center", bbox_to_anchor=(0.5, 1.0))
