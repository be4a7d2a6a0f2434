"""Pairs without a mask, with props and degraded pairs, from options and policy files."""

import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest

from data_prep import check, folder, rafdb, toy
from rac_unet.data import pairs
from tests.refusals import refused

SHARES = ("--bare", "0.4", "--degrade", "0.5", "--props", "0.5")


def run(output, *arguments):
    assert folder.main([*map(str, arguments), "--output", str(output), "--size", "64"]) == 0
    return pairs.read(output)


@pytest.fixture(scope="module")
def photos(trees, tmp_path_factory):
    """Nine photos, three of each split, and labels.csv."""
    root = tmp_path_factory.mktemp("photos")
    rows = []
    for number, split in enumerate(pairs.SPLITS * 3):
        trees.save(root / f"{number}.jpg", trees.photo(number)[0])
        rows.append(f"{number}.jpg,fear,p{number},{split}")
    (root / "labels.csv").write_text("\n".join(["path,emotion,identity,split", *rows]) + "\n")
    return root


@pytest.fixture(scope="module")
def options(photos):
    return ("--photos", photos, "--labels", photos / "labels.csv", "--variants", "3", "--workers", "1")


@pytest.fixture(scope="module")
def prepared(options, tmp_path_factory):
    output = tmp_path_factory.mktemp("prepared") / "set"
    run(output, *options, *SHARES)
    return output


def read(path, kind=cv2.IMREAD_COLOR):
    return cv2.imread(path, kind)


def tree(path):
    return {str(file.relative_to(path)): file.read_bytes() for file in path.rglob("*") if file.is_file()}


def test_pairs_of_every_kind_are_made_and_the_set_is_sound(prepared, capsys):
    found = pairs.read(prepared)
    frame = found.frame.astype(str)
    assert len(frame) == 27
    bare = (frame["mask_style"] == "none").to_numpy()
    test = (frame["split"] == "test").to_numpy()
    assert 2 <= bare.sum() <= 14 and not (bare & test).any()
    own = frame["unmasked"].str.endswith("_unmasked.png").to_numpy()
    assert own[~test].any() and not own[~test].all() and not own[test].any()
    for row in range(27):
        masked, unmasked = (read(found.paths(column)[row]) for column in ("masked", "unmasked"))
        occlusion = read(found.paths("occlusion")[row], cv2.IMREAD_UNCHANGED)
        assert (masked[occlusion == 0] == unmasked[occlusion == 0]).all()
        assert (masked == unmasked).all() == bare[row] == (not occlusion.any())
    assert check.main([str(prepared), "--workers", "1"]) == 0
    said = capsys.readouterr().out
    assert f"{bare.sum()} pairs show a face without a mask" in said and "no faults found" in said


def test_shares_do_not_change_the_test_split_and_the_masks(options, prepared, tmp_path):
    plain, shared = run(tmp_path / "plain", *options), pairs.read(prepared)
    assert list(plain.keys) == list(shared.keys)
    frames = plain.frame.astype(str), shared.frame.astype(str)
    masked = (frames[1]["mask_style"] != "none").to_numpy()
    assert (frames[0]["mask_style"][masked] == frames[1]["mask_style"][masked]).all()
    for row in np.flatnonzero((frames[0]["split"] == "test").to_numpy()):
        for column in pairs.IMAGE_COLUMNS:
            first, second = (Path(found.paths(column)[row]).read_bytes() for found in (plain, shared))
            assert first == second


def test_workers_do_not_change_the_result_and_other_shares_are_refused(options, prepared, tmp_path):
    before = {name: content for name, content in tree(prepared).items() if not name.startswith("check/")}
    run(tmp_path / "set", *options, *SHARES, "--workers", "2")
    assert tree(tmp_path / "set") == before
    with refused("changed", "bare: 0.4 there, 0.2 now"):
        run(prepared, *options, *SHARES, "--bare", "0.2")
    with refused("changed", "test_too: (absent) there, true now"):
        run(prepared, *options, *SHARES, "--test_too")
    assert run(prepared, *options, *SHARES) is not None  # the same again: nothing to do


def test_all_without_masks_including_the_test_split(options, tmp_path):
    frame = run(tmp_path / "set", *options, "--variants", "1", "--bare", "1", "--test_too").frame.astype(str)
    assert len(frame) == 9 and set(frame["mask_style"]) == {"none"} and frame["unmasked"].nunique() == 9


def test_shares_in_a_file_and_as_options(photos, tmp_path):
    source = ("--photos", photos, "--labels", photos / "labels.csv", "--workers", "1")
    masks = tmp_path / "masks.yaml"
    masks.write_text("train: [kn95]\nbare: 1\n")
    frame = run(tmp_path / "set", *source, "--masks", masks, "--degrade", "1").frame.astype(str)
    trained = frame[frame["split"] != "test"]
    assert set(trained["mask_style"]) == {"none"} and trained["unmasked"].str.endswith("_unmasked.png").all()
    with refused("usage", masks, "--bare"):
        run(tmp_path / "set2", *source, "--masks", masks, "--bare", "0.5")


def test_contradictory_options_are_refused(options, photos, trees, tmp_path):
    with refused("usage", "--test_too", "--bare, --degrade and --props"):
        run(tmp_path / "set", *options, "--test_too")
    with refused("usage", "--already_masked", "--props"):
        run(tmp_path / "set", "--photos", photos, "--labels", photos / "labels.csv", "--already_masked", "--props", "1")
    root, _ = trees.rafdb_sorted(tmp_path / "raf")
    with refused("usage", "sorted layout", "--degrade"):
        rafdb.main(["--source", str(root), "--output", str(tmp_path / "set"), "--degrade", "0.5"])
    for wrong in ("1.2", "-0.1", "nan", "many"):
        with refused("usage", "--bare"):
            folder.main(["--photos", ".", "--output", str(tmp_path / "set"), "--bare", wrong])
    assert not (tmp_path / "set").exists()


def test_toy_faces_have_the_same_options(tmp_path):
    arguments = ["--output", str(tmp_path / "set"), "--count", "21", "--size", "64", "--workers", "1"]
    assert toy.main([*arguments, "--variants", "2", *SHARES]) == 0
    frame = pairs.read(tmp_path / "set").frame.astype(str)
    bare = frame["mask_style"] == "none"
    assert len(frame) == 42 and bare.any() and not bare[frame["split"] == "test"].any()
    assert frame["unmasked"].str.endswith("_unmasked.png").any()
    assert check.main([str(tmp_path / "set"), "--workers", "1"]) == 0


def test_occlusion_maps_that_contradict_the_mask_style_are_faults(prepared, tmp_path, capsys):
    shutil.copytree(prepared, tmp_path / "set")
    shutil.rmtree(tmp_path / "set/check", ignore_errors=True)
    table = (tmp_path / "set/pairs.csv").read_text().splitlines()
    place = table[0].split(",").index("mask_style")
    cells = [line.split(",") for line in table]
    bare = next(line for line in cells if line[place] == "none")
    masked = next(line for line in cells[1:] if line[place] != "none")
    bare[place], masked[place] = "kn95", "none"
    (tmp_path / "set/pairs.csv").write_text("\n".join(map(",".join, cells)) + "\n")
    assert check.main([str(tmp_path / "set"), "--workers", "1"]) == 1
    said = capsys.readouterr()
    assert "hides 0.0 % of the pixels" in said.out + said.err and "without a mask (mask_style" in said.out + said.err
