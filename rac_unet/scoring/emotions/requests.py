"""Paint every face with each of the seven labels, once for control accuracy and plausibility together."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from rac_unet.core.emotions import EMOTIONS
from rac_unet.data.pairs import PairSet
from rac_unet.data.pictures import Pictures
from rac_unet.data.pipeline import make_scoring_dataset
from rac_unet.runtime.runners import Runner
from rac_unet.scoring.metrics import compose


@dataclass(frozen=True)
class Request:
    """A batch of faces painted with one label.

    Attributes:
        start: row number of the first face.
        emotion: what was asked for; None of a network that takes no label.
        first: whether these faces have not come before, with another label.
        is_own: (B,) bool, where `emotion` is the face's own, or the network takes none.
        masked, truth: (B, S, S, 3) float32 in [0, 1].
        occlusion: (B, S, S, 1), > 0 where hidden.
        painted: (B, S, S, 3) float32 in [0, 1], the network's own picture.
        composite: the same, known pixels kept.
    """

    start: int
    emotion: str | None
    first: bool
    is_own: np.ndarray
    masked: np.ndarray
    truth: np.ndarray
    occlusion: np.ndarray
    painted: np.ndarray
    composite: np.ndarray


def paint_requests(
    runner: Runner, pairs: PairSet, batch_size: int, advance: Callable[[int], Any] = lambda count: None
) -> Iterator[Request]:
    """Paint each batch of pairs with each of the seven labels in turn, or once where the network takes none.

    Args:
        pairs: those to paint; all with truth.
        advance: called with the number of pictures of each finished batch.
    """
    labels = np.eye(len(EMOTIONS), dtype=np.float32)
    start = 0
    for inputs, targets in make_scoring_dataset(pairs, Pictures(pairs, runner.image_size), batch_size):
        masked, own = inputs["masked_image"].numpy(), inputs["emotion"].numpy().argmax(axis=1)
        truth, occlusion = targets["unmasked_image"].numpy(), targets["occlusion"].numpy()
        for number in range(len(EMOTIONS)) if runner.conditioned else [None]:
            asked = own if number is None else np.full(len(masked), number)
            painted = np.clip(runner(masked, labels[asked])["inpainted_image"], 0, 1)
            yield Request(
                start,
                None if number is None else EMOTIONS[number],
                number in (0, None),
                own == asked,
                masked,
                truth,
                occlusion,
                painted,
                compose(masked, painted, occlusion),
            )
        start += len(masked)
        advance(len(masked))
