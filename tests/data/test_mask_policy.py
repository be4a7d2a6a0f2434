"""Mask policies: styles by split and weight, from options or a file, refused with the names that would do."""

from collections import Counter

import pytest

from rac_unet.data.mask_policy import make_policy, read_policy
from rac_unet.errors import UserError
from rac_unet.faces.masks import STYLES


def drawn(policy, split, count=4000):
    return Counter(policy.draw(split, 0, f"face {number}", 0)[0] for number in range(count))


def test_held_out_styles_are_drawn_in_test_beside_the_others():
    policy = make_policy(held_out=["bandana"])
    assert set(drawn(policy, "train")) == set(drawn(policy, "val")) == set(STYLES) - {"bandana"}
    test = drawn(policy, "test")
    assert set(test) == set(STYLES) and all(abs(count - 500) < 100 for count in test.values())


def test_a_file_weighs_styles_by_split(tmp_path):
    path = tmp_path / "masks.yaml"
    path.write_text("variants: 3\ntrain: {surgical: 3, kn95: 1}\ntest: [bandana, kn95]\n")
    policy = read_policy(path)
    assert policy.variants == 3 and policy.val == policy.train
    train = drawn(policy, "train")
    assert set(train) == {"surgical", "kn95"} and abs(train["surgical"] / 4000 - 0.75) < 0.03
    assert set(drawn(policy, "test")) == {"bandana", "kn95"}
    assert policy.draw("train", 1, "a", 0) == policy.draw("train", 1, "a", 0)
    assert len({policy.draw("train", seed, "a", variant) for seed in range(4) for variant in range(4)}) == 16


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("test: [kn95]", "expected train"),
        ("train: [kn95]\ndev: [kn95]", "Received: dev"),
        ("train: [kn96]", "train: unknown mask style 'kn96'; choose from: surgical"),
        ("train: {kn95: 0}", "train.kn95: expected a weight above 0"),
        ("train: {kn95: much}", "above 0. Received: 'much'"),
        ("train: []", "expected styles"),
        ("train: [kn95]\nvariants: 0", "variants: expected a whole number"),
        ("train: [kn95", "is not a YAML file"),
        ("", "expected train"),
    ],
)
def test_a_wrong_file_is_one_message(tmp_path, text, words):
    (tmp_path / "masks.yaml").write_text(text)
    with pytest.raises(UserError) as error:
        read_policy(tmp_path / "masks.yaml")
    assert words in str(error.value) and "masks.yaml" in str(error.value)


def test_refusals(tmp_path):
    with pytest.raises(UserError, match="is not there"):
        read_policy(tmp_path / "none.yaml")
    with pytest.raises(UserError, match="leaves no mask style"):
        make_policy(["kn95"], held_out=["kn95"])
    with pytest.raises(UserError, match="not among"):
        make_policy(["kn95"], held_out=["bandana"])
    with pytest.raises(UserError, match="unknown mask style 'x'"):
        make_policy(["x"])
