"""The find_donors command: a table of pairs, a sheet and provenance next to the pairs."""

import json
import shutil

import pytest
from PIL import Image

from rac_unet.core.emotions import EMOTIONS
from rac_unet.data import pairs
from rac_unet.find_donors import main
from rac_unet.runtime.classifier import ClassifierConfig, build_classifier, write_classifier
from tests.refusals import refused


@pytest.fixture(scope="module")
def reader(tmp_path_factory):
    config = ClassifierConfig(tuple(sorted(EMOTIONS)), "small_reader", 2, 32, "grey")
    path = tmp_path_factory.mktemp("reader") / "reader"
    write_classifier(path, build_classifier(config), config, {})
    return path


@pytest.fixture
def data(toy_pairs, tmp_path):
    return shutil.copytree(toy_pairs, tmp_path / "pairs")


def test_a_table_of_donors_and_a_sheet(data, reader, capsys):
    arguments = [str(data), "--classifier", str(reader), "--count", "2", "--tried", "3", "--recipients", "2"]
    assert main(arguments) == 0
    before, donors = pairs.read(data), pairs.read(data / "donors.csv")
    assert set(donors.keys) <= set(before.keys) and len(set(donors.keys)) == len(donors) > 0
    assert set(donors.frame["split"]) == {"train"} and max(donors.emotion_counts().values()) <= 2
    assert Image.open(data / "donors.jpg").size[0] > 100
    facts = json.loads((data / "donors.json").read_text())
    assert facts["data_fingerprint"] == before.fingerprint and len(facts["classifiers"]) == 1
    with refused("exists", "donors.csv", "--name"):
        main(arguments)
    first = donors.keys[0]
    assert main([*arguments, "--skip", str(first), "--name", "others.csv"]) == 0
    assert first not in pairs.read(data / "others.csv").keys
    assert "others.csv" in capsys.readouterr().out


def test_mistakes(data, reader):
    with refused("usage", "--name", "a/b.csv"):
        main([str(data), "--classifier", str(reader), "--name", "a/b.csv"])
    with refused("unknown_name", "--skip", "nobody"):
        main([str(data), "--classifier", str(reader), "--skip", "nobody"])
    assert not (data / "donors.csv").exists()
