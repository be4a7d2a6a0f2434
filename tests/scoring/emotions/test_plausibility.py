"""Fréchet distances of lower faces: the formula, the compared sets, and the part of the image that counts."""

import numpy as np
import pytest

from rac_unet.core.emotions import EMOTIONS
from rac_unet.data import pairs as pairs_module
from rac_unet.scoring.emotions.plausibility import (
    DIMENSIONS,
    FEWEST,
    LowerFaces,
    Moments,
    check_enough,
    describe_plausibility,
    frechet_distance,
    lower_face_features,
)
from rac_unet.scoring.emotions.requests import Request
from tests.refusals import refused


def moments(vectors, batch=50):
    found = Moments(vectors.shape[1])
    for start in range(0, len(vectors), batch):
        found.add(vectors[start : start + batch])
    return found


def test_moments_do_not_depend_on_batches():
    # A mean far from zero, for which plain sums of squares lose precision.
    vectors = np.random.default_rng(0).normal(1e6, 1, (230, 3))
    whole, parts = moments(vectors), moments(vectors[:70], 7) + moments(vectors[70:], 64) + Moments(3)
    for each in (whole, parts):
        assert each.n == 230
        np.testing.assert_allclose(each.mean, vectors.mean(0), rtol=1e-12)
        np.testing.assert_allclose(each.covariance, np.cov(vectors.T), rtol=1e-6, atol=1e-9)


def test_the_distance_of_two_normal_distributions_by_hand():
    rng = np.random.default_rng(1)
    base = rng.normal(size=(4000, 2))
    # Scaling and moving one sample: |m|² + Σ (a - b)² of the deviations along the principal axes.
    base -= base.mean(0)
    _, vectors = np.linalg.eigh(np.cov(base.T))
    base = base @ vectors / np.sqrt(np.diag(vectors.T @ np.cov(base.T) @ vectors))
    other = base * [2.0, 0.5] + [3.0, -1.0]
    assert frechet_distance(moments(base), moments(other)) == pytest.approx(10 + 1 + 0.25, rel=1e-6)
    assert frechet_distance(moments(other), moments(base)) == pytest.approx(11.25, rel=1e-6)
    # Rotated by 45 degrees the two covariances do not commute.
    turn = np.array([[1, -1], [1, 1]]) / np.sqrt(2)
    stretched, turned = base * [2.0, 0.5], base * [2.0, 0.5] @ turn
    c, d = np.cov(stretched.T), np.cov(turned.T)
    common = np.sqrt(np.linalg.eigvals(c @ d)).real.sum()
    expected = np.trace(c) + np.trace(d) - 2 * common
    assert frechet_distance(moments(stretched), moments(turned)) == pytest.approx(expected, rel=1e-6)


def test_the_distance_is_defined_for_few_vectors():
    vectors = np.random.default_rng(2).normal(size=(5, DIMENSIONS))
    assert frechet_distance(moments(vectors), moments(vectors)) == pytest.approx(0, abs=1e-4)
    assert frechet_distance(moments(vectors), moments(vectors + 1)) == pytest.approx(DIMENSIONS, rel=1e-4)


def request(faces, own, start, emotion, change=0.0):
    """Return a request of 8-pixel faces for an emotion; all of their pixels are brighter by `change`."""
    painted = np.clip(faces + change, 0, 1)
    hole = np.ones((len(faces), 8, 8, 1), np.float32)
    number = None if emotion is None else EMOTIONS.index(emotion)
    is_own = np.ones(len(faces), bool) if emotion is None else own == number
    return Request(start, emotion, number in (0, None), is_own, faces, faces, hole, painted, painted)


def test_each_request_is_compared_with_the_ground_truth():
    rng = np.random.default_rng(3)
    directions = rng.normal(size=(192, DIMENSIONS))
    shown = []

    def features(image):
        shown.append(len(image))
        return image.reshape(len(image), -1) @ directions

    faces = rng.random((300, 8, 8, 3), np.float32) * 0.5
    own = np.arange(300) % 7
    people = np.arange(300) // 2
    lower = LowerFaces(features, people)
    for start in range(0, 300, 100):
        rows = slice(start, start + 100)
        for emotion in EMOTIONS:
            change = {"fear": 0.4, "anger": 0.2}.get(emotion, 0.1)
            lower.add(request(faces[rows], own[rows], start, emotion, change))
    # Features of the ground truth and of each request are computed once.
    assert sum(shown) == 300 * 8
    found = lower.result()
    distances = {name: each["distance"] for name, each in found["by_asked"].items()}
    assert found["n"] == 300 and list(distances) == list(EMOTIONS)
    assert distances["fear"] > distances["anger"] > distances["neutral"] == pytest.approx(distances["surprise"])
    real = moments(features(faces))
    expected = moments(features(np.clip(faces + 0.4, 0, 1)))
    share = 100 / np.trace(np.cov(features(faces).T))
    assert distances["fear"] == pytest.approx(share * frechet_distance(expected, real))
    # With the true labels a seventh of the faces has fear's change.
    changes = np.array([0.1, 0.4, 0.1, 0.1, 0.1, 0.2, 0.1])[own][:, None, None, None]
    expected = moments(features(np.clip(faces + changes.astype(np.float32), 0, 1)))
    assert found["right_label"] == pytest.approx(share * frechet_distance(expected, real))
    assert found["by_asked"]["fear"]["ratio"] == pytest.approx(distances["fear"] / found["right_label"])
    assert found["mean"] == pytest.approx(np.mean(list(distances.values())))
    assert sorted(found["floor_n"]) == [150, 150] and found["floor"] > 0
    lines = describe_plausibility(found).splitlines()
    for name, distance in distances.items():
        assert any(name in line and f"{distance:.1f}" in line for line in lines)
    assert any("300" in line for line in lines)


def test_the_halves_of_the_floor_have_no_common_person():
    faces = np.random.default_rng(4).random((60, 8, 8, 3), np.float32)
    # One person has half of the photographs, so all others are the other half.
    people = ["x"] * 30 + [f"p{n // 3}" for n in range(30)]

    def features(image):
        return np.pad(image.reshape(len(image), -1)[:, :1], ((0, 0), (0, DIMENSIONS - 1)))

    lower = LowerFaces(features, people)
    lower.add(request(faces, None, 0, None))
    halves = sorted((half.n, half.mean[0]) for half in lower._halves)
    assert {n for n, _ in halves} == {30}
    assert sorted(mean for _, mean in halves) == pytest.approx(
        sorted((faces[:30, 0, 0, 0].mean(), faces[30:, 0, 0, 0].mean())), rel=1e-5
    )
    found = lower.result()
    assert "by_asked" not in found and found["right_label"] == pytest.approx(0, abs=1e-6)
    alone = LowerFaces(features, ["x"] * 60)
    alone.add(request(faces, None, 0, None))
    assert alone.result()["floor"] is None and "–" in describe_plausibility(alone.result())


def test_only_the_lower_face_counts():
    class Extractor:
        def maps(self, image):
            return [image, image[:, ::2, ::2] * 2]

    features = lower_face_features(Extractor())
    image = np.random.default_rng(5).random((2, 64, 64, 3), np.float32)
    upper, side, lower = image.copy(), image.copy(), image.copy()
    upper[:, :29] = 0
    side[:, :, 52:] = 0
    lower[:, 40:50, 25:40] = 0
    base = features(image)
    assert base.shape == (2, DIMENSIONS)
    for same in (upper, side):
        np.testing.assert_array_equal(features(same), base)
    assert np.abs(features(lower) - base).max() > 1e-3


def test_too_few_faces_are_refused(toy_pairs):
    found = pairs_module.read(toy_pairs)
    with refused("mismatch", "--plausibility", str(len(found)), str(FEWEST)):
        check_enough(found)
    check_enough(found.take(np.arange(FEWEST) % len(found)))
