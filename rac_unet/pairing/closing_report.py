"""The closing report of a command that made a data set of pairs: pairs per split and emotion, skipped photos, time."""

from __future__ import annotations

from rac_unet.core.emotions import EMOTIONS
from rac_unet.core.progress import format_seconds
from rac_unet.core.text_grid import aligned
from rac_unet.data.pair_checks import SPLITS
from rac_unet.pairing.preparing import Summary


def closing_report(summary: Summary, noun: str = "photos") -> str:
    """Return the report, several lines of text.

    Args:
        summary: result of `prepare`.
        noun: what the items are, in plural.
    """
    if summary.already_there:
        return f"already finished: {summary.output} (nothing to do)"
    counts = summary.counts
    table = [["pairs", *EMOTIONS, "all"]]
    for split in SPLITS:
        numbers = [counts[split, emotion] for emotion in EMOTIONS]
        table.append([split, *(f"{number:,}" for number in numbers), f"{sum(numbers):,}"])
    lines = aligned(table)
    if summary.hidden:
        lines.append(f"hidden by the mask: {100 * summary.hidden:.1f} % of the pixels on average")
    skipped = sum(summary.reasons.values())
    kinds = [f"{number:,} x {reason}" for reason, number in summary.reasons.most_common()]
    reasons = "; ".join(kinds[:12] + [f"{len(kinds) - 12} more kinds"] * (len(kinds) > 12))
    if skipped:
        lines.append(f"skipped {skipped:,} {noun}: {reasons} (see skipped.csv)")
    if summary.notes:
        lines.append(f"noted {summary.notes:,} {noun} (see notes.csv)")
    empty = [split for split in SPLITS if not sum(counts[split, emotion] for emotion in EMOTIONS)]
    if empty:
        lines.append(f"note: no pair in {' and '.join(empty)}; training needs train and val, evaluation test")
    lines.append(f"{summary.rate:.1f} {noun} a second, {format_seconds(summary.seconds)} in all")
    lines.append(f"wrote {summary.output / 'pairs.csv'}")
    return "\n".join(lines)
