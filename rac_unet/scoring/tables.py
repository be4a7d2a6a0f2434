"""Scores as text, for a terminal: means with their intervals, and what a classifier reads."""

from __future__ import annotations

from rac_unet.scoring.emotion import describe_confusion


def score_table(metrics: dict) -> str:
    """The overall figures and, for the network, each emotion's."""
    overall, settings = metrics["overall"], metrics["settings"]
    features = settings.get("features")
    lines = [
        f"{overall['n']:,} pictures of {settings['image_size']} px, {100 * overall['hidden_share']:.1f} % hidden; "
        f"mean [95 % interval]; {settings['better'].replace('_', ' ')}",
        f"{'':<14}{'hole PSNR dB':>22}{'composite PSNR dB':>22}{'raw PSNR dB':>22}{'composite MS-SSIM':>26}"
        + (f"{'composite feature distance':>28}{'raw feature distance':>28}" if features else ""),
    ]
    if features:
        lines.insert(1, f"feature distance by {features['description']}")

    def row(name: str, figures: dict) -> str:
        def cell(figure: str, form: str) -> str:
            m = figures.get(figure)
            return f"{m['mean']:{form}} [{m['low']:{form}}, {m['high']:{form}}]" if m else "–"

        psnrs = "".join(f"{cell(f'psnr_{view}', '.2f'):>22}" for view in ("hole", "composite", "raw"))
        # Their scale is the extractor's own, from thousandths to hundreds.
        distances = "".join(f"{cell(f'feature_distance_{view}', '#.4g'):>28}" for view in ("composite", "raw"))
        return f"{name:<14}{psnrs}{cell('ms_ssim_composite', '.4f'):>26}{distances if features else ''}"

    systems = [name for name in overall if isinstance(overall[name], dict)]
    lines += [row(name.replace("_", " "), overall[name]) for name in systems]
    lines.append("the network by emotion (n)")
    lines += [row(f"{name} ({g['n']})", g["network"]) for name, g in metrics["by_emotion"].items()]
    for key, title in (("by_mask", "the network by mask style"), ("by_source", "the network by source")):
        if key in metrics:
            lines += [title, *(row(f"{name} ({g['n']})", g["network"]) for name, g in metrics[key].items())]
    return "\n".join(lines)


def reading_table(emotion: dict) -> str:
    """What the classifier reads, in words and its confusion matrix for the network's pictures."""
    names = {"truth": "the truth (ceiling)", "network": "painted, true label", "no_label": "painted, no label",
             "masked_input": "the masked input"}  # fmt: skip
    lines = [f"emotions as {emotion['classifier']['name']} reads them; higher is better"]
    for who, name in names.items():
        if who in emotion:
            group = emotion[who]
            mean, share = group["accuracy"], group.get("share_of_ceiling")
            lines.append(
                f"  {name:<22} accuracy {100 * mean['mean']:.1f} % [{100 * mean['low']:.1f}, "
                f"{100 * mean['high']:.1f}], mean of classes {100 * group['mean_class_accuracy']:.1f} %"
                + (f", {100 * share:.0f} % of the ceiling" if share is not None else "")
            )
    for who, group in emotion.get("real_masks", {}).items():
        mean = group["accuracy"]
        lines.append(
            f"  real masks, {who.replace('_', ' '):<12} accuracy {100 * mean['mean']:.1f} % [{100 * mean['low']:.1f}, "
            f"{100 * mean['high']:.1f}], n = {group['n']:,}"
        )
    return "\n".join([*lines, describe_confusion(emotion["network"])])
