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
from rac_unet.training.guiding.donors import Donors, donor_facts, load_donors, read_donors
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
    donors = Donors(images, np.int32([0, 2, 0, 0, 0, 0, 1]))
    request = tf.one_hot([1, 1, 1, 1, 6, 6], 7)
    made = np.rint(255 * donors.pick(request, tf.constant([0.0, 0.3, 0.5, 0.999999, 0.1, 0.9])).numpy())[..., 0]
    corners = np.stack([made[:, 0, 0], made[:, 0, 1]], axis=1)
    np.testing.assert_array_equal(corners, [[50, 0], [0, 50], [100, 0], [0, 100], [200, 0], [0, 200]])


def test_donors_are_loaded_by_emotion(table):
    found = read_donors(settings(table))
    donors = load_donors(found, found.image_size)
    assert donors.counts.tolist() == [1] * 7 and donors.images.dtype == np.uint8
    place = found.frame["emotion"].astype(str).tolist().index("disgust")
    import cv2

    expected = cv2.cvtColor(cv2.imread(found.paths("unmasked")[place]), cv2.COLOR_BGR2RGB)
    np.testing.assert_array_equal(donors.images[EMOTIONS.index("disgust")], expected)
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
