"""Donor faces: drawn by emotion and mirrored, read from a table, refused where they cannot serve."""

import numpy as np
import pandas as pd
import pytest
import tensorflow as tf

from rac_unet.core.config import GuidanceConfig
from rac_unet.core.emotions import EMOTIONS
from rac_unet.core.rundir import RunDir
from rac_unet.data import pairs
from rac_unet.training import resuming
from rac_unet.training.guiding.donors import Donors, donor_facts, load_donors, map_asymmetry, read_donors
from tests.refusals import refused


def settings(table, **given):
    return GuidanceConfig(readers=["a"], donors=0.5, donor_faces=str(table), **given)


@pytest.fixture
def table(toy_pairs, tmp_path):
    """A table of donors, one training pair of each emotion, in a folder of its own."""
    frame = pd.read_csv(toy_pairs / "pairs.csv", keep_default_na=False)
    frame = frame[frame["split"] == "train"].drop_duplicates("emotion")
    for column in ("masked", "unmasked", "occlusion"):
        for name in frame[column]:
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_bytes((toy_pairs / name).read_bytes())
    frame.to_csv(tmp_path / "donors.csv", index=False)
    return tmp_path / "donors.csv"


def test_a_donor_is_one_of_the_emotion_as_it_is_or_mirrored():
    images = np.zeros((3, 2, 2, 3), np.uint8)
    images[:, 0, 0] = np.uint8([50, 100, 200])[:, None]
    donors = Donors(images, np.int32([0, 2, 0, 0, 0, 0, 1]), np.zeros((3, 128), np.float32))
    request, maps = tf.one_hot([1, 1, 1, 1, 6, 6], 7), tf.ones((6, 32, 32, 1))
    made = np.rint(255 * donors.pick(request, tf.constant([0.0, 0.3, 0.5, 0.999999, 0.1, 0.9]), maps).numpy())[..., 0]
    corners = np.stack([made[:, 0, 0], made[:, 0, 1]], axis=1)
    np.testing.assert_array_equal(corners, [[50, 0], [0, 50], [100, 0], [0, 100], [200, 0], [0, 200]])


def leaning(*shifts, side=64):
    """Maps of a mask whose middle is shifted by some pixels."""
    maps = np.zeros((len(shifts), side, side, 1), np.float32)
    for one, shift in zip(maps, shifts, strict=True):
        one[side // 2 :, side // 4 + shift : 3 * side // 4 + shift] = 1
    return tf.constant(maps)


def test_the_nearest_donors_are_turned_like_the_face():
    # Three donors of one emotion, turned by 0, 4 and 8 pixels to the right; and one of another emotion, turned by 4.
    images = np.zeros((4, 2, 2, 3), np.uint8)
    images[:, 0, 0] = np.uint8([50, 100, 200, 250])[:, None]
    donors = Donors(images, np.int32([0, 3, 0, 0, 0, 0, 1]), map_asymmetry(leaning(0, 4, 8, 4)).numpy())
    request, maps = tf.one_hot([1] * 6, 7), leaning(4, 4, -4, -4, 7, -7)
    draw = tf.constant([0.0, 0.9, 0.0, 0.9, 0.5, 0.5])
    made = np.rint(255 * donors.pick(request, draw, maps, 1 / 6).numpy())[..., 0]
    corners = np.stack([made[:, 0, 0], made[:, 0, 1]], axis=1)
    # Turned to the left, the mirrored donor fits.
    np.testing.assert_array_equal(corners, [[100, 0], [100, 0], [0, 100], [0, 100], [200, 0], [0, 200]])
    # Of a third, the two nearest are drawn from.
    two = np.rint(255 * donors.pick(request[:2], tf.constant([0.0, 0.9]), leaning(7, 7), 1 / 3).numpy())[..., 0]
    np.testing.assert_array_equal(two[:, 0, 0], [200, 100])


def test_asymmetry_is_negated_by_mirroring_and_the_same_at_all_sizes():
    small, large = map_asymmetry(leaning(4)), map_asymmetry(leaning(8, side=128))
    assert np.abs(small).max() > 0.5
    np.testing.assert_allclose(large, small, atol=1e-6)
    np.testing.assert_allclose(map_asymmetry(leaning(-4)), -small, atol=1e-6)
    np.testing.assert_allclose(map_asymmetry(leaning(0)), 0, atol=1e-6)


def test_donors_are_loaded_by_emotion(table):
    found = read_donors(settings(table))
    donors = load_donors(found, found.image_size)
    assert donors.counts.tolist() == [1] * 7 and donors.images.dtype == np.uint8
    place = found.frame["emotion"].astype(str).tolist().index("disgust")
    import cv2

    expected = cv2.cvtColor(cv2.imread(found.paths("unmasked")[place]), cv2.COLOR_BGR2RGB)
    np.testing.assert_array_equal(donors.images[EMOTIONS.index("disgust")], expected)
    occlusion = cv2.imread(found.paths("occlusion")[place], cv2.IMREAD_GRAYSCALE)[None, ..., None] / np.float32(255)
    shape = donors.asymmetries[EMOTIONS.index("disgust")]
    np.testing.assert_allclose(shape, map_asymmetry(occlusion)[0], atol=1e-5)
    assert donor_facts(found, settings(table))["donors"]["counts"]["fear"] == 1


def test_without_a_table_there_are_none(table):
    assert read_donors(GuidanceConfig()) is None
    assert read_donors(GuidanceConfig(readers=["a"], donors=0.5)) is None
    assert read_donors(GuidanceConfig(readers=["a"], donors=0.0, donor_faces=str(table))) is None
    assert donor_facts(None, GuidanceConfig()) == {}


def test_mistakes(table):
    with refused("missing", "guidance.donor_faces", "nowhere.csv"):
        read_donors(settings(table.with_name("nowhere.csv")))
    frame = pd.read_csv(table, keep_default_na=False)
    frame[frame["emotion"] != "fear"].to_csv(table, index=False)
    with refused("mismatch", "guidance.donor_faces", "fear"):
        read_donors(settings(table))
    assert read_donors(settings(table, emotion_weights={"fear": 0.0})) is not None


def test_a_run_goes_on_with_the_same_donors_only(table, tmp_path):
    run = RunDir(tmp_path / "run")
    run.path.mkdir()
    facts = donor_facts(pairs.read(table), settings(table))
    run.provenance_file.write_text(f'{{"guidance": {{"donors": {{"fingerprint": "{"e" * 64}"}}}}}}')
    with refused("changed", "guidance.donor_faces", str(run.path)):
        resuming.refuse_changed_donors(run, facts)
    with refused("changed"):
        resuming.refuse_changed_donors(run, {})
    same = facts["donors"]["fingerprint"]
    run.provenance_file.write_text(f'{{"guidance": {{"donors": {{"fingerprint": "{same}"}}}}}}')
    resuming.refuse_changed_donors(run, facts)
