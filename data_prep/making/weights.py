"""How often a pair of each emotion is shown in training."""

from __future__ import annotations


def emotion_weights(counts: dict[str, int], power: float, max_raise: float) -> dict[str, float]:
    """Weight of a training pair of each emotion; their mean over all pairs is 1.

    A weight is proportional to count ** -power: with power 1 all emotions are shown equally often. What would be
    above `max_raise` stays there, and the others share the rest in proportion.

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
    """A table for people: each emotion's share of the training pairs, its weight, and its share of what is shown."""
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
