"""Measure how closely an exported network agrees with the original."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rac_unet.core.emotions import EMOTIONS
from rac_unet.core.errors import UserError
from rac_unet.runtime.interface import EMOTION, IMAGE, OUTPUT, Call

# The PSNR of equal images would be infinite.
MAX_PSNR = 100.0
Batches = list[dict[str, np.ndarray]]


@dataclass(frozen=True)
class Agreement:
    """Differences between two networks over the same images.

    Attributes:
        largest, mean: absolute difference over all values of `inpainted_image`.
        psnr: PSNR of `inpainted_image` clipped to [0, 1], in dB for a peak of 1; mean over images, at most 100.
        largest_of: output name -> largest absolute difference.
        psnr_of: output name -> PSNR, for each output that is an image.
        scale: largest absolute value of the original's outputs, at least 1.
        pictures: number of compared images.
    """

    largest: float
    mean: float
    psnr: float
    largest_of: dict[str, float]
    psnr_of: dict[str, float]
    scale: float
    pictures: int


def random_batches(inputs: dict[str, tuple], one_by_one: bool = False) -> Batches:
    """Return four random images from a fixed seed, three with different emotions and the last without a label.

    Args:
        inputs: input name -> shape, batch first.
        one_by_one: use batches of 1, for networks that take one image at a time; otherwise batches of 1 and 3.
    """
    rng = np.random.default_rng(0)
    label = np.zeros((4, len(EMOTIONS)), np.float32)
    for row, name in enumerate(("happiness", "surprise", "anger")):
        label[row, EMOTIONS.index(name)] = 1
    given = {IMAGE: rng.random((4, *inputs[IMAGE][1:]), np.float32), EMOTION: label}
    return split_batches(given, inputs, [1, 2, 3] if one_by_one else [1])


def real_batches(pictures: dict[str, np.ndarray], inputs: dict[str, tuple], one_by_one: bool = False) -> Batches:
    """Return images of a data set in batches of 16, or of 1."""
    count, step = len(pictures[IMAGE]), 1 if one_by_one else 16
    return split_batches(pictures, inputs, list(range(step, count, step)))


def split_batches(given: dict[str, np.ndarray], inputs: dict[str, tuple], at: list[int]) -> Batches:
    """Split the network's inputs into batches at these positions; arrays it does not take are left out."""
    parts = {name: np.split(given[name], at) for name in inputs}
    return [{name: parts[name][i] for name in inputs} for i in range(len(at) + 1)]


def run_batches(call: Call, batches: Batches) -> Batches:
    """Run each batch on the CPU; the reduced precision of an accelerator would disturb the comparison."""
    import tensorflow as tf

    with tf.device("/CPU:0"):
        return [call(batch) for batch in batches]


def measure(expected: Batches, received: Batches) -> Agreement:
    """Compare the outputs of two networks on the same batches.

    Raises: UserError when names, shapes or types differ, or a value is not finite.
    """
    for wanted, found in zip(expected, received, strict=True):
        _check_form(wanted, found)
    outputs = {
        name: tuple(np.concatenate([batch[name] for batch in side]) for side in (expected, received))
        for name in expected[0]
    }
    largest = {name: float(np.abs(ours - theirs).max()) for name, (ours, theirs) in outputs.items()}
    psnr = {name: _psnr(ours, theirs) for name, (ours, theirs) in outputs.items() if ours.ndim == 4}
    scale = max([1.0, *(float(np.abs(ours).max()) for ours, _ in outputs.values())])
    ours, theirs = outputs[OUTPUT]
    mean = float(np.abs(ours - theirs).mean(dtype=np.float64))
    return Agreement(largest[OUTPUT], mean, psnr[OUTPUT], largest, psnr, scale, len(ours))


def _psnr(ours: np.ndarray, theirs: np.ndarray) -> float:
    difference = np.clip(ours, 0, 1).astype(np.float64) - np.clip(theirs, 0, 1)
    error = np.square(difference).mean(axis=(1, 2, 3))
    return float(np.minimum(-10 * np.log10(np.maximum(error, 1e-30)), MAX_PSNR).mean())


def _check_form(wanted: dict[str, np.ndarray], found: dict[str, np.ndarray]) -> None:
    if set(wanted) != set(found):
        raise UserError(
            f"its outputs are {', '.join(sorted(found)) or 'none'} instead of {', '.join(sorted(wanted))}",
            "failed_check",
        )
    for name, value in wanted.items():
        other = found[name]
        if other.shape != value.shape or other.dtype != value.dtype:
            raise UserError(
                f"{name} is {other.dtype} {other.shape} instead of {value.dtype} {value.shape}", "failed_check"
            )
        if not np.isfinite(other).all():
            raise UserError(f"{name} holds values that are not numbers", "failed_check")
