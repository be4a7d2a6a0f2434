"""Plausibility: Fréchet distance between features of inpainted and of real lower faces.

Emotion classifiers can be fooled by patterns that no face has, and there is no ground truth for a face with another
emotion than its photograph. So the distribution of inpainted lower faces is compared with that of real ones (Heusel et
al. 2017, arXiv:1706.08500), in the features of the extractor for feature distances. The face mesh cannot replace this:
on 250 real faces whose mouth was blurred, moved by 8 % of the side, or repeated on the chin, it found a mouth in 99 %,
mostly within the range of real mouths.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from rac_unet.core.emotions import EMOTIONS
from rac_unet.core.errors import UserError
from rac_unet.data.pairs import PairSet
from rac_unet.scoring.emotions.requests import Request

# The lower face in an upright crop, as shares of its side: from below the eyes to the collar, without the ears.
LOWER_ROWS, LOWER_COLUMNS = (0.46, 0.96), (0.2, 0.8)
SIDE = 128
# Features are projected to few dimensions, so that some hundred faces give a covariance of full rank.
DIMENSIONS, SEED = 128, 0
FEWEST = 2 * DIMENSIONS


class Moments:
    """Mean and covariance of vectors, computed batch by batch in the memory of one matrix.

    Args:
        dimensions: length of a vector.
    """

    def __init__(self, dimensions: int):
        self.n, self.mean = 0, np.zeros(dimensions)
        self._squares = np.zeros((dimensions, dimensions))

    def add(self, vectors: np.ndarray) -> None:
        """Include vectors, (B, D); B may be 0."""
        if len(vectors):
            mean = vectors.mean(axis=0, dtype=np.float64)
            spread = vectors - mean
            self._join(len(vectors), mean, spread.T @ spread)

    def __add__(self, other: Moments) -> Moments:
        both = Moments(len(self.mean))
        for part in (self, other):
            if part.n:
                both._join(part.n, part.mean, part._squares)
        return both

    @property
    def covariance(self) -> np.ndarray:
        """Unbiased covariance, (D, D) float64; zeros for fewer than two vectors."""
        return self._squares / max(self.n - 1, 1)

    def _join(self, n: int, mean: np.ndarray, squares: np.ndarray) -> None:
        # Sums of squares around each part's own mean avoid small differences of large numbers.
        apart, total = mean - self.mean, self.n + n
        self._squares = self._squares + squares + np.outer(apart, apart) * (self.n * n / total)
        self.mean = self.mean + apart * (n / total)
        self.n = total


def frechet_distance(first: Moments, second: Moments) -> float:
    """Return the Fréchet distance of two normal distributions: |m - n|² + tr(C + D - 2 (C D)^½), 0 or more.

    (C D)^½ has the same trace as (C^½ D C^½)^½, which is symmetric and has real eigenvalues; eigenvalues that are
    negative by rounding, as with a covariance without full rank, are set to 0.
    """
    values, vectors = np.linalg.eigh(first.covariance)
    root = (vectors * np.sqrt(np.maximum(values, 0))) @ vectors.T
    product = root @ second.covariance @ root
    common = np.sqrt(np.maximum(np.linalg.eigvalsh((product + product.T) / 2), 0)).sum()
    apart = np.square(first.mean - second.mean).sum()
    return max(0.0, float(apart + np.trace(first.covariance) + np.trace(second.covariance) - 2 * common))


def check_enough(pairs: PairSet) -> None:
    """Raise UserError when there are too few pairs for a covariance."""
    if len(pairs) < FEWEST:
        raise UserError(
            f"--plausibility needs {FEWEST} masked faces with ground truth or more; {pairs.root} has {len(pairs):,}; "
            "omit it, or give more pairs with --data",
            "mismatch",
        )


class LowerFaces:
    """Distances between the distributions of inpainted lower faces, for each label, and of their ground truth.

    Args:
        features: function from `lower_face_features`.
        identities: (N,) the person in each of the faces that will be added.
    """

    def __init__(self, features: Callable[[np.ndarray], np.ndarray], identities: np.ndarray):
        self._features, self._in_first = features, _half_of_people(identities)
        self._halves = Moments(DIMENSIONS), Moments(DIMENSIONS)
        self._own = Moments(DIMENSIONS)
        self._requested = {name: Moments(DIMENSIONS) for name in EMOTIONS}

    def add(self, request: Request) -> None:
        """Include a batch of faces inpainted with one label."""
        if request.first:
            real = self._features(request.truth)
            first = self._in_first[request.start : request.start + len(real)]
            self._halves[0].add(real[first])
            self._halves[1].add(real[~first])
        painted = self._features(request.composite)
        if request.emotion:
            self._requested[request.emotion].add(painted)
        self._own.add(painted[request.is_own])

    def result(self) -> dict[str, Any]:
        """Return metrics.json's section `plausibility`; distances in % of the real faces' variance (the trace).

        So their scale does not depend on that of the extractor's features.

        Returns: n; `right_label`, distance between composites inpainted with each face's own label (or no label) and
            the ground truth of the same faces; `floor`, distance between two halves of the ground truth without common
            people (None if all show one person), and `floor_n`, the sizes of the halves; if the network is conditioned
            also `by_asked`, requested emotion -> distance, and ratio to `right_label`; and `mean` of the seven
            distances.
        """
        real = self._halves[0] + self._halves[1]
        scale = 100 / max(float(np.trace(real.covariance)), 1e-12)
        own = scale * frechet_distance(self._own, real)
        sizes = [half.n for half in self._halves]
        found: dict[str, Any] = {
            "n": real.n,
            "right_label": own,
            "floor": scale * frechet_distance(*self._halves) if min(sizes) else None,
            "floor_n": sizes,
        }
        requested = {name: scale * frechet_distance(each, real) for name, each in self._requested.items() if each.n}
        if requested:
            found["by_asked"] = {
                name: {"distance": value, "ratio": value / own if own else None} for name, value in requested.items()
            }
            found["mean"] = float(np.mean(list(requested.values())))
        found["settings"] = {
            "rows": LOWER_ROWS,
            "columns": LOWER_COLUMNS,
            "side": SIDE,
            "dimensions": DIMENSIONS,
            "seed": SEED,
        }
        return found


def lower_face_features(extractor) -> Callable[[np.ndarray], np.ndarray]:
    """Return a function from upright crops, (B, S, S, 3) float in [0, 1], to lower-face features, (B, 128) float32.

    These are the means of all feature maps, concatenated and projected to fixed random directions.

    Args:
        extractor: from `rac_unet.objectives.features.load_extractor`; distances of different ones are not comparable.
    """
    import tensorflow as tf

    @tf.function(input_signature=[tf.TensorSpec((None, None, None, 3), tf.float32)], autograph=False, jit_compile=False)
    def measure(crops):
        lower = tf.image.resize(crops, (SIDE, SIDE), antialias=True)
        means = tf.concat([tf.reduce_mean(one, axis=[1, 2]) for one in extractor.maps(lower)], axis=1)
        count = means.shape[1]
        directions = np.random.default_rng(SEED).normal(0, DIMENSIONS**-0.5, (count, DIMENSIONS)).astype(np.float32)
        return means @ tf.constant(directions)

    def features(image: np.ndarray) -> np.ndarray:
        (top, bottom), (left, right) = (
            [round(share * image.shape[1]) for share in pair] for pair in (LOWER_ROWS, LOWER_COLUMNS)
        )
        return measure(image[:, top:bottom, left:right].astype(np.float32)).numpy()

    return features


def describe_plausibility(result: dict[str, Any]) -> str:
    """Format the result of `LowerFaces`: a line for each requested emotion."""
    floor = "–" if result["floor"] is None else f"{result['floor']:.1f}"
    lines = [
        f"lower-face distance (Fréchet) in % of the real faces' variance, lower is better, n = {result['n']:,}",
        f"true label {result['right_label']:.1f}; floor {floor}, between two halves of the real faces (n = "
        f"{result['floor_n'][0]:,} and {result['floor_n'][1]:,})",
    ]
    for name, each in result.get("by_asked", {}).items():
        ratio = "" if each["ratio"] is None else f"   {each['ratio']:.2f} times that of the true label"
        lines.append(f"{name:>{max(map(len, EMOTIONS))}}  {each['distance']:8.1f}{ratio}")
    return "\n".join(lines)


def _half_of_people(identities: np.ndarray) -> np.ndarray:
    """Return (N,) bool: whether a face is in the first half; all faces of a person are in the same half."""
    people, person = np.unique(np.asarray(identities).astype(str), return_inverse=True)
    counts = np.bincount(person)
    drawn = np.random.default_rng(SEED).permutation(len(people))
    first, sizes = np.zeros(len(people), bool), [0, 0]
    # People with most faces come first, so that both halves have nearly the same size.
    for one in drawn[np.argsort(-counts[drawn], kind="stable")]:
        half = int(sizes[0] > sizes[1])
        first[one], sizes[half] = half == 0, sizes[half] + counts[one]
    return first[person]
