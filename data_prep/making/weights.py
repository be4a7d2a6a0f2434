"""Sampling weights of emotions in training."""

from __future__ import annotations


def emotion_weights(counts: dict[str, int], power: float, max_raise: float) -> dict[str, float]:
    """Return the weight of a training pair of each emotion; the mean over all pairs is 1.

    A weight is proportional to count ** -power: with power 1 all emotions are used equally often. Weights are limited
    to `max_raise`, and the other weights are scaled to keep the mean.

    Args:
        counts: emotion -> training pairs; emotions without any are left out.
        power: 0..1.
        max_raise: 1 or more.
    """
    present = {emotion: count for emotion, count in counts.items() if count}
    if not present or not power:
        return dict.fromkeys(present, 1.0)
    total = sum(present.values())
    wanted = {emotion: count**-power for emotion, count in present.items()}
    capped: dict[str, float] = {}
    while True:
        free = {emotion: present[emotion] * wanted[emotion] for emotion in present if emotion not in capped}
        left = total - sum(present[emotion] * max_raise for emotion in capped)
        scale = left / sum(free.values()) if free else 0.0
        over = [emotion for emotion in free if wanted[emotion] * scale > max_raise * (1 + 1e-12)]
        if not over:
            return {emotion: capped.get(emotion, wanted[emotion] * scale) for emotion in present}
        capped.update(dict.fromkeys(over, max_raise))


def describe_weights(counts: dict[str, int], weights: dict[str, float]) -> str:
    """Return a table of each emotion's pairs, share, weight, and weighted share in training."""
    total = sum(counts.values())
    shown = sum(counts[emotion] * weight for emotion, weight in weights.items())
    lines = [f"{'training':>10}  {'pairs':>9}  {'share':>6}  {'weight':>7}  {'shown':>6}"]
    for emotion, weight in weights.items():
        count = counts[emotion]
        lines.append(
            f"{emotion:>10}  {count:>9,}  {100 * count / total:>5.1f}%  {weight:>7.3f}  "
            f"{100 * count * weight / shown:>5.1f}%"
        )
    return "\n".join(lines)
