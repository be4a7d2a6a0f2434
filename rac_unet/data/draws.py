"""The random numbers of a training pair: how many there are, in which order, and what each is for.

All are uniform in [0, 1) and come in one tensor (B, N): first those of the augmentation, then, in guided training,
those of the requested emotion, then those of each emotion reader. The position of a number determines its value.
Positions must not change, so that published runs can be repeated and interrupted ones resumed; add new numbers to the
end of a layout.
"""

from __future__ import annotations

from typing import Any, NamedTuple


class Layout:
    """Named parts of a (B, `count`) tensor of random numbers.

    Args:
        widths: name -> how many numbers it takes, in order.
    """

    def __init__(self, **widths: int):
        self._parts: dict[str, slice] = {}
        self.count = 0
        for name, width in widths.items():
            self._parts[name] = slice(self.count, self.count + width)
            self.count += width

    def part(self, draws, name: str):
        """Return the numbers of one name: (B,) for a single number, else (B, width)."""
        place = self._parts[name]
        return draws[:, place] if place.stop - place.start > 1 else draws[:, place.start]


# relight: gain, gains of three channels, offset. jitter: zoom, turn, shift right, shift down.
# recolour: whether, hue, saturation, how much own colour is lost.
AUGMENTATION = Layout(flip=1, relight=5, label_dropout=1, jitter=4, mixup=1, recolour=4)
# Whether another emotion is requested, which, a wrong label for the discriminators, a donor face.
REQUEST = Layout(chosen=1, emotion=1, wrong_label=1, donor=1)
# Change of the crop that a reader sees; shift: right, down.
READER = Layout(shift=2, zoom=1, blur=1, gain=1)


class PairDraws(NamedTuple):
    """The parts of a batch's random numbers, each with its layout.

    Attributes:
        augmentation: (B, 16), `AUGMENTATION`.
        request: (B, 4), `REQUEST`.
        readers: (B, 5) for each reader, `READER`.
    """

    augmentation: Any
    request: Any
    readers: list[Any]


def guidance_count(readers: int) -> int:
    """Return how many numbers per pair guided training with this many readers takes beyond the augmentation."""
    return REQUEST.count + READER.count * readers


def split_draws(draws, readers: int) -> PairDraws:
    """Split the (B, N) numbers of a guided step; N is `AUGMENTATION.count` + `guidance_count(readers)`."""
    ends = [AUGMENTATION.count, AUGMENTATION.count + REQUEST.count]
    starts = [ends[1] + READER.count * i for i in range(readers)]
    of_readers = [draws[:, start : start + READER.count] for start in starts]
    return PairDraws(draws[:, : ends[0]], draws[:, ends[0] : ends[1]], of_readers)
