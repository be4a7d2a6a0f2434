"""Merged sets keep all pairs, give rare emotions higher weights, and link the images."""

import dataclasses
import os

import cv2
import numpy as np
import pytest

from data_prep import merge
from data_prep.making.weights import emotion_weights
from rac_unet.core.emotions import EMOTIONS
from rac_unet.core.errors import UserError
from rac_unet.core.files.whole import write_file
from rac_unet.data import pairs
from rac_unet.pairing.mask_policy import make_policy
from rac_unet.pairing.toy_pairs import write_toy_pairs
from rac_unet.photos.png_encoding import encode_png
from tests.refusals import refused


def run(*arguments):
    assert merge.main([*map(str, arguments), "--workers", "1"]) == 0


def make(folder, rows, size=16, source="here"):
    """A set of plain pictures; rows: (key, emotion, split, identity)."""
    made = []
    for key, emotion, split, identity in rows:
        names = {column: f"images/{key}_{column}.png" for column in pairs.IMAGE_COLUMNS}
        for column, name in names.items():
            grey = np.full((size, size), sum(map(ord, key + column)) % 200, np.uint8)
            write_file(folder / name, encode_png(grey if column == "occlusion" else np.dstack([grey] * 3)))
        made.append(
            pairs.Pair(key, **names, emotion=emotion, split=split, identity=identity, source=source, mask_style="kn95")
        )
    pairs.write(folder, made)
    return folder


def test_a_distribution_over_emotions_is_kept(tmp_path):
    sets = [make(tmp_path / name, [(name, "fear", "train", name)]) for name in ("a", "b")]
    shared = [dataclasses.replace(pairs.read(sets[0])[0], emotion_shares="fear:0.6 anger:0.4")]
    pairs.write(sets[0], shared, shared=True)
    run(*sets, "--output", tmp_path / "m")
    assert [row.emotion_shares for row in pairs.read(tmp_path / "m")] == ["fear:0.6 anger:0.4", ""]


def test_two_sets_become_one(toy_pairs, tmp_path, capsys):
    other = make(tmp_path / "b/pairs", [("k", "fear", "train", "toy0-000000"), ("l", "fear", "test", "q")], 64, "mine")
    run(toy_pairs, other, "--output", tmp_path / "m")
    first, second, merged = pairs.read(toy_pairs), pairs.read(other), pairs.read(tmp_path / "m")
    assert len(merged) == 72 and set(merged.frame["source"]) == {"toy-natural", "mine"}
    assert merged.keys[0] == f"pairs:{first.keys[0]}" and merged.keys[-2:].tolist() == ["pairs-2:k", "pairs-2:l"]
    # The same name in another set is another person.
    assert merged.frame["identity"].nunique() == 12 and (merged.weights == 1).all()
    for column in pairs.IMAGE_COLUMNS:
        originals = [*first.paths(column), *second.paths(column)]
        for a, b in list(zip(originals, merged.paths(column), strict=True))[::9]:
            assert os.path.samefile(a, b)
    assert merged.frame["emotion"].tolist() == [*first.frame["emotion"], *second.frame["emotion"]]
    assert "weight" not in (tmp_path / "m/pairs.csv").read_text().splitlines()[0]


def test_rare_emotions_get_weights_only_in_training(tmp_path, capsys):
    rows = [(f"n{i}", "neutral", "train", f"n{i}") for i in range(12)]
    rows += [(f"f{i}", "fear", "train", f"f{i}") for i in range(3)] + [("v", "fear", "val", "v")]
    made = make(tmp_path / "a", rows)
    run(made, "--output", tmp_path / "full", "--balance", "full")
    found = pairs.read(tmp_path / "full")
    shown = {e: found.split("train").weights[found.split("train").frame["emotion"] == e] for e in ("neutral", "fear")}
    np.testing.assert_allclose(shown["neutral"], 15 / 24, rtol=1e-5)
    np.testing.assert_allclose(shown["fear"], 15 / 6, rtol=1e-5)
    assert found.split("val").weights.tolist() == [1]
    assert "50.0%" in capsys.readouterr().out
    run(made, "--output", tmp_path / "capped", "--balance", "full", "--max_raise", "1.5")
    capped = pairs.read(tmp_path / "capped").split("train")
    assert capped.weights.max() == 1.5 and np.isclose(capped.weights.mean(), 1, atol=1e-5)


@pytest.mark.parametrize("power", [0, 0.5, 1])
def test_weights_average_to_one_under_any_cap(power):
    counts = dict(zip(EMOTIONS, (1000, 500, 300, 100, 9, 1, 0), strict=True))
    for cap in (1, 1.2, 3, 10, 1e9):
        weights = emotion_weights(counts, power, cap)
        total = sum(counts[emotion] * weight for emotion, weight in weights.items())
        assert np.isclose(total, 1910) and max(weights.values()) <= cap * (1 + 1e-9)
        ordered = list(weights.values())
        assert ordered == sorted(ordered) and "neutral" not in weights


def test_people_of_the_test_split_are_removed_from_training(tmp_path, trees):
    a = make(tmp_path / "a", [("k", "fear", "train", "p"), ("l", "fear", "train", "q"), ("m", "anger", "val", "r")])
    b = make(tmp_path / "b", [("k", "fear", "test", "p"), ("l", "anger", "train", "r")])
    run(a, b, "--output", tmp_path / "m", "--same_people")
    merged = pairs.read(tmp_path / "m")
    assert merged.keys.tolist() == ["a:l", "a:m", "b:k"] and merged.frame["identity"].tolist() == ["q", "r", "p"]
    assert trees.reasons(tmp_path / "m") == {"a:k": "its person 'p' is in test", "b:l": "its person 'r' is in val"}


def test_copies_are_complete_and_a_second_run_changes_nothing(tmp_path):
    a = make(tmp_path / "a", [("k", "fear", "train", "p"), ("l", "fear", "test", "q")])
    run(a, "--output", tmp_path / "m", "--copy")
    copy = pairs.read(tmp_path / "m").paths("masked")[0]
    assert not os.path.samefile(copy, pairs.read(a).paths("masked")[0]) and cv2.imread(copy) is not None
    before = (tmp_path / "m/pairs.csv").stat().st_mtime_ns
    run(a, "--output", tmp_path / "m", "--copy")
    assert (tmp_path / "m/pairs.csv").stat().st_mtime_ns == before


def test_photos_of_real_masks_are_merged(tmp_path):
    a = make(tmp_path / "a", [("k", "fear", "train", "p"), ("l", "fear", "test", "q")])
    b = make(tmp_path / "b", [("z", "anger", "test", "z")])
    row = pairs.read(b)[0]
    pairs.write(b, [pairs.Pair(**{**{c: getattr(row, c) for c in pairs.COLUMNS}, "unmasked": "", "occlusion": ""})])
    run(a, b, "--output", tmp_path / "m")
    assert pairs.read(tmp_path / "m").has_truth.tolist() == [True, True, False]


def test_refusals(tmp_path):
    a = make(tmp_path / "a", [("k", "fear", "train", "p")])
    b = make(tmp_path / "b", [("k", "fear", "train", "p")], size=32)
    with refused("mismatch", "a 16 px", "b 32 px"):
        run(a, b, "--output", tmp_path / "m")
    with refused("usage", a):
        run(a, a, "--output", tmp_path / "m")
    with refused("usage", "--output", a):
        run(a, "--output", a)
    with refused("missing", tmp_path / "none"):
        run(a, tmp_path / "none", "--output", tmp_path / "m")
    (b / "images/k_masked.png").write_bytes(b"")
    with pytest.raises(UserError, match="(?s)k_masked.png.*data_prep.check") as error:
        run(b, "--output", tmp_path / "m")
    assert error.value.kind == "bad_row"
    with refused("usage", "--max_raise", "0.5"):
        run(a, "--output", tmp_path / "m", "--max_raise", "0.5")
    assert not (tmp_path / "m").exists()


def test_a_held_out_style_is_only_in_the_test_split(tmp_path):
    write_toy_pairs(tmp_path / "t", 70, 64, policy=make_policy(held_out=["valve", "bandana"]), progress=False)
    frame = pairs.read(tmp_path / "t").frame
    in_test = frame["split"] == "test"
    assert not set(frame["mask_style"][~in_test]) & {"valve", "bandana"}
    run(tmp_path / "t", "--output", tmp_path / "m")
    assert set(pairs.read(tmp_path / "m").frame["mask_style"]) == set(frame["mask_style"])
