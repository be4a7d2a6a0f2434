"""When a face is masked, by votes of some frames."""

import numpy as np
import pytest

from rac_unet.unmasking.clips.voting import Vote, is_wide, masked_frames


def votes(text, every=5):
    """m: masked; M: masked, and its mask leaves the crop; o: not masked."""
    return [Vote(10 + every * i, letter in "mM", letter == "M") for i, letter in enumerate(text)]


@pytest.mark.parametrize(
    ("read", "expected"),
    [
        ("mmmm", "mmmm"),
        ("oooo", "oooo"),
        ("mmommom", "mmmmmmm"),
        ("oomooo", "oooooo"),
        ("ommmm", "mmmmm"),
        ("mmmmooooo", "mmmmooooo"),
        ("ooommmmmmooo", "ooommmmmmooo"),
        ("mmommooooo", "mmmmmooooo"),
    ],
)
def test_single_frames_change_nothing_and_a_mask_taken_off_does(read, expected):
    masked = masked_frames(votes(read), 10, 5 * len(read))
    assert "".join("mo"[not each] for each in masked[::5]) == expected
    assert np.count_nonzero(np.diff(masked)) == sum(a != b for a, b in zip(expected, expected[1:], strict=False))


def test_frames_follow_the_nearer_vote():
    assert masked_frames(votes("mmmmoooo", every=4), 10, 32).tolist() == [True] * 15 + [False] * 17
    assert not masked_frames([], 0, 3).any()


def test_the_framing_is_that_of_most_masked_votes():
    assert is_wide(votes("MMmoooo")) and not is_wide(votes("mMooo")) and not is_wide([])
