"""Plausibility: Fréchet distance between features of inpainted and of real lower faces.

Emotion readers can be pleased by patterns that no face has, and likeness says nothing of a face that was asked for an
emotion which its photograph does not show. So the distribution of painted lower faces is compared with that of real
ones (Heusel et al. 2017, arXiv:1706.08500), through the extractor that measures feature distances. Whether the face
mesh finds a mouth in its place says less: of 250 real faces whose mouth was blurred away, moved by 8 % of the side, or
had a second one on the chin, it found one in 99 %, mostly within the range of real mouths.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from rac_unet.core.emotions import EMOTIONS
from rac_unet.core.errors import UserError
from rac_unet.data.pairs import PairSet
from rac_unet.scoring.emotions.requests import Request

# Part of an upright crop: from below the eyes to the collar, between the outer cheeks. Shares of its side.
ROWS, COLUMNS = (0.46, 0.96), (0.2, 0.8)
SIDE = 128
# Features are projected to so few dimensions that some hundred faces give a covariance of full rank.
DIMENSIONS, SEED = 128, 0
FEWEST = 2 * DIMENSIONS


class Moments:
    """Mean and covariance of vectors that come in batches, in memory for one matrix.

    Args:
        dimensions: of a vector.
    """

    def __init__(self, dimensions: int):
        self.n, self.mean = 0, np.zeros(dimensions)
        self._squares = np.zeros((dimensions, dimensions))

    def add(self, vectors: np.ndarray) -> None:
        """Count vectors, (B, D); B may be 0."""
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
        """(D, D) float64, unbiased; zeros of fewer than two vectors."""
        return self._squares / max(self.n - 1, 1)

    def _join(self, n: int, mean: np.ndarray, squares: np.ndarray) -> None:
        # Sums of squares around each part's own mean: no small difference of large numbers.
        apart, total = mean - self.mean, self.n + n
        self._squares = self._squares + squares + np.outer(apart, apart) * (self.n * n / total)
        self.mean = self.mean + apart * (n / total)
        self.n = total


def frechet_distance(first: Moments, second: Moments) -> float:
    """Fréchet distance of two normal distributions: |m - n|² + tr(C + D - 2 (C D)^½); 0 or more, 0 for equal ones.

    (C D)^½ has the trace of (C^½ D C^½)^½, which is symmetric, so that its eigenvalues are real; those that rounding
    makes negative, as a covariance without full rank does, count as 0.
    """
    values, vectors = np.linalg.eigh(first.covariance)
    root = (vectors * np.sqrt(np.maximum(values, 0))) @ vectors.T
    product = root @ second.covariance @ root
    common = np.sqrt(np.maximum(np.linalg.eigvalsh((product + product.T) / 2), 0)).sum()
    apart = np.square(first.mean - second.mean).sum()
    return max(0.0, float(apart + np.trace(first.covariance) + np.trace(second.covariance) - 2 * common))


def check_enough(pairs: PairSet) -> None:
    """Raises: UserError when there are too few faces for a covariance."""
    if len(pairs) < FEWEST:
        raise UserError(
            f"--plausibility compares distributions, which takes {FEWEST} masked faces or more with ground truth; "
            f"{pairs.root} has {len(pairs):,} to score; leave it out, or give more pairs with --data",
            "mismatch",
        )


class LowerFaces:
    """Lower faces painted on each request against the ground truth of the same photographs.

    Args:
        features: of `lower_face_features`.
        identities: (N,) who is shown in each of the faces that will be added.
    """

    def __init__(self, features: Callable[[np.ndarray], np.ndarray], identities: np.ndarray):
        self._features, self._in_first = features, _half_of_people(identities)
        self._halves = Moments(DIMENSIONS), Moments(DIMENSIONS)
        self._own = Moments(DIMENSIONS)
        self._asked = {name: Moments(DIMENSIONS) for name in EMOTIONS}

    def add(self, request: Request) -> None:
        """Count a batch, painted with one label."""
        if request.first:
            real = self._features(request.truth)
            first = self._in_first[request.start : request.start + len(real)]
            self._halves[0].add(real[first])
            self._halves[1].add(real[~first])
        painted = self._features(request.composite)
        if request.emotion:
            self._asked[request.emotion].add(painted)
        self._own.add(painted[request.is_own])

    def result(self) -> dict[str, Any]:
        """metrics.json's section `plausibility`, distances in per cent of the real faces' variance (its trace).

        The scale of features is the extractor's own, from thousandths to hundreds; this one is not.

        Returns: n; `right_label`, distance of the composites painted with each face's own label (or without any) from
            the ground truth of the same faces; `floor`, distance of two halves of the ground truth without a person in
            common, and `floor_n`, their sizes (None where all show one person); where the network takes a label also
            `by_asked`, emotion -> distance, and ratio to `right_label`; and `mean`, the mean of the seven distances.
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
        asked = {name: scale * frechet_distance(each, real) for name, each in self._asked.items() if each.n}
        if asked:
            found["by_asked"] = {
                name: {"distance": value, "ratio": value / own if own else None} for name, value in asked.items()
            }
            found["mean"] = float(np.mean(list(asked.values())))
        found["settings"] = {"rows": ROWS, "columns": COLUMNS, "side": SIDE, "dimensions": DIMENSIONS, "seed": SEED}
        return found


def lower_face_features(extractor) -> Callable[[np.ndarray], np.ndarray]:
    """A function from upright crops, (B, S, S, 3) float in [0, 1], to features of their lower faces, (B, 128) float32.

    Mean of each feature map, all maps in a row, projected by fixed random directions.

    Args:
        extractor: of `rac_unet.objectives.features.load_extractor`; figures of different ones must not be compared.
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
        (top, bottom), (left, right) = ([round(share * image.shape[1]) for share in pair] for pair in (ROWS, COLUMNS))
        return measure(image[:, top:bottom, left:right].astype(np.float32)).numpy()

    return features


def describe_plausibility(result: dict[str, Any]) -> str:
    """The distances as text: a line for each emotion asked for."""
    floor = "–" if result["floor"] is None else f"{result['floor']:.1f}"
    lines = [
        f"lower faces, Fréchet distance from real ones in % of their variance, lower is better, n = {result['n']:,}",
        f"right label {result['right_label']:.1f}; floor {floor}, of two halves of the real ones (n = "
        f"{result['floor_n'][0]:,} and {result['floor_n'][1]:,})",
    ]
    for name, each in result.get("by_asked", {}).items():
        ratio = "" if each["ratio"] is None else f"   {each['ratio']:.2f} times the right label's"
        lines.append(f"{name:>{max(map(len, EMOTIONS))}}  {each['distance']:8.1f}{ratio}")
    return "\n".join(lines)


def _half_of_people(identities: np.ndarray) -> np.ndarray:
    """(N,) bool: whether a face is in the first half; all faces of a person are in one, since they are alike."""
    people, person = np.unique(np.asarray(identities).astype(str), return_inverse=True)
    counts = np.bincount(person)
    drawn = np.random.default_rng(SEED).permutation(len(people))
    first, sizes = np.zeros(len(people), bool), [0, 0]
    # Those with most faces come first, so that the halves end up alike in size.
    for one in drawn[np.argsort(-counts[drawn], kind="stable")]:
        half = int(sizes[0] > sizes[1])
        first[one], sizes[half] = half == 0, sizes[half] + counts[one]
    return first[person]
