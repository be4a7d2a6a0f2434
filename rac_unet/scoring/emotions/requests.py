"""Inpaint every face with each of the seven labels, for control accuracy and plausibility."""

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
    """A batch of faces inpainted with one label.

    Attributes:
        start: row number of the first face.
        emotion: the requested emotion; None for a network that is not conditioned.
        first: whether this is the first request for these faces.
        is_own: (B,) bool, whether `emotion` is the face's own label; True if the network is not conditioned.
        masked, truth: (B, S, S, 3) float32 in [0, 1].
        occlusion: (B, S, S, 1), > 0 where hidden.
        painted: (B, S, S, 3) float32 in [0, 1], the network's output.
        composite: (B, S, S, 3) float32 in [0, 1], known pixels of `masked`, hidden ones of `painted`.
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
    """Yield each batch of pairs inpainted with each of the seven labels, or once if the network is not conditioned.

    Args:
        pairs: pairs with ground truth.
        advance: called with the number of images after each batch.
    """
    labels = np.eye(len(EMOTIONS), dtype=np.float32)
    start = 0
    for inputs, targets in make_scoring_dataset(pairs, Pictures(pairs, runner.image_size), batch_size):
        masked, own = inputs["masked_image"].numpy(), inputs["emotion"].numpy().argmax(axis=1)
        truth, occlusion = targets["unmasked_image"].numpy(), targets["occlusion"].numpy()
        for number in range(len(EMOTIONS)) if runner.conditioned else [None]:
            requested = own if number is None else np.full(len(masked), number)
            painted = np.clip(runner(masked, labels[requested])["inpainted_image"], 0, 1)
            yield Request(
                start,
                None if number is None else EMOTIONS[number],
                number in (0, None),
                own == requested,
                masked,
                truth,
                occlusion,
                painted,
                compose(masked, painted, occlusion),
            )
        start += len(masked)
        advance(len(masked))
