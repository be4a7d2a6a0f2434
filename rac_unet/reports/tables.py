"""Scores as text for a terminal: means with their intervals, and emotion accuracy."""

from __future__ import annotations

import math

from rac_unet.scoring.emotions.accuracy import FEWEST_OF_A_CLASS, describe_confusion, describe_rare
from rac_unet.scoring.metric_table import METRICS, TRUTH, Metric

# Key of metrics.json -> what its groups of pictures are formed by.
GROUPS = {"by_emotion": "emotion", "by_mask": "mask style", "by_source": "source"}
WIDTH = 30


def pictures_words(own: float | None, before: float | None) -> str:
    """Return a number of training pictures, or `before + own` after a warm start.

    Args:
        own: of the run; None or NaN if not known.
        before: of the runs before the warm start, 0 without one; None or NaN if not known.
    """
    if own is None or math.isnan(own):
        return "unknown"
    known = before is not None and not math.isnan(before)
    return f"{before:,.0f} + {own:,.0f}" if before and known else f"{own:,.0f}" if known else f"unknown + {own:,.0f}"


def describe_pictures(own: float, warm_start: dict | None) -> str:
    """Return a line that says how long a network was trained.

    Args:
        own: training pictures of the run.
        warm_start: the entry of provenance.json about the run that the weights came from; None without a warm start.
    """
    before = warm_start["pictures_seen"] if warm_start else 0
    names = f" (before + after the warm start from {warm_start['run']})" if warm_start else ""
    return f"trained on {pictures_words(own, before)} pictures, repeats counted{names}"


def score_table(metrics: dict) -> str:
    """Return the overall scores and the network's for each mask style, source, and emotion with 10 pictures or more."""
    overall, settings = metrics["overall"], metrics["settings"]
    columns = [metric for metric in METRICS if metric.printed and metric.name in overall["network"]]
    lines = [
        f"{overall['n']:,} pictures of {settings['image_size']} px, {100 * overall['hidden_share']:.1f} % hidden; "
        "mean [95 % interval]; ↑ higher is better, ↓ lower is better",
        f"{'':<14}" + "".join(f"{column.arrow:>{WIDTH}}" for column in columns),
    ]
    if features := settings.get("features"):
        lines.insert(1, f"feature distance by {features['description']}")
    for metric in METRICS:
        if metric.measure and (truth := overall.get(metric.column(TRUTH))):
            mean, low, high = (metric.text(metric.scale * truth[key]) for key in ("mean", "low", "high"))
            name = metric.title.removeprefix(f"{metric.view} ")
            lines.insert(1, f"{name} of the truth: {mean} [{low}, {high}]")

    def row(name: str, figures: dict) -> str:
        def cell(metric: Metric) -> str:
            mean = figures.get(metric.name)
            if not mean:
                return "–"
            value, low, high = (metric.text(metric.scale * mean[key]) for key in ("mean", "low", "high"))
            return f"{value} [{low}, {high}]"

        return f"{name:<14}" + "".join(f"{cell(metric):>{WIDTH}}" for metric in columns)

    systems = [name for name in overall if isinstance(overall[name], dict) and "psnr_raw" in overall[name]]
    lines += [row(name.replace("_", " "), overall[name]) for name in systems]
    for key, title in GROUPS.items():
        fewest = FEWEST_OF_A_CLASS if key == "by_emotion" else 1
        shown = {name: group for name, group in metrics.get(key, {}).items() if group["n"] >= fewest}
        if shown:
            lines.append(f"the network by {title} (n)")
            lines += [row(f"{name} ({group['n']})", group["network"]) for name, group in shown.items()]
    if overall.get("people") == 1:
        lines.append("note: all pictures show one person, so there are no intervals for other people")
    lines += describe_rare({name: group["n"] for name, group in metrics["by_emotion"].items()})
    return "\n".join(lines)


def reading_table(emotion: dict) -> str:
    """Return the emotion accuracies of the judge, and its confusion matrix for the network's composites."""
    names = {
        "truth": "ground truth (ceiling)",
        "network": "composite, true label",
        "no_label": "composite, no label",
        "masked_input": "masked input",
    }
    lines = [f"emotion accuracy, judged by {emotion['classifier']['name']}; higher is better"]
    for who, name in names.items():
        if who in emotion:
            group = emotion[who]
            mean, share = group["accuracy"], group.get("share_of_ceiling")
            lines.append(
                f"  {name:<22} accuracy {100 * mean['mean']:.1f} % [{100 * mean['low']:.1f}, "
                f"{100 * mean['high']:.1f}], mean of classes {100 * group['mean_class_accuracy']:.1f} %"
                + (f", {100 * share:.0f} % of the ceiling" if share is not None else "")
                + f", n = {group['n']:,}"
            )
    for who, group in emotion.get("real_masks", {}).items():
        mean = group["accuracy"]
        lines.append(
            f"  real masks, {who.replace('_', ' '):<12} accuracy {100 * mean['mean']:.1f} % [{100 * mean['low']:.1f}, "
            f"{100 * mean['high']:.1f}], n = {group['n']:,}"
        )
    return "\n".join([*lines, describe_confusion(emotion["network"])])
