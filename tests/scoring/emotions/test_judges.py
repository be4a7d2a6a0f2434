"""Checks of judges: several judges, none of which may have guided the network."""

import json
from dataclasses import replace
from pathlib import Path

import yaml

from rac_unet.core import rundir
from rac_unet.core.config import GuidanceConfig, RunConfig
from rac_unet.core.emotions import EMOTIONS
from rac_unet.core.files.whole import write_text
from rac_unet.data import pairs
from rac_unet.evaluate import _guides, _training_facts
from rac_unet.runtime.classifier import ClassifierConfig, classifier_yaml
from rac_unet.scoring.emotions.judges import check_judges, describe_guides, judge_paths, photographs_in_common
from rac_unet.training.guiding.readers import check_readers
from rac_unet.training.warm_start import guides_of, warm_start_facts
from tests.refusals import refused


def make_classifier(path, weights, data=None, head="trained", **provenance):
    """Make a classifier's run directory with a text in place of weights."""
    config = ClassifierConfig(EMOTIONS, "small_reader", 2, 32, head=head)
    text = classifier_yaml(config) + yaml.safe_dump({"data": data and str(data)})
    with rundir.new_run(path, text, provenance) as run:
        write_text(run.best_weights, weights)
    return path


def make_network(folder, name, readers=(), source=None):
    """Make the run directory of a network that these readers have guided."""
    config = RunConfig(guidance=GuidanceConfig(readers=[str(reader) for reader in readers]))
    provenance = {"guidance": {"readers": check_readers(readers)}} if readers else {}
    if source:
        config = replace(config, training=replace(config.training, init_from=str(source)))
        provenance["begun_from"] = warm_start_facts(str(source))
    run = rundir.create(folder, name, config, provenance)
    write_text(run.best_weights, name)
    return run


def test_judges_are_given_together_or_one_by_one(tmp_path):
    (tmp_path / "a,b").mkdir()
    assert judge_paths(["x,y", " z", f"{tmp_path}/a,b"]) == [Path("x"), Path("y"), Path("z"), tmp_path / "a,b"]
    with refused("usage", "--classifier", "x,,y"):
        judge_paths(["x,,y"])


def test_a_guide_of_the_run_or_of_an_earlier_run_is_refused(tmp_path):
    guide, other = make_classifier(tmp_path / "guide", "g"), make_classifier(tmp_path / "other", "o")
    first = make_network(tmp_path / "runs", "first", [guide])
    second = make_network(tmp_path / "runs", "second", [other], source=first.path)
    copy = make_classifier(tmp_path / "copy", "g")
    for run in (first, second):
        with refused("mismatch", "--classifier", copy, "guide"):
            check_judges([copy], guides_of(run))
    assert [facts["name"] for facts in check_judges([other], guides_of(first))] == ["other"]
    with refused("mismatch", other):
        check_judges([other], guides_of(second))
    # The record of the earlier run is enough when its folder is gone.
    first.path.rename(tmp_path / "moved")
    with refused("mismatch", copy, "guide"):
        check_judges([copy], guides_of(second))
    # Facts about guides are omitted for a run without guidance.
    (facts,) = check_judges([copy], guides_of(make_network(tmp_path / "runs", "plain")))
    assert "guides" not in facts and describe_guides(facts) == []


def test_guides_of_an_exported_network_are_those_of_its_run(tmp_path):
    guide = make_classifier(tmp_path / "guide", "g")
    run = make_network(tmp_path / "runs", "guided", [guide])
    inside = run.export() / "net.tflite"
    assert (
        [found["name"] for found in _guides(inside, None)]
        == ["guide"]
        == [found["name"] for found in _guides(run.path, run)]
    )
    # In another folder the guides are unknown (None), not absent (an empty list).
    assert _guides(tmp_path / "net.tflite", None) is None and _guides(Path("/net.tflite"), None) is None


def test_provenance_has_the_names_of_readers_without_their_folders(tmp_path):
    guide = make_classifier(tmp_path / "guide", "g")
    facts = _training_facts(make_network(tmp_path / "runs", "guided", [guide]))
    assert facts["config"]["guidance"]["readers"] == ["guide"] and str(tmp_path) not in json.dumps(facts)
    (recorded,) = facts["training"]["guidance"]["readers"]
    assert recorded["weights_sha256"] == check_judges([guide], [])[0]["weights_sha256"]


def test_unusable_judges_are_refused(tmp_path):
    judge = make_classifier(tmp_path / "judge", "j")
    with refused("usage", "--classifier", "again"):
        check_judges([judge, make_classifier(tmp_path / "again", "j")], [])
    with refused("wrong_type", "blank", "untrained"):
        check_judges([judge, make_classifier(tmp_path / "blank", "b", head="untrained")], [])
    with refused("wrong_type", "runs"):
        check_judges([make_network(tmp_path / "runs", "network").path], [])
    with refused("missing", "nowhere"):
        check_judges([judge, tmp_path / "nowhere"], [])


def test_a_judge_trained_on_the_guides_data_is_marked(toy_pairs, tmp_path):
    fingerprint = pairs.read(toy_pairs).fingerprint
    guide = make_classifier(tmp_path / "guide", "g", toy_pairs, data_fingerprint=fingerprint)
    guides = guides_of(make_network(tmp_path / "runs", "run", [guide]))

    def judged(name, data=None, **provenance):
        (facts,) = check_judges([make_classifier(tmp_path / name, name, data, **provenance)], guides)
        (found,) = facts["guides"]
        return found, describe_guides(facts)

    found, lines = judged("same", data_fingerprint=fingerprint)
    assert found["data"] == "same" and "same" in lines[0] and "guide" in lines[0]

    # Another set with half of its people, with names as `merge` gives them, and half new people.
    rows = [row for row in pairs.read(toy_pairs) if row.split == "train"]
    people = sorted({row.identity for row in rows})
    half = set(people[: len(people) // 2])
    placed = [replace(row, **{c: f"{toy_pairs.name}/{getattr(row, c)}" for c in pairs.IMAGE_COLUMNS}) for row in rows]
    mixed = [
        replace(row, key=f"set:{row.key}", identity=f"set:{row.identity}")
        if row.identity in half
        else replace(row, key=f"set:x{row.key}", identity=f"set:x{row.identity}")
        for row in placed
    ]
    pairs.write(toy_pairs.parent / "mixed.csv", mixed)
    found, lines = judged("shares", toy_pairs.parent / "mixed.csv", data_fingerprint="other")
    known = sum(row.identity in half for row in rows)
    assert (found["data"], found["photographs_in_common"], found["photographs"]) == ("shared", known, len(rows))
    assert f"{known} of" in lines[0] and str(len(rows)) in lines[0]

    pairs.write(toy_pairs.parent / "elsewhere.csv", [replace(row, source="elsewhere") for row in placed])
    found, lines = judged("apart", toy_pairs.parent / "elsewhere.csv", data_fingerprint="another")
    assert found["data"] == "other" and found["photographs_in_common"] == 0 and lines == []

    found, lines = judged("gone", tmp_path / "no_set", data_fingerprint="another")
    assert found["data"] == "unknown" and "judge gone" in lines[0]
    found, lines = judged("descendant", begun_from={"weights_sha256": guides[0]["weights_sha256"]})
    assert found["started_from"] and "started with the guide" in lines[0]


def test_variants_of_a_photograph_count_once(toy_pairs):
    train = pairs.read(toy_pairs).split("train")
    twice = train.take([row for row in range(len(train)) for _ in (0, 1)])
    assert photographs_in_common(twice, train.take([0])) == (7, len(train))
