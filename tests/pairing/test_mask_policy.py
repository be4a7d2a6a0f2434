"""Mask policies: styles by split and weight, from options or a file; refusals list the valid names."""

from collections import Counter
from dataclasses import replace

import pytest

from rac_unet.pairing.mask_policy import NO_MASK, PairPlan, make_policy, read_policy
from rac_unet.synthesis.masks.painting import STYLES
from tests.refusals import refused


def drawn(policy, split, count=4000):
    return Counter(policy.draw(split, 0, f"face {number}", 0)[0] for number in range(count))


def test_held_out_styles_are_drawn_only_in_the_test_split():
    policy = make_policy(held_out=["bandana"])
    assert set(drawn(policy, "train")) == set(drawn(policy, "val")) == set(STYLES) - {"bandana"}
    test = drawn(policy, "test")
    assert set(test) == set(STYLES) and all(abs(count - 500) < 100 for count in test.values())


def test_a_file_gives_weights_of_styles_by_split(tmp_path):
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
    ("text", "kind", "named"),
    [
        ("test: [kn95]", "bad_layout", ["train"]),
        ("train: [kn95]\ndev: [kn95]", "bad_layout", ["dev"]),
        ("train: [kn96]", "unknown_name", ["train", "'kn96'", "surgical"]),
        ("train: {kn95: 0}", "bad_value", ["train.kn95", "Received: 0"]),
        ("train: {kn95: much}", "bad_value", ["train.kn95", "'much'"]),
        ("train: []", "bad_value", ["train", "[]"]),
        ("train: [kn95]\nvariants: 0", "bad_value", ["variants", "Received: 0"]),
        ("train: [kn95", "unreadable", []),
        ("train: [kn95]\nbare: 1.5", "bad_value", ["bare", "1.5"]),
        ("train: [kn95]\nprops: often", "bad_value", ["props", "'often'"]),
        ("train: [kn95]\ndegrade: true", "bad_value", ["degrade", "True"]),
        ("", "bad_layout", ["train"]),
    ],
)
def test_a_wrong_file_is_refused(tmp_path, text, kind, named):
    (tmp_path / "masks.yaml").write_text(text)
    with refused(kind, tmp_path / "masks.yaml", *named):
        read_policy(tmp_path / "masks.yaml")


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "cp1252"])
def test_a_file_in_another_encoding(tmp_path, encoding):
    (tmp_path / "masks.yaml").write_bytes("# für später\r\nvariants: 2\r\ntrain: [kn95]\r\n".encode(encoding))
    assert read_policy(tmp_path / "masks.yaml").variants == 2


def planned(policy, split="train", count=4000):
    return [policy.plan(split, 0, f"face {number}", 0) for number in range(count)]


def test_without_shares_a_plan_is_only_a_mask():
    policy = make_policy()
    assert planned(policy, count=50) == [PairPlan(*policy.draw("train", 0, f"face {n}", 0)) for n in range(50)]
    settings = policy.as_settings()
    assert not {"bare", "degrade", "props", "test_too"} & set(settings) and settings["variants"] == 1


def test_shares_are_independent_of_each_other():
    policy = replace(make_policy(held_out=["valve"]), bare=0.1, degrade=0.35, props=0.25)
    plans = planned(policy)
    shares = {
        "bare": [plan.style == NO_MASK for plan in plans],
        "degrade": [plan.degrade_seed is not None for plan in plans],
        "props": [plan.props_seed is not None for plan in plans],
    }
    for name, chosen in shares.items():
        assert abs(sum(chosen) / 4000 - getattr(policy, name)) < 0.025, name
    both = sum(a and b for a, b in zip(shares["degrade"], shares["props"], strict=True)) / 4000
    assert abs(both - 0.35 * 0.25) < 0.02
    assert len({plan.degrade_seed for plan in plans}) > 1200 and plans == planned(policy)
    # A larger share of one kind does not change the others or the masks.
    more = planned(replace(policy, degrade=0.8))
    assert [plan._replace(degrade_seed=None) for plan in more] == [plan._replace(degrade_seed=None) for plan in plans]
    kept = [(a.degrade_seed, b.degrade_seed) for a, b in zip(plans, more, strict=True) if a.degrade_seed is not None]
    assert kept and all(a == b for a, b in kept)
    assert all(plan.style == NO_MASK for plan in planned(replace(policy, bare=1.0), count=50))


def test_shares_apply_to_the_test_split_only_on_request():
    policy = replace(make_policy(), bare=0.5, degrade=0.5, props=0.5)
    assert planned(policy, "test", 60) == planned(make_policy(), "test", 60)
    assert planned(policy, "val", 60) != planned(make_policy(), "val", 60)
    too = planned(replace(policy, test_too=True), "test", 400)
    assert 120 < sum(plan.style == NO_MASK for plan in too) < 280
    assert replace(policy, test_too=True).as_settings()["test_too"] and policy.as_settings()["bare"] == 0.5


def test_a_file_gives_shares(tmp_path):
    path = tmp_path / "masks.yaml"
    path.write_text("train: [kn95]\nbare: 0.08\nprops: 1\n")
    policy = read_policy(path)
    assert (policy.bare, policy.degrade, policy.props) == (0.08, 0.0, 1.0)


def test_refusals(tmp_path):
    with refused("missing", tmp_path / "none.yaml"):
        read_policy(tmp_path / "none.yaml")
    with refused("usage", "--held_out"):
        make_policy(["kn95"], held_out=["kn95"])
    with refused("unknown_name", "bandana", "kn95"):
        make_policy(["kn95"], held_out=["bandana"])
    with refused("unknown_name", "'x'"):
        make_policy(["x"])
