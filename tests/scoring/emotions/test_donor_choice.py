"""Choice of donors."""

from dataclasses import replace

import numpy as np

from rac_unet.core.emotions import EMOTIONS
from rac_unet.data import pairs
from rac_unet.scoring.emotions.donor_choice import choose_donors, likely_donors, try_donors, without
from rac_unet.scoring.emotions.face_reading import training_faces
from tests.refusals import refused

FEAR, ANGER = EMOTIONS.index("fear"), EMOTIONS.index("anger")


def test_a_face_is_a_donor_of_the_emotion_with_its_highest_relative_strength():
    strengths = np.zeros((4, 7))
    # Classifiers give fear low probabilities: 0.2 is high for fear, and 0.3 is low for anger.
    strengths[:, ANGER] = [0.9, 0.8, 0.3, 0.1]
    strengths[:, FEAR] = [0.02, 0.01, 0.2, 0.1]
    chosen = choose_donors(strengths, list("abcd"), 2)
    assert chosen[ANGER] == [0, 1] and chosen[FEAR] == [2, 3]
    assert sum(map(len, chosen)) == 4


def test_a_person_has_at_most_two_donors_of_an_emotion():
    strengths = np.zeros((5, 7))
    strengths[:, FEAR] = [0.5, 0.4, 0.3, 0.2, 0.1]
    assert choose_donors(strengths, ["a", "a", "a", "b", "b"], 5)[FEAR] == [0, 1, 3, 4]


def test_all_pairs_of_a_skipped_face_are_left_out(toy_pairs):
    found = pairs.read(toy_pairs)
    all_faces = training_faces(found)
    names = all_faces.frame["unmasked"].astype(str)
    assert not names.duplicated().any()
    key = all_faces.keys[0]
    left = without(all_faces, found, [key]).frame["unmasked"].astype(str)
    assert names[0] not in set(left) and len(left) == len(names) - 1
    with refused("unknown_name", "--skip", "no-such-key"):
        without(all_faces, found, ["no-such-key"])
    with refused("empty", "--skip"):
        without(all_faces, found, all_faces.keys)


def test_the_faces_with_the_highest_probabilities_are_tried(toy_pairs):
    faces = pairs.read(toy_pairs).take(np.arange(4))
    read = np.zeros((4, 7))
    read[:, FEAR] = [0.1, 0.4, 0.2, 0.3]
    read[:, ANGER] = [0.1, 0.2, 0.3, 0.9]
    read[:, [i for i in range(7) if i not in (FEAR, ANGER)]] = np.float64([0.1, 0.5, 0, 0])[:, None]
    assert likely_donors(faces, read, 1).keys.tolist() == faces.keys[[1, 3]].tolist()
    assert len(likely_donors(faces, read, 100)) == 4


def test_donors_are_refused_without_masked_training_pairs(toy_pairs):
    found = pairs.read(toy_pairs)
    bare = replace(found, frame=found.frame.assign(mask_style="none"))
    with refused("empty", str(found.root)):
        try_donors([], bare, found.take(np.arange(1)), 2)
